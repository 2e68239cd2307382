# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys on each host: exactly those that its programs read, readable by them alone."""

from __future__ import annotations

import hashlib
import typing as t

if t.TYPE_CHECKING:
    from support import Cluster, Node

# Path on the host -> name in the PKI directory.
MEMBER = {"/etc/etcd/kubernetes-key.pem": "kubernetes-key.pem"}
CONTROLLER = {
    f"/var/lib/kubernetes/{name}": name
    for name in (
        "admin.kubeconfig",
        "ca-key.pem",
        "encryption-config.yaml",
        "front-proxy-client-key.pem",
        "kube-controller-manager.kubeconfig",
        "kube-scheduler.kubeconfig",
        "kubernetes-key.pem",
        "service-account-key.pem",
    )
}
CLIENT = {"/root/.kube/config": "remote-admin.kubeconfig"}

# Left out: keys of the host itself, content of images and pods, and the kernel's file systems.
_SEARCH = r"""
find / \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /var/lib/containerd -o -path /usr/share \
          -o -path /usr/lib -o -path /etc/ssh -o -path /var/lib/kubelet/pods \) -prune -o -type f -size -256k -print0 |
  xargs -0 grep -lsIE -e '^-----BEGIN [A-Z ]*PRIVATE KEY-----' -e '^ *client-key-data:' -e '^ *- aescbc:' -- |
  xargs -r stat --format '%n %a %U:%G' --
"""


def _held(node: Node) -> dict[str, str]:
    """Path -> mode and owner of every file with a private key or the encryption key."""
    result = node.host.run(_SEARCH)
    return dict(line.split(" ", 1) for line in result.stdout.splitlines())


def _expected(cluster: Cluster, node: Node) -> dict[str, str]:
    files: dict[str, str] = {}
    if node in cluster.members:
        files |= MEMBER
    if node in cluster.controllers:
        files |= CONTROLLER
    if node in cluster.workers:
        files |= {
            f"/var/lib/kubelet/{node.name}-key.pem": f"{node.name}-key.pem",
            "/var/lib/kubelet/kubeconfig": f"{node.name}.kubeconfig",
            "/var/lib/kube-proxy/kubeconfig": "kube-proxy.kubeconfig",
        }
    if node in cluster.groups["clients"]:
        files |= CLIENT
    return files


def test_host_holds_its_keys_and_no_other(cluster: Cluster, node: Node) -> None:
    expected = {path: "600 etcd:etcd" if path in MEMBER else "600 root:root" for path in _expected(cluster, node)}
    assert _held(node) == expected


def test_keys_are_those_of_the_pki_directory(cluster: Cluster, node: Node) -> None:
    files = _expected(cluster, node)
    if not files:
        assert node in cluster.groups["lb"]
        return
    sums = dict(reversed(line.split(maxsplit=1)) for line in node.out("sha256sum", *files).splitlines())
    assert sums == {path: hashlib.sha256((cluster.pki / name).read_bytes()).hexdigest() for path, name in files.items()}


def test_etcd_data_belongs_to_etcd_alone(member: Node) -> None:
    assert member.out("stat", "--format=%a %U:%G", "/var/lib/etcd").strip() == "700 etcd:etcd"


def test_audit_log_is_for_root_alone(controller: Node) -> None:
    assert controller.out("stat", "--format=%a %U:%G", "/var/log/kubernetes").strip() == "700 root:root"
    assert controller.out("stat", "--format=%a %U:%G", "/var/log/kubernetes/audit.log").strip() == "600 root:root"


def test_programs_are_roots_and_not_writable(node: Node, cluster: Cluster) -> None:
    listed = node.host.run("stat -L --format='%a %U:%G %n' /usr/local/bin/* /opt/cni/bin/* 2>/dev/null").stdout
    if node not in cluster.groups["lb"]:
        assert "/usr/local/bin/kube" in listed
    assert [line for line in listed.splitlines() if not line.startswith("755 root:root ")] == []


def test_pki_directory_is_private(cluster: Cluster) -> None:
    assert cluster.pki.stat().st_mode & 0o777 == 0o700
    secret = [*cluster.pki.glob("*-key.pem"), *cluster.pki.glob("*.kubeconfig"), cluster.pki / "encryption-config.yaml"]
    assert len(secret) > len(cluster.workers)
    assert [path.name for path in secret if path.stat().st_mode & 0o777 != 0o600] == []
