#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the image of a lab host, unless it is there and made from these very files.
# LAB_BASE_IMAGE names another base (Debian or Ubuntu) than the official one.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image=${LAB_IMAGE:-hardway-lab-node:latest}
official_base=${LAB_BASE_IMAGE:-docker.io/library/debian:12-slim}
registry_timeout=120
label=hardway.lab.content

say() { echo "node image: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

packages() { sed 's/#.*//' "$here/packages.txt" | xargs; }

# The machine's own package sources, as far as they are the distribution's: one "deb" line each.
distribution_sources() {
    # shellcheck disable=SC2016 # these are apt's, not the shell's
    apt-get indextargets \
        --format 'deb [arch=$(ARCHITECTURE)] $(REPO_URI) $(RELEASE) $(COMPONENT)|$(ORIGIN)' 'Created-By: Packages' \
        | sed -n -E 's/\|(Debian|Ubuntu)$//p' | sort -u
}

# A base made from the distribution's packages, as a local image.
make_base() {
    local codename keyring sources
    command -v apt-get >/dev/null || fail "no registry answers, and this system has no apt to make a base image with." \
        "Give the machine a way to a registry, or load a Debian image with 'docker load' and name it in LAB_BASE_IMAGE."
    command -v mmdebstrap >/dev/null || fail "no registry answers, and mmdebstrap is missing: apt-get install mmdebstrap"
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    sources=$(distribution_sources)
    [ -n "$sources" ] || fail "apt has no source of Debian's or Ubuntu's own packages: see /etc/apt/sources.list*, then run 'apt-get update'."
    # A proxy, or a rule about the age of indexes, holds for these sources here and so in the image too.
    apt-config dump Acquire | grep -E '^Acquire::(Check-|https?::)' >"$work/apt.conf" || true
    keyring=/usr/share/keyrings
    [ -d "$keyring" ] || keyring=/etc/apt/trusted.gpg.d
    say "making a base of $codename packages; this takes a minute or two"
    if ! mmdebstrap --quiet --variant=minbase --include="$(packages | tr ' ' ,)" --aptopt="$work/apt.conf" \
        --keyring="$keyring" --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "$codename" "$work/base.tar" - <<<"$sources" >"$work/log" 2>&1; then
        tail -n 20 "$work/log" >&2
        fail "mmdebstrap could not make the base; the end of its output is above. As another user than root it needs user namespaces and newuidmap (package uidmap)."
    fi
    docker import --change "LABEL $label=$base_content" "$work/base.tar" "$1" >/dev/null
}

docker info >/dev/null 2>&1 || fail "the Docker Engine does not answer. 'make setup' installs and starts it, or says what is missing."

content=$(cd "$here" && cat Dockerfile packages.txt init build.sh | cat - <(echo "$official_base") | sha256sum | cut -c1-16)
if [ "$(docker image inspect --format "{{ index .Config.Labels \"$label\" }}" "$image" 2>/dev/null)" = "$content" ]; then
    exit 0
fi

started=$SECONDS
base=$official_base
if ! docker image inspect "$base" >/dev/null 2>&1; then
    say "fetching $base"
    if ! timeout "$registry_timeout" docker pull --quiet "$base" >/dev/null 2>"$work/pull"; then
        [ -z "${LAB_BASE_IMAGE:-}" ] || fail "cannot fetch $base: $(tail -n 1 "$work/pull")"
        say "no registry gave it ($(tail -n 1 "$work/pull" | cut -c1-160))"
        base=hardway-lab-base:latest
        base_content=$(sha256sum "$here/packages.txt" | cut -c1-16)
        if [ "$(docker image inspect --format "{{ index .Config.Labels \"$label\" }}" "$base" 2>/dev/null)" != "$base_content" ]; then
            make_base "$base"
        fi
    fi
fi

# The older builder supports everything in this Dockerfile.
buildkit=0
if docker buildx version >/dev/null 2>&1; then buildkit=1; fi
say "building $image on $base"
if ! DOCKER_BUILDKIT=$buildkit docker build --build-arg "BASE=$base" --label "$label=$content" --tag "$image" "$here" >"$work/log" 2>&1; then
    tail -n 30 "$work/log" >&2
    fail "docker build failed; the end of its output is above."
fi
say "$image built in $((SECONDS - started)) s"
