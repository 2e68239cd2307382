# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every setting on an existing cluster: what is carried through, and what is refused with which words."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.setting_classes import CLASSES
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    KNOWN,
    PARTS,
    computed,
    empty,
    running,
)

BACK = "an existing cluster cannot change it: put the old value back, or build a new cluster"
ISSUER = "https://kubernetes.default.svc.cluster.local"


def made_with(hosts: str, name: str, found: str, wanted: str) -> list[str]:
    return [
        f"{host}: the cluster on it was made with {name}={found}, the inventory says {wanted}; {BACK}"
        for host in hosts.split()
    ]


def issuer(wanted: str, name: str = "apiserver_extra_flags.service-account-issuer") -> list[str]:
    return [
        f"{host}: the API server on it issues tokens as {ISSUER}, with {name} of the inventory it would accept only "
        f"{wanted}, and refuse the token of every pod that runs; put the old value back, or let "
        "apiserver_extra_flags.service-account-issuer name both, the new one first"
        for host in ("ctl01", "ctl02")
    ]


def narrowed(wanted: str, name: str = "cluster_node_port_range") -> list[str]:
    return [
        f"{host}: the cluster on it was made with {name}=30000-32767, the inventory says {wanted}; Services may use "
        "ports outside of that: keep a range that contains 30000-32767, or build a new cluster"
        for host in ("ctl01", "ctl02")
    ]


def service_account(wanted: str) -> list[str]:
    return [
        f"{host}: the service account's key on it is rsa 2048, ca_key of the inventory says {wanted}; with a new key "
        "the token of every pod that runs would be refused: put the old value back"
        for host in ("ctl01", "ctl02")
    ]


