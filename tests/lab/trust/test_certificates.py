# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what with which certificate: all of the PKI directory, against all servers, from three hosts.

A new certificate needs a row here.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

if t.TYPE_CHECKING:
    from support import Cluster, Node

ASK = pathlib.Path(__file__).with_name("ask.py")
DIRECTORY = "/run/hardway-trust"

Answers = dict[str, t.Any]


def _row(etcd: t.Any, peer: t.Any, api: t.Any, kubelet: t.Any, manager: t.Any, scheduler: t.Any) -> Answers:
    """Return the answers: data and members of etcd, the user of the API, pods of a node, metrics of two programs."""
    return {
        "etcd": etcd, "peer": peer, "api": api, "kubelet": kubelet, "manager": manager, "scheduler": scheduler,
    }  # fmt: skip


NOBODY = _row("refused", "refused", 401, 401, 401, 401)


def _user(name: str, *, administrator: bool = False, kubelet: bool = False) -> Answers:
    may = 200 if administrator else 403
    return _row("refused", "refused", name, 200 if kubelet else may, may, may)


def _expected(cluster: Cluster, asker: Node) -> dict[str, Answers]:
    rows = {
        "": _row("refused", "refused", 401, 401, 403, 403),
        "admin": _user("admin", administrator=True),
        "super-admin": _user("super-admin", administrator=True),
        "kube-controller-manager": _user("system:kube-controller-manager"),
        "kube-scheduler": _user("system:kube-scheduler"),
        "kube-proxy": _user("system:kube-proxy"),
        "apiserver-kubelet-client": _user("kubernetes", kubelet=True),
        # Proofs of a server, and a pair of keys.
        "kubernetes": NOBODY,
        "service-account": NOBODY,
        "etcdctl": {**NOBODY, "etcd": 200},
        "apiserver-etcd-client": {**NOBODY, "etcd": 200},
        # It may speak for any user, to those who know it.
        "front-proxy-client": _row("refused", "refused", "claimed", 401, 200, 200),
        # Whoever has the key of an authority can sign what is missing here.
        "ca": _user("Kubernetes"),
        "etcd-ca": {**NOBODY, "etcd": 200},
        "front-proxy-ca": NOBODY,
    }
    for worker in cluster.workers:
        rows[worker.name] = _user(f"system:node:{worker.name}")
        rows[f"{worker.name}-server"] = NOBODY
    for member in cluster.members:
        # As a peer only from the address that it names.
        rows[f"etcd-{member.name}"] = {**NOBODY, "etcd": 200, "peer": 200 if member == asker else "refused"}
    return rows


@pytest.fixture(params=["workers", "controllers", "clients"])
def asker(request: pytest.FixtureRequest, cluster: Cluster) -> t.Iterator[Node]:
    """A host that has, for a while, every certificate with its key."""
    node = cluster.groups[request.param][0]
    node.out("install", "--directory", "--mode=0700", DIRECTORY)
    try:
        for path in [*cluster.pki.glob("*.pem"), ASK]:
            node.put(f"{DIRECTORY}/{path.name}", path.read_bytes())
        yield node
    finally:
        node.out("rm", "-r", DIRECTORY)


def _reached(rows: dict[str, Answers], asker: Node, cluster: Cluster) -> dict[str, Answers]:
    """Return the answers that a host gets: etcd's ports are open to controllers and members, two others are local."""
    closed: list[str] = []
    if asker not in cluster.controllers:
        closed += ["manager", "scheduler"]
    if asker not in cluster.members:
        closed += ["peer"] if asker in cluster.controllers else ["etcd", "peer"]
    return {name: {**row, **dict.fromkeys(closed, "no server")} for name, row in rows.items()}


def test_who_may_do_what(cluster: Cluster, asker: Node) -> None:
    member, controller, worker = cluster.members[-1], cluster.controllers[0], cluster.workers[-1]
    servers = {
        "etcd": [member.address, 2379, "GET", "/health"],
        "peer": [member.address, 2380, "GET", "/members"],
        "api": [controller.address, 6443, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"],
        "kubelet": [worker.address, 10250, "GET", "/pods"],
    }
    local = {"manager": ["127.0.0.1", 10257, "GET", "/metrics"], "scheduler": ["127.0.0.1", 10259, "GET", "/metrics"]}
    found = json.loads(asker.out("python3", f"{DIRECTORY}/ask.py", DIRECTORY, json.dumps({**servers, **local})))
    assert found == _reached(_expected(cluster, asker), asker, cluster)
