# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight: every bad input gives its sentence, nothing else, and all of them at once."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import problems as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    CATALOGUE,
    KNOWN,
    empty,
    reading,
    running,
    settings,
    topology,
)

APART = "host, pod and service networks must be apart"
RESOLVERS = "allowed: addresses such as 10.0.0.53, 10.0.0.53:5353 or tls://9.9.9.9, and paths of files"
SYSTEMS = "debian 12, debian 13, ubuntu 22.04, ubuntu 24.04"


def cluster(changes: dict[str, t.Any] | None = None, **shape: t.Any) -> list[str]:
    return module.cluster_problems(topology(**shape), settings(**(changes or {})), CATALOGUE)


def hosts(changes: dict[str, t.Any] | None = None, /, **readings: dict[str, t.Any]) -> list[str]:
    """Return problems of hosts whose readings differ from good ones, by host; an empty one was not reached."""
    found = empty()
    for host, change in readings.items():
        found[host] = {**found[host], **change} if change else {}
    return module.host_problems(topology(), found, settings(**(changes or {})), CATALOGUE)


def test_the_articles_inventory_is_fine():
    assert cluster() == []
    assert hosts() == []
    assert module.host_problems(topology(), running(), settings(), CATALOGUE) == []


# --- inventory and settings -----------------------------------------------------------------------

# Parts and addresses that differ from the article's, and what is wrong with them.
SHAPES: list[tuple[dict[str, t.Any], list[str]]] = [
    ({"controllers": []}, ["group 'controllers' has no host; it needs at least one (API servers run there)"]),
    ({"etcd": []}, ["group 'etcd' has no host; it needs at least one (etcd members run there)"]),
    ({"workers": []}, ["group 'workers' has no host; it needs at least one (nodes run there)"]),
    ({"load_balancers": []}, []),
    ({"clients": []}, []),
    *(
        (
            {"addresses": {"wrk01": address}},
            ["wrk01: has no address; set node_address to the IP address other hosts reach it at"],
        )
        for address in (None, "")
    ),
    *(
        ({"addresses": {"wrk01": address}}, [f"wrk01: node_address '{address}' is not an IP address"])
        for address in ("wrk01.example.com", "10.0.0", "10.0.0.14/24", "300.0.0.1")
    ),
    *(
        (
            {"addresses": {"wrk01": address}},
            [f"wrk01: node_address {address} cannot be reached by other hosts; give its own address"],
        )
        for address in ("127.0.0.1", "127.0.1.1", "0.0.0.0", "224.0.0.1", "::1")
    ),
    (
        {"addresses": {"wrk02": "10.0.0.14"}},
        ["wrk01 and wrk02: have the same node_address 10.0.0.14; each host needs its own"],
    ),
    (
        {"addresses": {"wrk01": "fd00::1", "wrk02": "fd00:0::1", "client": "FD00::0001"}},
        [
            "wrk01 and wrk02 and client: have the same node_address fd00::1; each host needs its own",
            *(
                f"{host}: node_address fd00::1 is IPv6, and pods and Services have IPv4; give the host an IPv4 "
                "address, or cluster_pod_cidr and cluster_service_cidr networks of IPv6 alone"
                for host in ("wrk01", "wrk02", "client")
            ),
        ],
    ),
    *(
        (
            {"addresses": {name: "10.0.0.99"}, "workers": ["wrk01", name]},
            [
                f"{name}: the inventory name is used as node name and must be a DNS name: lower-case letters, digits, "
                "'-' and '.', at most 63 characters"
            ],
        )
        for name in ("WRK01", "wrk_01", "-wrk", "wrk-", "wrk..1", ".wrk", "wrk 1", "w" * 64, "wrk01\n")
    ),
    *(
        ({"addresses": {name: "10.0.0.99"}, "workers": [name]}, [])
        for name in ("w", "1", "wrk-01", "wrk01.example.com", "w" * 63)
    ),
    (
        {"addresses": {"wrk01": "10.200.7.7"}},
        [f"wrk01: node_address 10.200.7.7 lies in cluster_pod_cidr 10.200.0.0/16; {APART}"],
    ),
    (
        {"addresses": {"wrk01": "10.32.0.77"}},
        [f"wrk01: node_address 10.32.0.77 lies in cluster_service_cidr 10.32.0.0/24; {APART}"],
    ),
]