# A setting, its changed value, and the problems of a run on a cluster that was made with the defaults.
TABLE: list[tuple[str, t.Any, list[str]]] = [
    ("cluster_name", "other", made_with("ctl01 ctl02", "cluster_name", "kubernetes-the-hard-way", "other")),
    (
        "cluster_pod_cidr",
        "10.100.0.0/16",
        made_with("ctl01 ctl02", "cluster_pod_cidr", "10.200.0.0/16", "10.100.0.0/16"),
    ),
    (
        "cluster_service_cidr",
        "10.32.0.0/20",
        made_with("ctl01 ctl02", "cluster_service_cidr", "10.32.0.0/24", "10.32.0.0/20"),
    ),
    ("cluster_pod_cidr", ["10.200.0.0/16"], []),
    ("cluster_node_prefix_length", "24", []),
    ("cluster_node_prefix_length", 25, made_with("ctl01 ctl02", "cluster_node_prefix_length", "24", "25")),
    ("cluster_dns_address", "10.32.0.20", made_with("wrk01 wrk02", "cluster_dns_address", "10.32.0.10", "10.32.0.20")),
    (
        "cluster_domain",
        "k8s.lab",
        [
            *issuer("https://kubernetes.default.svc.k8s.lab", "cluster_domain"),
            *made_with("wrk01 wrk02", "cluster_domain", "cluster.local", "k8s.lab"),
        ],
    ),
    ("cluster_node_port_range", "30000-31000", narrowed("30000-31000")),
    ("cluster_node_port_range", "30001-32767", narrowed("30001-32767")),
    ("cluster_node_port_range", "30000+100", narrowed("30000+100")),
    ("cluster_node_port_range", "30000", narrowed("30000")),
    ("cluster_node_port_range", "29000-32767", []),
    ("cluster_node_port_range", "30000+2767", []),
    ("etcd_data_directory", "/srv/etcd", made_with("ctl01 ctl02", "etcd_data_directory", "/var/lib/etcd", "/srv/etcd")),
    (
        "etcd_extra_flags",
        {"data-dir": "/srv/etcd"},
        made_with("ctl01 ctl02", "etcd_extra_flags.data-dir", "/var/lib/etcd", "/srv/etcd"),
    ),
    ("etcd_extra_flags", {"auto-compaction-retention": "8"}, []),
    (
        "pod_network_flannel_backend",
        "host-gw",
        made_with("wrk01 wrk02", "pod_network_flannel_backend", "vxlan", "host-gw"),
    ),
    (
        "worker_kubelet_config",
        {"clusterDNS": ["10.32.0.20"]},
        made_with("wrk01 wrk02", "worker_kubelet_config.clusterDNS", "10.32.0.10", "10.32.0.20"),
    ),
    (
        "worker_kubelet_config",
        {"clusterDomain": "k8s.lab"},
        made_with("wrk01 wrk02", "worker_kubelet_config.clusterDomain", "cluster.local", "k8s.lab"),
    ),
    ("worker_kubelet_config", {"maxPods": 50, "clusterDNS": ["10.32.0.10"]}, []),
    (
        "controller_manager_extra_flags",
        {"cluster-cidr": "10.0.0.0/8"},
        made_with("ctl01 ctl02", "controller_manager_extra_flags.cluster-cidr", "10.200.0.0/16", "10.0.0.0/8"),
    ),
    (
        "controller_manager_extra_flags",
        {"node-cidr-mask-size": 26},
        made_with("ctl01 ctl02", "controller_manager_extra_flags.node-cidr-mask-size", "24", "26"),
    ),
    (
        "controller_manager_extra_flags",
        {"cluster-name": "x"},
        made_with("ctl01 ctl02", "controller_manager_extra_flags.cluster-name", "kubernetes-the-hard-way", "x"),
    ),
    ("controller_manager_extra_flags", {"concurrent-gc-syncs": 30}, []),
    (
        "apiserver_extra_flags",
        {"service-cluster-ip-range": "10.9.0.0/24"},
        made_with("ctl01 ctl02", "apiserver_extra_flags.service-cluster-ip-range", "10.32.0.0/24", "10.9.0.0/24"),
    ),
    (
        "apiserver_extra_flags",
        {"service-node-port-range": "30000-30010"},
        narrowed("30000-30010", "apiserver_extra_flags.service-node-port-range"),
    ),
    ("apiserver_extra_flags", {"service-account-issuer": "https://x.test"}, issuer("https://x.test")),
    ("apiserver_extra_flags", {"service-account-issuer": ["https://x.test", ISSUER]}, []),
    (
        "apiserver_extra_flags",
        {"etcd-prefix": "/other"},
        [
            f"{host}: the API server on it keeps its objects under /registry in etcd, "
            f"apiserver_extra_flags.etcd-prefix of the inventory says /other, where there are none; {BACK}"
            for host in ("ctl01", "ctl02")
        ],
    ),
    ("apiserver_extra_flags", {"etcd-prefix": "/registry", "event-ttl": "2h"}, []),
    ("ca_key", {"algo": "ecdsa", "size": 256}, service_account("ecdsa 256")),
    ("ca_key", {"algo": "rsa", "size": 4096}, service_account("rsa 4096")),
    ("ca_key", {"algo": "rsa", "size": 2048}, []),
    ("cluster_api_server", "https://api.lab.example:6443", []),
    (
        "cluster_pod_network",
        "weave",
        [
            f"{host}: the cluster on it was made with cluster_pod_network=flannel, the inventory says weave; its pods "
            "would be cut off from new ones: put the old value back, build a new cluster, or move this one as "
            "docs/operate/networks.md says"
            for host in ("wrk01", "wrk02")
        ],
    ),
]


def made() -> dict[str, dict[str, t.Any]]:
    """Return the readings of a cluster that was made with the defaults, with a key of the service account."""
    found = running()
    for host in ("ctl01", "ctl02"):
        entry = {"certificate": "c0", "public_key": "a0", "key": "rsa 2048"}
        found[host]["identity"]["certificates"] = {"/var/lib/kubernetes/service-account.pem": [entry]}
    return found


@pytest.mark.parametrize(("name", "value", "problems"), TABLE, ids=[f"{entry[0]}-{entry[1]}" for entry in TABLE])
def test_a_changed_setting(name, value, problems):
    assert computed(made(), **{name: value})["plan"]["problems"] == problems


@pytest.mark.parametrize(("name", "value", "problems"), TABLE, ids=[f"{entry[0]}-{entry[1]}" for entry in TABLE])
def test_a_first_build_may_have_any_value(name, value, problems):
    assert computed(empty(), **{name: value})["plan"]["problems"] == []


