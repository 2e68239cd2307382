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
from playbook import run, variables
from versions import Versions, kubelets

if t.TYPE_CHECKING:
    from serving import Serving
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

CORDON = "hardway.kubernetes/cordoned"


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
    later: list[str],
    serving: Serving,
    foreign: Node | None,
) -> None:
    names = [worker.name for worker in cluster.workers]
    for new in later:
        (before,) = kubelets(cluster)
        backups = tmp_path / f"backups-{new}"
        wanted = variables(cluster_release=new, etcd_backup_directory=str(backups))
        plan = tmp_path / f"plan-{new}.json"
        run(inventory, *variables(cluster_release=new, cluster_plan_file=str(plan)), playbook="playbooks/plan.yml")
        assert '"component": "drain"' in plan.read_text()
        changes = serving.during(f"upgrade {before} -> {new}", costs_a_member=True, seconds=120)
        with changes, Versions(cluster) as versions:
            done = run(inventory, *wanted)
        assert versions.looks > 60
        assert len(versions.servers) > 1
        assert list(versions.faults) == []
        turns = [host for task, host in done.changed if task.endswith(" : Run the kubelet, one worker at a time")]
        assert turns == names
        assert list(backups.glob("etcd-*.db"))
        (after,) = kubelets(cluster)
        assert after.startswith(f"v{new}.")
        for node in cluster.get("nodes")["items"]:
            cordoned = foreign is not None and node["metadata"]["name"] == foreign.name
            assert node["spec"].get("unschedulable", False) is cordoned
            assert CORDON not in node["metadata"]["annotations"]
        assert run(inventory, *wanted).changed == []
