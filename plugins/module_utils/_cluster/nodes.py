# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether nodes are ready, from the Node objects of the API."""

from __future__ import annotations

import datetime
import typing as t

__all__ = ("unready_nodes",)


def unready_nodes(
    nodes: t.Iterable[t.Mapping[str, t.Any]],
    names: t.Iterable[str],
    readings: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
) -> list[str]:
    """Return the named nodes that are not Ready, or do not exist in the API.

    :param readings: as in ``cluster.status.hosts``. Where the kubelet did not run when the host was read, only a
        heartbeat since then counts: the conditions of the Node object are older, and the host may have been rebuilt.
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