# --- classes --------------------------------------------------------------------------------------

# Compared elsewhere, with tests of their own.
ELSEWHERE = {
    "ca_authority_key": "tests/unit/plugins/modules/test_x509_cfssl_compat.py",
    "ca_authority_subject": "tests/unit/plugins/modules/test_x509_cfssl_compat.py",
    "cluster_hosts": "below, and test_etcd_membership.py",
    "ca_encryption_provider": "test_encryption.py",
    "ca_encryption_resources": "test_encryption.py",
    "cluster_pki_directory": "test_pki_identity.py",
    "cluster_release": "test_releases.py",
    "cluster_versions": "test_releases.py",
    "lb_virtual_address": "test_virtual_address.py",
    "pod_network_weave_encryption": "test_weave_password.py",
    "pod_network_weave_fast_datapath": "test_problems.py",
}


def test_every_setting_has_a_class():
    assert sorted(KNOWN.keys() - CLASSES.keys()) == [], "not classified in setting_classes.py"
    assert sorted(CLASSES.keys() - KNOWN.keys()) == [], "classified, but not an option of any role"


@pytest.mark.parametrize("name", sorted(name for name, entry in CLASSES.items() if entry.kind in ("fixed", "checked")))
def test_what_may_be_refused_is_in_a_test(name):
    refused = {setting for setting, _value, problems in TABLE if problems}
    assert name in refused | ELSEWHERE.keys()


@pytest.mark.parametrize("name", sorted({entry[0] for entry in TABLE if entry[2]}))
def test_what_is_refused_says_so_in_its_class(name):
    assert CLASSES[name].kind in ("fixed", "checked")


def test_a_class_is_one_of_four_and_has_a_reason():
    assert {entry.kind for entry in CLASSES.values()} == {"safe", "rolling", "fixed", "checked"}
    assert all(entry.why for entry in CLASSES.values())


# --- values of single hosts, and what is not a setting --------------------------------------------


def test_a_host_without_data_may_have_another_data_directory():
    readings = running()
    readings["ctl02"]["etcd"] |= {"data": None, "members": [], "started_with": [], "was_healthy": False}
    hosts = {"ctl02": {"etcd_data_directory": "/srv/etcd"}}
    assert computed(readings, hosts=hosts)["plan"]["problems"] == []


def test_a_data_directory_of_a_single_host():
    hosts = {"ctl02": {"etcd_data_directory": "/srv/etcd"}}
    expected = made_with("ctl02", "etcd_data_directory", "/var/lib/etcd", "/srv/etcd")
    assert computed(running(), hosts=hosts)["plan"]["problems"] == expected


def test_an_issuer_that_was_added_can_become_the_only_one():
    readings = running()
    for host in ("ctl01", "ctl02"):
        readings[host]["identity"]["issuers"] = ["https://x.test", ISSUER]
    flags = {"service-account-issuer": "https://x.test"}
    assert computed(readings, apiserver_extra_flags=flags)["plan"]["problems"] == []


def three() -> dict[str, dict[str, t.Any]]:
    readings = running()
    for host in ("ctl01", "ctl02"):
        member = {"id": "c3", "name": "client", "peer_urls": ["https://10.0.0.16:2380"], "learner": False}
        readings[host]["etcd"]["members"].append(member)
    return readings


def moved(readings: dict[str, dict[str, t.Any]], parts: dict[str, list[str]], **addresses: str) -> list[str]:
    for host, address in addresses.items():
        readings[host]["addresses"] = [address]
    hosts = {host: {"node_address": address} for host, address in addresses.items()}
    return [
        problem for problem in computed(readings, hosts=hosts, parts=parts)["plan"]["problems"] if "peer URL" in problem
    ]


MOVED = (
    "ctl02: its etcd member has the peer URL https://10.0.0.12:2380, node_address 10.0.0.22 of the inventory gives "
    "https://10.0.0.22:2380; a member cannot change it in a run: put the old address back"
)


