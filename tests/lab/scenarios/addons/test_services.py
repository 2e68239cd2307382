# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cluster services on nodes that were there before."""

from __future__ import annotations

import json
import typing as t

from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster


def test_dns_has_its_address_and_answers(cluster: Cluster) -> None:
    service = cluster.get("service", "kube-dns", "--namespace=kube-system")
    address = service["spec"]["clusterIP"]
    worker = cluster.workers[0]
    config = worker.out("cat", "/var/lib/kubelet/kubelet-config.yaml")
    assert f"- {address}" in config
    deployment = cluster.get("deployment", "coredns", "--namespace=kube-system")
    assert deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"] == 2


def test_api_servers_may_reach_kubelets(cluster: Cluster) -> None:
    name = cluster.workers[0].name
    summary = wait_until(
        lambda: cluster.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/stats/summary"),
        seconds=10,
        what="statistics of the node, through the API server",
    )
    assert json.loads(summary)["node"]["nodeName"] == name
