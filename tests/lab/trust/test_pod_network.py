# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of the pod network, which is on every node, changes that node alone."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from support import Cluster

ACCOUNTS = {"weave": "weave-net", "flannel": "flannel"}
REFUSED = "may change its own node alone"


def _patch(cluster: Cluster, token: str, node: str) -> str:
    """Change an annotation through the node's status, as the account; return what the API says."""
    server = cluster.kubectl("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")
    return cluster.client.out(
        "curl", "--silent", "--insecure", "--request", "PATCH", "--header", f"Authorization: Bearer {token}",
        "--header", "Content-Type: application/merge-patch+json",
        "--data", '{"metadata":{"annotations":{"hardway.kubernetes/test":"1"}}}',
        f"{server}/api/v1/nodes/{node}/status",
    )  # fmt: skip


def test_a_node_cannot_change_another_one(cluster: Cluster, pod_network: str) -> None:
    if pod_network not in ACCOUNTS:
        pytest.skip(f"the pod network {pod_network} has no account")
    account = ACCOUNTS[pod_network]
    own, other = cluster.workers[0].name, cluster.workers[-1].name
    pods = cluster.get("pods", "--namespace=kube-system", f"--field-selector=spec.nodeName={own}")["items"]
    (pod,) = (found["metadata"]["name"] for found in pods if found["spec"]["serviceAccountName"] == account)
    create = ("create", "token", account, "--namespace=kube-system")
    token = cluster.kubectl(*create, "--bound-object-kind=Pod", f"--bound-object-name={pod}").strip()
    unbound = cluster.kubectl(*create).strip()
    try:
        assert '"hardway.kubernetes/test": "1"' in _patch(cluster, token, own)
        assert REFUSED in _patch(cluster, token, other)
        # A token that is not a pod's is not on any node.
        assert REFUSED in _patch(cluster, unbound, own)
    finally:
        cluster.kubectl("annotate", "node", own, other, "hardway.kubernetes/test-")
