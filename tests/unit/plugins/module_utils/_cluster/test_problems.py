# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight: every bad input gives its sentence, nothing else, and all of them at once."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import problems as _preflight
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import topology as _plan

HOSTS = {
    "ctl01": "10.0.0.11",
    "ctl02": "10.0.0.12",
    "kubelb": "10.0.0.13",
    "wrk01": "10.0.0.14",
    "wrk02": "10.0.0.15",
    "client": "10.0.0.16",
}
GROUPS = {
    "controllers": ["ctl01", "ctl02"],
    "etcd": ["ctl01", "ctl02"],
    "load_balancers": ["kubelb"],
    "workers": ["wrk01", "wrk02"],
    "clients": ["client"],
}
SETTINGS = {
    "pod_cidr": "10.200.0.0/16",
    "service_cidr": "10.32.0.0/24",
    "dns_address": "10.32.0.10",
    "node_prefix_length": 24,
    "release": "1.37",
    "releases": ["1.37", "1.36", "1.35"],
    "pod_network": "bridge",
    "pod_networks": ["bridge", "flannel", "weave", "none"],
    "kube_proxy_mode": "iptables",
    "dns_upstreams": ["/etc/resolv.conf"],
    "dns_zones": {},
    "dns_hosts": {},
    "memory_mib": 900,
    "free_mib": 1500,
    "etcd_free_mib": 256,
    "clock_seconds": 5,
    "systems": ["debian 12", "ubuntu 24.04"],
    "architectures": ["amd64", "arm64"],
    "existing": {
        "cluster_pod_cidr": "10.200.0.0/16",
        "cluster_service_cidr": "10.32.0.0/24",
        "cluster_name": "thw",
    },
}
FACTS = {
    "architecture": "amd64",
    "distribution": "debian",
    "distribution_version": "12",
    "service_manager": "systemd",
    "memory_mib": 2000,
    "free_mib": {"/usr/local": 9000, "/var/lib": 9000},
    "clock_offset_seconds": {"least": -0.3, "most": 0.5},
    "addresses": [],
    "cluster": {},
    "cni_configurations": [],
    "etcd": {"data": None, "free_mib": {"/var/lib/etcd": 9000}, "members": [], "started_with": []},
}


def plan(*, addresses=None, **groups):
    found = {**HOSTS, **(addresses or {})}
    return _plan.topology({host: {"node_address": address} for host, address in found.items()}, {**GROUPS, **groups})


def cluster(settings=None, **changes):
    return _preflight.cluster_problems(plan(**changes), {**SETTINGS, **(settings or {})})


def hosts(settings=None, **changes):
    """Problems of hosts whose facts differ from good ones, by host; None is a host that does not answer."""
    facts = {host: copy.deepcopy(FACTS) for host in HOSTS}
    for host, change in changes.items():
        facts[host] = change if change is None else {**facts[host], **change}
    return _preflight.host_problems(plan(), facts, {**SETTINGS, **(settings or {})})


def test_the_articles_inventory_is_fine():
    assert cluster() == []
    assert hosts() == []


# --- groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "purpose"), [("controllers", "API servers"), ("etcd", "etcd members"), ("workers", "nodes")]
)
def test_no_host_in_a_needed_group(group, purpose):
    assert cluster(**{group: []}) == [f"group '{group}' has no host; it needs at least one ({purpose} run there)"]


@pytest.mark.parametrize("group", ["load_balancers", "clients"])
def test_groups_that_may_be_empty(group):
    assert cluster(**{group: []}) == []


# --- names and addresses --------------------------------------------------------------------------


@pytest.mark.parametrize("address", [None, ""])
def test_a_host_without_address(address):
    assert cluster(addresses={"wrk01": address}) == [
        "wrk01: has no address; set node_address to the IP address other hosts reach it at"
    ]


@pytest.mark.parametrize("address", ["wrk01.example.com", "10.0.0", "10.0.0.14/24", "300.0.0.1"])
def test_an_address_that_is_none(address):
    assert cluster(addresses={"wrk01": address}) == [f"wrk01: node_address '{address}' is no IP address"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "0.0.0.0", "224.0.0.1", "::1"])
def test_an_address_that_nobody_else_reaches(address):
    assert cluster(addresses={"wrk01": address}) == [
        f"wrk01: node_address {address} cannot be reached by other hosts; give its own address"
    ]


def test_two_hosts_with_one_address():
    assert cluster(addresses={"wrk02": "10.0.0.14"}) == [
        "wrk01 and wrk02: have the same node_address 10.0.0.14; each host needs its own"
    ]


