# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that bring etcd back, on a cluster that is in use: docs/operate/etcd.md."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from playbook import run, variables
from support import ETCD_CREDENTIALS, wait_until

if t.TYPE_CHECKING:
    from client import Load
    from support import Cluster

pytestmark = pytest.mark.disruptive

Loader = t.Callable[..., "Load"]


@pytest.fixture
def confirmed(cluster: Cluster) -> tuple[str, str]:
    return variables(etcd_confirm=cluster.name)


def _members(cluster: Cluster, through: int = 0) -> dict[str, str]:
    """Members as etcdctl lists them: IDs of the started voting ones by name."""
    member = cluster.members[through]
    listed = json.loads(cluster.etcdctl(member, "member", "list", "--write-out=json"))["members"]
    return {one["name"]: str(one["ID"]) for one in listed if one.get("name") and not one.get("isLearner")}


def _healthy(cluster: Cluster) -> bool:
    endpoints = ",".join(f"https://{member.address}:2379" for member in cluster.members)
    asked = cluster.members[0].run("etcdctl", *ETCD_CREDENTIALS, f"--endpoints={endpoints}", "endpoint", "health")
    return asked.rc == 0


def test_a_member_that_lost_its_data_is_replaced(
    cluster: Cluster, load: Loader, inventory: str, confirmed: tuple[str, str]
) -> None:
    lost = cluster.members[-1]
    before = _members(cluster)
    alone = len(cluster.members) == 2
    # With kubectl as people use it, where it can go on.
    with load(f"data of {lost.name} lost, member replaced", "http" if alone else "kubectl") as work:
        lost.out("systemctl", "stop", "etcd")
        lost.out("rm", "-r", "/var/lib/etcd/member")
        if alone:
            refused = run(
                inventory, "-e", f"etcd_lost={lost.name}", playbook="playbooks/etcd_replace_member.yml", succeeds=False
            )
            assert refused.returncode != 0
            assert refused.changed == []
            assert f"{cluster.members[0].name} alone is not a quorum of two" in " ".join(refused.failures)
        done = run(
            inventory,
            "-e",
            f"etcd_lost={lost.name}",
            *(confirmed if alone else ()),
            playbook="playbooks/etcd_replace_member.yml",
        )
        work.recovered(seconds=90)
    assert ("Writes were stopped for" in done.output) is alone
    after = _members(cluster)
    assert after.keys() == before.keys()
    assert after[lost.name] != before[lost.name]
    assert _healthy(cluster)
    work.judge(costs_a_member=True)
    assert run(inventory).changed == []


def test_a_snapshot_is_restored(
    cluster: Cluster, namespace: str, inventory: str, confirmed: tuple[str, str], tmp_path: pathlib.Path
) -> None:
    def exists(name: str) -> bool:
        shown = cluster.client.run("kubectl", "get", "configmap", name, f"--namespace={namespace}")
        assert shown.rc == 0 or "NotFound" in shown.stderr, shown.stderr
        return shown.rc == 0

    directory = tmp_path / "backup"
    cluster.kubectl("create", "configmap", "early", f"--namespace={namespace}")
    run(inventory, *variables(etcd_backup_directory=str(directory)), playbook="playbooks/etcd_backup.yml")
    (snapshot,) = directory.glob("*.db")
    assert snapshot.stat().st_mode & 0o777 == 0o600
    cluster.kubectl("create", "configmap", "late", f"--namespace={namespace}")
    restore = ("--extra-vars", f"etcd_snapshot={snapshot}")
    refused = run(inventory, *restore, playbook="playbooks/etcd_restore.yml", succeeds=False)
    assert refused.returncode != 0
    assert refused.changed == []
    assert exists("late")
    run(inventory, *restore, *confirmed, playbook="playbooks/etcd_restore.yml")
    assert exists("early")
    assert not exists("late")
    # Controllers and kubelets see the new state: a deployment made now runs.
    cluster.kubectl("create", "configmap", "afterwards", f"--namespace={namespace}")
    wait_until(lambda: _healthy(cluster), seconds=30, what="all members are healthy")
    cluster.kubectl("rollout", "restart", "deployment/coredns", "--namespace=kube-system")
    cluster.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=120s")
    assert run(inventory).changed == []
