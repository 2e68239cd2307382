# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ordinary pod reaches of all hosts: the ports that are meant for it, and no others."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from support import Cluster, Node

# Prints each address and port that answers a connection.
ASK = 'for to in $TARGETS; do nc -w 2 ${to%:*} ${to##*:} </dev/null 2>&1 | grep -q "nc:" || echo $to; done'


@pytest.fixture(scope="module")
def pods(cluster: Cluster, namespace: str) -> t.Iterator[list[str]]:
    """A pod on each worker that asks for nothing special."""
    names = [f"view-{worker.name}" for worker in cluster.workers]
    for name, worker in zip(names, cluster.workers, strict=True):
        cluster.start(namespace, name, node=worker.name)
    for name in names:
        cluster.kubectl("wait", f"pod/{name}", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=60s")
    yield names
    cluster.kubectl("delete", "pod", *names, f"--namespace={namespace}")


def _ports(node: Node) -> set[int]:
    """The ports on which a host listens, but for those of loopback alone."""
    found = set()
    for line in node.out("ss", "--no-header", "--listening", "--tcp", "--numeric").splitlines():
        address, _colon, port = line.split()[3].rpartition(":")
        if not address.startswith(("127.", "[::1]")):
            found.add(int(port))
    return found


def _meant(cluster: Cluster, node: Node) -> set[int]:
    ports: set[int] = set()
    if node in cluster.controllers:
        ports |= {80, 6443}
    if node in cluster.groups["lb"]:
        ports |= {443, 6443}
    if node in cluster.workers:
        ports |= {10250}
    return ports


def test_an_ordinary_pod_reaches_what_is_meant_for_it(cluster: Cluster, namespace: str, pods: list[str]) -> None:
    nodes = cluster.groups["all"]
    # 22: how one comes to work on the host.
    ports = set().union(*(_ports(node) for node in nodes)) - {22}
    assert {2379, 2380, 6443, 10250} <= ports
    # Under the addresses of the families that pods have.
    targets = " ".join(f"{node.of(one)}:{port}" for node in nodes for one in cluster.families for port in sorted(ports))
    expected = {
        f"{node.of(one)}:{port}" for node in nodes for one in cluster.families for port in _meant(cluster, node)
    }
    for pod in pods:
        asked = ("exec", pod, f"--namespace={namespace}", "--", "env", f"TARGETS={targets}", "sh", "-c", ASK)
        assert set(cluster.kubectl(*asked).split()) == expected, pod
