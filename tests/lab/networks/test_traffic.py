# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections and their source addresses, for every pod network, mode of kube-proxy and address family."""

from __future__ import annotations

import itertools
import json
import typing as t

from support import in_url, of_family, wait_until
from web import HOST_PORT

if t.TYPE_CHECKING:
    from support import Cluster, Node
    from web import Web


def _curl(node: Node, address: str, port: int) -> str:
    return node.out("curl", "--silent", "--show-error", "--max-time", "5", f"http://{in_url(address)}:{port}/")


def test_pods_reach_each_other_under_their_own_addresses(cluster: Cluster, web: Web, family: str) -> None:
    assert len(cluster.workers) > 1, "without a second worker nothing crosses from node to node"
    for asker, asked in itertools.permutations(web.pods, 2):
        assert web.ask(asker, asked.of(family)) == f"{asked.name} {asker.of(family)}\n"


def test_packets_as_large_as_the_mtu_cross_whole(cluster: Cluster, web: Web, family: str) -> None:
    # Of IPv4 or IPv6, and of ICMP.
    headers = 28 if family == "IPv4" else 48
    workers = {worker.name: worker for worker in cluster.workers}
    for asker, asked in itertools.permutations(web.pods, 2):
        worker = workers[asker.worker]
        mtu = int(web.run(asker, "cat", "/sys/class/net/eth0/mtu"))
        process = worker.out("crictl", "inspect", "--output=go-template", "--template={{.info.pid}}", asker.container)
        # Not to be fragmented.
        ping = ("ping", "-M", "do", "-c", "3", "-i", "0.2", "-W", "2", "-s", str(mtu - headers), asked.of(family))
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
        taken = {"flannel.1": 50, "flannel-v6.1": 70}
        wraps = [taken[name] for name in taken if worker.run("test", "-e", f"/sys/class/net/{name}").rc == 0]
        assert pods <= hosts - max(wraps, default=0)


def test_a_pod_reaches_itself_through_its_service(web: Web, family: str) -> None:
    address = web.cluster_ip("alone", family)
    for _attempt in range(3):
        assert web.ask(web.alone, address).split()[0] == web.alone.name


def test_a_service_spreads_over_all_its_pods(web: Web) -> None:
    for asker in web.pods:
        answered = {web.ask(asker, "web").split()[0] for _attempt in range(20)}
        assert answered == {pod.name for pod in web.pods}


def test_every_server_of_the_cluster_dns_answers_every_node(cluster: Cluster, web: Web, family: str) -> None:
    name = f"alone.{web.namespace}.svc.{cluster.domain}"
    addresses = set(web.service("alone")["clusterIPs"])
    servers = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    assert servers
    for asker in web.pods:
        for server in servers:
            listens = of_family([one["ip"] for one in server["status"]["podIPs"]], family)
            assert web.found(asker, name, listens) == addresses


def test_a_headless_service_is_its_pods(cluster: Cluster, web: Web) -> None:
    name = f"web-headless.{web.namespace}.svc.{cluster.domain}"
    for asker in web.pods:
        assert web.found(asker, name) == {address for pod in web.pods for address in pod.addresses}


def test_a_node_port_is_reached_on_every_worker(cluster: Cluster, web: Web, worker: Node, family: str) -> None:
    port = web.node_port("web-node-port")
    answered = {_curl(cluster.client, worker.of(family), port).split()[0] for _attempt in range(20)}
    assert answered == {pod.name for pod in web.pods}


def test_a_local_node_port_keeps_the_address_of_who_asks(cluster: Cluster, web: Web, family: str) -> None:
    port = web.node_port("web-local")
    for worker, pod in zip(cluster.workers, web.pods, strict=True):
        assert _curl(cluster.client, worker.of(family), port) == f"{pod.name} {cluster.client.of(family)}\n"


def test_a_host_port_leads_to_the_host_s_own_pod(cluster: Cluster, web: Web, family: str) -> None:
    for worker, pod in zip(cluster.workers, web.pods, strict=True):
        assert _curl(cluster.client, worker.of(family), HOST_PORT).split()[0] == pod.name


def test_pods_reach_hosts_that_know_no_pod_network(cluster: Cluster, web: Web, family: str) -> None:
    # The load balancer has no route to pods: it answers their node.
    for pod in web.pods:
        for balancer in cluster.groups["lb"] or [cluster.client]:
            address = balancer.of(family)
            assert f"{address} is alive!" in web.run(
                pod, "sh", "-c", f"ping -c 1 -W 5 {address} >/dev/null && echo {address} is alive!"
            )


def test_a_controller_reaches_pods(web: Web, controller: Node, family: str) -> None:
    for pod in web.pods:
        assert _curl(controller, pod.of(family), 80).startswith(f"{pod.name} ")


def test_kube_proxy_has_the_rules_of_its_mode_alone(web: Web, worker: Node, family: str) -> None:
    mode = worker.out("curl", "--silent", "--max-time", "5", "http://127.0.0.1:10249/proxyMode")
    assert mode in ("iptables", "nftables")
    address = web.cluster_ip("web", family)
    save, table = {"IPv4": ("iptables-save", "ip"), "IPv6": ("ip6tables-save", "ip6")}[family]

    def ruled() -> bool:
        # kube-proxy rewrites the chains that also have rules of other programs.
        older = worker.out(save, "--table=nat")
        newer = worker.run("nft", "list", "table", table, "kube-proxy").stdout
        kept, gone = (older, newer) if mode == "iptables" else (newer, older)
        return address in kept and address not in gone and "KUBE-SVC" not in gone

    wait_until(ruled, seconds=20, what=f"rules of the mode {mode} and no others")
