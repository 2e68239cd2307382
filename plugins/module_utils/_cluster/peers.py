# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose health a host waits for before it restarts a healthy etcd member or API server of its own."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import API_PORT, ETCD_CLIENT_PORT
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Status
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology, url

__all__ = ("peers",)

# The alarm NOSPACE does not keep a member from a restart with a larger quota. CORRUPT does.
_ETCD_HEALTH = "/health?exclude=NOSPACE"
_API_HEALTH = "/readyz"


def _has_api_server(host: str, shape: Topology, found: Status) -> bool:
    """Return whether an API server runs on a controller, or should: one that was never started or was stopped does not.

    A controller that is not part of the run has one unless its etcd member has not joined yet.
    """
    reading = found["hosts"].get(host)
    if reading:
        return bool(reading["units"].get("kube-apiserver.service") in ("active", "activating", "reloading", "failed"))
    members = {member["name"] for member in found["etcd"]["members"]}
    return not members or host not in shape["etcd"] or host in members


def peers(shape: Topology, found: Status, joining: t.Collection[str]) -> dict[str, dict[str, list[str]]]:
    """Return health addresses of the other members, for each host of ``etcd`` and of ``apiserver``.

    :param joining: hosts whose etcd member is not part of the cluster yet.
    """
    addresses = shape["addresses"]
    etcd = {host: url(addresses[host], ETCD_CLIENT_PORT) + _ETCD_HEALTH for host in shape["etcd"]}
    servers = {host: url(addresses[host], API_PORT) + _API_HEALTH for host in shape["controllers"]}
    return {
        "etcd": {
            host: [address for other, address in etcd.items() if other != host and other not in joining]
            for host in etcd
        },
        "apiserver": {
            host: [
                address for other, address in servers.items() if other != host and _has_api_server(other, shape, found)
            ]
            for host in servers
        },
    }
