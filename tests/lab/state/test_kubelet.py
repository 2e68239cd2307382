# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kubelet keeps pods from: system calls, processes without end, and the node's own memory."""

from __future__ import annotations

import json
import typing as t

import pytest

if t.TYPE_CHECKING:
    from support import Cluster, Node


@pytest.fixture(scope="module")
def pod(cluster: Cluster, namespace: str) -> t.Iterator[str]:
    """A pod that asks for nothing special."""
    name = "plain"
    cluster.start(namespace, name)
    cluster.kubectl("wait", f"pod/{name}", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=60s")
    yield name
    cluster.kubectl("delete", "pod", name, f"--namespace={namespace}")


def test_system_calls_are_filtered(cluster: Cluster, namespace: str, pod: str) -> None:
    status = cluster.kubectl("exec", pod, f"--namespace={namespace}", "--", "cat", "/proc/self/status")
    # 2: a filter, from the runtime's profile.
    assert "\nSeccomp:\t2\n" in status


def test_processes_of_a_pod_are_limited(cluster: Cluster, namespace: str, pod: str) -> None:
    found = cluster.get("pod", pod, f"--namespace={namespace}")
    (worker,) = (node for node in cluster.workers if node.name == found["spec"]["nodeName"])
    uid = found["metadata"]["uid"].replace("-", "_")
    limit = worker.out("sh", "-c", f"cat $(find /sys/fs/cgroup -path '*pod{uid}.slice/pids.max')")
    configured = worker.out("grep", "^podPidsLimit:", "/var/lib/kubelet/kubelet-config.yaml")
    assert limit.strip() == configured.split()[1] != "-1"


def test_a_node_keeps_memory_and_time_for_itself(cluster: Cluster, worker: Node) -> None:
    status = cluster.get("node", worker.name)["status"]
    amounts = [int(status[kind]["memory"].removesuffix("Ki")) / 1024 for kind in ("capacity", "allocatable")]
    # kubeReserved, systemReserved, and the kubelet's threshold for evictions.
    assert amounts[0] - amounts[1] == pytest.approx(128 + 128 + 100, abs=1)
    assert int(status["capacity"]["cpu"]) * 1000 - 200 == int(status["allocatable"]["cpu"].removesuffix("m"))


def test_imported_images_are_kept_when_the_disk_fills_up(worker: Node) -> None:
    record = json.loads(worker.out("cat", "/var/lib/hardway/images.json"))
    imported = {name for entry in record.values() for name in entry["images"]}
    listed = json.loads(worker.out("crictl", "images", "--output", "json"))["images"]
    assert imported <= {tag for image in listed if image["pinned"] for tag in image["repoTags"]}
