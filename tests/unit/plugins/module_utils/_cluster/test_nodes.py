# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API says of nodes and daemon sets, as a role needs it."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import nodes as module

NODES = [
    {"metadata": {"name": "wrk02"}, "spec": {"podCIDR": "10.200.1.0/24"}},
    {"metadata": {"name": "wrk01"}, "spec": {"podCIDR": "10.200.0.0/24"}},
    {"metadata": {"name": "left"}, "spec": {"podCIDR": "10.200.2.0/24"}},
    {"metadata": {"name": "new"}, "spec": {}},
]
ADDRESSES = {"ctl01": "10.0.0.11", "wrk01": "10.0.0.21", "wrk02": "10.0.0.22", "new": "10.0.0.23", "gone": "10.0.0.24"}


def test_pod_cidrs():
    known = {"wrk02": "10.200.1.0/24", "wrk01": "10.200.0.0/24", "left": "10.200.2.0/24"}
    assert module.pod_cidrs([*NODES, {"metadata": {"name": "wrk03"}}]) == known
    assert module.pod_cidrs([]) == {}


@pytest.mark.parametrize(
    ("host", "pod_network", "workers", "routes"),
    [
        # A controller reaches each node's pods through that node.
        ("ctl01", "bridge", ["wrk01", "wrk02"], ["10.200.0.0/24 via 10.0.0.21", "10.200.1.0/24 via 10.0.0.22"]),
        ("ctl01", "flannel", ["wrk01", "wrk02"], ["10.200.0.0/24 via 10.0.0.21", "10.200.1.0/24 via 10.0.0.22"]),
        # A worker needs no route to its own pods.
        ("wrk01", "bridge", ["wrk01", "wrk02"], ["10.200.1.0/24 via 10.0.0.22"]),
        # With Weave Net every worker is a way to all pods.
        ("ctl01", "weave", ["wrk01", "wrk02"], ["10.200.0.0/16 nexthop via 10.0.0.21 nexthop via 10.0.0.22"]),
        ("ctl01", "weave", ["wrk02"], ["10.200.0.0/16 via 10.0.0.22"]),
        ("wrk02", "weave", ["wrk02"], []),
        # One that was removed, and is still in the inventory, is not a way any more.
        ("ctl01", "weave", ["gone", "wrk02"], ["10.200.0.0/16 via 10.0.0.22"]),
    ],
)
def test_pod_routes(host, pod_network, workers, routes):
    topology = {"workers": workers, "addresses": ADDRESSES}
    found = module.pod_routes(NODES, topology, host=host, pod_network=pod_network, pod_cidr="10.200.0.0/16")
    assert found == routes


@pytest.mark.parametrize(
    ("generation", "updated", "available", "away", "done"),
    [
        (2, 3, 3, 0, True),
        (3, 3, 3, 0, False),  # the controller has not seen the newest version yet
        (2, 2, 3, 0, False),
        (2, 3, 2, 0, False),
        (2, 2, 2, 1, True),
        (2, None, None, 0, False),
    ],
)
def test_rolled_out(generation, updated, available, away, done):
    status = {"observedGeneration": 2, "desiredNumberScheduled": 3}
    status |= {} if updated is None else {"updatedNumberScheduled": updated, "numberAvailable": available}
    daemon_set = {"metadata": {"generation": generation}, "status": status}
    assert module.rolled_out([daemon_set], away) is done
    assert not module.rolled_out([], away)
    assert not module.rolled_out([{"metadata": {"generation": 1}}], away)


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
