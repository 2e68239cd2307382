# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the sequence, or a part of the hosts: it does its work, and touches nothing else."""

from __future__ import annotations

import pathlib
import shutil
import typing as t

import pytest
from certificates import names_of, put_worse, reissued, serials
from playbook import run, variables, wipe
from snapshot import PKI, snapshot, touched
from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

# A file of each chapter, and the unit that reads it.
CHAPTERS = (
    ("etcd", "etcd", "/etc/systemd/system/etcd.service", "etcd"),
    ("apiserver", "controllers", "/etc/systemd/system/kube-apiserver.service", "kube-apiserver"),
    (
        "controller_manager",
        "controllers",
        "/etc/systemd/system/kube-controller-manager.service",
        "kube-controller-manager",
    ),
    ("scheduler", "controllers", "/etc/systemd/system/kube-scheduler.service", "kube-scheduler"),
    ("healthz_nginx", "controllers", "/etc/nginx/sites-available/kubernetes.default.svc.cluster.local", "nginx"),
    ("lb", "lb", "/etc/nginx/tcpconf.d/kubernetes.conf", "nginx"),
    ("client", "clients", "/root/.kube/config", ""),
    ("worker", "workers", "/etc/systemd/system/kube-proxy.service", "kube-proxy"),
    # Its content comes from the API, which the control node reads: no controller is part of the run.
    ("pod_network", "workers", "/etc/cni/net.d/10-*.conflist", ""),
)

# Pod networks whose pods write the workers' CNI configuration; for the others the role does.
WRITTEN_BY_ITS_POD = ("weave",)


@pytest.mark.parametrize(("tag", "part", "path", "unit"), CHAPTERS, ids=[chapter[0] for chapter in CHAPTERS])
def test_one_chapter_on_one_host(
    cluster: Cluster, inventory: str, pod_network: str, tag: str, part: str, path: str, unit: str
) -> None:
    """With the facts of one host alone it writes what a run of all hosts wrote."""
    if tag == "pod_network" and pod_network in WRITTEN_BY_ITS_POD:
        pytest.skip(f"{pod_network} writes its configuration from its pod: the role writes nothing on a worker")
    node = cluster.groups[part][-1]
    path = node.out("sh", "-c", f"echo {path}").strip()
    wanted = node.out("cat", path)
    before = snapshot(cluster)
    node.out("sh", "-c", 'echo "# another hand" >>"$0"', path)
    done = run(inventory, f"--tags={tag}", f"--limit={node.name}")
    assert done.hosts(tag) == {host for _task, host in done.changed} == {node.name}
    assert node.out("cat", path) == wanted
    # The file is another one, so its directory has another time.
    expected = {path, str(pathlib.PurePath(path).parent), unit} - {""}
    assert touched(before, snapshot(cluster)) == {node.name: expected}


def test_a_fresh_worker_by_tag_and_limit(cluster: Cluster, inventory: str, pod_network: str) -> None:
    worker = cluster.workers[-1]
    before = snapshot(cluster)
    wipe(inventory, worker.name)
    # A package goes as well, so that the role has something to install from the distribution.
    worker.out("sh", "-c", "dpkg --purge socat >/dev/null && ! command -v socat")
    role_writes = pod_network not in WRITTEN_BY_ITS_POD
    # A host without a pod network is still a node, and the run does not wait for it to be Ready.
    first = run(inventory, "--tags=worker", "--skip-tags=pod_network", f"--limit={worker.name}")
    assert first.hosts("pod_network") == set()
    assert not (role_writes and worker.out("ls", "/etc/cni/net.d"))
    assert worker.out("systemctl", "is-active", "kubelet").strip() == "active"
    done = run(inventory, "--tags=worker", f"--limit={worker.name}")
    assert {host for _task, host in first.changed + done.changed} == {worker.name}
    assert done.hosts("pod_network") == ({worker.name} if role_writes else set())
    assert set(touched(before, snapshot(cluster))) == {worker.name}
    assert cluster.ready(worker) == "True"
    # Pods find their way to it, and it to them.
    run(inventory, playbook="playbooks/smoke.yml")
    assert run(inventory).changed == []


