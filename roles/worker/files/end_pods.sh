#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Stops the pods that a drain leaves: those of DaemonSets and static pods. They would keep running after the kubelet has
# stopped. Pods with a network of their own are stopped first, because the daemon of the pod network must still run to
# remove it. Prints the pods that it stops. Sandboxes that cannot be removed may stay, as long as nothing in them runs.

systemctl --quiet is-active containerd.service || exit 0
PATH=$PATH:/usr/local/bin
for network in POD NODE; do
    for pod in $(crictl pods --quiet); do
        if crictl inspectp "$pod" | grep -q "\"network\": \"$network\""; then
            crictl rmp --force "$pod" || true
        fi
    done
done
left="$(crictl ps --quiet)$(crictl pods --quiet --state ready)"
[ -z "$left" ] || { echo "still there: $left" >&2; exit 1; }
