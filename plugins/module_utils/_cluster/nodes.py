# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether nodes and their pods are ready, from the Node objects of the API or from the readings."""

from __future__ import annotations

import datetime
import typing as t

__all__ = ("unready_nodes", "unready_pods")


def unready_nodes(
    nodes: t.Iterable[t.Mapping[str, t.Any]] | t.Mapping[str, t.Mapping[str, t.Any]],
    names: t.Iterable[str],
    readings: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
) -> list[str]:
    """Return those of the named nodes that are not Ready, or not known.

    :param nodes: Node objects of the API, or ``cluster.status.nodes``. Of the latter a node is ready that has its part
        of the pod network, and whose kubelet ran when the host was read: it is not newer than the readings.
    :param readings: as in ``cluster.status.hosts``. Where the kubelet did not run when the host was read, only a
        heartbeat since then counts: the conditions of the Node object are older, and the host may have been rebuilt.
    """
    if isinstance(nodes, t.Mapping):
        ready_then = [name for name, node in nodes.items() if node["ready"] and node["pod_cidr"]]
        return [name for name in names if name not in ready_then or not _kubelet_ran(name, readings)]
    heartbeats = {
        node["metadata"]["name"]: condition.get("lastHeartbeatTime")
        for node in nodes
        for condition in node.get("status", {}).get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }

    def ready(name: str) -> bool:
        if name not in heartbeats:
            return False
        if _kubelet_ran(name, readings):
            return True
        # Heartbeats are whole seconds.
        return bool(heartbeats[name]) and _epoch(heartbeats[name]) >= int((readings or {})[name]["read_at"])

    return [name for name in names if not ready(name)]


def unready_pods(pods: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the pods that should be ready and are not, as ``NAMESPACE/NAME``.

    Pods that have ended, and those that are being deleted, do not count.

    :param pods: Pod objects of the API.
    """

    def ready(pod: t.Mapping[str, t.Any]) -> bool:
        conditions = pod.get("status", {}).get("conditions") or []
        return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)

    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        and not pod["metadata"].get("deletionTimestamp")
        and not ready(pod)
    ]


def _kubelet_ran(name: str, readings: t.Mapping[str, t.Mapping[str, t.Any]] | None) -> bool:
    """Return whether the kubelet ran when the host was read; True where it was not."""
    units = (readings or {}).get(name, {}).get("units", {})
    return bool(units.get("kubelet.service", "active") == "active")


def _epoch(timestamp: str) -> float:
    """Return an RFC 3339 time of the Kubernetes API in seconds since the epoch."""
    return datetime.datetime.fromisoformat(timestamp).timestamp()
