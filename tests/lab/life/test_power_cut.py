# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All hosts lose power at once and come back in the least helpful order: the cluster serves again by itself."""

from __future__ import annotations

import time
import typing as t

import pytest
from playbook import run
from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

# Seconds within which everything works again. A node that was away is NotReady for up to 40 of them.
LONGEST = 300.0
# Seconds between hosts that come back.
APART = 3.0


def _answers(cluster: Cluster) -> bool:
    return cluster.client.run("kubectl", "get", "--raw=/readyz", "--request-timeout=5s").rc == 0


def _works(cluster: Cluster, cut: str) -> bool:
    """Whether a write succeeds, and kubelets and cluster DNS run since the cut: the API also has what was before.

    :param cut: time of the cut, as the API writes times.
    """
    if cluster.client.run("kubectl", "annotate", "namespace", "default", "power-cut=over", "--overwrite").rc != 0:
        return False
    for worker in cluster.workers:
        lease = cluster.get("lease", worker.name, "--namespace=kube-node-lease")
        if lease["spec"]["renewTime"] < cut or cluster.ready(worker) != "True":
            return False
    pods = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    containers = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
    return bool(containers) and all(
        status["ready"] and status["state"].get("running", {}).get("startedAt", "") > cut for status in containers
    )


def _started(node: Node) -> bool:
    """Whether systemd has finished its boot, with or without failed units."""
    return node.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")


def test_everything_comes_back_by_itself(
    cluster: Cluster, inventory: str, nodes: dict[str, Node], container: t.Callable[..., None]
) -> None:
    hosts = list(nodes.values())
    for node in hosts:
        container("kill", node)
    begun = time.monotonic()
    cut = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    # What depends on others comes first: workers before the balancer, the balancer before the controllers.
    for node in reversed(hosts):
        container("start", node)
        time.sleep(APART)
    wait_until(lambda: _answers(cluster), seconds=LONGEST, what="the API answers after a power cut")
    answered = time.monotonic() - begun
    wait_until(lambda: _works(cluster, cut), seconds=LONGEST, what="nodes and DNS work after a power cut")
    worked = time.monotonic() - begun
    print(f"after a power cut of {len(hosts)} hosts: API after {answered:.0f} s, everything after {worked:.0f} s")
    for node in hosts:
        wait_until(lambda node=node: _started(node), seconds=60, what=f"{node.name} has booted")
        assert node.out("systemctl", "--failed", "--no-legend", "--plain") == "", node.name
    cluster.kubectl("annotate", "namespace", "default", "power-cut-")
    assert run(inventory).changed == []