def test_three_hosts_with_one_address_written_differently():
    addresses = {"wrk01": "fd00::1", "wrk02": "fd00:0::1", "client": "FD00::0001"}
    assert cluster(addresses=addresses) == [
        "wrk01 and wrk02 and client: have the same node_address fd00::1; each host needs its own"
    ]


@pytest.mark.parametrize("name", ["WRK01", "wrk_01", "-wrk", "wrk-", "wrk..1", ".wrk", "wrk 1", "w" * 64, "wrk01\n"])
def test_a_name_that_is_no_node_name(name):
    addresses = {name: "10.0.0.99"}
    (problem,) = cluster(addresses=addresses, workers=["wrk01", name])
    assert problem.startswith(f"{name}: the inventory name is used as node name and must be a DNS name: lower-case")


@pytest.mark.parametrize("name", ["w", "1", "wrk-01", "wrk01.example.com", "w" * 63])
def test_a_name_that_is_a_node_name(name):
    assert cluster(addresses={name: "10.0.0.99"}, workers=[name]) == []


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["10.200.5.0/24", "10.0.0.0/8"])
def test_pod_and_service_networks_overlap(service):
    problems = cluster({"service_cidr": service, "dns_address": service.replace("0/", "10/").split("/")[0]})
    assert f"cluster_pod_cidr 10.200.0.0/16 and cluster_service_cidr {service} overlap; they must be apart" in problems


@pytest.mark.parametrize(
    ("address", "network"),
    [("10.200.7.7", "cluster_pod_cidr 10.200.0.0/16"), ("10.32.0.77", "cluster_service_cidr 10.32.0.0/24")],
)
def test_a_host_inside_one_of_the_networks(address, network):
    assert cluster(addresses={"wrk01": address}) == [
        f"wrk01: node_address {address} lies in {network}; host, pod and service networks must be apart"
    ]


@pytest.mark.parametrize("variable", ["pod_cidr", "service_cidr"])
@pytest.mark.parametrize("value", ["10.200.0.1/16", "10.200.0.0/33", "pods", "", None])
def test_no_network(variable, value):
    (problem,) = cluster({variable: value})
    assert problem.startswith(f"cluster_{variable}: {value!r} is no network (")
    assert problem.endswith("allowed: a CIDR such as 10.200.0.0/16")


@pytest.mark.parametrize("size", [15, 31, 0])
def test_node_networks_that_do_not_fit(size):
    assert cluster({"node_prefix_length": size}) == [
        f"cluster_node_prefix_length: {size} does not fit cluster_pod_cidr 10.200.0.0/16; allowed: 16 to 30"
    ]


def test_more_workers_than_node_networks():
    assert cluster({"pod_cidr": "10.200.0.0/24"}) == [
        "cluster_pod_cidr 10.200.0.0/24 has 1 node networks of /24, and there are 2 workers"
    ]


def test_networks_of_version_6():
    settings = {
        "pod_cidr": "fd00:200::/48",
        "service_cidr": "fd00:32::/112",
        "dns_address": "fd00:32::a",
        "node_prefix_length": 64,
    }
    assert cluster(settings) == []
    assert cluster({**settings, "pod_cidr": "10.200.0.0/16", "node_prefix_length": 24}) == []


# --- DNS address ----------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["10.33.0.10", "10.32.1.10", "fd00::10"])
def test_dns_outside_the_service_network(address):
    assert cluster({"dns_address": address}) == [
        f"cluster_dns_address {address} is outside cluster_service_cidr 10.32.0.0/24"
    ]


@pytest.mark.parametrize("address", ["10.32.0.0", "10.32.0.1"])
def test_dns_address_that_is_taken(address):
    assert cluster({"dns_address": address}) == [
        f"cluster_dns_address {address} is taken (network address, or the API's own Service 10.32.0.1)"
    ]


@pytest.mark.parametrize("address", ["dns", "", None])
def test_dns_address_that_is_none(address):
    assert cluster({"dns_address": address}) == [f"cluster_dns_address: {address!r} is no IP address"]


@pytest.mark.parametrize("prefix", [29, 32])
def test_a_service_network_that_is_too_small(prefix):
    size = 2 ** (32 - prefix)
    assert cluster({"service_cidr": f"10.32.0.0/{prefix}"}) == [
        f"cluster_service_cidr 10.32.0.0/{prefix} has {size} addresses; at least 16 are needed"
    ]


# --- choices --------------------------------------------------------------------------------------


def test_unknown_release():
    assert cluster({"release": "1.18"}) == ["cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35"]


