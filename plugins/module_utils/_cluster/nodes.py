# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's Node and DaemonSet objects as plain data: pod networks, routes, readiness."""

from __future__ import annotations

import datetime
import typing as t

__all__ = ("pod_cidrs", "pod_routes", "rolled_out", "unready_nodes")


def pod_cidrs(nodes: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """Return each node's pod network, by node name, from the API's Node objects."""
    return {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in nodes if node.get("spec", {}).get("podCIDR")}


def pod_routes(
    nodes: t.Iterable[t.Mapping[str, t.Any]],
    topology: t.Mapping[str, t.Any],
    *,
    host: str,
    pod_network: str,
    pod_cidr: str,
) -> list[str]:
    """Return the routes to pods on other hosts that a host needs, as ``ip route`` writes them.

    :param nodes: Node objects of the API.
    :param topology: as in ``cluster.spec.topology``.
    :param host: who needs the routes.
    :param pod_network: ``weave`` gives addresses to nodes in its own way, so that any of the inventory's workers
        that the API knows is a way to every pod. For all others a node has the pods of its ``podCIDR``.
    :param pod_cidr: network of all pods.
    """
    addresses = topology["addresses"]
    if pod_network == "weave":
        known = {node["metadata"]["name"] for node in nodes}
        gateways = [addresses[worker] for worker in topology["workers"] if worker in known and worker != host]
        if len(gateways) < 2:
            return [f"{pod_cidr} via {gateway}" for gateway in gateways]
        return [" ".join([pod_cidr, *(f"nexthop via {gateway}" for gateway in gateways)])]
    # A node that left the inventory may still be known to the API.
    return [
        f"{cidr} via {addresses[node]}"
        for node, cidr in sorted(pod_cidrs(nodes).items())
        if node != host and node in addresses
    ]


def rolled_out(daemon_sets: t.Iterable[t.Mapping[str, t.Any]], away: int) -> bool:
    """Return whether every node runs the DaemonSet's newest pods, and they are available.

    :param daemon_sets: DaemonSet objects of the API, all of which have to be rolled out; none are not.
    :param away: number of nodes that may be down.
    """

    def done(daemon_set: t.Mapping[str, t.Any]) -> bool:
        status = daemon_set.get("status", {})
        if status.get("observedGeneration", 0) < daemon_set["metadata"]["generation"]:
            return False
        wanted: int = status["desiredNumberScheduled"] - away
        return all(status.get(count, 0) >= wanted for count in ("updatedNumberScheduled", "numberAvailable"))

    known = list(daemon_sets)
    return bool(known) and all(done(daemon_set) for daemon_set in known)


def unready_nodes(
    nodes: t.Iterable[t.Mapping[str, t.Any]],
    names: t.Iterable[str],
    readings: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
) -> list[str]:
    """Return those of the named nodes that the API does not call Ready, or does not know.

    :param readings: as in ``cluster.status.hosts``. Where the kubelet did not run when the host was read, only a
        heartbeat since then counts: what the API knows of the node is older, and the host may have been rebuilt.
    """
    heartbeats = {
        node["metadata"]["name"]: condition.get("lastHeartbeatTime")
        for node in nodes
        for condition in node.get("status", {}).get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }

    def ready(name: str) -> bool:
        if name not in heartbeats:
            return False
        reading = (readings or {}).get(name, {})
        if reading.get("units", {}).get("kubelet.service", "active") == "active":
            return True
        # Heartbeats are whole seconds.
        return bool(heartbeats[name]) and _epoch(heartbeats[name]) >= int(reading["read_at"])

    return [name for name in names if not ready(name)]


def _epoch(timestamp: str) -> float:
    """Return an RFC 3339 time of the Kubernetes API in seconds since the epoch."""
    return datetime.datetime.fromisoformat(timestamp).timestamp()
