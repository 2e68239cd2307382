# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address families of hosts, pods and Services that fit together, and those that do not."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.problems import cluster_problems
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    CATALOGUE,
    settings,
    topology,
)

APART = "host, pod and service networks must be apart"
BOTH = {host: [address, f"fd00::{address.rpartition('.')[2]}"] for host, address in ADDRESSES.items()}
SIX_FIRST = {host: addresses[::-1] for host, addresses in BOTH.items()}
SIX_ALONE = {host: addresses[1] for host, addresses in BOTH.items()}
DUAL = {
    "cluster_pod_cidr": "10.200.0.0/16,fd00:200::/48",
    "cluster_service_cidr": ["10.32.0.0/24", "fd00:32::/112"],
    "cluster_dns_address": "10.32.0.10,fd00:32::a",
}
SIX = {
    "cluster_pod_cidr": "fd00:200::/48",
    "cluster_service_cidr": "fd00:32::/112",
    "cluster_dns_address": "fd00:32::a",
}
DUAL_SIX_FIRST = {
    "cluster_pod_cidr": "fd00:200::/48,10.200.0.0/16",
    "cluster_service_cidr": "fd00:32::/112,10.32.0.0/24",
    "cluster_dns_address": "fd00:32::a",
}


def problems(
    addresses: t.Mapping[str, t.Any], changes: t.Mapping[str, t.Any], network: str = "flannel", **hosts: t.Any
) -> list[str]:
    shape = topology(addresses={**addresses, **hosts})
    return cluster_problems(shape, settings(**{"cluster_pod_network": network, **changes}), CATALOGUE)


@pytest.mark.parametrize("network", ["flannel", "bridge", "none"])
@pytest.mark.parametrize(
    ("addresses", "changes"),
    [
        ({}, {}),
        (BOTH, {}),
        (BOTH, DUAL),
        (BOTH, {**DUAL, "cluster_dns_address": "10.32.0.10"}),
        (BOTH, {**DUAL, "cluster_node_prefix_length": "25,60"}),
        (SIX_ALONE, SIX),
        (SIX_FIRST, SIX),
        (SIX_FIRST, DUAL_SIX_FIRST),
        (SIX_ALONE, {**SIX, "cluster_service_cidr": "fd00:32::/108"}),
        (SIX_ALONE, {**SIX, "cluster_node_prefix_length": 49}),
    ],
)
def test_families_that_fit(addresses, changes, network):
    assert problems(addresses, changes, network) == []


