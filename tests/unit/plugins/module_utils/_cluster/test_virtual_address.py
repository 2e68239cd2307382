# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address that load balancers share: where it is used, what is refused, and how a running cluster gets another."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    computed,
    empty,
    reading,
    running,
)

VIP = "10.0.0.100"
LB02 = {"lb02": {"node_address": "10.0.0.18"}}
BALANCERS = {"kubelb": "10.0.0.13", "lb02": "10.0.0.18"}
TWO = {"load_balancers": list(BALANCERS)}
OURS = {"addresses": [VIP], "foreign": False}


def networks(address, length=24):
    return {
        "127.0.0.1": {"interface": "lo", "prefix_length": 8},
        address: {"interface": "eth1", "prefix_length": length},
    }


def hosts(found=None, length=24, **changes):
    """Return readings of the six hosts and a second load balancer, with what the load balancers have beside."""
    found = {**(found or empty()), "lb02": reading(hostname="lb02")}
    for host, address in BALANCERS.items():
        found[host] |= {"addresses": ["127.0.0.1", address], "networks": networks(address, length), **changes}
    return found


def living(api_server, **changes):
    """Return readings of a running cluster whose load balancers have the address and whose kubelets use a URL."""
    found = hosts(running(), keepalived=OURS, **changes)
    found["kubelb"]["addresses"] = [*found["kubelb"]["addresses"], VIP]
    for host in ("wrk01", "wrk02"):
        found[host]["identity"]["api_server"] = api_server
    return found


def cluster(readings=None, parts=None, own=None, address=VIP, **everywhere):
    mine = {
        "lb02": {**LB02["lb02"], **(own or {}).get("lb02", {})},
        **{k: v for k, v in (own or {}).items() if k != "lb02"},
    }
    return computed(readings or hosts(), hosts=mine, parts=parts or TWO, lb_virtual_address=address, **everywhere)


def problems(*arguments, **options):
    return cluster(*arguments, **options)["plan"]["problems"]


def said(found):
    return [warning for warning in found["plan"]["warnings"] if "group 'lb'" in warning]


def test_nodes_and_clients_use_it():
    found = cluster()
    assert found["plan"]["problems"] == []
    assert said(found) == []
    assert found["spec"]["api"]["server"] == f"https://{VIP}:6443"
    assert found["spec"]["api"]["balanced"] is True
    servers = {one["path"]: one["server"] for one in found["spec"]["kubeconfigs"]}
    assert servers["wrk01.kubeconfig"] == servers["remote-admin.kubeconfig"] == f"https://{VIP}:6443"
    certificate = next(one for one in found["spec"]["certificates"]["certificates"] if one["name"] == "kubernetes")
    assert {VIP, *BALANCERS, *BALANCERS.values()} <= set(certificate["hosts"])
    assert found["spec"]["api"]["virtual"] == {
        "address": VIP,
        "router_id": int.from_bytes(bytes([10, 0, 0, 100]), "big") % 255 + 1,
        "interfaces": {"kubelb": "eth1", "lb02": "eth1"},
    }


def test_it_is_reached_without_a_proxy():
    found = cluster(cluster_http_proxy="http://proxy.example.com:3128")
    assert VIP in found["spec"]["proxy"]["no_proxy"].split(",")


def test_a_name_of_the_user_goes_before_it():
    found = cluster(cluster_api_server="https://api.example.com:6443")
    assert found["plan"]["problems"] == []
    assert found["spec"]["api"]["server"] == "https://api.example.com:6443"
    assert {VIP, "api.example.com"} <= set(found["spec"]["api"]["names"])


def test_it_may_be_set_for_the_load_balancers_alone():
    own = {host: {"lb_virtual_address": VIP} for host in BALANCERS}
    found = cluster(address="", own=own)
    assert found["plan"]["problems"] == []
    assert found["spec"]["api"]["server"] == f"https://{VIP}:6443"


def test_a_part_of_the_hosts_in_the_run():
    """The worker alone: nothing is known of the load balancers' interfaces, and nothing is done there."""
    found = cluster({"wrk01": hosts()["wrk01"]})
    assert found["plan"]["problems"] == []
    assert found["spec"]["api"]["virtual"]["interfaces"] == {}
    assert found["spec"]["api"]["server"] == f"https://{VIP}:6443"


def test_ports_are_tried_on_every_load_balancer():
    """The address itself is on no host yet when a cluster is new."""
    tried = {
        probe["address"] for probe in cluster()["plan"]["probes"]["wrk01"] if "nodes and clients" in probe["words"]
    }
    assert tried == set(BALANCERS.values())
    tried = {probe["address"] for probe in cluster(address="")["plan"]["probes"]["wrk01"] if probe["port"] == 6443}
    assert tried == {BALANCERS["kubelb"]}


