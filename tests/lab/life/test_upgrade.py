# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of the release before the newest is upgraded while clients work: nothing is lost, nothing fails.

The lab has the old release: `make lab RELEASE=1.36 WORKERS=3`. Elsewhere the test is skipped.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from playbook import ROOT, run, variables

if t.TYPE_CHECKING:
    from serving import Serving
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

CATALOGUE = yaml.safe_load((ROOT / "roles" / "cluster" / "files" / "catalogue.yml").read_text(encoding="utf-8"))
NEW = str(CATALOGUE["default_release"])
CORDON = "hardway.kubernetes/cordoned"


@pytest.fixture
def old(cluster: Cluster) -> str:
    """Return the release of the kubelets, which is not the newest."""
    nodes = cluster.get("nodes")["items"]
    versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}
    if any(version.startswith(f"v{NEW}.") for version in versions):
        pytest.skip(f"the cluster has release {NEW} already: make lab RELEASE=... with the one before")
    (version,) = versions
    return str(version)


@pytest.fixture
def foreign(cluster: Cluster) -> t.Iterator[Node | None]:
    """A worker that an administrator has cordoned, if there are workers to spare."""
    spare = cluster.workers[-1] if len(cluster.workers) > 2 else None
    if spare:
        cluster.kubectl("cordon", spare.name)
    yield spare
    if spare:
        cluster.kubectl("uncordon", spare.name)


def test_upgrade(
    cluster: Cluster,
    inventory: str,
    tmp_path: pathlib.Path,
    old: str,
    serving: Serving,
    foreign: Node | None,
) -> None:
    backups = tmp_path / "backups"
    wanted = variables(cluster_release=NEW, etcd_backup_directory=str(backups))
    plan = tmp_path / "plan.json"
    run(inventory, *variables(cluster_release=NEW, cluster_plan_file=str(plan)), playbook="playbooks/plan.yml")
    assert '"component": "drain"' in plan.read_text()
    with serving.during(f"upgrade {old} -> {NEW}", costs_a_member=True, seconds=120):
        done = run(inventory, *wanted)
    names = [worker.name for worker in cluster.workers]
    assert [host for task, host in done.changed if task.endswith(" : Run the kubelet, one worker at a time")] == names
    assert list(backups.glob("etcd-*.db"))
    for node in cluster.get("nodes")["items"]:
        assert node["status"]["nodeInfo"]["kubeletVersion"].startswith(f"v{NEW}.")
        cordoned = foreign is not None and node["metadata"]["name"] == foreign.name
        assert node["spec"].get("unschedulable", False) is cordoned
        assert CORDON not in node["metadata"]["annotations"]
    assert run(inventory, *wanted).changed == []
