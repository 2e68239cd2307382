# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections between hosts that a firewall may be in the way of, where a host is new."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("Probe", "probes")

# From which part to which, on which ports, and for what. docs/operate/ports-and-sizes.md has the same list.
_CONNECTIONS: tuple[tuple[str, str, tuple[int, ...], str], ...] = (
    ("etcd", "etcd", (2379, 2380), "etcd members reach each other"),
    ("controllers", "etcd", (2379,), "API servers reach etcd"),
    ("controllers", "controllers", (6443,), "API servers wait for each other's health"),
    ("load_balancers", "controllers", (6443,), "the load balancer reaches API servers"),
    ("controllers", "workers", (10250,), "API servers reach kubelets"),
)
_UNITS = {
    "etcd": "etcd.service",
    "controllers": "kube-apiserver.service",
    "load_balancers": "nginx.service",
    "workers": "kubelet.service",
}


class Probe(t.TypedDict):
    """A port that a host has to reach, as the module ``reachable`` takes it."""

    address: str
    port: int
    words: str


def _hosts(shape: Topology, part: str) -> list[str]:
    return t.cast(list[str], shape[part])  # type: ignore[literal-required]


def _pairs(shape: Topology, entrances: t.Sequence[str]) -> t.Iterator[tuple[str, str, int, str]]:
    for source, target, ports, purpose in _CONNECTIONS:
        for one in _hosts(shape, source):
            yield from ((one, other, port, purpose) for other in _hosts(shape, target) for port in ports)
    for one in dict.fromkeys([*shape["workers"], *shape["clients"]]):
        yield from ((one, entrance, 6443, "nodes and clients reach the API") for entrance in entrances)


def _new(host: str, shape: Topology, reading: Reading) -> bool:
    """Return whether a part of a host does not run yet. kubectl is all that a client has."""
    parts = [part for part in _UNITS if host in _hosts(shape, part)]
    if not parts:
        return "kubectl" not in reading["programs"]
    return any(reading["units"].get(_UNITS[part]) != "active" for part in parts)


def probes(shape: Topology, readings: t.Mapping[str, Reading], entrances: t.Sequence[str]) -> dict[str, list[Probe]]:
    """Return the ports that each host has to reach, by host, where one of the two is new.

    :param readings: by host of the run. A host without one may be down, which is not a firewall's doing.
    :param entrances: hosts through which nodes and clients reach the API; none with ``cluster_api_server``.
    """
    reached = {host: _new(host, shape, reading) for host, reading in readings.items() if reading}
    found: dict[str, list[Probe]] = {}
    for source, target, port, purpose in _pairs(shape, entrances):
        address = shape["addresses"].get(target)
        if source == target or not address or not {source, target} <= reached.keys():
            continue
        if reached[source] or reached[target]:
            words = f"{source} does not reach {target} ({address}) on TCP port {port}, on which {purpose}"
            mine = found.setdefault(source, [])
            if not any((other["address"], other["port"]) == (address, port) for other in mine):
                mine.append({"address": address, "port": port, "words": words})
    return found
