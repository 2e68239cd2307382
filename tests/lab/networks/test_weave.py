# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weave Net, as its own programs and the kernel tell it. With another pod network there is nothing to ask."""

from __future__ import annotations

import ipaddress
import json
import typing as t

import pytest
from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node
    from web import Web

API = "http://127.0.0.1:6784"
PEERS = "kube-peers.weave.works/peers"
REFUSED = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "nobody"},
    "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
}


@pytest.fixture(autouse=True)
def only_weave(pod_network: str) -> None:
    if pod_network != "weave":
        pytest.skip(f"the pod network is {pod_network}")


def report(worker: Node) -> dict[str, t.Any]:
    """What the worker's peer says of itself."""
    answer = worker.out("curl", "--silent", "--fail", "--header", "Accept: application/json", f"{API}/report")
    return t.cast(dict[str, t.Any], json.loads(answer))


def environment(cluster: Cluster) -> dict[str, dict[str, t.Any]]:
    """The router's environment variables, as the DaemonSet has them."""
    pod = cluster.get("daemonset", "weave-net", "--namespace=kube-system")["spec"]["template"]["spec"]
    [router] = [one for one in pod["containers"] if one["name"] == "weave"]
    return {variable["name"]: variable for variable in router["env"]}


def test_every_peer_is_connected_to_all_others(cluster: Cluster, worker: Node) -> None:
    connections = report(worker)["Router"]["Connections"]
    others = {node.address for node in cluster.workers} - {worker.address}
    assert {one["Address"].rpartition(":")[0] for one in connections} == others
    assert {one["State"] for one in connections} == {"established"}


def test_peers_know_each_other_by_the_nodes_names(cluster: Cluster, worker: Node) -> None:
    names = {node.name for node in cluster.workers}
    assert {peer["NickName"] for peer in report(worker)["Router"]["Peers"]} == names
    listed = cluster.get("configmap", "weave-net", "--namespace=kube-system")["metadata"]["annotations"][PEERS]
    assert {peer["NodeName"] for peer in json.loads(listed)["Peers"]} == names


def test_addresses_come_from_the_cluster_s_range_and_all_have_an_owner(
    cluster: Cluster, worker: Node, web: Web
) -> None:
    manager = cluster.controllers[0].out("systemctl", "cat", "kube-controller-manager.service")
    wanted = next(word.partition("=")[2] for word in manager.split() if word.startswith("--cluster-cidr="))
    said = report(worker)["IPAM"]
    assert said["Range"] == wanted
    assert {entry["Nickname"] for entry in said["Entries"]} <= {node.name for node in cluster.workers}
    assert sum(entry["Size"] for entry in said["Entries"]) == ipaddress.ip_network(wanted).num_addresses
    assert all(ipaddress.ip_address(pod.address) in ipaddress.ip_network(wanted) for pod in web.pods)


def test_a_policy_is_enforced_and_lifted_again(cluster: Cluster, web: Web) -> None:
    def answered() -> int:
        tries = [
            web.run(
                asker,
                "sh",
                "-c",
                f"timeout 2 wget -q -O /dev/null http://{asked.address}/ 2>/dev/null && echo yes || echo no",
            )
            for asker in web.pods
            for asked in web.pods
            if asker != asked
        ]
        return sum(answer.strip() == "yes" for answer in tries)

    pairs = len(web.pods) * (len(web.pods) - 1)
    assert answered() == pairs
    policy = json.dumps({**REFUSED, "metadata": {"name": "nobody", "namespace": web.namespace}})
    cluster.client.out("sh", "-c", f"echo '{policy}' | kubectl apply --filename=-")
    try:
        wait_until(lambda: answered() == 0, seconds=30, what="no pod reaches another")
    finally:
        cluster.kubectl("delete", "networkpolicy", "nobody", f"--namespace={web.namespace}")
    wait_until(lambda: answered() == pairs, seconds=30, what="all pods reach each other again")


def test_packets_for_pods_meet_the_policies_before_they_are_dropped(worker: Node) -> None:
    """kube-proxy writes into the same chain, and may be at it when Weave Net is."""
    forwarded = [line.split() for line in worker.out("iptables", "-S", "FORWARD").splitlines()]
    targets = [words[words.index("-j") + 1] for words in forwarded if "weave" in words]
    assert targets[:4] == ["WEAVE-NPC-EGRESS", "WEAVE-NPC", "NFLOG", "DROP"]


def test_encryption_is_what_the_settings_say(cluster: Cluster, worker: Node) -> None:
    said = report(worker)["Router"]
    password = environment(cluster).get("WEAVE_PASSWORD")
    assert said["Encryption"] is (password is not None)
    if password is None:
        return
    # By reference: the manifest has no value.
    assert set(password) == {"name", "valueFrom"}
    assert all(one["Attrs"].get("encrypted") for one in said["Connections"])
    secret = cluster.get("secret", password["valueFrom"]["secretKeyRef"]["name"], "--namespace=kube-system")
    assert secret["data"]["password"]


def test_no_password_is_in_a_command_line(worker: Node) -> None:
    lines = worker.out("ps", "-A", "-o", "args=").splitlines()
    [router] = [line for line in lines if line.startswith("/home/weave/weaver ")]
    assert "password" not in router.lower()


@pytest.mark.parametrize("port", [6781, 6782, 6784])
def test_its_own_pages_are_for_the_host_alone(cluster: Cluster, worker: Node, port: int) -> None:
    assert worker.run("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}").rc == 0
    assert cluster.client.run("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{worker.address}/{port}").rc != 0
