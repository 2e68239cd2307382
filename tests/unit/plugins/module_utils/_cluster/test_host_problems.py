# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that two want, what other tools leave on a host, and IPv6: each gives its sentence."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    computed,
    empty,
    running,
)


def problems(readings=None, **options):
    return computed(readings or empty(), **options)["plan"]["problems"]


def on(host, **changes):
    """Return problems of the article's hosts where the reading of one differs."""
    found = empty()
    found[host] |= changes
    return problems(found)


@pytest.mark.parametrize(
    ("host", "ports", "taken"),
    [
        ("ctl01", [6443, 443], {6443: "kube-apiserver"}),
        ("ctl01", [8443, 80], {80: "the health proxy"}),
        ("ctl01", [8443], {}),
        ("ctl01", ["2379"], {2379: "etcd"}),
        ("wrk01", [6443, 10250], {10250: "the kubelet"}),
        ("wrk01", [6443, 443], {}),
    ],
)
def test_a_load_balancer_beside_another_component(host, ports, taken):
    assert problems(parts={"load_balancers": [host]}, lb_ports=ports) == [
        f"{host}: the load balancer (lb_ports) and {component} would both listen on port {port}; give the "
        "load balancer a host of its own, or other ports in lb_ports together with cluster_api_server"
        for port, component in taken.items()
    ]


@pytest.mark.parametrize(
    ("host", "port", "owner", "component"),
    [
        ("ctl01", "6443", "k3s.service", "kube-apiserver"),
        ("ctl01", "80", "apache2.service", "the health proxy"),
        ("ctl01", "2380", "cri-containerd-1f.scope", "etcd"),
        ("wrk01", "10250", "k3s-agent.service", "the kubelet"),
        ("kubelb", "443", "haproxy.service", "the load balancer"),
        ("wrk01", "10256", "kube-proxy", "kube-proxy"),
    ],
)
def test_a_port_that_another_program_has(host, port, owner, component):
    assert on(host, listeners={"22": "ssh.service", port: owner}) == [
        f"{host}: port {port}, on which {component} listens, is taken by {owner}; stop and disable that, or give the "
        "cluster another host"
    ]


@pytest.mark.parametrize(("host", "port"), [("wrk01", "6443"), ("client", "80"), ("ctl01", "10250")])
def test_a_port_that_this_host_does_not_need(host, port):
    assert on(host, listeners={port: "other.service"}) == []


def test_ports_of_a_cluster_that_runs_are_its_own():
    assert problems(running()) == []


@pytest.mark.parametrize("host", ADDRESSES)
def test_left_overs_of_another_tool(host):
    found = on(host, left_overs=["/etc/kubernetes/admin.conf", "/var/lib/rancher"])
    if host in ("kubelb", "client"):
        assert found == []
        return
    (problem,) = found
    assert problem.startswith(
        f"{host}: has /etc/kubernetes/admin.conf, /var/lib/rancher of another cluster or its tool;"
    )


def test_a_file_that_was_added_to_a_host_of_the_cluster():
    found = running()
    found["ctl01"]["left_overs"] = ["/etc/kubernetes/admin.conf"]
    assert problems(found) == []


def test_each_address_of_a_host_is_on_one_of_its_interfaces():
    found = problems(hosts={"wrk01": {"node_address": "10.0.0.14,fd00::14"}})
    assert found == ["wrk01: node_address fd00::14 is on none of its interfaces; it has 127.0.0.1, 10.0.0.14"]