def test_unknown_pod_network():
    assert cluster({"pod_network": "calico"}) == [
        "addons_pod_network: 'calico' is unknown; known: bridge, flannel, weave, none"
    ]


def test_modes_of_kube_proxy():
    assert cluster({"kube_proxy_mode": "nftables"}) == []
    assert cluster({"kube_proxy_mode": "userspace"}) == [
        "worker_kube_proxy_mode: 'userspace' is unknown; known: iptables, nftables"
    ]
    [refused] = cluster({"kube_proxy_mode": "ipvs"})
    assert "deprecated since Kubernetes 1.35" in refused
    assert refused.endswith("take nftables, which was made in its place; allowed: iptables, nftables")


def test_all_problems_at_once():
    problems = cluster(
        {"release": "1.18", "pod_network": "calico", "service_cidr": "10.200.0.0/24", "dns_address": "10.32.0.10"},
        addresses={"wrk01": None, "kubelb": "10.0.0.11"},
        controllers=[],
        workers=["wrk01"],
    )
    assert problems == [
        "group 'controllers' has no host; it needs at least one (API servers run there)",
        "wrk01: has no address; set node_address to the IP address other hosts reach it at",
        "ctl01 and kubelb: have the same node_address 10.0.0.11; each host needs its own",
        "cluster_pod_cidr 10.200.0.0/16 and cluster_service_cidr 10.200.0.0/24 overlap; they must be apart",
        "cluster_dns_address 10.32.0.10 is outside cluster_service_cidr 10.200.0.0/24",
        "cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35",
        "addons_pod_network: 'calico' is unknown; known: bridge, flannel, weave, none",
    ]


# --- warnings -------------------------------------------------------------------------------------


def warnings(members: int, **groups) -> list[str]:
    names = [f"m{number}" for number in range(members)]
    addresses = {name: f"10.0.1.{number}" for number, name in enumerate(names, 1)}
    return _preflight.cluster_warnings(plan(addresses=addresses, etcd=names, **groups), {"pod_network": "weave"})


@pytest.mark.parametrize(
    ("members", "survives", "fewer"), [(2, "0 failures", 1), (4, "1 failure", 3), (6, "2 failures", 5)]
)
def test_an_even_number_of_etcd_members(members, survives, fewer):
    assert warnings(members) == [
        f"etcd has {members} members: that survives {survives}, no more than {fewer} would; 1, 3 or 5 members are usual"
    ]


@pytest.mark.parametrize("members", [0, 1, 3, 5])
def test_an_odd_number_of_etcd_members(members):
    assert warnings(members) == []


def test_several_api_servers_without_a_load_balancer():
    assert warnings(3, load_balancers=[]) == ["group 'lb' is empty: nodes and clients use ctl01 alone of 2 API servers"]
    assert warnings(3, load_balancers=[], controllers=["ctl01"]) == []


@pytest.mark.parametrize(("pod_network", "warned"), [("bridge", 1), ("flannel", 1), ("weave", 0), ("none", 0)])
def test_a_network_that_does_not_enforce_policies(pod_network, warned):
    found = _preflight.cluster_warnings(plan(etcd=["ctl01"]), {"pod_network": pod_network})
    assert (
        found
        == [
            f"addons_pod_network {pod_network} does not enforce NetworkPolicy: the API takes such objects, and every "
            "pod still reaches every other"
        ]
        * warned
    )


# --- hosts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [None, {}])
def test_a_host_that_does_not_answer(facts):
    found = {host: copy.deepcopy(FACTS) for host in HOSTS}
    found["wrk01"] = facts
    assert _preflight.host_problems(plan(), found, SETTINGS) == [
        "wrk01: could not be reached; check its connection variables and that it runs"
    ]


def test_no_host_answers():
    assert len(hosts(**dict.fromkeys(HOSTS))) == len(HOSTS)


def test_too_little_memory():
    assert hosts(wrk01={"memory_mib": 512}) == ["wrk01: has 512 MiB of memory; preflight_memory_mib asks for 900"]
    assert hosts(wrk01={"memory_mib": 900}) == []


def test_too_little_disk():
    assert hosts(wrk01={"free_mib": {"/usr/local": 100, "/var/lib": 1499}}) == [
        "wrk01: has 100 MiB free under /usr/local; preflight_free_mib asks for 1500",
        "wrk01: has 1499 MiB free under /var/lib; preflight_free_mib asks for 1500",
    ]
    assert hosts(wrk01={"free_mib": {"/usr/local": 1500, "/var/lib": 1500}}) == []


