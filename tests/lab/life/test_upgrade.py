# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of an older release is upgraded, one release after the other, while clients work: nothing is lost.

The lab has the old release: `make lab RELEASE=1.35 WORKERS=3`. Elsewhere the test is skipped.
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
RELEASES = sorted(CATALOGUE["releases"], key=lambda release: int(release.partition(".")[2]))
CORDON = "hardway.kubernetes/cordoned"


@pytest.fixture
def later(cluster: Cluster) -> list[str]:
    """Return the releases after the kubelets' own, in their order."""
    (version,) = _kubelets(cluster)
    release = version.removeprefix("v").rpartition(".")[0]
    found = RELEASES[RELEASES.index(release) + 1 :]
    if not found:
        pytest.skip(f"the cluster has release {release}, the newest: make lab RELEASE={RELEASES[-2]}")
    return found


@pytest.fixture
def foreign(cluster: Cluster) -> t.Iterator[Node | None]:
    """A worker that an administrator has cordoned, if there are workers to spare."""
    spare = cluster.workers[-1] if len(cluster.workers) > 2 else None
    if spare:
        cluster.kubectl("cordon", spare.name)
    yield spare
    if spare:
        cluster.kubectl("uncordon", spare.name)


def _kubelets(cluster: Cluster) -> set[str]:
    """Return the versions of all kubelets."""
    return {node["status"]["nodeInfo"]["kubeletVersion"] for node in cluster.get("nodes")["items"]}


def test_upgrade(
    cluster: Cluster,
    inventory: str,
    tmp_path: pathlib.Path,
    later: list[str],
    serving: Serving,
    foreign: Node | None,
) -> None:
    names = [worker.name for worker in cluster.workers]
    for new in later:
        (before,) = _kubelets(cluster)
        backups = tmp_path / f"backups-{new}"
        wanted = variables(cluster_release=new, etcd_backup_directory=str(backups))
        plan = tmp_path / f"plan-{new}.json"
        run(inventory, *variables(cluster_release=new, cluster_plan_file=str(plan)), playbook="playbooks/plan.yml")
        assert '"component": "drain"' in plan.read_text()
        with serving.during(f"upgrade {before} -> {new}", costs_a_member=True, seconds=120):
            done = run(inventory, *wanted)
        turns = [host for task, host in done.changed if task.endswith(" : Run the kubelet, one worker at a time")]
        assert turns == names
        assert list(backups.glob("etcd-*.db"))
        (after,) = _kubelets(cluster)
        assert after.startswith(f"v{new}.")
        for node in cluster.get("nodes")["items"]:
            cordoned = foreign is not None and node["metadata"]["name"] == foreign.name
            assert node["spec"].get("unschedulable", False) is cordoned
            assert CORDON not in node["metadata"]["annotations"]
        assert run(inventory, *wanted).changed == []