def test_without_it():
    found = cluster(address="")
    assert found["plan"]["problems"] == []
    assert found["spec"]["api"]["virtual"] == {"address": "", "router_id": 0, "interfaces": {}}
    assert found["spec"]["api"]["server"] == f"https://{BALANCERS['kubelb']}:6443"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("api.example.com", ["'api.example.com' is not an IP address; allowed: a free address of the hosts' network"]),
        ("10.0.0.100/24", ["'10.0.0.100/24' is not an IP address; allowed: a free address of the hosts' network"]),
        ("10.0.0.14", ["10.0.0.14 is the node_address of wrk01; give an address that no host has"]),
        ("10.0.0.13", ["10.0.0.13 is the node_address of kubelb; give an address that no host has"]),
        (
            "10.0.0.255",
            [
                f"10.0.0.255 is the first or last address of 10.0.0.0/24, the network of {host} (node_address {own} on "
                "eth1); give a free one between them"
                for host, own in BALANCERS.items()
            ],
        ),
        (
            "10.0.1.100",
            [
                f"10.0.1.100 is outside 10.0.0.0/24, the network of {host} (node_address {own} on eth1); give a free "
                "address of that network, or leave the setting empty and name an external load balancer in "
                "cluster_api_server"
                for host, own in BALANCERS.items()
            ],
        ),
    ],
)
def test_an_address_that_cannot_be_it(address, expected):
    assert problems(address=address) == [f"lb_virtual_address: {text}" for text in expected]


def test_a_network_is_what_the_host_says():
    assert problems(hosts(length=16), address="10.0.1.100") == []
    assert any("is outside 10.0.0.0/28" in text for text in problems(hosts(length=28)))


def test_an_address_of_another_family_than_the_load_balancers():
    assert problems(address="fd00::100") == [
        "lb_virtual_address: fd00::100 is IPv6, and the first address of kubelb, lb02 is IPv4; keepalived moves an "
        "address of the same family alone: give one of their primary network"
    ]


@pytest.mark.parametrize("setting", ["cluster_pod_cidr", "cluster_service_cidr"])
def test_an_address_of_pods_or_services(setting):
    address = {"cluster_pod_cidr": "10.200.0.9", "cluster_service_cidr": "10.32.0.9"}[setting]
    network = {"cluster_pod_cidr": "10.200.0.0/16", "cluster_service_cidr": "10.32.0.0/24"}[setting]
    wrong = f"lb_virtual_address: {address} lies in {setting} {network}; give an address of the hosts' network"
    assert problems(address=address)[0] == wrong


@pytest.mark.parametrize(
    ("host", "keepalived", "taken"),
    [
        ("kubelb", OURS, False),
        ("kubelb", {"addresses": [], "foreign": False}, True),
        ("wrk01", {"addresses": [], "foreign": False}, True),
    ],
)
def test_an_address_that_a_host_has_already(host, keepalived, taken):
    found = hosts()
    found[host] |= {"addresses": [*found[host]["addresses"], VIP], "keepalived": keepalived}
    wrong = (
        f"lb_virtual_address: {host} already has {VIP}, and keepalived of the role lb did not give it the address; "
        "take it off that host, or give an address that no host has"
    )
    assert problems(found) == ([wrong] if taken else [])


def test_another_configuration_of_keepalived():
    wrong = "/etc/keepalived/keepalived.conf is not of the role lb, which would replace it; stop keepalived and move"
    found = problems(hosts(keepalived={"addresses": [], "foreign": True}))
    assert [text.startswith(f"{host}: {wrong}") for host, text in zip(BALANCERS, found, strict=True)] == [True, True]
    assert problems(hosts(keepalived={"addresses": [], "foreign": True}), address="") == []


def test_load_balancers_that_differ():
    assert problems(own={"lb02": {"lb_virtual_address": "10.0.0.101"}}) == [
        f"lb02: lb_virtual_address is '10.0.0.101', kubelb has '{VIP}'; load balancers share one address: set it once, "
        "in group_vars/all or group_vars/lb"
    ]


def test_no_load_balancer():
    assert problems(parts={"load_balancers": []}) == [
        f"lb_virtual_address is {VIP}, and group 'lb' has no host that could have it; add two hosts to the group, or "
        "leave the setting empty"
    ]