@pytest.mark.parametrize(
    ("host", "free", "problems"),
    [
        ("ctl01", 255, ["ctl01: has 255 MiB free under /srv/etcd; preflight_etcd_free_mib asks for 256"]),
        ("ctl01", 256, []),
        ("wrk01", 0, []),
    ],
)
def test_too_little_disk_for_the_data_of_etcd(host, free, problems):
    etcd = {"data": None, "free_mib": {"/srv/etcd": free}, "members": [], "started_with": []}
    assert hosts(**{host: {"etcd": etcd}}) == problems


@pytest.mark.parametrize(
    ("distribution", "version", "found"),
    [("debian", "11", "debian 11"), ("fedora", "40", "fedora 40"), ("", "", "an unknown system")],
)
def test_unsupported_system(distribution, version, found):
    assert hosts(wrk01={"distribution": distribution, "distribution_version": version}) == [
        f"wrk01: runs {found}; supported: debian 12, ubuntu 24.04"
    ]


def test_unsupported_architecture():
    assert hosts(wrk01={"architecture": "riscv64"}) == ["wrk01: is of architecture riscv64; supported: amd64, arm64"]


def test_no_systemd():
    assert hosts(wrk01={"service_manager": "sh"}) == ["wrk01: process 1 is 'sh', systemd is needed"]


@pytest.mark.parametrize(
    ("variable", "made_with"),
    [
        ("cluster_pod_cidr", "10.100.0.0/16"),
        ("cluster_service_cidr", "10.96.0.0/12"),
        ("cluster_name", "other"),
    ],
)
def test_a_change_of_what_an_existing_cluster_keeps(variable, made_with):
    wanted = SETTINGS["existing"][variable]
    assert hosts(ctl01={"cluster": {variable: made_with}}) == [
        f"ctl01: the cluster on it was made with {variable}={made_with}, the inventory says {wanted}; an existing "
        "cluster cannot change it: put the old value back, or build a new cluster"
    ]
    assert hosts(ctl01={"cluster": {variable: wanted}}) == []


def test_a_change_of_the_pod_network():
    made = {"cni_configurations": ["10-bridge.conflist"]}
    assert hosts(wrk01=made) == []
    assert hosts({"pod_network": "flannel"}, wrk01=made) == [
        "wrk01: the cluster on it was made with addons_pod_network=bridge, the inventory says flannel; its pods would "
        "be cut off from new ones: put the old value back, build a new cluster, or move this one as "
        "docs/networks.md says"
    ]
    assert len(hosts({"pod_network": "none"}, wrk01=made)) == 1


def test_a_network_of_somebody_else():
    foreign = {"cni_configurations": ["05-calico.conflist", "10-bridge.conflist"]}
    assert hosts(wrk02=foreign) == [
        "wrk02: /etc/cni/net.d/05-calico.conflist is another network than addons_pod_network=bridge, and pods might "
        "get that one; move the file away, or set addons_pod_network to none to keep it"
    ]
    # A host that runs no pods may have what it likes.
    assert hosts(ctl01=foreign) == []
    assert hosts({"pod_network": "none"}, wrk02={"cni_configurations": ["05-calico.conflist"]}) == []


def test_an_address_that_the_host_does_not_have():
    assert hosts(wrk01={"addresses": ["127.0.0.1", "192.0.2.7"]}) == [
        "wrk01: node_address 10.0.0.14 is on none of its interfaces; it has 127.0.0.1, 192.0.2.7"
    ]
    assert hosts(wrk01={"addresses": ["127.0.0.1", "10.0.0.14"]}) == []


def clock(least, most):
    return {"clock_offset_seconds": {"least": least, "most": most}}


def test_clocks():
    assert hosts(wrk01=clock(-4.5, -4.0), ctl02=clock(6.5, 6.9)) == [
        "ctl02 and wrk01: their clocks are at least 10.5 s apart, at most 5 s are allowed; synchronise them (chrony, "
        "systemd-timesyncd)"
    ]
    assert hosts(wrk01=clock(-2.6, -2.5), ctl02=clock(2.5, 2.6)) == []


def test_a_slow_connection_is_no_wrong_clock():
    assert hosts(wrk01=clock(-20.0, 0.1)) == []
    assert hosts(wrk01=clock(-3620.0, -3600.0)) != []


def test_clocks_that_are_all_wrong_together_are_apart_from_nobody():
    assert hosts(**{host: clock(3600.0, 3600.5) for host in HOSTS}) == []


