# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of pods, nodes and Services in each address family, and what two families are for."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from support import family as family_of
from support import wait_until
from web import service

if t.TYPE_CHECKING:
    from support import Cluster
    from web import Web

SYSTEM = "--namespace=kube-system"


def _within(addresses: t.Sequence[str], networks: t.Sequence[str]) -> bool:
    """Return whether each address lies in the network of its place."""
    return all(
        ipaddress.ip_address(address) in ipaddress.ip_network(network)
        for address, network in zip(addresses, networks, strict=True)
    )


def test_pods_have_an_address_of_each_family(cluster: Cluster, web: Web, pod_network: str) -> None:
    for pod in web.pods:
        assert _within(pod.addresses, cluster.pod_cidrs)
        # Weave Net gives addresses of the whole network to any node.
        if pod_network != "weave":
            assert _within(pod.addresses, cluster.get("node", pod.worker)["spec"]["podCIDRs"])


def test_pods_know_the_addresses_of_their_host(cluster: Cluster, web: Web) -> None:
    workers = {worker.name: worker for worker in cluster.workers}
    for pod in web.pods:
        status = cluster.get("pod", pod.name, f"--namespace={web.namespace}")["status"]
        addresses = workers[pod.worker].addresses
        assert [one["ip"] for one in status["hostIPs"]] == list(addresses)


def test_services_have_an_address_of_each_family(cluster: Cluster, web: Web) -> None:
    spec = web.service("web")
    assert _within(spec["clusterIPs"], cluster.service_cidrs)
    assert spec["clusterIP"] == spec["clusterIPs"][0]


def test_the_service_of_the_api_has_the_primary_family(cluster: Cluster) -> None:
    spec = cluster.get("service", "kubernetes", "--namespace=default")["spec"]
    assert spec["clusterIPs"] == [str(ipaddress.ip_network(cluster.service_cidrs[0])[1])]


def test_the_cluster_dns_answers_at_each_of_its_addresses(cluster: Cluster, web: Web) -> None:
    assert cluster.get("service", "kube-dns", SYSTEM)["spec"]["clusterIPs"] == list(cluster.dns_addresses)
    name = f"web.{web.namespace}.svc.{cluster.domain}"
    for pod in web.pods:
        resolvers = web.run(pod, "cat", "/etc/resolv.conf").splitlines()
        assert [line.split()[1] for line in resolvers if line.startswith("nameserver")] == list(cluster.dns_addresses)
        for address in cluster.dns_addresses:
            assert web.found(pod, name, address) == set(web.service("web")["clusterIPs"])


@pytest.mark.usefixtures("only_two_families")
def test_a_service_spreads_over_all_its_pods_under_each_address(web: Web, family: str) -> None:
    address = web.cluster_ip("web", family)
    for asker in web.pods:
        answered = {web.ask(asker, address).split()[0] for _attempt in range(20)}
        assert answered == {pod.name for pod in web.pods}


@pytest.mark.usefixtures("only_two_families")
def test_a_service_of_one_family_has_that_one_alone(cluster: Cluster, web: Web, family: str) -> None:
    name = f"only-{family.lower()}"
    made = service(name, "web", ipFamilyPolicy="SingleStack", ipFamilies=[family])
    made["metadata"]["namespace"] = web.namespace
    cluster.apply(made)
    try:
        [address] = web.service(name)["clusterIPs"]
        assert family_of(address) == family
        full = f"{name}.{web.namespace}.svc.{cluster.domain}"
        # Its name leads to it: the resolver asks for both families.
        wait_until(lambda: web.found(web.pods[0], full) == {address}, seconds=30, what=f"{full} has one address")
        for pod in web.pods:
            _name, asked_by = web.ask(pod, full).split()
            assert family_of(asked_by) == family
    finally:
        cluster.kubectl("delete", "service", name, f"--namespace={web.namespace}")


@pytest.mark.usefixtures("only_two_families")
def test_an_object_without_a_policy_has_the_primary_family(cluster: Cluster, web: Web) -> None:
    made = service("plain", "web")
    del made["spec"]["ipFamilyPolicy"]
    made["metadata"]["namespace"] = web.namespace
    cluster.apply(made)
    try:
        spec = web.service("plain")
        assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("SingleStack", [cluster.families[0]])
    finally:
        cluster.kubectl("delete", "service", "plain", f"--namespace={web.namespace}")
