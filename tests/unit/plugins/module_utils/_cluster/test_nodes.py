# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node objects of the API, as the roles need them."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import nodes as module


def test_unready_nodes():
    conditions = {
        "wrk01": {"Ready": "True", "DiskPressure": "False"},
        "wrk02": {"Ready": "False"},
        "wrk03": {"Ready": "Unknown"},
        "wrk04": {"DiskPressure": "True"},
    }
    nodes = [
        {
            "metadata": {"name": name},
            "status": {"conditions": [{"type": kind, "status": status} for kind, status in found.items()]},
        }
        for name, found in conditions.items()
    ]
    names = [*conditions, "wrk05", "wrk06"]
    assert module.unready_nodes([*nodes, {"metadata": {"name": "wrk05"}}], names) == names[1:]
    assert module.unready_nodes(nodes, []) == []


@pytest.mark.parametrize(
    ("kubelet", "heartbeat", "unready"),
    [
        ("active", "2026-01-01T00:00:00Z", []),
        ("inactive", "2026-01-01T00:00:00Z", ["wrk01"]),
        ("inactive", None, ["wrk01"]),
        ("inactive", "2026-01-01T00:01:00Z", []),
        ("inactive", "2026-01-01T00:01:05Z", []),
    ],
)
def test_a_heartbeat_from_before_the_host_was_rebuilt(kubelet, heartbeat, unready):
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}
    nodes = [{"metadata": {"name": "wrk01"}, "status": {"conditions": [condition]}}]
    # 2026-01-01T00:01:00.5Z
    readings = {"wrk01": {"units": {"kubelet.service": kubelet}, "read_at": 1767225660.5}}
    assert module.unready_nodes(nodes, ["wrk01"], readings) == unready
    assert module.unready_nodes(nodes, ["wrk01"], {"wrk01": {}}) == []


@pytest.mark.parametrize(
    ("node", "reading", "ready"),
    [
        ({"ready": True, "pod_cidr": "10.200.0.0/24"}, {"units": {"kubelet.service": "active"}}, True),
        ({"ready": True, "pod_cidr": "10.200.0.0/24"}, {"units": {"kubelet.service": "failed"}}, False),
        ({"ready": True, "pod_cidr": "10.200.0.0/24"}, {}, True),
        ({"ready": False, "pod_cidr": "10.200.0.0/24"}, {"units": {"kubelet.service": "active"}}, False),
        ({"ready": True, "pod_cidr": ""}, {"units": {"kubelet.service": "active"}}, False),
    ],
)
def test_nodes_of_the_readings(node, reading, ready):
    assert module.unready_nodes({"wrk01": node}, ["wrk01", "wrk02"], {"wrk01": reading}) == [
        *([] if ready else ["wrk01"]),
        "wrk02",
    ]


@pytest.mark.parametrize(
    ("phase", "ready", "metadata", "unready"),
    [
        ("Running", "True", {}, False),
        ("Running", "False", {}, True),
        ("Pending", None, {}, True),
        ("Succeeded", "False", {}, False),
        ("Failed", "False", {}, False),
        ("Running", "False", {"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
    ],
)
def test_unready_pods(phase, ready, metadata, unready):
    status = {"phase": phase}
    if ready:
        status["conditions"] = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]
    pod = {"metadata": {"namespace": "shop", "name": "web", **metadata}, "status": status}
    assert module.unready_pods([pod]) == ["shop/web"] * unready
