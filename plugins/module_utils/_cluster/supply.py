# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that what hosts install can be verified: a sum that comes the same open way as the file proves nothing."""

from __future__ import annotations

import ipaddress
import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import Spec

__all__ = ("is_open", "supply_problems")


def is_open(address: str) -> bool:
    """Return whether others on the way can change what comes from an address: plain HTTP, but for loopback.

    :param address: a URL or a path; empty for the publishers' own.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme.lower() != "http":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname != "localhost"


def _archives(settings: Settings) -> list[str]:
    return [
        f"worker_image_archives {archive}: over plain HTTP others on the way can change the archive and its sum; "
        "allowed are https:// and paths"
        for archive in settings["worker_image_archives"]
        if is_open(str(archive))
    ]


def supply_problems(spec: Spec, settings: Settings) -> list[str]:
    """Return what is wrong with the mirror and the image archives of the hosts, one sentence each.

    :param spec: has the programs of the hosts that this run read.
    """
    return _mirror(spec, settings) + _archives(settings)


def _mirror(spec: Spec, settings: Settings) -> list[str]:
    mirror = str(settings["cluster_mirror"])
    if not is_open(mirror):
        return []
    hosts: t.Iterable[t.Mapping[str, t.Any]] = spec["hosts"].values()
    programs = [program for host in hosts for program in host["programs"].values()]
    lacking = sorted({program["url"] for program in programs if not program["sha256"]})
    if not lacking:
        return []
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    return [
        f"cluster_mirror {mirror}: over plain HTTP others on the way can change a program and its sum; allowed are "
        f"https://, file://, or a sum in cluster_checksums for each program, which lacks {lacking[0]}{more}"
    ]
