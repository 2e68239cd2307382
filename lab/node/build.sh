#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the images of lab hosts, unless they are there and made from these very files.
#   build.sh [RELEASE]...    Debian's releases, 12 or 13; 12 unless given
# LAB_BASE_IMAGE names another base (Debian or Ubuntu) than the official one, LAB_IMAGE another name of the image.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
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

codename() {
    case $1 in
        12) echo bookworm ;;
        13) echo trixie ;;
        *) fail "Debian $1: 12 and 13 are allowed." ;;
    esac
}

# The machine's own package sources, as far as they are the distribution's: one "deb" line each.
distribution_sources() {
    # shellcheck disable=SC2016 # these are apt's, not the shell's
    apt-get indextargets \
        --format 'deb [arch=$(ARCHITECTURE)] $(REPO_URI) $(RELEASE) $(COMPONENT)|$(ORIGIN)' 'Created-By: Packages' \
        | sed -n -E 's/\|(Debian|Ubuntu)$//p' | sort -u
}

# A base made from the packages of a Debian release, as a local image. They come from where this machine's own come from.
make_base() {
    local release=$1 base=$2 system own codename keyring sources
    command -v apt-get >/dev/null || fail "no registry answers, and this system has no apt to make a base image with." \
        "Give the machine a way to a registry, or load a Debian image with 'docker load' and name it in LAB_BASE_IMAGE."
    command -v mmdebstrap >/dev/null || fail "no registry answers, and mmdebstrap is missing: apt-get install mmdebstrap"
    # shellcheck source=/dev/null
    system=$(. /etc/os-release && echo "$ID") own=$(. /etc/os-release && echo "$VERSION_CODENAME")
    sources=$(distribution_sources)
    [ -n "$sources" ] || fail "apt has no source of Debian's or Ubuntu's own packages: see /etc/apt/sources.list*, then run 'apt-get update'."
    codename=$(codename "$release")
    if [ "$system" = debian ]; then
        sources=$(sed -E "s# $own(-[a-z]+)? # $codename\\1 #" <<<"$sources")
    else
        [ "$release" = 12 ] || fail "no registry answers, and $system has no packages of Debian $release." \
            "Give the machine a way to a registry, or load debian:$release-slim with 'docker load'."
        codename=$own
    fi
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
    docker import --change "LABEL $label=$base_content" "$work/base.tar" "$base" >/dev/null
}

content_of() { docker image inspect --format "{{ index .Config.Labels \"$label\" }}" "$1" 2>/dev/null || true; }

build() {
    local release=$1 image official_base content started=$SECONDS base buildkit=0
    codename "$release" >/dev/null
    image=${LAB_IMAGE:-hardway-lab-node:$release}
    official_base=${LAB_BASE_IMAGE:-docker.io/library/debian:$release-slim}
    content=$(cd "$here" && cat Dockerfile packages.txt init ssh build.sh | cat - <(echo "$official_base") | sha256sum | cut -c1-16)
    [ "$(content_of "$image")" != "$content" ] || return 0

    base=$official_base
    if ! docker image inspect "$base" >/dev/null 2>&1; then
        say "fetching $base"
        if ! timeout "$registry_timeout" docker pull --quiet "$base" >/dev/null 2>"$work/pull"; then
            [ -z "${LAB_BASE_IMAGE:-}" ] || fail "cannot fetch $base: $(tail -n 1 "$work/pull")"
            say "no registry gave it ($(tail -n 1 "$work/pull" | cut -c1-160))"
            base=hardway-lab-base:$release
            base_content=$(sha256sum "$here/packages.txt" | cut -c1-16)
            [ "$(content_of "$base")" = "$base_content" ] || make_base "$release" "$base"
        fi
    fi

    # The older builder supports everything in this Dockerfile.
    if docker buildx version >/dev/null 2>&1; then buildkit=1; fi
    say "building $image on $base"
    if ! DOCKER_BUILDKIT=$buildkit docker build --build-arg "BASE=$base" --label "$label=$content" --tag "$image" "$here" >"$work/log" 2>&1; then
        tail -n 30 "$work/log" >&2
        fail "docker build failed; the end of its output is above."
    fi
    say "$image built in $((SECONDS - started)) s"
}

docker info >/dev/null 2>&1 || fail "the Docker Engine does not answer. 'make setup' installs and starts it, or says what is missing."
[ $# -gt 0 ] || set -- 12
for release; do build "$release"; done
