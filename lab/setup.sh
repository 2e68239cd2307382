#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Sets up what the project needs on this machine, as far as it is missing:
#   setup.sh python   the virtual environment .venv and the collection link
#   setup.sh docker   the Docker Engine, from the distribution's packages
#   setup.sh build    packages that are needed to build the mirror and the node image where nothing can be downloaded
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

# Installs Debian packages that are missing, or says how.
packages() {
    local missing=() package
    for package; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "install what your system calls ${missing[*]}, then run this again."
    may_be_root || fail "as root, run: apt-get install ${missing[*]}; then run this again."
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
}

python() {
    local stamp interpreter candidate
    # The Makefile puts .venv first in PATH. The environment that is replaced cannot create the new one.
    local PATH=${PATH//"$PWD/.venv/bin:"/}
    stamp=$(cat requirements.txt requirements-dev.txt | sha256sum | cut -c1-16)
    if [ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ]; then
        for candidate in python3.11 python3.12 python3.13 python3; do
            if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
                interpreter=$candidate
                break
            fi
        done
        [ -n "${interpreter:-}" ] || fail "Python 3.11 or newer is needed; install it, then run this again."
        "$interpreter" -c 'import ensurepip' 2>/dev/null || packages python3-venv
        say "making .venv with $("$interpreter" --version); this takes a minute or two"
        rm -rf .venv
        "$interpreter" -m venv .venv
        .venv/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
        echo "$stamp" >.venv/stamp
    fi
    PYTHONPATH=lab .venv/bin/python -c 'import collection; collection.make_importable()'
}

engine_answers() { docker info >/dev/null 2>&1; }

docker_engine() {
    engine_answers && return 0
    if ! command -v dockerd >/dev/null; then
        packages docker.io iptables
    fi
    may_be_root || fail "the Docker Engine does not answer; start it (systemctl start docker), or join the group docker."
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
    else
        # dockerd has its own log. With inherited output, a caller that reads this script's output would wait for ever.
        as_root sh -c 'setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &'
    fi
    for _ in $(seq 60); do
        engine_answers && return 0
        sleep 0.5
    done
    fail "the Docker Engine does not answer. See /var/log/dockerd.log or journalctl -u docker; a user other than root must be in the group docker."
}

build() { packages mmdebstrap debian-archive-keyring gcc libc6-dev pkg-config libseccomp-dev libpcap-dev; }

case ${1:-} in
    python) python ;;
    docker) docker_engine ;;
    build) build ;;
    *) fail "usage: lab/setup.sh python|docker|build" ;;
esac