def etcd(*, members=(), started_with=()):
    """A host with data of etcd, that says who the members are, or does not run and was started with some."""
    return {
        "data": {"member_id": "a1", "cluster_id": "c1"},
        "members": [{"name": name} for name in members],
        "free_mib": {},
        "started_with": list(started_with),
    }


def test_what_runs_counts_and_not_what_it_was_started_with():
    found = {
        host: {**FACTS, "etcd": etcd(members=["ctl01"], started_with=["ctl01", "ctl02", "wrk01"])} for host in HOSTS
    }
    assert _preflight.host_problems(plan(etcd=["ctl01"]), found, SETTINGS) == []


def quorum(existing, wanted):
    """Problems when the hosts run the existing members and the inventory wants others."""
    member = {**FACTS, "etcd": etcd(members=existing)}
    found = {host: member if host in existing else FACTS for host in HOSTS}
    return _preflight.host_problems(plan(etcd=wanted), found, SETTINGS)


def test_an_etcd_cluster_that_would_lose_its_quorum():
    assert quorum(["ctl01", "ctl02", "wrk01"], ["ctl01"]) == [
        "group 'etcd' lacks ctl02, wrk01 of the running etcd cluster (ctl01, ctl02, wrk01), which needs 2 of its 3 "
        "members to work; put them back, and take members away one at a time"
    ]
    assert len(quorum(["ctl01", "ctl02"], ["ctl01"])) == 1
    assert len(quorum(["ctl01"], ["ctl02"])) == 1


@pytest.mark.parametrize(
    ("existing", "wanted"),
    [
        (["ctl01", "ctl02", "wrk01"], ["ctl01", "ctl02"]),
        (["ctl01", "ctl02"], ["ctl01", "ctl02", "wrk01"]),
        (["ctl01"], ["ctl01"]),
        ([], ["ctl01"]),
    ],
)
def test_an_etcd_cluster_that_keeps_its_quorum(existing, wanted):
    assert quorum(existing, wanted) == []


def test_a_wiped_etcd_member_may_come_back():
    found: dict = dict.fromkeys(HOSTS, FACTS)
    found["ctl01"] = {**FACTS, "etcd": etcd(started_with=["ctl01", "ctl02"])}
    assert _preflight.host_problems(plan(), found, SETTINGS) == []


def test_all_problems_of_the_hosts_at_once():
    problems = hosts(
        ctl01={"architecture": "riscv64", "memory_mib": 1},
        wrk01=None,
        wrk02={"distribution": "arch", **clock(60.0, 61.0)},
    )
    assert len(problems) == 5
    named = [problem.split(":")[0].split(" ")[0] for problem in problems]
    assert named == ["ctl01", "ctl01", "wrk01", "wrk02", "wrk02"]


@pytest.mark.parametrize(
    "resolver",
    [
        "10.0.0.53",
        "10.0.0.53:5353",
        "fd00::53",
        "[fd00::53]:5353",
        "tls://9.9.9.9",
        "dns://[fd00::53]:53",
        "/etc/x.conf",
    ],
)
def test_resolvers_that_coredns_takes(resolver):
    settings = {
        "dns_zones": {"corp.example.com": [resolver], "10.in-addr.arpa.": [resolver]},
        "dns_upstreams": [resolver],
    }
    assert cluster({**settings, "dns_hosts": {"registry.example.com": "10.0.0.5", "six": "fd00::5"}}) == []


@pytest.mark.parametrize(
    "resolver",
    [
        "dns.example.com",
        "10.0.0.53:0",
        "10.0.0.53:70000",
        "10.0.0.53 { }",
        "https://9.9.9.9",
        "/etc/x y",
        "/x{",
        "",
        None,
        53,
    ],
)
def test_resolvers_that_coredns_does_not_take(resolver):
    [problem] = cluster({"dns_upstreams": [resolver]})
    assert problem.startswith(f"addons_dns_upstreams: {resolver!r} is no resolver; allowed: ")


def test_dns_settings_of_another_kind():
    assert [
        problem.split(";")[0] for problem in cluster({"dns_upstreams": "9.9.9.9", "dns_zones": [], "dns_hosts": "x"})
    ] == [
        "addons_dns_upstreams: '9.9.9.9' is no list of resolvers",
        "addons_dns_zones: [] is no mapping",
        "addons_dns_hosts: 'x' is no mapping",
    ]


def test_variables_of_roles_are_told_once_with_the_hosts_that_have_them():
    errors = {"wrk01": ["a is\nno int", "b is no list"], "wrk02": ["a is no int"], "client": [], "ctl01": None}
    assert _preflight.argument_problems(errors) == ["wrk01, wrk02: a is no int", "wrk01: b is no list"]
