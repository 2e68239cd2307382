# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""plan.yml names what a check run of site.yml would change: the components, and their hosts in the inventory's order.

Nothing is changed: each edit of the inventory stands for itself.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from playbook import run, variables
from snapshot import snapshot, touched

if t.TYPE_CHECKING:
    from support import Cluster

# Role whose tasks change a component.
ROLES = {
    "certificates": "ca",
    "kubeconfigs": "ca",
    "CoreDNS": "addons",
    "etcd": "etcd",
    "kube-apiserver": "apiserver",
    "kube-scheduler": "scheduler",
    "load balancer": "lb",
}
# Steps of one host for all hosts: the plan names the control node, a check run names any host of the play.
BY_THE_CONTROL_NODE = ("ca", "addons")


class Plan:
    """The file that plan.yml writes for an inventory with an edit."""

    def __init__(self, inventory: str, path: pathlib.Path, **edit: t.Any) -> None:
        run(inventory, *variables(cluster_plan_file=str(path), **edit), playbook="playbooks/plan.yml")
        report = json.loads(path.read_text(encoding="utf-8"))
        assert report["problems"] == []
        self.changes: list[dict[str, t.Any]] = report["changes"]

    @property
    def hosts(self) -> dict[str, list[str]]:
        """Hosts by component."""
        return {change["component"]: change["hosts"] for change in self.changes}

    @property
    def by_role(self) -> dict[str, set[str]]:
        """Hosts by role."""
        found: dict[str, set[str]] = {}
        for change in self.changes:
            found.setdefault(ROLES[change["component"]], set()).update(change["hosts"])
        return found


def predicted(inventory: str, **edit: t.Any) -> dict[str, set[str]]:
    """Return the hosts, by role, that a check run of site.yml would change."""
    found: dict[str, set[str]] = {}
    for task, host in run(inventory, "--check", *variables(**edit)).changed:
        role = task.removeprefix("hardway.kubernetes.").partition(" : ")[0]
        found.setdefault(role, set()).add("localhost" if role in BY_THE_CONTROL_NODE else host)
    return found


@pytest.fixture
def plan(inventory: str, cluster: Cluster, tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., Plan]]:
    """Return a function that makes the plan for an edit, and compares it with a check run."""
    before = snapshot(cluster)

    def plan(**edit: t.Any) -> Plan:
        made = Plan(inventory, tmp_path / "plan.json", **edit)
        assert made.by_role == predicted(inventory, **edit)
        return made

    yield plan
    assert touched(before, snapshot(cluster)) == {}


def test_nothing(plan: t.Callable[..., Plan]) -> None:
    assert plan().changes == []


def test_a_flag(plan: t.Callable[..., Plan], cluster: Cluster) -> None:
    controllers = [node.name for node in cluster.controllers]
    (change,) = plan(scheduler_extra_flags={"v": "3"}).changes
    assert (change["component"], change["hosts"]) == ("kube-scheduler", controllers)
    assert change["change"].endswith("restart kube-scheduler.service")


def test_an_object_of_the_cluster(plan: t.Callable[..., Plan], cluster: Cluster) -> None:
    replicas = cluster.get("deployment", "coredns", "--namespace=kube-system")["spec"]["replicas"]
    (change,) = plan(addons_dns_replicas=replicas + 1).changes
    assert (change["component"], change["change"]) == ("CoreDNS", "apply Deployment coredns")


def test_a_name_for_the_api(plan: t.Callable[..., Plan], cluster: Cluster) -> None:
    """A certificate, and every host that has a copy."""
    made = plan(ca_extra_sans=["api.example.com"])
    assert made.hosts == {
        "certificates": ["localhost"],
        "kube-apiserver": [node.name for node in cluster.controllers],
    }
    (certificates,) = (change["change"] for change in made.changes if change["component"] == "certificates")
    assert "write kubernetes.pem" in certificates


def test_a_port_of_the_load_balancer(plan: t.Callable[..., Plan], cluster: Cluster) -> None:
    (change,) = plan(lb_ports=[6443, 443, 8443]).changes
    assert (change["component"], change["hosts"]) == ("load balancer", [node.name for node in cluster.groups["lb"]])
    assert change["change"].endswith("reload nginx.service")
