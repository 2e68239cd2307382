#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints the paths of all shell scripts of the repository: those that say so in their first line, and all *.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' path; do
    [ -f "$path" ] && [ ! -L "$path" ] || continue
    first=
    IFS= read -r first <"$path" 2>/dev/null || true
    if [[ $path == *.sh || $first =~ ^#!.*[/\ ](ba|da)?sh( |$) ]]; then
        printf '%s\n' "$path"
    fi
done
