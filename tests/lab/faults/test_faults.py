# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing fails while a client reads and writes ten times a second through the load balancer.

No acknowledged write may be lost, whatever fails. With three or more etcd members no fault of a single part may stop
writes for longer than 15 s. Two members survive no failure: there the report says for how long writes were stopped.
"""

from __future__ import annotations

import time
import typing as t

import pytest
from support import wait_until

if t.TYPE_CHECKING:
    from client import Load
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

CUT_SECONDS = 60
Loader = t.Callable[..., "Load"]
Container = t.Callable[..., None]


def test_nothing_fails(cluster: Cluster, load: Loader) -> None:
    """The measure itself: a client of a healthy cluster sees no failure."""
    with load("nothing") as work:
        time.sleep(10)
        work.recovered(seconds=5)
    assert work.report.failed == 0
    assert work.report.gap < 2
    work.judge()


def test_api_server_killed(cluster: Cluster, load: Loader) -> None:
    victim = cluster.controllers[0]
    with load(f"kube-apiserver of {victim.name} killed") as work:
        victim.out("systemctl", "kill", "--signal=KILL", "kube-apiserver")
        time.sleep(10)
        work.recovered(seconds=60)
    assert victim.out("systemctl", "is-active", "kube-apiserver").strip() == "active"
    work.judge()


def test_controller_stopped_and_started(cluster: Cluster, load: Loader, container: Container) -> None:
    victim = cluster.controllers[-1]
    with load(f"controller {victim.name} off for 15 s") as work:
        container("kill", victim)
        time.sleep(15)
        container("start", victim)
        work.recovered(seconds=120)
    work.judge(costs_a_member=True)


def test_etcd_member_killed(cluster: Cluster, load: Loader) -> None:
    victim = cluster.members[0]
    with load(f"etcd of {victim.name} killed") as work:
        victim.out("systemctl", "kill", "--signal=KILL", "etcd")
        time.sleep(8)
        work.recovered(seconds=60)
    work.judge(costs_a_member=True)


def test_load_balancer_restarted(cluster: Cluster, load: Loader) -> None:
    victim = cluster.groups["lb"][0]
    with load(f"nginx of {victim.name} restarted") as work:
        victim.out("systemctl", "restart", "nginx")
        time.sleep(5)
        work.recovered(seconds=30)
    work.judge()


def test_kubelet_and_containerd_killed(cluster: Cluster, load: Loader) -> None:
    victim = cluster.workers[0]
    with load(f"kubelet and containerd of {victim.name} killed") as work:
        victim.out("systemctl", "kill", "--signal=KILL", "kubelet", "containerd")
        time.sleep(10)
        work.recovered(seconds=60)
    for unit in ("kubelet", "containerd"):
        assert victim.out("systemctl", "is-active", unit).strip() == "active"
    work.judge()


def test_worker_rebooted(cluster: Cluster, load: Loader, container: Container) -> None:
    victim = cluster.workers[-1]
    before = victim.out("cat", "/proc/1/stat").split()[21]
    with load(f"worker {victim.name} rebooted") as work:
        container("restart", victim)
        work.recovered(seconds=120)
    assert victim.out("cat", "/proc/1/stat").split()[21] != before
    assert _pods_run_again(cluster, victim)
    work.judge()


def test_network_of_a_worker_cut(cluster: Cluster, load: Loader) -> None:
    victim = cluster.workers[0]
    with load(f"network of {victim.name} cut for {CUT_SECONDS} s") as work:
        _network(victim, "-I")
        try:
            time.sleep(CUT_SECONDS)
            # The controller manager gives a node 50 s, and looks every 5 s.
            wait_until(lambda: cluster.ready(victim) == "Unknown", seconds=20, what=f"{victim.name} counts as lost")
        finally:
            _network(victim, "-D")
        work.recovered(seconds=90)
    work.judge()


def _network(node: Node, action: str) -> None:
    for chain, option in (("INPUT", "-i"), ("OUTPUT", "-o"), ("FORWARD", "-i"), ("FORWARD", "-o")):
        node.out("iptables", action, chain, option, "eth0", "-j", "DROP")


def _pods_run_again(cluster: Cluster, node: Node) -> bool:
    """Whether the pods of a node that was rebooted are Ready, in time."""
    selector = f"--field-selector=spec.nodeName={node.name}"
    shown = cluster.kubectl("wait", "pods", "--all-namespaces", selector, "--for=condition=Ready", "--timeout=90s")
    return "condition met" in shown
