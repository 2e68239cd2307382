# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check run of a finished cluster reports what a real run then does, for one edit of the inventory after another.

The edits stay: each is made on what the ones before it left.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from certificates import put_worse, reissued, serials
from playbook import Run, run, variables

if t.TYPE_CHECKING:
    from support import Cluster


class Edited:
    """The cluster's inventory with the edits so far."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        self.values: dict[str, t.Any] = {}

    def check_then_run(self, *arguments: str, **edit: t.Any) -> Run:
        """Make an edit; the check run and the real run have to report the same. Return the real one."""
        self.values |= edit
        given = (*variables(**self.values), *arguments)
        predicted = run(self.inventory, "--check", "--diff", *given)
        done = run(self.inventory, "--diff", *given)
        assert predicted.changed == done.changed
        again = run(self.inventory, *given)
        assert again.changed == []
        return done


@pytest.fixture(scope="module")
def edited(pytestconfig: pytest.Config) -> t.Iterator[Edited]:
    edits = Edited(pytestconfig.option.ansible_inventory)
    yield edits
    run(edits.inventory)


def test_nothing(edited: Edited) -> None:
    assert edited.check_then_run().changed == []


def test_a_name_for_the_api(edited: Edited) -> None:
    done = edited.check_then_run("--tags=ca,etcd,apiserver", ca_extra_sans=["api.example.com"])
    assert done.hosts("ca") != set()
    assert len(done.hosts("apiserver")) > 0
    # Its members have certificates of their own.
    assert done.hosts("etcd") == set()
    assert "hardway.kubernetes.ca : Write the kubeconfigs" not in done.tasks


def test_a_flag(edited: Edited, cluster: Cluster) -> None:
    done = edited.check_then_run("--tags=scheduler", scheduler_extra_flags={"v": "3"})
    assert done.hosts("scheduler") == {node.name for node in cluster.controllers}
    for node in cluster.controllers:
        assert "--v=3" in node.out("ps", "-o", "args=", "-C", "kube-scheduler")


def test_a_kernel_setting(edited: Edited, cluster: Cluster) -> None:
    done = edited.check_then_run("--tags=worker", worker_sysctls={"vm.max_map_count": 262145})
    assert done.tasks == {"hardway.kubernetes.worker : Install a node's packages, and allow packets to be forwarded"}
    assert done.hosts("worker") == {node.name for node in cluster.workers}


def test_a_manifest(edited: Edited, cluster: Cluster) -> None:
    done = edited.check_then_run("--tags=addons", addons_dns_replicas=1)
    assert len(done.changed) == 1
    assert cluster.get("deployment", "coredns", "--namespace=kube-system")["spec"]["replicas"] == 1


def test_a_manifest_without_the_controllers(edited: Edited, cluster: Cluster) -> None:
    """The API answers the control node, whatever hosts --limit leaves."""
    worker = cluster.workers[-1].name
    done = edited.check_then_run("--tags=addons", f"--limit={worker}", addons_dns_replicas=2)
    assert len(done.changed) == 1
    assert cluster.get("deployment", "coredns", "--namespace=kube-system")["spec"]["replicas"] == 2


def test_a_port_of_the_load_balancer(edited: Edited, cluster: Cluster) -> None:
    done = edited.check_then_run("--tags=lb", lb_ports=[6443, 443, 8443])
    assert {host for _task, host in done.changed} == {node.name for node in cluster.groups["lb"]}


def test_another_version(edited: Edited, cluster: Cluster) -> None:
    """crictl under the name of a version that no release has: a mirror beside the lab's has it."""
    release = cluster.workers[0].out("crictl", "--version").split()[-1].lstrip("v").rpartition(".")[0]
    wanted = f"{release}.99"
    for node in cluster.workers:
        node.out("sh", "-c", _ANOTHER_MIRROR, "sh", wanted)
    done = edited.check_then_run(
        "--tags=worker", cluster_versions={"crictl": wanted}, cluster_mirror="file:///var/tmp/mirror"
    )
    assert done.tasks == {"hardway.kubernetes.worker : Run containerd, one worker at a time"}
    for node in cluster.workers:
        assert node.out("cat", "/var/lib/hardway/programs.json").count(wanted) > 0
    edited.values.pop("cluster_versions")
    edited.values.pop("cluster_mirror")
    assert edited.check_then_run("--tags=worker").tasks == done.tasks
    for node in cluster.workers:
        node.out("rm", "-r", "/var/tmp/mirror")


_ANOTHER_MIRROR = """
set -e
rm -rf /var/tmp/mirror; cp -rs /srv/mirror /var/tmp/mirror
cd /var/tmp/mirror/github.com/kubernetes-sigs/cri-tools/releases/download
old=$(ls | head -n 1); cp -r "$old" "v$1"; cd "v$1"
for file in *; do mv "$file" "$(echo "$file" | sed "s/$old/v$1/")"; done
"""


def test_a_certificate_that_soon_ends(edited: Edited, cluster: Cluster) -> None:
    worker = cluster.workers[0]
    name = f"{worker.name}-server"
    put_worse(cluster.pki, name, days=3)
    old = serials(cluster.pki)
    done = edited.check_then_run("--tags=ca,worker")
    assert reissued(cluster.pki, old) == {name}
    assert done.hosts("worker") == {worker.name}
    assert worker.out("cat", f"/var/lib/kubelet/{name}.pem") == (cluster.pki / f"{name}.pem").read_text()


def test_a_worker_less(edited: Edited, cluster: Cluster, tmp_path: pathlib.Path) -> None:
    if len(cluster.workers) < 2:
        pytest.skip("one worker: none may go")
    given = pathlib.Path(edited.inventory).resolve()
    hosts = yaml.safe_load((given / "hosts.yml").read_text())
    gone = cluster.workers[-1].name
    del hosts["all"]["children"]["workers"]["hosts"][gone]
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (tmp_path / "group_vars").symlink_to(given / "group_vars")
    edited.inventory = str(tmp_path)
    try:
        done = edited.check_then_run(cluster_pki_directory=str(cluster.pki))
    finally:
        edited.inventory = str(given)
        edited.values.pop("cluster_pki_directory", None)
    assert gone not in {host for _task, host in done.changed}
