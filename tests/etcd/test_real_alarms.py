# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms of real etcd: as they are read, and what they keep from restarting."""

from __future__ import annotations

import signal

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.peers import peers
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reading import condition
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.health import Health
from conftest import VERSIONS
from full import HEALTH_PATH, QUOTA, full_cluster, write


def health(cluster, node):
    files = {name: cluster.options()[name] for name in ("ca_cert", "client_cert", "client_key")}
    return Health(url=f"{node.client_url}{HEALTH_PATH}", **files).problem()


def raise_alarm(cluster, node, alarm, action="ACTIVATE"):
    member = int(cluster.members()[node.name][0], 16)
    body = {"action": action, "memberID": str(member), "alarm": alarm}
    Client.of(cluster.options(request_timeout=5)).first("/v3/maintenance/alarm", body)


@pytest.mark.parametrize("version", VERSIONS)
def test_nospace_is_read_and_does_not_block_a_larger_quota(empty_cluster, version):
    cluster = full_cluster(empty_cluster(version), "one", "two")
    for node in cluster.nodes.values():
        found = condition(Client.of({**cluster.options(request_timeout=5), "endpoints": [node.client_url]}))
        members = {f"{int(entry[0], 16):x}" for entry in cluster.members().values()}
        assert {entry["alarm"] for entry in found["alarms"]} == {"NOSPACE"}
        assert {entry["member"] for entry in found["alarms"]} <= members
        assert found["database"]["quota"] == QUOTA
        assert found["database"]["size"] >= found["database"]["in_use"] > QUOTA // 2
    # One after the other restarts with a larger quota; meanwhile the other counts as healthy, and then itself.
    one, two = cluster.nodes.values()
    for node, peer in ((one, two), (two, one)):
        assert health(cluster, peer) is None
        cluster.stop(node, signal.SIGTERM)
        assert "refused" in health(cluster, node)
        cluster.start(node, "", "existing", f"--quota-backend-bytes={4 * QUOTA}")
        cluster.wait(node, path=HEALTH_PATH)
    for name in ("one", "two"):
        raise_alarm(cluster, cluster.nodes[name], "NOSPACE", "DEACTIVATE")
    write(cluster)


@pytest.mark.parametrize("version", VERSIONS)
def test_corrupt_is_never_healthy(new_cluster, version):
    cluster = new_cluster("one", "two", version=version)
    one, two = cluster.nodes.values()
    assert health(cluster, one) is None
    raise_alarm(cluster, two, "CORRUPT")
    assert "CORRUPT" in health(cluster, one)
    assert "CORRUPT" in health(cluster, two)
    raise_alarm(cluster, two, "NOSPACE")
    assert health(cluster, two) is not None


def test_the_role_asks_peers_and_the_member_in_the_same_way():
    shape = {"etcd": ["one", "two"], "controllers": [], "addresses": {"one": "10.0.0.1", "two": "10.0.0.2"}}
    found = peers(shape, {"hosts": {}, "etcd": {"members": []}}, joining=[])["etcd"]["one"]
    assert found == [f"https://10.0.0.2:2379{HEALTH_PATH}"]
