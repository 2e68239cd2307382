# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker leaves: when its pods may, when they may not yet, and when the host is permanently lost."""

from __future__ import annotations

import json
import typing as t

import pytest
from playbook import ROOT, Run, run, variables, wipe
from support import wait_until
from weave import listed_peers, report

if t.TYPE_CHECKING:
    import pathlib

    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

# Stands in for ssh, and cannot connect.
REFUSES = ROOT / "tests" / "preflight" / "refuse-connection"
PLAYBOOK = "playbooks/remove_worker.yml"


@pytest.fixture
def leaving(cluster: Cluster) -> Node:
    if len(cluster.workers) < 2:
        pytest.skip("one worker: none may go")
    return cluster.workers[-1]


@pytest.fixture
def guarded(cluster: Cluster, namespace: str, leaving: Node) -> t.Iterator[str]:
    """A pod of the worker that its disruption budget keeps there; the budget's name."""
    labels = {"app": "guarded"}
    named = {"name": "guarded", "namespace": namespace}
    pod = {
        "nodeSelector": {"kubernetes.io/hostname": leaving.name},
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "pause", "image": _pause(cluster)}],
    }
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": named,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": named,
            "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
        },
    )
    cluster.kubectl("rollout", "status", "deployment/guarded", f"--namespace={namespace}", "--timeout=60s")
    yield "guarded"
    for kind in ("poddisruptionbudget", "deployment"):
        cluster.kubectl("delete", kind, "guarded", f"--namespace={namespace}", "--ignore-not-found")


def test_a_budget_is_kept_until_it_allows(
    cluster: Cluster, inventory: str, namespace: str, leaving: Node, guarded: str, pod_network: str
) -> None:
    refused = _remove(inventory, leaving, succeeds=False, worker_drain_timeout=10)
    assert refused.returncode != 0
    assert "disruption budget" in " ".join(refused.failures)
    assert leaving.out("systemctl", "is-active", "kubelet").strip() == "active"
    pods = f"--namespace={namespace}", "--selector=app=guarded"
    assert [pod["status"]["phase"] for pod in cluster.get("pods", *pods)["items"]] == ["Running"]
    cluster.kubectl("delete", "poddisruptionbudget", guarded, f"--namespace={namespace}")
    _remove(inventory, leaving)
    assert leaving.run("systemctl", "is-active", "kubelet").stdout.strip() == "inactive"
    assert leaving.run("pgrep", "--full", "[c]ontainerd-shim|[/]pause$").stdout == ""
    _gone(cluster, leaving, pod_network)
    # It is in the inventory still: the next run makes it a worker again.
    run(inventory)
    _back(cluster, inventory, leaving)


def test_a_host_that_is_gone_for_good(
    cluster: Cluster,
    inventory: str,
    leaving: Node,
    pod_network: str,
    container: t.Callable[..., None],
    tmp_path: pathlib.Path,
) -> None:
    container("kill", leaving)
    # Into a container that is off Docker's client carries nothing, and does not say so as ssh would.
    off = {"ansible_connection": "ansible.builtin.ssh", "ansible_ssh_executable": str(REFUSES)}
    (tmp_path / "off.json").write_text(json.dumps({"all": {"hosts": {leaving.name: off}}}))
    unreachable = ("--inventory", str(tmp_path / "off.json"))
    refused = _remove(inventory, leaving, *unreachable, succeeds=False)
    assert f"{leaving.name} cannot be reached" in " ".join(refused.failures)
    assert f"-e worker_confirm={leaving.name}" in " ".join(refused.failures)
    assert refused.changed == []
    assert cluster.client.run("kubectl", "get", "node", leaving.name).rc == 0
    _remove(inventory, leaving, *unreachable, worker_confirm=leaving.name)
    _gone(cluster, leaving, pod_network)
    # Another machine takes its place.
    wipe(inventory, leaving.name)
    run(inventory)
    _back(cluster, inventory, leaving)


def _remove(inventory: str, worker: Node, *arguments: str, succeeds: bool = True, **more: t.Any) -> Run:
    asked = variables(worker=worker.name, **more)
    return run(inventory, *arguments, *asked, playbook=PLAYBOOK, succeeds=succeeds)


def _pause(cluster: Cluster) -> str:
    """An image that every worker has."""
    lines = cluster.workers[0].out("crictl", "images", "--output=json")
    names = [tag for image in json.loads(lines)["images"] for tag in image["repoTags"]]
    return next(name for name in names if "/pause:" in name)


def _gone(cluster: Cluster, worker: Node, pod_network: str) -> None:
    remaining = [node for node in cluster.workers if node != worker]
    others = {node.name for node in remaining}
    assert {node["metadata"]["name"] for node in cluster.get("nodes")["items"]} == others

    def pods() -> set[str]:
        return {pod["spec"].get("nodeName", "") for pod in cluster.get("pods", "--all-namespaces")["items"]}

    wait_until(lambda: worker.name not in pods(), seconds=120, what=f"no pod is left on {worker.name}")
    if pod_network != "weave":
        return
    assert listed_peers(cluster) == others
    for node in remaining:
        assert {entry["Nickname"] for entry in report(node)["IPAM"]["Entries"]} <= others


def _back(cluster: Cluster, inventory: str, worker: Node) -> None:
    assert cluster.ready(worker) == "True"
    run(inventory, playbook="playbooks/smoke.yml")
    assert run(inventory).changed == []
