# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections and their source addresses, for every pod network and mode of kube-proxy."""

from __future__ import annotations

import itertools
import json
import re
import typing as t

from support import wait_until
from web import HOST_PORT

if t.TYPE_CHECKING:
    from support import Cluster, Node
    from web import Web


def _curl(node: Node, address: str, port: int) -> str:
    return node.out("curl", "--silent", "--show-error", "--max-time", "5", f"http://{address}:{port}/")


def test_pods_reach_each_other_under_their_own_addresses(cluster: Cluster, web: Web) -> None:
    assert len(cluster.workers) > 1, "without a second worker nothing crosses from node to node"
    for asker, asked in itertools.permutations(web.pods, 2):
        assert web.ask(asker, f"http://{asked.address}/") == f"{asked.name} {asker.address}\n"


def test_packets_as_large_as_the_mtu_cross_whole(cluster: Cluster, web: Web, pod_network: str) -> None:
    workers = {worker.name: worker for worker in cluster.workers}
    for asker, asked in itertools.permutations(web.pods, 2):
        worker = workers[asker.worker]
        mtu = int(web.run(asker, "cat", "/sys/class/net/eth0/mtu"))
        process = worker.out("crictl", "inspect", "--output=go-template", "--template={{.info.pid}}", asker.container)
        # Not to be fragmented; 28 bytes are headers.
        ping = ("ping", "-M", "do", "-c", "3", "-i", "0.2", "-W", "2", "-s", str(mtu - 28), asked.address)
        assert ", 0% packet loss" in worker.out("nsenter", f"--target={process.strip()}", "--net", *ping)


def test_the_mtu_is_what_was_asked_for_or_fits_the_hosts(cluster: Cluster, web: Web, pod_network: str) -> None:
    for worker, pod in zip(cluster.workers, web.pods, strict=True):
        interface = worker.interface(cluster.controllers[0].address)
        hosts = int(worker.out("cat", f"/sys/class/net/{interface}/mtu"))
        pods = int(web.run(pod, "cat", "/sys/class/net/eth0/mtu"))
        configured = json.loads(worker.out("cat", f"/etc/cni/net.d/10-{pod_network}.conflist"))["plugins"][0].get("mtu")
        if configured is not None:
            assert pods == configured
        # An encapsulation takes its part of each packet.
        wraps = worker.run("test", "-e", "/sys/class/net/flannel.1").rc == 0
        assert pods <= hosts - (50 if wraps else 0)


def test_a_pod_reaches_itself_through_its_service(web: Web) -> None:
    address = web.service("alone")["clusterIP"]
    for _attempt in range(3):
        assert web.ask(web.alone, f"http://{address}/").split()[0] == web.alone.name


def test_a_service_spreads_over_all_its_pods(web: Web) -> None:
    for asker in web.pods:
        answered = {web.ask(asker, "http://web/").split()[0] for _attempt in range(20)}
        assert answered == {pod.name for pod in web.pods}


def test_every_server_of_the_cluster_dns_answers_every_node(cluster: Cluster, web: Web) -> None:
    name = f"alone.{web.namespace}.svc.{cluster.domain}"
    address = web.service("alone")["clusterIP"]
    servers = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    assert servers
    for asker in web.pods:
        for server in servers:
            answer = web.run(asker, "nslookup", name, server["status"]["podIP"])
            assert re.search(rf"Name:\s+{re.escape(name)}\s+Address(?: 1)?:\s+{re.escape(address)}\b", answer)


def test_a_headless_service_is_its_pods(cluster: Cluster, web: Web) -> None:
    name = f"web-headless.{web.namespace}.svc.{cluster.domain}"
    for asker in web.pods:
        found = web.run(asker, "nslookup", name)
        assert set(re.findall(r"Address(?: \d+)?:\s+([0-9.]+)", found.partition("Name:")[2])) == {
            pod.address for pod in web.pods
        }


def test_a_node_port_is_reached_on_every_worker(cluster: Cluster, web: Web, worker: Node) -> None:
    port = web.node_port("web-node-port")
    answered = {_curl(cluster.client, worker.address, port).split()[0] for _attempt in range(20)}
    assert answered == {pod.name for pod in web.pods}


def test_a_local_node_port_keeps_the_address_of_who_asks(cluster: Cluster, web: Web) -> None:
    port = web.node_port("web-local")
    for worker, pod in zip(cluster.workers, web.pods, strict=True):
        assert _curl(cluster.client, worker.address, port) == f"{pod.name} {cluster.client.address}\n"


def test_a_host_port_leads_to_the_host_s_own_pod(cluster: Cluster, web: Web) -> None:
    for worker, pod in zip(cluster.workers, web.pods, strict=True):
        assert _curl(cluster.client, worker.address, HOST_PORT).split()[0] == pod.name


def test_pods_reach_hosts_that_know_no_pod_network(cluster: Cluster, web: Web) -> None:
    # The load balancer has no route to pods: it answers their node.
    for pod in web.pods:
        for balancer in cluster.groups["lb"] or [cluster.client]:
            assert f"{balancer.address} is alive!" in web.run(
                pod, "sh", "-c", f"ping -c 1 -W 5 {balancer.address} >/dev/null && echo {balancer.address} is alive!"
            )


def test_a_controller_reaches_pods(web: Web, controller: Node) -> None:
    for pod in web.pods:
        assert _curl(controller, pod.address, 80).startswith(f"{pod.name} ")


def test_kube_proxy_has_the_rules_of_its_mode_alone(cluster: Cluster, web: Web, worker: Node) -> None:
    mode = worker.out("curl", "--silent", "--max-time", "5", "http://127.0.0.1:10249/proxyMode")
    assert mode in ("iptables", "nftables")
    address = web.service("web")["clusterIP"]

    def ruled() -> bool:
        # kube-proxy rewrites the chains that also have rules of other programs.
        older = worker.out("iptables-save", "--table=nat")
        newer = worker.run("nft", "list", "table", "ip", "kube-proxy").stdout
        kept, gone = (older, newer) if mode == "iptables" else (newer, older)
        return address in kept and address not in gone and "KUBE-SVC" not in gone

    wait_until(ruled, seconds=20, what=f"rules of the mode {mode} and no others")