def test_one_load_balancer():
    found = cluster(parts={"load_balancers": ["kubelb"]})
    assert found["plan"]["problems"] == []
    assert said(found) == [
        f"lb_virtual_address: {VIP} has one load balancer, kubelb, and fails with it; add a second host to group 'lb', "
        "which takes the address over then"
    ]


def test_two_load_balancers_of_which_one_is_used():
    start = "group 'lb' has 2 hosts, and nodes and clients use"
    end = "without that host they do not reach the API"
    one = f"https://{BALANCERS['lb02']}:6443"
    assert said(cluster(address="")) == [f"{start} kubelb alone: {end}; set lb_virtual_address"]
    assert said(cluster(cluster_api_server=one)) == [
        f"{start} cluster_api_server {one}: {end}; take cluster_api_server out"
    ]
    assert said(cluster(address="", cluster_api_server="https://api.example.com:6443")) == []


@pytest.mark.parametrize("wanted", ["", "10.0.0.101"])
def test_an_address_that_nodes_use_is_not_taken_away(wanted):
    named = wanted or "10.0.0.13"
    assert problems(living(f"https://{VIP}:6443"), address=wanted) == [
        f"lb_virtual_address: kubelb, lb02 would give up {VIP}, at which wrk01, wrk02 still reach the API. First set "
        f"cluster_api_server to https://10.0.0.13:6443, set lb_virtual_address back to {VIP}, and run site.yml; then "
        "set lb_virtual_address to what it is to be, take cluster_api_server out, and run it again"
    ]
    # The first step of the message, and the second.
    first = cluster(living(f"https://{VIP}:6443"), cluster_api_server="https://10.0.0.13:6443")
    assert first["plan"]["problems"] == []
    assert {VIP, "10.0.0.13"} <= set(first["spec"]["api"]["names"])
    second = cluster(living("https://10.0.0.13:6443"), address=wanted)
    assert second["plan"]["problems"] == []
    assert second["spec"]["api"]["server"] == f"https://{named}:6443"
    assert "10.0.0.13" in second["spec"]["api"]["names"]


def test_a_finished_cluster_keeps_its_address():
    assert problems(living(f"https://{VIP}:6443")) == []


def test_the_only_load_balancer_gets_another_address():
    """Nodes keep their connection as long as the certificate has the old address too."""
    readings = running()
    readings["kubelb"]["addresses"] = [ADDRESSES["kubelb"], "10.0.0.23"]
    hosts = {"kubelb": {"node_address": "10.0.0.23"}}
    found = computed(readings, hosts=hosts, ca_extra_sans=[ADDRESSES["kubelb"]])
    assert found["plan"]["problems"] == []
    assert found["spec"]["api"]["server"] == "https://10.0.0.23:6443"
    assert {ADDRESSES["kubelb"], "10.0.0.23"} <= set(found["spec"]["api"]["names"])


def test_an_external_load_balancer():
    """Nodes and clients use it; the controllers are behind it, and the certificate has its name."""
    found = computed(running(), parts={"load_balancers": []}, cluster_api_server="https://api.example.com:8443")
    assert found["plan"]["problems"] == []
    assert said(found) == []
    assert found["spec"]["api"]["balanced"] is True
    assert "api.example.com" in found["spec"]["api"]["names"]
    servers = {one["path"]: one["server"] for one in found["spec"]["kubeconfigs"]}
    assert servers["wrk01.kubeconfig"] == servers["remote-admin.kubeconfig"] == "https://api.example.com:8443"
    tried = [probe for probes in found["plan"]["probes"].values() for probe in probes]
    assert not [probe for probe in tried if "nodes and clients" in probe["words"]]


@pytest.mark.parametrize("server", ["", f"https://{ADDRESSES['ctl02']}:6443", "https://ctl02:6443"])
def test_one_of_several_controllers_is_reached_directly(server):
    found = computed(running(), parts={"load_balancers": []}, cluster_api_server=server)
    assert found["plan"]["problems"] == []
    assert found["spec"]["api"]["balanced"] is False
    assert said(found) == [
        f"group 'lb' is empty: nodes and clients use {server or 'ctl01'} alone of 2 API servers; add a host to the "
        "group, or name an external load balancer in cluster_api_server"
    ]


def test_the_only_controller_is_reached_directly():
    one = {"controllers": ["ctl01"], "etcd": ["ctl01"], "load_balancers": []}
    found = computed(empty(), parts=one)
    assert found["plan"]["problems"] == []
    assert said(found) == []
    assert found["spec"]["api"]["server"] == f"https://{ADDRESSES['ctl01']}:6443"
