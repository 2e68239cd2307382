#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Saves a snapshot of the member on this host, checks it, and keeps the newest. etcd-backup.service runs it, with the
# settings of /etc/etcd/backup.env in the environment: DIRECTORY, CLUSTER and KEEP, and etcdctl's own. The argument is how
# many seconds to wait for the member: when the timer makes up for a time at boot, the other members may still be down.
set -eu
umask 077
PATH=$PATH:/usr/local/bin

# A snapshot of a member that does not answer would be waited for without end.
last=$(($(date +%s) + ${1:-0}))
until etcdctl endpoint status >/dev/null; do
    [ "$(date +%s)" -lt "$last" ] || { echo "etcd-backup: the member does not answer; start etcd" >&2; exit 1; }
    sleep 1
done
alarms=$(etcdctl alarm list) || alarms="alarms could not be read"
[ -z "$alarms" ] || echo "etcd-backup: a snapshot is saved while etcd has a problem: $alarms" >&2

rm -f "$DIRECTORY/.etcd-$CLUSTER-"*.part*
name=etcd-$CLUSTER-$(date -u +%Y%m%dT%H%M%SZ).db
part=$DIRECTORY/.$name.part
trap 'rm -f "$part" "$part.part"' EXIT
etcdctl snapshot save "$part" >/dev/null

# The SHA-256 of the database follows it; then the structure of the database is checked.
found=$(head -c -32 "$part" | sha256sum | cut -c 1-64)
noted=$(tail -c 32 "$part" | od -A n -t x1 | tr -d ' \n')
[ "$found" = "$noted" ] || { echo "etcd-backup: the snapshot is damaged: SHA-256 $found, not $noted" >&2; exit 1; }
etcdutl snapshot status "$part" >/dev/null
sync "$part"
mv "$part" "$DIRECTORY/$name"
echo "etcd-backup: $DIRECTORY/$name"

# Only names that this script gives; they sort by time. The newest always stays.
digit='[0-9]'
day=$digit$digit$digit$digit$digit$digit$digit$digit
# shellcheck disable=SC2086  # day holds a pattern
set -- "$DIRECTORY/etcd-$CLUSTER-"${day}T$digit$digit$digit$digit$digit${digit}Z.db
while [ "$#" -gt 1 ] && [ "$#" -gt "$KEEP" ]; do
    rm -f "$1"
    shift
done
