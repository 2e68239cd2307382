# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as its own tools see it."""

from __future__ import annotations

import base64
import json
import secrets
import typing as t

import pytest
from support import in_url, wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node


def test_members_have_started(cluster: Cluster, member: Node) -> None:
    listed = json.loads(cluster.etcdctl(member, "member", "list", "--write-out=json"))["members"]
    assert {one["name"]: (one["peerURLs"], one["clientURLs"], one.get("isLearner", False)) for one in listed} == {
        node.name: ([f"https://{in_url(node.address)}:2380"], [f"https://{in_url(node.address)}:2379"], False)
        for node in cluster.members
    }


def test_members_are_healthy_and_agree_on_a_leader(cluster: Cluster) -> None:
    asked = cluster.etcdctl(cluster.members[0], "endpoint", "status", "--cluster", "--write-out=json")
    leaders = {endpoint["Status"]["leader"] for endpoint in json.loads(asked)}
    assert len(leaders) == 1 and 0 not in leaders


def test_api_is_ready(controller: Node) -> None:
    ready = controller.out(
        "kubectl", "--kubeconfig=/var/lib/kubernetes/admin.kubeconfig", "get", "--raw", "/readyz?verbose"
    )
    assert ready.endswith("readyz check passed\n")
    assert "[-]" not in ready


def test_every_api_server_is_an_endpoint_of_the_api(cluster: Cluster) -> None:
    slices = cluster.get("endpointslices", "--namespace=default", "--selector=kubernetes.io/service-name=kubernetes")
    addresses = {address for one in slices["items"] for point in one["endpoints"] for address in point["addresses"]}
    assert addresses == {node.address for node in cluster.controllers}


def test_nodes_are_ready(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    seen = {
        node["metadata"]["name"]: (
            [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"],
            next(one["status"] for one in node["status"]["conditions"] if one["type"] == "Ready"),
        )
        for node in nodes
    }
    assert seen == {worker.name: (list(worker.addresses), "True") for worker in cluster.workers}


def test_dns_is_rolled_out_on_different_nodes(cluster: Cluster) -> None:
    deployment = cluster.get("deployment", "coredns", "--namespace=kube-system")
    assert deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"] == 2
    pods = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == min(2, len(cluster.workers))


@pytest.mark.parametrize("name", ["kube-controller-manager", "kube-scheduler"])
def test_a_controller_holds_the_lease(cluster: Cluster, name: str) -> None:
    lease = cluster.get("lease", name, "--namespace=kube-system")["spec"]
    hosts = {node.out("hostname").strip() for node in cluster.controllers}
    assert lease["holderIdentity"].split("_")[0] in hosts


def test_runtime_answers(worker: Node) -> None:
    info = json.loads(worker.out("crictl", "info"))
    conditions = {one["type"]: one["status"] for one in info["status"]["conditions"]}
    assert conditions["RuntimeReady"] and conditions["NetworkReady"]
    assert worker.out("crictl", "version").count("containerd") == 1


def test_runtime_reads_the_hosts_files_of_registries(worker: Node) -> None:
    directory = "/etc/containerd/certs.d/registry.example.test"
    nowhere = 'server = "http://127.0.0.1:9"'
    worker.out("sh", "-c", f"mkdir -p {directory} && echo '{nowhere}' >{directory}/hosts.toml")
    try:
        pulled = worker.run("crictl", "pull", "registry.example.test/none:1")
    finally:
        worker.out("rm", "-r", directory)
    assert pulled.rc != 0
    assert "http://127.0.0.1:9/v2/none/manifests/1" in pulled.stderr


def test_health_proxy_answers_for_its_name_alone(cluster: Cluster, controller: Node, host_family: str) -> None:
    server = f"http://{in_url(controller.of(host_family))}"
    url = f"{server}/healthz"
    name = f"kubernetes.default.svc.{cluster.domain}"
    assert cluster.client.out("curl", "--silent", "--max-time", "5", "--header", f"Host: {name}", url) == "ok"
    status = ("curl", "--silent", "--max-time", "5", "--output", "/dev/null", "--write-out", "%{http_code}")
    assert cluster.client.out(*status, "--header", f"Host: {name}", f"{server}/api/v1/nodes") == "404"


@pytest.fixture(scope="session")
def secret(cluster: Cluster, namespace: str) -> tuple[str, str]:
    """Name and value of a Secret, made through the load balancer."""
    name, value = "lab-secret", secrets.token_hex(16)
    cluster.kubectl("create", "secret", "generic", name, f"--namespace={namespace}", f"--from-literal=mykey={value}")
    return name, value


def test_secret_is_encrypted_in_etcd(cluster: Cluster, member: Node, namespace: str, secret: tuple[str, str]) -> None:
    name, value = secret
    key = f"/registry/secrets/{namespace}/{name}"
    stored = cluster.etcdctl(member, "get", key, "--print-value-only")
    assert stored.startswith(b"k8s:enc:secretbox:v1:key1:")
    assert value.encode() not in stored
    # Values that are not encrypted can be read in the same way.
    assert namespace.encode() in cluster.etcdctl(
        member, "get", f"/registry/namespaces/{namespace}", "--print-value-only"
    )


def test_audit_log_knows_the_request_but_not_the_secret(
    cluster: Cluster, namespace: str, secret: tuple[str, str]
) -> None:
    name, value = secret
    cluster.kubectl("get", "secret", name, f"--namespace={namespace}", "--output=yaml")

    def events() -> dict[str, dict[str, t.Any]]:
        found = {}
        for node in cluster.controllers:
            for line in node.run(
                "grep", "-hF", f'"name":"{name}"', "/var/log/kubernetes/audit.log"
            ).stdout.splitlines():
                event = json.loads(line)
                by_us = event["user"]["username"] == "admin"
                if by_us and event["objectRef"].get("namespace") == namespace:
                    found[event["verb"]] = event
        return found if {"create", "get"} <= found.keys() else {}

    for event in wait_until(events, seconds=10, what="create and get of the Secret in an audit log").values():
        assert event["level"] == "Metadata"
        assert "requestObject" not in event and "responseObject" not in event
    # Neither as it was given nor as the API shows it, and not cut by the encoding's alignment.
    for text in (value, base64.b64encode(value.encode()).decode().rstrip("=")):
        for node in cluster.controllers:
            assert node.run("grep", "-rqF", text, "/var/log/kubernetes").rc == 1


def test_node_may_not_touch_another(cluster: Cluster, worker: Node) -> None:
    own = ("kubectl", "--kubeconfig=/var/lib/kubelet/kubeconfig")
    mine = worker.out(*own, "get", "node", worker.name, "--output=name")
    assert mine.strip() == f"node/{worker.name}"
    restricted = worker.run(*own, "label", "node", worker.name, "node-restriction.kubernetes.io/lab-test=1")
    assert restricted.rc != 0
    assert "is not allowed to modify labels" in restricted.stderr
    for other in cluster.workers:
        if other.name != worker.name:
            refused = worker.run(*own, "label", "node", other.name, "lab-test=1")
            assert refused.rc != 0
            assert "(Forbidden)" in refused.stderr or "forbidden" in refused.stderr
            assert "lab-test" not in cluster.get("node", other.name)["metadata"]["labels"]


def test_node_reads_no_foreign_secret(worker: Node, namespace: str, secret: tuple[str, str]) -> None:
    refused = worker.run(
        "kubectl", "--kubeconfig=/var/lib/kubelet/kubeconfig", "get", "secret", secret[0], f"--namespace={namespace}"
    )
    assert refused.rc != 0
    assert "no relationship found" in refused.stderr
