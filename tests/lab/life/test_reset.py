# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Empty hosts, a cluster on them, reset.yml: the hosts are as before, but for packages and logs, and can be built on.

`make test-reset` makes empty hosts for it. The tests build on each other, in the order of this file.
"""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from playbook import kill, run, start, variables
from support import BUSYBOX, wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

RESET = "playbooks/reset.yml"
# Path, type, mode, owner, target of a link, and a hash of small files. Directories on file systems of their own too.
_FILES = r"""
find / /usr/local /var/lib/etcd /var/lib/kubelet /var/lib/containerd -xdev \
    \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /srv/mirror \
       -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \
       -o -path /root/.ansible \) -prune \
    -o -printf '%p\t%y %#m %u:%g %l\n' | sort -u
echo ===
find /etc /usr/local /opt /var/lib /root -xdev \
    \( -path /var/lib/apt -o -path /var/lib/dpkg -o -path /root/.ansible \) -prune \
    -o -type f -size -64k -exec sha256sum {} +
"""
# Written by the system of its own accord, or beside files that tools edit.
OF_THE_SYSTEM = (
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/subuid-",
    "/etc/subgid-",
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/mtab",
    "/var/lib/systemd/",
    "/var/lib/private",
    # nginx makes directories when it starts first.
    "/var/lib/nginx/",
)
# The package's file comes back where the package can be downloaded.
NGINX = "/etc/nginx/nginx.conf"
# Packet filter, interfaces, rules and routes; counters and indexes are left out.
_NETWORK = r"""
nft list ruleset 2>/dev/null | grep -v '^#' | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/'
echo; ip -oneline link | sed -E 's/^[0-9]+: //; s/ (qlen|state|link-netnsid) \S+//g' | sort
ip rule; ip route | sort; ls /run/netns 2>/dev/null; ipset list -name 2>/dev/null
awk '$2 ~ "^/(var/lib/kubelet|var/lib/containerd|run/containerd)/" {print $2}' /proc/mounts
ps -eo comm= | grep -E '^(kube|etcd|containerd|nginx|pause|flannel|weave|coredns)' | sort -u
"""


def _read(node: Node) -> dict[str, str]:
    """Return what is on the disk of a host, by path."""
    listing, _mark, sums = node.out("sh", "-c", _FILES).partition("===\n")
    found = dict(line.split("\t", 1) for line in listing.splitlines())
    for line in sums.splitlines():
        digest, path = line.split("  ", 1)
        if path in found:
            found[path] += f" {digest}"
    return {
        path: state for path, state in found.items() if not path.startswith(OF_THE_SYSTEM) and "__pycache__" not in path
    }


def _packages(node: Node) -> set[str]:
    """Return the files of packages, with those that their scripts make for them."""
    return set(node.out("sh", "-c", "cat /var/lib/dpkg/info/*.list /var/lib/dpkg/info/*.conffiles").splitlines())


def _differences(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    paths = sorted(before.keys() | after.keys())
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


class Seen(t.NamedTuple):
    """What the hosts were before the first run, by name."""

    files: dict[str, dict[str, str]]
    network: dict[str, str]
    pki: dict[str, bytes]


@pytest.fixture(scope="module")
def before(nodes: dict[str, Node], cluster: Cluster, inventory: str) -> Seen:
    """Look at the empty hosts, then build a cluster on them."""
    for node in nodes.values():
        if node.run("test", "-e", "/var/lib/hardway").rc == 0:
            pytest.skip(f"{node.name} is not empty: make test-reset")
    files = {name: _read(node) for name, node in nodes.items()}
    network = {name: node.out("sh", "-c", _NETWORK) for name, node in nodes.items()}
    run(inventory)
    pki = {path.name: path.read_bytes() for path in cluster.pki.iterdir() if path.is_file()}
    return Seen(files, network, pki)


def _deploy(cluster: Cluster) -> None:
    """Pods with volumes, a host port and a Service of their own, on all workers."""
    container = {
        "name": "busybox",
        "image": BUSYBOX,
        "command": ["sleep", "3600"],
        "ports": [{"containerPort": 80, "hostPort": 8099}],
        "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
    }
    volumes = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    labels = {"app": "reset"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    # The port of a host is more than Pod Security allows elsewhere.
    privileged = {"name": "reset", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}
    metadata = {"namespace": "reset", "name": "reset"}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    ports = {"ports": [{"port": 80, "nodePort": 30999}], "type": "NodePort", "selector": labels}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": privileged},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": ports},
    )
    wait_until(
        lambda: (
            cluster.get("daemonset", "reset", "--namespace=reset")["status"].get("numberReady") == len(cluster.workers)
        ),
        seconds=120,
        what="the pods are ready",
    )


def _steps(output: str) -> list[str]:
    """Return the steps of all removals of a run, with their hosts."""
    report, _end = json.JSONDecoder().raw_decode(output, output.find("\n{\n") + 1)
    return sorted(
        f"{host}: {step}"
        for play in report["plays"]
        for task in play["tasks"]
        for host, result in task["hosts"].items()
        for step in result.get("steps", [])
    )


def test_a_check_run_tells_and_changes_nothing(
    before: Seen, nodes: dict[str, Node], cluster: Cluster, inventory: str
) -> None:
    _deploy(cluster)
    # Rules and files of others.
    for worker in cluster.workers:
        worker.out("iptables", "-w", "-N", "OTHERS")
        worker.out("iptables", "-w", "-A", "INPUT", "-p", "tcp", "--dport", "65000", "-j", "OTHERS")
        worker.out("mkdir", "-p", "/etc/containerd/certs.d/registry.example")
    built = {name: _read(node) for name, node in nodes.items()}
    refused = run(inventory, playbook=RESET, succeeds=False)
    assert refused.returncode != 0
    assert any(f"-e reset_cluster={cluster.name} (found: none)" in failure for failure in refused.failures)
    told = run(inventory, "--check", *variables(reset_cluster=cluster.name), playbook=RESET)
    steps = _steps(told.output)
    for host, path in (
        (cluster.workers[0], "remove /etc/systemd/system/kubelet.service"),
        (cluster.workers[0], "remove the interface cni0"),
        (cluster.members[0], "remove /etc/etcd"),
        (cluster.client, "remove /usr/local/bin/kubectl"),
    ):
        if "cni0" not in path or cluster.workers[0].run("ip", "link", "show", "cni0").rc == 0:
            assert f"{host.name}: {path}" in steps
    assert all(cluster.ready(worker) == "True" for worker in cluster.workers)
    for name, node in nodes.items():
        found = _differences(built[name], _read(node))
        # kubectl of this test writes a cache.
        changed = [path for path in found if path.startswith(("/etc", "/usr/local", "/root")) and "/cache" not in path]
        assert changed == [], name


def test_a_killed_run_is_continued_and_only_packages_and_logs_remain(
    before: Seen, nodes: dict[str, Node], cluster: Cluster, inventory: str
) -> None:
    arguments = variables(reset_cluster=cluster.name)
    first = start(inventory, *arguments, playbook=RESET)
    worker = cluster.workers[0]
    wait_until(
        lambda: worker.run("systemctl", "is-active", "--quiet", "kubelet.service").rc != 0 or first.poll() is not None,
        seconds=120,
        what="the reset has begun",
    )
    time.sleep(2)
    assert kill(first), "the reset ended before it was killed"
    run(inventory, *arguments, playbook=RESET)
    for worker in cluster.workers:
        assert "OTHERS" in worker.out("iptables", "-w", "-S"), worker.name
        worker.out("iptables", "-w", "-D", "INPUT", "-p", "tcp", "--dport", "65000", "-j", "OTHERS")
        worker.out("iptables", "-w", "-X", "OTHERS")
        worker.out("rm", "-r", "/etc/containerd")
    again = run(inventory, *arguments, playbook=RESET)
    # The rule of another kept its table, which is empty by now.
    tables = {task for task in again.tasks if "packet filter rules" in task}
    assert again.tasks == tables
    assert run(inventory, *arguments, playbook=RESET).changed == []
    for name, node in nodes.items():
        packages = _packages(node)
        found = _differences(before.files[name], _read(node))
        left = {path: states for path, states in found.items() if path not in packages and path != NGINX}
        assert left == {}, name
        assert node.out("sh", "-c", _NETWORK) == before.network[name], name
        assert node.out("systemctl", "--failed", "--no-legend", "--plain") == "", name
    pki = {path.name: path.read_bytes() for path in cluster.pki.iterdir() if path.is_file()}
    assert pki == before.pki


def test_the_hosts_can_be_built_on(before: Seen, cluster: Cluster, inventory: str) -> None:
    run(inventory)
    assert run(inventory).changed == []
    _deploy(cluster)