def test_a_name_for_the_api_alone(cluster: Cluster, inventory: str) -> None:
    """Programs read the certificate again by themselves: nothing restarts."""
    name = ("--extra-vars", '{"ca_extra_sans": ["api.example.com"]}')
    before, old = snapshot(cluster), serials(cluster.pki)
    run(inventory, "--tags=ca", *name)
    assert reissued(cluster.pki, old) == {"kubernetes"}
    assert touched(before, snapshot(cluster)) == {PKI: {"kubernetes.csr", "kubernetes.pem"}}
    before = snapshot(cluster)
    run(inventory, *name)
    written = {"/var/lib/kubernetes", "/var/lib/kubernetes/kubernetes.pem"}
    assert touched(before, snapshot(cluster)) == {node.name: written for node in cluster.controllers}
    for node in cluster.controllers:
        wait_until(
            lambda node=node: "api.example.com" in _served_names(cluster, node, 6443),
            seconds=90,
            what=f"{node.name} shows the new certificate",
        )
    run(inventory)
    assert reissued(cluster.pki, old) == {"kubernetes"}
    assert run(inventory).changed == []


def test_the_certificate_of_one_worker_alone(cluster: Cluster, inventory: str) -> None:
    worker = cluster.workers[0]
    before, old = snapshot(cluster), serials(cluster.pki)
    server = f"{worker.name}-server"
    names = names_of(cluster.pki, server)
    put_worse(cluster.pki, server, addresses=False)
    put_worse(cluster.pki, worker.name, days=1)
    assert names_of(cluster.pki, server) != names
    run(inventory, "--tags=ca")
    assert reissued(cluster.pki, old) == {worker.name, server}
    assert names_of(cluster.pki, server) == names
    assert touched(before, snapshot(cluster)) == {
        PKI: {f"{worker.name}.{kind}" for kind in ("csr", "pem", "kubeconfig")} | {f"{server}.csr", f"{server}.pem"}
    }
    before = snapshot(cluster)
    run(inventory)
    paths = {f"/var/lib/kubelet/{server}.pem", "/var/lib/kubelet/kubeconfig"}
    assert touched(before, snapshot(cluster)) == {worker.name: {*paths, "kubelet"}}
    assert run(inventory).changed == []


def test_all_but_the_addons(cluster: Cluster, inventory: str) -> None:
    cluster.kubectl("delete", "deployment", "coredns", "--namespace=kube-system")
    before = snapshot(cluster)
    assert run(inventory, "--skip-tags=addons").changed == []
    assert touched(before, snapshot(cluster)) == {}
    assert cluster.client.run("kubectl", "get", "deployment", "coredns", "--namespace=kube-system").rc == 1
    assert run(inventory).tasks == {"hardway.kubernetes.addons : Run CoreDNS"}
    assert run(inventory).changed == []


def test_a_host_without_its_certificates(cluster: Cluster, inventory: str, tmp_path: pathlib.Path) -> None:
    """Another PKI directory is refused, and a chapter says which earlier one it lacks."""
    worker = cluster.workers[-1]
    before = snapshot(cluster)
    elsewhere = variables(cluster_pki_directory=str(tmp_path))
    refused = run(inventory, "--tags=worker", f"--limit={worker.name}", *elsewhere, succeeds=False)
    assert refused.returncode != 0
    assert refused.changed == []
    found = " ".join(refused.failures)
    assert (
        f"cluster_pki_directory {tmp_path}: ca.pem is missing there, and the cluster on {worker.name} has it;" in found
    )
    for path in (cluster.pki / "ca.pem", *cluster.pki.glob("weave-password")):
        shutil.copy(path, tmp_path)
    refused = run(inventory, "--tags=worker", f"--limit={worker.name}", *elsewhere, succeeds=False)
    assert refused.returncode != 0
    assert f"{tmp_path}/{worker.name}-server.pem is not on the control node" in " ".join(refused.failures)
    assert "--tags ca" in " ".join(refused.failures)
    assert touched(before, snapshot(cluster)) == {}


def _served_names(cluster: Cluster, node: Node, port: int) -> str:
    """The names in the certificate that an address shows."""
    asked = f"openssl s_client -connect {node.address}:{port} </dev/null 2>/dev/null"
    return cluster.client.out("sh", "-c", f"{asked} | openssl x509 -noout -ext subjectAltName")
