# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load balancer that has the virtual address fails while a client writes through that address.

It needs a lab with two load balancers: make lab LBS=2 SETTINGS=lb_virtual_address=10.240.0.250
"""

from __future__ import annotations

import json
import time
import typing as t
import urllib.parse

import pytest
from support import wait_until

if t.TYPE_CHECKING:
    from client import Load
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

# Seconds without an acknowledged write.
LONGEST_GAP = 5.0
Loader = t.Callable[..., "Load"]
Container = t.Callable[..., None]


def _has(node: Node, address: str) -> bool:
    return f" {address}/" in node.run("ip", "-oneline", "address", "show").stdout


@pytest.fixture
def address(cluster: Cluster) -> str:
    """Return the address that the client uses, which has to be of no host in the inventory."""
    config = json.loads(cluster.kubectl("config", "view", "--output=json"))
    found = str(urllib.parse.urlsplit(config["clusters"][0]["cluster"]["server"]).hostname)
    if len(cluster.groups["lb"]) < 2 or found in {node.address for node in cluster.groups["lb"]}:
        pytest.skip("this lab has no virtual address")
    return found


@pytest.fixture
def active(cluster: Cluster, address: str) -> Node:
    """Return the load balancer that has the address, once exactly one has it and the others could take it over."""
    balancers = cluster.groups["lb"]
    wait_until(
        lambda: [_has(node, address) for node in balancers].count(True) == 1 and all(map(_well, balancers)),
        seconds=60,
        what=f"one load balancer has {address}, and all are well",
    )
    return next(node for node in balancers if _has(node, address))


def _well(node: Node) -> bool:
    running = node.run("systemctl", "is-active", "keepalived", "nginx").rc == 0
    return running and node.run("/etc/keepalived/check-api", "6443", "5").rc == 0


def _judge(load: Load, taken_over_by: Node, address: str) -> None:
    load.judge(longest_gap=LONGEST_GAP)
    assert _has(taken_over_by, address)


def _other(cluster: Cluster, active: Node) -> Node:
    return next(node for node in cluster.groups["lb"] if node != active)


def test_the_address_is_on_no_interface_of_the_inventory(cluster: Cluster, address: str) -> None:
    hosts = [node for group in cluster.groups.values() for node in group]
    assert address not in {node.address for node in hosts}


def test_its_host_is_killed(cluster: Cluster, load: Loader, container: Container, active: Node, address: str) -> None:
    other = _other(cluster, active)
    with load(f"active balancer {active.name} killed") as work:
        container("kill", active)
        time.sleep(15)
        container("start", active)
        wait_until(lambda: _well(active), seconds=90, what=f"{active.name} is well again")
        # It does not take the address back, which would interrupt a second time.
        time.sleep(5)
        work.recovered(seconds=60)
    assert not _has(active, address)
    _judge(work, other, address)


def test_its_nginx_stops(cluster: Cluster, load: Loader, active: Node, address: str) -> None:
    other = _other(cluster, active)
    with load(f"nginx of active balancer {active.name} off") as work:
        active.out("systemctl", "stop", "nginx")
        try:
            time.sleep(10)
        finally:
            active.out("systemctl", "start", "nginx")
        wait_until(lambda: _well(active), seconds=30, what=f"{active.name} is well again")
        time.sleep(5)
        work.recovered(seconds=60)
    assert not _has(active, address)
    _judge(work, other, address)


def test_its_keepalived_restarts(cluster: Cluster, load: Loader, active: Node, address: str) -> None:
    """As after a change of the role: the address is handed over before the program ends."""
    other = _other(cluster, active)
    with load(f"keepalived of active balancer {active.name} restarted") as work:
        active.out("systemctl", "restart", "keepalived")
        time.sleep(5)
        work.recovered(seconds=60)
    _judge(work, other, address)


def test_the_sandbox_of_keepalived(active: Node) -> None:
    active.out("systemd-analyze", "security", "--no-pager", "--threshold=30", "keepalived.service")
    (process,) = active.out("systemctl", "show", "keepalived", "--property=MainPID", "--value").split()
    status = active.out("cat", f"/proc/{process}/status")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
