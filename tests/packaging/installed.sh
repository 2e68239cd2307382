#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the collection's archive, installs it in an empty directory, and runs its site playbook there, with the given
# arguments, against a finished cluster: nothing may change.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ansible-galaxy collection build "$root" --output-path "$work" >/dev/null
unset ANSIBLE_CONFIG
export ANSIBLE_COLLECTIONS_PATH=$work/collections
export ANSIBLE_PIPELINING=1
# Its dependencies are in the virtual environment.
ansible-galaxy collection install --no-deps --offline "$work"/hardway-kubernetes-*.tar.gz -p "$work/collections" >/dev/null
cd "$work"
"$root/tests/unchanged.sh" "$@" hardway.kubernetes.site
echo "the archive, installed elsewhere, runs as hardway.kubernetes.site"
