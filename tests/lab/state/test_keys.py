# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys on each host: exactly those that its programs read, readable by them alone."""

from __future__ import annotations

import hashlib
import typing as t

import pytest

if t.TYPE_CHECKING:
    from support import Cluster, Node

# Name in the PKI directory and on controllers -> the user that reads it.
CONTROLLER = {
    "admin.kubeconfig": "root",
    "apiserver-etcd-client-key.pem": "kube-apiserver",
    "apiserver-kubelet-client-key.pem": "kube-apiserver",
    "encryption-config.yaml": "kube-apiserver",
    "front-proxy-client-key.pem": "kube-apiserver",
    "kube-controller-manager.kubeconfig": "kube-controller-manager",
    "kube-scheduler.kubeconfig": "kube-scheduler",
    "kubernetes-key.pem": "kube-apiserver",
    "service-account-key.pem": "kube-apiserver",
}

# Left out: keys of the host itself, content of images and pods, and the kernel's file systems.
_SEARCH = r"""
find / \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /var/lib/containerd -o -path /usr/share \
          -o -path /usr/lib -o -path /etc/ssh -o -path /var/lib/kubelet/pods \) -prune -o -type f -size -256k -print0 |
  xargs -0 grep -lsIE -e '^-----BEGIN [A-Z ]*PRIVATE KEY-----' -e '^ *client-key-data:' -e '^ *- secretbox:' -- |
  xargs -r stat --format '%n %a %U:%G' --
"""


def _held(node: Node) -> dict[str, str]:
    """Path -> mode and owner of every file with a private key or the encryption key."""
    result = node.host.run(_SEARCH)
    return dict(line.split(" ", 1) for line in result.stdout.splitlines())


def _expected(cluster: Cluster, node: Node) -> dict[str, tuple[str, str]]:
    """Path -> name in the PKI directory, and the user that reads it."""
    files: dict[str, tuple[str, str]] = {}
    if node in cluster.members:
        files |= {
            "/etc/etcd/member-key.pem": (f"etcd-{node.name}-key.pem", "etcd"),
            "/etc/etcd/etcdctl-key.pem": ("etcdctl-key.pem", "etcd"),
        }
    if node in cluster.controllers:
        files |= {f"/var/lib/kubernetes/{name}": (name, user) for name, user in CONTROLLER.items()}
    if node in cluster.workers:
        files |= {
            f"/var/lib/kubelet/{node.name}-server-key.pem": (f"{node.name}-server-key.pem", "root"),
            "/var/lib/kubelet/kubeconfig": (f"{node.name}.kubeconfig", "root"),
            "/var/lib/kube-proxy/kubeconfig": ("kube-proxy.kubeconfig", "root"),
        }
    if node in cluster.groups["clients"]:
        files["/root/.kube/config"] = ("remote-admin.kubeconfig", "root")
    return files


def test_host_holds_its_keys_and_no_other(cluster: Cluster, node: Node) -> None:
    assert _held(node) == {path: f"600 {user}:{user}" for path, (_name, user) in _expected(cluster, node).items()}


def test_keys_are_those_of_the_pki_directory(cluster: Cluster, node: Node) -> None:
    files = _expected(cluster, node)
    if not files:
        assert node in cluster.groups["lb"]
        return
    sums = dict(reversed(line.split(maxsplit=1)) for line in node.out("sha256sum", *files).splitlines())
    names = {path: name for path, (name, _user) in files.items()}
    assert sums == {path: hashlib.sha256((cluster.pki / name).read_bytes()).hexdigest() for path, name in names.items()}


def test_etcd_data_belongs_to_etcd_alone(member: Node) -> None:
    assert member.out("stat", "--format=%a %U:%G", "/var/lib/etcd").strip() == "700 etcd:etcd"


def test_audit_log_is_for_the_api_server_alone(controller: Node) -> None:
    owner = "kube-apiserver:kube-apiserver"
    assert controller.out("stat", "--format=%a %U:%G", "/var/log/kubernetes").strip() == f"700 {owner}"
    assert controller.out("stat", "--format=%a %U:%G", "/var/log/kubernetes/audit.log").strip() == f"600 {owner}"


@pytest.mark.parametrize("user", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"])
def test_a_program_reads_its_own_keys_and_no_others(cluster: Cluster, controller: Node, user: str) -> None:
    """Asked as the user of a program, with all that the kernel lets it do."""
    files = _expected(cluster, controller)
    asked = f"for file in {' '.join(files)}; do test -r $file && echo $file; done; true"
    if user == "etcd" and controller not in cluster.members:
        return
    readable = controller.out("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "sh", "-c", asked)
    assert set(readable.split()) == {path for path, (_name, owner) in files.items() if owner == user}


def test_programs_are_roots_and_not_writable(node: Node, cluster: Cluster) -> None:
    listed = node.host.run("stat -L --format='%a %U:%G %n' /usr/local/bin/* /opt/cni/bin/* 2>/dev/null").stdout
    if node not in cluster.groups["lb"]:
        assert "/usr/local/bin/kube" in listed
    assert [line for line in listed.splitlines() if not line.startswith("755 root:root ")] == []


def test_pki_directory_is_private(cluster: Cluster) -> None:
    assert cluster.pki.stat().st_mode & 0o777 == 0o700
    secret = [*cluster.pki.glob("*-key.pem"), *cluster.pki.glob("*.kubeconfig"), cluster.pki / "encryption-config.yaml"]
    secret += cluster.pki.glob("*-password")
    assert len(secret) > len(cluster.workers)
    assert [path.name for path in secret if path.stat().st_mode & 0o777 != 0o600] == []