# Hosts' addresses, settings, and what is wrong with them.
REFUSED: list[tuple[t.Mapping[str, t.Any], dict[str, t.Any], list[str]]] = [
    (
        {**BOTH, "wrk02": "10.0.0.15"},
        DUAL,
        [
            "wrk02: node_address 10.0.0.15 is IPv4, and pods and Services have IPv6; give the host an IPv6 address "
            "too, or cluster_pod_cidr and cluster_service_cidr networks of IPv4 alone"
        ],
    ),
    (
        {**BOTH, "wrk02": SIX_FIRST["wrk02"]},
        DUAL,
        [
            "wrk02: the first address of node_address is IPv6, and the first networks of cluster_pod_cidr and "
            "cluster_service_cidr are IPv4; put 10.0.0.15 first"
        ],
    ),
    (
        BOTH,
        {**DUAL, "cluster_service_cidr": "10.32.0.0/24", "cluster_dns_address": "10.32.0.10"},
        [
            "cluster_pod_cidr has IPv4, then IPv6, and cluster_service_cidr has IPv4; give both networks of the same "
            "families in the same order"
        ],
    ),
    (
        BOTH,
        {**DUAL, "cluster_service_cidr": "fd00:32::/112,10.32.0.0/24", "cluster_dns_address": "fd00:32::a"},
        [
            "cluster_pod_cidr has IPv4, then IPv6, and cluster_service_cidr has IPv6, then IPv4; give both networks of "
            "the same families in the same order"
        ],
    ),
    (
        BOTH,
        {**DUAL, "cluster_pod_cidr": "10.200.0.0/16,10.201.0.0/16", "cluster_node_prefix_length": "24,24"},
        [
            "cluster_pod_cidr has 10.200.0.0/16 and 10.201.0.0/16; allowed: one network, or one of each family (IPv4 "
            "and IPv6)"
        ],
    ),
    (
        {**BOTH, "wrk02": "10.0.0.15,10.0.1.15"},
        {},
        [
            "wrk02: node_address has 10.0.0.15 and 10.0.1.15; allowed: one address, or one of each family (IPv4 and "
            "IPv6)"
        ],
    ),
    (
        {"wrk02": ["10.0.0.15", "fd00::15", "fd00:1::15"]},
        {},
        [
            "wrk02: node_address has 10.0.0.15 and fd00::15 and fd00:1::15; allowed: one address, or one of each "
            "family (IPv4 and IPv6)"
        ],
    ),
    (
        {**BOTH, "wrk02": "10.0.0.15,fd00::14"},
        DUAL,
        ["wrk01 and wrk02: have the same node_address fd00::14; each host needs its own"],
    ),
    *(
        ({"wrk02": f"10.0.0.15,{address}"}, {}, [f"wrk02: node_address {address} {said}"])
        for address, said in (
            ("fe80::15", "is link-local, which Kubernetes refuses; give an address of its own"),
            ("fe80::15%eth0", "has a zone; give an address that is the same for all hosts, without '%'"),
            ("fd00::15%eth0", "has a zone; give an address that is the same for all hosts, without '%'"),
            ("ff02::1", "cannot be reached by other hosts; give its own address"),
            ("::", "cannot be reached by other hosts; give its own address"),
        )
    ),
    ({"wrk02": "169.254.0.15"}, {}, ["wrk02: node_address 169.254.0.15 is link-local, which Kubernetes refuses; "
                                     "give an address of its own"]),
    (
        BOTH,
        {**DUAL, "cluster_pod_cidr": "10.200.0.0/16,fd00:32::/48"},
        ["cluster_pod_cidr fd00:32::/48 and cluster_service_cidr fd00:32::/112 overlap; they must be apart"],
    ),
    (
        {**BOTH, "wrk02": "10.0.0.15,fd00:200::15"},
        DUAL,
        [f"wrk02: node_address fd00:200::15 lies in cluster_pod_cidr fd00:200::/48; {APART}"],
    ),
    (
        BOTH,
        {**DUAL, "cluster_node_prefix_length": "24,47"},
        ["cluster_node_prefix_length: 47 does not fit cluster_pod_cidr fd00:200::/48; allowed: 48 to 64"],
    ),
    # The controller manager divides a network of IPv6 into at most 65,536 parts.
    (
        SIX_ALONE,
        {**SIX, "cluster_node_prefix_length": 65},
        ["cluster_node_prefix_length: 65 does not fit cluster_pod_cidr fd00:200::/48; allowed: 48 to 64"],
    ),
    (
        BOTH,
        {**DUAL, "cluster_pod_cidr": "10.200.0.0/16,fd00:200::/64"},
        ["cluster_pod_cidr fd00:200::/64 has 1 node networks of /64, and there are 2 workers"],
    ),
    (
        BOTH,
        {**DUAL, "cluster_node_prefix_length": 24},
        [
            "cluster_node_prefix_length: 24 is of 1 networks, and cluster_pod_cidr has 2; give one number for each, or "
            "leave it empty for 24 (IPv4) and 64 (IPv6)"
        ],
    ),
    (
        {},
        {"cluster_node_prefix_length": "wide"},
        [
            "cluster_node_prefix_length: 'wide' is not a number of bits; allowed: a number such as 24, or one for each "
            "network"
        ],
    ),
    (
        BOTH,
        {**DUAL, "cluster_service_cidr": "10.32.0.0/24,fd00:32::/107"},
        ["cluster_service_cidr fd00:32::/107 is larger than the API server takes; allowed: /108 to /124"],
    ),
    (
        {},
        {"cluster_dns_address": "10.32.0.10,fd00:32::a"},
        [
            "cluster_dns_address has 2 addresses, and cluster_service_cidr 1; give one address, or one inside each "
            "network"
        ],
    ),
    (
        BOTH,
        {**DUAL, "cluster_dns_address": "fd00:32::a"},
        ["cluster_dns_address fd00:32::a is outside cluster_service_cidr 10.32.0.0/24"],
    ),
    (
        BOTH,
        {**DUAL, "cluster_dns_address": "10.32.0.10,fd00:32::1"},
        ["cluster_dns_address fd00:32::1 is taken (network address, or the API's own Service fd00:32::1)"],
    ),
    (
        SIX_ALONE,
        {**SIX, "cluster_pod_cidr": "fe80::/48"},
        ["cluster_pod_cidr: fe80::/48 is for one link, several receivers or loopback; give a private network"],
    ),
    (
        BOTH,
        {**DUAL, "cluster_pod_cidr": "10.200.0.0/16,fd00:200::1/48"},
        [
            "cluster_pod_cidr: 'fd00:200::1/48' is not a network (fd00:200::1/48 has host bits set); allowed: a CIDR "
            "such as 10.200.0.0/16"
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("addresses", "changes", "said"), REFUSED)
def test_families_that_do_not_fit(addresses, changes, said):
    assert problems(addresses, changes) == said


def test_an_address_of_ipv4_within_ipv6_is_written_as_ipv4():
    (problem,) = problems({"wrk02": "::ffff:10.0.0.15"}, {})[:1]
    assert problem.endswith("is an IPv4 address within IPv6; write it as 10.0.0.15")


@pytest.mark.parametrize(("addresses", "changes"), [(BOTH, DUAL), (SIX_ALONE, SIX)])
def test_weave_does_not_carry_ipv6(addresses, changes):
    assert problems(addresses, changes, "weave") == [
        "cluster_pod_network: weave carries IPv4 alone, and cluster_pod_cidr has fd00:200::/48; take flannel or "
        "bridge, or give pods and Services IPv4 networks alone"
    ]


def test_weave_on_hosts_with_both_families():
    assert problems(BOTH, {}, "weave") == []
