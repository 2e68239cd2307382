# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that joined a control plane which was there before."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from support import Cluster, Node

UNITS = ("containerd", "kubelet", "kube-proxy")


def test_node_is_ready_at_its_address(cluster: Cluster, worker: Node) -> None:
    status = cluster.get("node", worker.name)["status"]
    assert [one["status"] for one in status["conditions"] if one["type"] == "Ready"] == ["True"]
    assert {"type": "InternalIP", "address": worker.address} in status["addresses"]


def test_units_run_and_start_at_boot(worker: Node) -> None:
    assert worker.out("systemctl", "is-active", *UNITS).split() == ["active"] * len(UNITS)
    assert worker.out("systemctl", "is-enabled", *UNITS).split() == ["enabled"] * len(UNITS)


def test_nothing_of_the_addons_is_there(cluster: Cluster) -> None:
    assert cluster.get("deployments", "--all-namespaces")["items"] == []


def test_a_pod_runs(cluster: Cluster, worker: Node, namespace: str) -> None:
    image = ("--image=docker.io/library/busybox:1.35.0", "--image-pull-policy=Never")
    command = ("--command", "--", "sh", "-c", "trap exit TERM; sleep 3600 & wait")
    cluster.kubectl("run", "one", f"--namespace={namespace}", "--restart=Never", *image, *command)
    cluster.kubectl("wait", "pod/one", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=60s")
    assert cluster.get("pod", "one", f"--namespace={namespace}")["spec"]["nodeName"] == worker.name