@pytest.mark.parametrize(("shape", "problems"), SHAPES)
def test_shape(shape, problems):
    assert cluster(**shape) == problems


# Settings that differ from the defaults, and what is wrong with them.
SETTINGS: list[tuple[dict[str, t.Any], list[str]]] = [
    *(
        (
            {"cluster_service_cidr": service, "cluster_dns_address": dns},
            [f"cluster_pod_cidr 10.200.0.0/16 and cluster_service_cidr {service} overlap; they must be apart"],
        )
        for service, dns in (("10.200.5.0/24", "10.200.5.10"), ("10.128.0.0/9", "10.128.0.10"))
    ),
    *(
        (
            {"cluster_node_prefix_length": size},
            [f"cluster_node_prefix_length: {size} does not fit cluster_pod_cidr 10.200.0.0/16; allowed: 16 to 30"],
        )
        for size in (15, 31, 0)
    ),
    (
        {"cluster_pod_cidr": "10.200.0.0/24"},
        ["cluster_pod_cidr 10.200.0.0/24 has 1 node networks of /24, and there are 2 workers"],
    ),
    *(
        (
            {"cluster_dns_address": address},
            [f"cluster_dns_address {address} is outside cluster_service_cidr 10.32.0.0/24"],
        )
        for address in ("10.33.0.10", "10.32.1.10", "fd00::10")
    ),
    *(
        (
            {"cluster_dns_address": address},
            [f"cluster_dns_address {address} is taken (network address, or the API's own Service 10.32.0.1)"],
        )
        for address in ("10.32.0.0", "10.32.0.1")
    ),
    *(
        ({"cluster_dns_address": address}, [f"cluster_dns_address: {address!r} is not an IP address"])
        for address in ("dns", "", None)
    ),
    *(
        (
            {"cluster_service_cidr": f"10.32.0.0/{prefix}"},
            [f"cluster_service_cidr 10.32.0.0/{prefix} has {size} addresses; at least 16 are needed"],
        )
        for prefix, size in ((29, 8), (32, 1))
    ),
    ({"cluster_release": "1.36"}, []),
    ({"cluster_release": "1.18"}, ["cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35"]),
    ({"cluster_versions": {"etcd": "3.6.20"}, "cluster_image_digests": {"weave-npc": "sha256:12"}}, []),
    (
        {"cluster_versions": {"kubernets": "1.37.1"}},
        [
            "cluster_versions: component 'kubernets' is not in the release catalogue; known: cni_plugins, containerd, "
            "coredns, crictl, etcd, flannel, kubernetes, pause, runc, weave"
        ],
    ),
    (
        {"cluster_image_digests": {"puase": "sha256:12"}},
        [
            "cluster_image_digests: image 'puase' is not in the release catalogue; known: coredns, flannel, pause, "
            "weave-kube, weave-npc"
        ],
    ),
    (
        {
            "cluster_images": {
                "pause": "registry.example.com:5000/k8s/pause:{version}",
                "coredns": f"registry:5000/coredns@sha256:{'a' * 64}",
                "flannel": f"localhost/a_b/c--d:v{{version}}-2@sha256:{'0' * 64}",
            }
        },
        [],
    ),
    (
        {"cluster_images": {"puase": "registry.example.com/pause:1"}},
        [
            "cluster_images: image 'puase' is not in the release catalogue; known: coredns, flannel, pause, "
            "weave-kube, weave-npc"
        ],
    ),
    *(
        (
            {"cluster_images": {"pause": name}},
            [
                f"cluster_images.pause: {name!r} is not the name of an image; allowed: REGISTRY/PATH:TAG, in which "
                "{version} stands for the version, such as registry.example.com/pause:{version}"
            ],
        )
        for name in (
            "",
            "pause:1",
            "library/pause:1",
            "registry.example.com/pause",
            "https://registry.example.com/pause:1",
            "registry.example.com/Pause:1",
            "registry.example.com/pause:{release}",
            "registry.example.com/pause:1\n",
            "registry.example.com/pause@sha256:12",
        )
    ),
    (
        {
            "cluster_images": {"pause": f"registry.example.com/pause@sha256:{'a' * 64}"},
            "cluster_image_digests": {"pause": f"sha256:{'a' * 64}"},
        },
        ["cluster_images.pause has a digest, and cluster_image_digests has one too; take one of them out"],
    ),
    (
        {"cluster_pod_network": "calico"},
        ["cluster_pod_network: 'calico' is unknown; known: bridge, flannel, weave, none"],
    ),
    ({"cluster_kube_proxy_mode": "nftables"}, []),
    (
        {"cluster_kube_proxy_mode": "userspace"},
        ["cluster_kube_proxy_mode: 'userspace' is unknown; known: iptables, nftables"],
    ),
    (
        {"cluster_kube_proxy_mode": "ipvs"},
        [
            "cluster_kube_proxy_mode: 'ipvs' is deprecated since Kubernetes 1.35, has no maintainers and will be "
            "removed; use nftables, which replaces it; allowed: iptables, nftables"
        ],
    ),
    ({"worker_kube_proxy_config": {"mode": "iptables", "metricsBindAddress": "127.0.0.1:10249"}}, []),
    (
        {"worker_kube_proxy_config": {"mode": "nftables"}},
        [
            "worker_kube_proxy_config.mode: 'nftables' differs from cluster_kube_proxy_mode 'iptables', which other "
            "roles read too; set cluster_kube_proxy_mode and leave the mode out of worker_kube_proxy_config"
        ],
    ),
    *(
        (
            {
                "addons_dns_upstreams": [resolver],
                "addons_dns_zones": {"corp.example.com": [resolver], "10.in-addr.arpa.": [resolver]},
                "addons_dns_hosts": {"registry.example.com": "10.0.0.5", "six": "fd00::5"},
            },
            [],
        )
        for resolver in (
            "10.0.0.53",
            "10.0.0.53:5353",
            "fd00::53",
            "[fd00::53]:5353",
            "tls://9.9.9.9",
            "dns://[fd00::53]:53",
            "/etc/x.conf",
        )
    ),
    *(
        (
            {"addons_dns_upstreams": [resolver]},
            [f"addons_dns_upstreams: {resolver!r} is not a resolver; {RESOLVERS}"],
        )
        for resolver in (
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
        )
    ),
    (
        {"addons_dns_upstreams": "9.9.9.9", "addons_dns_zones": [], "addons_dns_hosts": "x"},
        [
            f"addons_dns_upstreams: '9.9.9.9' is not a list of resolvers; {RESOLVERS}",
            "addons_dns_zones: [] is not a mapping",
            "addons_dns_hosts: 'x' is not a mapping",
        ],
    ),
    (
        {
            "addons_dns_zones": {"no zone": ["10.0.0.53"], "lab.example.com": [], "corp.example.com": "10.0.0.53"},
            "addons_dns_hosts": {"no name": "10.0.0.5", "registry.example.com": "10.0.0.500"},
        },
        [
            "addons_dns_zones: 'no zone' is not a DNS zone; allowed: a name such as corp.example.com",
            "addons_dns_zones.lab.example.com has no resolver; it needs at least one",
            f"addons_dns_zones.corp.example.com: '10.0.0.53' is not a list of resolvers; {RESOLVERS}",
            "addons_dns_hosts: 'no name' is not a DNS name; allowed: a name such as registry.example.com",
            "addons_dns_hosts.registry.example.com: '10.0.0.500' is not an IP address",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "problems"), SETTINGS)
def test_settings(changes, problems):
    assert cluster(changes) == problems


@pytest.mark.parametrize("variable", ["cluster_pod_cidr", "cluster_service_cidr"])
@pytest.mark.parametrize("value", ["10.200.0.1/16", "10.200.0.0/33", "pods", "", None])
def test_what_is_not_a_network(variable, value):
    (problem,) = cluster({variable: value})
    assert problem.startswith(f"{variable}: {value!r} is not a network (")
    assert problem.endswith("allowed: a CIDR such as 10.200.0.0/16")


def test_all_problems_at_once():
    changes = {
        "cluster_release": "1.18",
        "cluster_pod_network": "calico",
        "cluster_service_cidr": "10.200.0.0/24",
        "cluster_dns_address": "10.32.0.10",
    }
    shape = {"addresses": {"wrk01": None, "kubelb": "10.0.0.11"}, "controllers": [], "workers": ["wrk01"]}
    assert cluster(changes, **shape) == [
        "group 'controllers' has no host; it needs at least one (API servers run there)",
        "wrk01: has no address; set node_address to the IP address other hosts reach it at",
        "ctl01 and kubelb: have the same node_address 10.0.0.11; each host needs its own",
        "cluster_pod_cidr 10.200.0.0/16 and cluster_service_cidr 10.200.0.0/24 overlap; they must be apart",
        "cluster_dns_address 10.32.0.10 is outside cluster_service_cidr 10.200.0.0/24",
        "cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35",
        "cluster_pod_network: 'calico' is unknown; known: bridge, flannel, weave, none",
    ]


def test_choices_are_those_of_the_options():
    assert KNOWN["cluster_pod_network"]["choices"] == list(module.POD_NETWORKS)
    assert KNOWN["cluster_kube_proxy_mode"]["choices"] == list(module.KUBE_PROXY_MODES)


# --- warnings -------------------------------------------------------------------------------------


def warnings(members: int, pod_network: str = "weave", **parts: list[str]) -> list[str]:
    names = [f"m{number}" for number in range(members)]
    addresses = {name: f"10.0.1.{number}" for number, name in enumerate(names, 1)}
    shape = topology(addresses=addresses, etcd=names, **parts)
    return module.cluster_warnings(shape, settings(cluster_pod_network=pod_network))


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
    assert warnings(3, load_balancers=[]) == [
        "group 'lb' is empty: nodes and clients use ctl01 alone of 2 API servers; add a host to the group, or name an "
        "external load balancer in cluster_api_server"
    ]
    assert warnings(3, load_balancers=[], controllers=["ctl01"]) == []


@pytest.mark.parametrize(("pod_network", "warned"), [("bridge", 1), ("flannel", 1), ("weave", 0), ("none", 0)])
def test_a_network_that_does_not_enforce_policies(pod_network, warned):
    text = (
        f"cluster_pod_network {pod_network} does not enforce NetworkPolicy: the API takes such objects, and every pod "
        "still reaches every other"
    )
    assert warnings(1, pod_network) == [text] * warned


# --- hosts ----------------------------------------------------------------------------------------


def clock(least: float, most: float) -> dict[str, t.Any]:
    return {"clock_offset_seconds": {"least": least, "most": most}}


ETCD_OF_ITS_OWN = {"data": None, "members": [], "started_with": []}
BRIDGE = {"cluster_pod_network": "bridge"}
LAID = {"cni_configurations": ["10-bridge.conflist"]}
FOREIGN = {"cni_configurations": ["05-calico.conflist", "10-bridge.conflist"]}
# Settings, readings of hosts that differ from good ones, and what is wrong with them.
HOSTS: list[tuple[dict[str, t.Any], dict[str, dict[str, t.Any]], list[str]]] = [
    ({}, {"wrk01": {}}, ["wrk01: could not be reached; check its connection variables and that it runs"]),
    (
        {},
        {"wrk01": {"memory_mib": 512}, "wrk02": {"memory_mib": 900}},
        ["wrk01: has 512 MiB of memory; preflight_memory_mib requires 900"],
    ),
    (
        {},
        {
            "wrk01": {"free_mib": {"/usr/local": 100, "/var/lib": 1499}},
            "wrk02": {"free_mib": {"/usr/local": 1500, "/var/lib": 1500}},
        },
        [
            "wrk01: has 100 MiB free under /usr/local; preflight_free_mib requires 1500",
            "wrk01: has 1499 MiB free under /var/lib; preflight_free_mib requires 1500",
        ],
    ),
    *(
        ({}, {host: {"etcd": {**ETCD_OF_ITS_OWN, "free_mib": {"/srv/etcd": free}}}}, problems)
        for host, free, problems in (
            ("ctl01", 255, ["ctl01: has 255 MiB free under /srv/etcd; preflight_etcd_free_mib requires 256"]),
            ("ctl01", 256, []),
            ("wrk01", 0, []),
        )
    ),
    *(
        (
            {},
            {"wrk01": {"distribution": distribution, "distribution_version": version}},
            [f"wrk01: runs {found}; supported: {SYSTEMS}"],
        )
        for distribution, version, found in (
            ("debian", "11", "debian 11"),
            ("fedora", "40", "fedora 40"),
            ("", "", "an unknown system"),
        )
    ),
    (
        {},
        {"wrk01": {"architecture": "riscv64"}},
        ["wrk01: is of architecture riscv64; supported: amd64, arm64"],
    ),
    ({}, {"wrk01": {"service_manager": "sh"}}, ["wrk01: process 1 is 'sh', systemd is needed"]),
    (BRIDGE, {"wrk01": LAID}, []),
    *(
        (
            {"cluster_pod_network": chosen},
            {"wrk01": LAID},
            [
                f"wrk01: the cluster on it was made with cluster_pod_network=bridge, the inventory says {chosen}; its "
                "pods would be cut off from new ones: put the old value back, build a new cluster, or move this one "
                "as docs/operate/networks.md says"
            ],
        )
        for chosen in ("flannel", "none")
    ),
    (
        BRIDGE,
        {"wrk02": FOREIGN},
        [
            "wrk02: /etc/cni/net.d/05-calico.conflist is another network than cluster_pod_network=bridge, and pods "
            "might get that one; move the file away, or set cluster_pod_network to none to keep it"
        ],
    ),
    # A host that runs no pods may have what it likes.
    (BRIDGE, {"ctl01": FOREIGN}, []),
    ({"cluster_pod_network": "none"}, {"wrk02": {"cni_configurations": ["05-calico.conflist"]}}, []),
    (
        {},
        {"wrk01": {"addresses": ["127.0.0.1", "192.0.2.7"]}},
        ["wrk01: node_address 10.0.0.14 is on none of its interfaces; it has 127.0.0.1, 192.0.2.7"],
    ),
    ({}, {"wrk01": {"addresses": ["127.0.0.1", "10.0.0.14"]}, "wrk02": {"addresses": []}}, []),
    (
        {},
        {"wrk01": clock(-4.5, -4.0), "ctl02": clock(6.5, 6.9)},
        [
            "ctl02 and wrk01: their clocks are at least 10.5 s apart, at most 5 s are allowed; synchronise them "
            "(chrony, systemd-timesyncd)"
        ],
    ),
    ({}, {"wrk01": clock(-2.6, -2.5), "ctl02": clock(2.5, 2.6)}, []),
    # A slow connection is not a wrong clock.
    ({}, {"wrk01": clock(-20.0, 0.1)}, []),
    (
        {"preflight_clock_seconds": 10.0},
        {"wrk01": clock(-3620.0, -3600.0)},
        [
            "ctl01 and wrk01: their clocks are at least 3599.7 s apart, at most 10.0 s are allowed; synchronise them "
            "(chrony, systemd-timesyncd)"
        ],
    ),
    # Clocks that are all wrong together are not apart.
    ({}, {host: clock(3600.0, 3600.5) for host in ADDRESSES}, []),
]


@pytest.mark.parametrize(("changes", "readings", "problems"), HOSTS)
def test_hosts(changes, readings, problems):
    assert hosts(changes, **readings) == problems


@pytest.mark.parametrize(
    ("network", "wanted", "hosts_with_it", "refused"),
    [
        ("weave", True, ["wrk01"], ["wrk02"]),
        ("weave", True, ["wrk01", "wrk02"], []),
        ("weave", True, [], ["wrk01", "wrk02"]),
        ("weave", False, [], []),
        ("weave", None, [], []),
        ("flannel", True, [], []),
    ],
)
def test_the_fast_datapath(network, wanted, hosts_with_it, refused):
    changes = {"cluster_pod_network": network, "pod_network_weave_fast_datapath": wanted}
    assert hosts(changes, **{host: {"openvswitch": True} for host in hosts_with_it}) == [
        f"{host}: its kernel does not have openvswitch, which Weave Net's fast datapath needs. Install a kernel that "
        "has it, or set pod_network_weave_fast_datapath to false; on a cluster that runs with the fast datapath this "
        "cuts pods off until every worker is restarted."
        for host in refused
    ]


@pytest.mark.parametrize(
    ("upstreams", "nameservers", "resolved", "found"),
    [
        (["/etc/resolv.conf"], ["127.0.0.11"], False, "127.0.0.11"),
        (["9.9.9.9", "/etc/resolv.conf"], ["127.0.0.53", "::1"], False, "127.0.0.53, ::1"),
        (["/etc/resolv.conf"], [], False, "no server"),
        (["/etc/resolv.conf"], ["127.0.0.1", "10.0.0.2"], False, None),
        (["/etc/resolv.conf"], ["::1", "fd00::2"], False, None),
        (["/etc/resolv.conf"], ["127.0.0.53"], True, None),
        (["9.9.9.9"], ["127.0.0.11"], False, None),
        ([], ["127.0.0.11"], False, None),
        (None, ["127.0.0.11"], False, None),  # not a list: said of the setting
    ],
)
def test_resolvers_that_pods_cannot_reach(upstreams, nameservers, resolved, found):
    own = {"nameservers": nameservers, "systemd_resolved": resolved}
    problems = hosts({"addons_dns_upstreams": upstreams}, wrk02=own, ctl01=own)
    assert problems == (
        []
        if found is None
        else [
            f"wrk02: /etc/resolv.conf names {found}, which pods cannot reach. Set addons_dns_upstreams to the "
            "addresses of your resolvers, or to [] for none."
        ]
    )


def test_every_host_that_is_not_reached_is_named():
    assert [problem.split(":")[0] for problem in hosts(**{host: {} for host in ADDRESSES})] == list(ADDRESSES)


def test_all_problems_of_the_hosts_at_once():
    problems = hosts(
        ctl01={"architecture": "riscv64", "memory_mib": 1},
        wrk01={},
        wrk02={"distribution": "arch", **clock(60.0, 61.0)},
    )
    named = [problem.split(":")[0].split(" ")[0] for problem in problems]
    assert named == ["ctl01", "ctl01", "wrk01", "wrk02", "wrk02"]


def quorum(existing: list[str], wanted: list[str], *, stopped: bool = False) -> list[str]:
    """Return problems when the hosts run the existing members, or ran them, and the inventory wants others."""
    etcd = {
        "data": {"member_id": "a1", "cluster_id": "c1"},
        "members": [] if stopped else [{"name": name} for name in existing],
        "started_with": existing if stopped else ["ctl01", "ctl02", "wrk01"],
    }
    found = {**empty(), **{host: reading(etcd=etcd, addresses=[]) for host in existing}}
    return module.host_problems(topology(etcd=wanted), found, settings(), CATALOGUE)


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize(
    ("existing", "wanted", "missing", "needed"),
    [
        (["ctl01", "ctl02", "wrk01"], ["ctl01"], "ctl02, wrk01", 2),
        (["ctl01", "ctl02"], ["ctl01"], "ctl02", 2),
        (["ctl01"], ["ctl02"], "ctl01", 1),
        (["ctl01", "ctl02", "wrk01"], ["ctl01", "ctl02"], "", 2),
        (["ctl01", "ctl02"], ["ctl01", "ctl02", "wrk01"], "", 2),
        # The running members count, not the ones of the first start.
        (["ctl01"], ["ctl01"], "", 1),
        ([], ["ctl01"], "", 0),
    ],
)
def test_quorum(existing, wanted, missing, needed, stopped):
    text = (
        f"group 'etcd' lacks {missing} of the running etcd cluster ({', '.join(existing)}), which needs {needed} of "
        f"its {len(existing)} members to work; put them back, and take members away one at a time"
    )
    assert quorum(existing, wanted, stopped=stopped) == ([text] if missing else [])


def test_a_wiped_etcd_member_may_come_back():
    etcd = {"data": {"member_id": "a1", "cluster_id": "c1"}, "started_with": ["ctl01", "ctl02"]}
    assert hosts(ctl01={"etcd": reading(etcd=etcd)["etcd"]}) == []
