# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weave Net, as its own programs and the kernel tell it."""

from __future__ import annotations

import base64
import ipaddress
import typing as t

import pytest
from support import wait_until
from weave import listed_peers, report

if t.TYPE_CHECKING:
    from support import Cluster, Node
    from web import Web

pytestmark = pytest.mark.usefixtures("only_weave")

REFUSED = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
}


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
    assert listed_peers(cluster) == names


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


def test_packets_for_pods_meet_the_policies_first(worker: Node) -> None:
    """kube-proxy writes into the same chain, and after a change of its mode its rules stand before Weave Net's."""
    first = ["WEAVE-NPC-EGRESS", "WEAVE-NPC", "NFLOG", "DROP"]

    def ordered() -> bool:
        rules = [line.split() for line in worker.out("iptables", "-w", "-S", "FORWARD").splitlines()]
        targets = [words[words.index("-j") + 1] for words in rules if "-j" in words]
        return [target for target in targets if target in {*first, "KUBE-FORWARD"}][:4] == first

    wait_until(ordered, seconds=20, what="Weave Net's rules come first, in their order")


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
        # kube-proxy marks packets that come from outside, and lets through what is marked.
        url = f"http://{cluster.workers[0].address}:{web.node_port('web-node-port')}/"
        outside = [cluster.client.run("curl", "--silent", "--max-time", "1", url).rc == 0 for _attempt in range(10)]
        return sum(answer.strip() == "yes" for answer in tries) + sum(outside)

    everybody = len(web.pods) * (len(web.pods) - 1) + 10
    assert answered() == everybody
    cluster.apply({**REFUSED, "metadata": {"name": "nobody", "namespace": web.namespace}})
    try:
        wait_until(lambda: answered() == 0, seconds=30, what="nobody reaches a pod")
    finally:
        cluster.kubectl("delete", "networkpolicy", "nobody", f"--namespace={web.namespace}")
    wait_until(lambda: answered() == everybody, seconds=30, what="all reach the pods again")


def test_pods_have_the_mtu_of_the_settings(cluster: Cluster, web: Web) -> None:
    wanted = environment(cluster)["WEAVE_MTU"]["value"]
    assert {web.run(pod, "cat", "/sys/class/net/eth0/mtu").strip() for pod in web.pods} == {wanted}


def test_traffic_between_nodes_is_encrypted(cluster: Cluster, worker: Node) -> None:
    said = report(worker)["Router"]
    assert said["Encryption"] is True
    password = environment(cluster)["WEAVE_PASSWORD"]
    # By reference: the manifest has no value.
    assert set(password) == {"name", "valueFrom"}
    assert all(one["Attrs"].get("encrypted") for one in said["Connections"])
    secret = cluster.get("secret", password["valueFrom"]["secretKeyRef"]["name"], "--namespace=kube-system")
    assert (
        base64.b64decode(secret["data"]["password"]).decode() == (cluster.pki / "weave-password").read_text().rstrip()
    )


def test_no_password_is_in_a_command_line(worker: Node) -> None:
    lines = worker.out("ps", "-A", "-o", "args=").splitlines()
    [router] = [line for line in lines if line.startswith("/home/weave/weaver ")]
    assert "password" not in router.lower()


@pytest.mark.parametrize("port", [6781, 6782, 6784])
def test_its_own_pages_are_for_the_host_alone(cluster: Cluster, worker: Node, port: int) -> None:
    assert worker.run("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}").rc == 0
    assert cluster.client.run("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{worker.address}/{port}").rc != 0
