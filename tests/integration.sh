#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs `ansible-test integration` with the given arguments. It wants the collection in a directory
# ansible_collections/NAMESPACE/NAME and follows no links, so it gets a copy of what belongs to the work tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
place=$tree/ansible_collections/hardway/kubernetes
mkdir -p "$place"
git ls-files -z --cached --others --exclude-standard -- plugins meta galaxy.yml tests/integration |
    tar --create --null --files-from=- | tar --extract --directory="$place"
unset ANSIBLE_CONFIG
cd "$place"
ansible-test integration --local --color no "$@"
