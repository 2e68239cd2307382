#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs ansible-playbook with the given arguments and fails unless it succeeded and changed nothing.
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! ANSIBLE_NOCOLOR=1 ansible-playbook --diff "$@" >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
recap=$(sed -n '/^PLAY RECAP/,$p' "$log")
if ! grep -q 'changed=' <<<"$recap" || grep -q 'changed=[1-9]' <<<"$recap"; then
    cat "$log"
    echo "ansible-playbook $*: changed something that was in order, see above" >&2
    exit 1
fi
echo "ansible-playbook $*: nothing changed"