def test_a_member_with_another_address():
    assert moved(running(), {}, ctl02="10.0.0.22") == [MOVED], "two members: replacing one would lose the quorum"
    way = ". To move this member, with all others healthy: ansible-playbook hardway.kubernetes.etcd_replace_member "
    way += "-e etcd_lost=ctl02 -e etcd_confirm=kubernetes-the-hard-way"
    parts = {"etcd": ["ctl01", "ctl02", "client"]}
    assert moved(three(), parts, ctl02="10.0.0.22") == [MOVED + way]
    assert moved(three(), parts, ctl02="10.0.0.22", ctl01="10.0.0.21")[1] == MOVED, "one at a time"


def renamed(*, nodes: bool = True, state: str = "active", names: t.Sequence[str] = ("wrk02",)) -> list[str]:
    readings = running()
    readings["node-b"] = readings.pop("wrk02")
    readings["node-b"]["identity"]["kubelet_names"] = list(names)
    readings["node-b"]["units"]["kubelet.service"] = state
    if not nodes:
        readings = {"node-b": readings["node-b"]}
    hosts = {"node-b": {"node_address": "10.0.0.15"}, "wrk02": {"node_address": "10.0.0.99"}}
    return computed(readings, hosts=hosts, parts={"workers": ["wrk01", "node-b"]})["plan"]["problems"]


@pytest.mark.parametrize("nodes", [True, False])
def test_a_renamed_worker(nodes):
    assert renamed(nodes=nodes) == [
        "node-b: its kubelet is the node wrk02, which the inventory does not have; a node cannot be renamed: put the "
        "name wrk02 back. To give the host another name, remove the worker with remove_worker under its old name, wipe "
        "the host, and add it under the new one"
    ]


def test_a_worker_that_is_not_renamed():
    assert renamed(state="inactive") == [], "it was removed before"
    assert renamed(names=["node-b", "wrk02"]) == []
    assert renamed(names=["wrk01"]) == [], "that one is in the inventory"
    assert renamed(names=[]) == []
    assert PARTS["workers"] == ["wrk01", "wrk02"]


BOTH = {host: {"node_address": f"{address},fd00::{address.rpartition('.')[2]}"} for host, address in ADDRESSES.items()}


def of_both() -> dict[str, dict[str, t.Any]]:
    """Return readings of a running cluster whose hosts have an address of each family."""
    found = running()
    for host, variables in BOTH.items():
        found[host]["addresses"] = ["127.0.0.1", *variables["node_address"].split(",")]
    return found


def test_hosts_get_a_second_family_and_pods_do_not():
    assert computed(of_both(), hosts=BOTH)["plan"]["problems"] == []


def test_an_address_family_is_not_added():
    said = computed(
        of_both(),
        hosts=BOTH,
        cluster_pod_cidr="10.200.0.0/16,fd00:200::/48",
        cluster_service_cidr="10.32.0.0/24,fd00:32::/112",
    )["plan"]["problems"]
    assert said == [
        f"{host}: the cluster on it was made with {name}={one}, the inventory says {one},{two}; a run does not add an "
        "address family to an existing cluster or take one away: put the old value back, or build a new cluster"
        for host in ("ctl01", "ctl02")
        for name, one, two in (
            ("cluster_pod_cidr", "10.200.0.0/16", "fd00:200::/48"),
            ("cluster_service_cidr", "10.32.0.0/24", "fd00:32::/112"),
        )
    ]


def test_a_cluster_of_two_families_stays_what_it_is():
    found = of_both()
    for host in ("ctl01", "ctl02"):
        found[host]["cluster"] |= {
            "cluster_pod_cidr": "10.200.0.0/16,fd00:200::/48",
            "cluster_service_cidr": "10.32.0.0/24,fd00:32::/112",
            "cluster_node_prefix_length": "24,64",
        }
    wanted = {
        "cluster_pod_cidr": ["10.200.0.0/16", "FD00:200::/48"],
        "cluster_service_cidr": "10.32.0.0/24, fd00:32::/112",
    }
    assert computed(found, hosts=BOTH, **wanted)["plan"]["problems"] == []
    problems = computed(found, hosts=BOTH, **wanted, cluster_node_prefix_length="24,60")["plan"]["problems"]
    assert problems == made_with("ctl01 ctl02", "cluster_node_prefix_length", "24,64", "24,60")
