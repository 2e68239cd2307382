# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From inventory to plan: addresses, certificates and kubeconfigs are the article's."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import topology as _plan

GROUPS = {
    "controllers": ["ctl01", "ctl02"],
    "etcd": ["ctl01", "ctl02"],
    "load_balancers": ["kubelb"],
    "workers": ["wrk01", "wrk02"],
    "clients": ["client"],
}
HOSTS = ["ctl01", "ctl02", "kubelb", "wrk01", "wrk02", "client"]
HOSTVARS = {host: {"node_address": f"10.0.0.{number}"} for number, host in enumerate(HOSTS, 11)}
SETTINGS = {
    "service_cidr": "10.32.0.0/24",
    "domain": "cluster.local",
    "name": {"C": "US", "L": "Portland", "ST": "Oregon", "OU": "Kubernetes The Hard Way"},
    "ca_name": {"C": "US", "L": "Portland", "ST": "Oregon", "OU": "CA"},
    "key": {"algo": "rsa", "size": 2048},
    "ca_key": {"algo": "rsa", "size": 2048},
    "ca_expiry": "43800h",
}


def topology(**groups):
    return _plan.topology(HOSTVARS, {**GROUPS, **groups})


def certificates(plan=None, **settings):
    plan = _plan.certificate_plan(plan or topology(), {**SETTINGS, **settings})
    return {entry["name"]: entry for entry in plan["certificates"]}


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"node_address": "10.0.0.1", "ansible_host": "192.0.2.1"}, "10.0.0.1"),
        ({"ansible_host": "192.0.2.1"}, "192.0.2.1"),
        ({"ansible_host": "2001:db8::0:1"}, "2001:db8::1"),
        ({"ansible_host": "ctl01.example.com"}, None),
        ({"node_address": "", "ansible_host": "192.0.2.1"}, "192.0.2.1"),
        ({"ansible_host": ""}, None),
        ({}, None),
    ],
)
def test_node_address(variables, address):
    assert _plan.node_address(variables) == address


def test_topology():
    plan = topology()
    assert plan["hosts"] == HOSTS
    assert plan["addresses"]["kubelb"] == "10.0.0.13"
    assert {part: plan[part] for part in GROUPS} == GROUPS


def test_topology_has_every_host_once_and_may_be_incomplete():
    plan = topology(workers=[], clients=["ctl01"])
    assert plan["hosts"] == ["ctl01", "ctl02", "kubelb"]
    hostvars = {**HOSTVARS, "ctl01": {}}
    assert _plan.topology(hostvars, GROUPS)["addresses"]["ctl01"] is None


def test_host_urls():
    plan = topology()
    assert _plan.host_urls(plan, "etcd", 2379) == ["https://10.0.0.11:2379", "https://10.0.0.12:2379"]
    assert _plan.host_urls(plan, "load_balancers", 80, scheme="http") == ["http://10.0.0.13:80"]
    plan["addresses"]["kubelb"] = "fd00::13"
    assert _plan.host_urls(plan, "load_balancers", 6443) == ["https://[fd00::13]:6443"]


def test_etcd_initial_cluster():
    assert _plan.etcd_initial_cluster(topology()) == "ctl01=https://10.0.0.11:2380,ctl02=https://10.0.0.12:2380"
    three = topology(etcd=["ctl01", "ctl02", "wrk01"])
    assert _plan.etcd_initial_cluster(three).count("=https://") == 3


def test_service_address():
    assert _plan.service_address("10.32.0.0/24") == "10.32.0.1"
    assert _plan.service_address("fd00:1::/112") == "fd00:1::1"
    with pytest.raises(ValueError, match="host bits"):
        _plan.service_address("10.32.0.1/24")


# --- certificates ---------------------------------------------------------------------------------


def test_the_articles_files():
    plan = _plan.certificate_plan(topology(), SETTINGS)
    assert [entry["name"] for entry in plan["authorities"]] == ["ca", "front-proxy-ca"]
    assert list(certificates()) == [
        "admin",
        "wrk01",
        "wrk02",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubernetes",
        "service-account",
        "front-proxy-client",
    ]


def test_the_articles_authority():
    (authority, front_proxy) = _plan.certificate_plan(topology(), SETTINGS)["authorities"]
    assert authority["csr"] == {
        "CN": "Kubernetes",
        "key": {"algo": "rsa", "size": 2048},
        "names": [{"C": "US", "L": "Portland", "O": "Kubernetes", "OU": "CA", "ST": "Oregon"}],
        "ca": {"expiry": "43800h"},
    }
    assert front_proxy["csr"]["CN"] != authority["csr"]["CN"], "a client of one must not pass for a client of the other"


@pytest.mark.parametrize(
    ("name", "user", "group"),
    [
        ("admin", "admin", "system:masters"),
        ("wrk01", "system:node:wrk01", "system:nodes"),
        ("kube-controller-manager", "system:kube-controller-manager", "system:kube-controller-manager"),
        ("kube-proxy", "system:kube-proxy", "system:node-proxier"),
        ("kube-scheduler", "system:kube-scheduler", "system:kube-scheduler"),
        ("kubernetes", "kubernetes", "Kubernetes"),
        ("service-account", "service-accounts", "Kubernetes"),
    ],
)
def test_who_a_certificate_is_for(name, user, group):
    entry = certificates()[name]
    assert entry["csr"]["CN"] == user
    assert entry["csr"]["names"] == [{**SETTINGS["name"], "O": group}]
    assert entry["ca"] == "ca"
    assert entry["profile"] == "kubernetes"


def test_the_aggregation_client_has_an_authority_of_its_own():
    entry = certificates()["front-proxy-client"]
    assert entry["ca"] == "front-proxy-ca"
    assert entry["csr"]["CN"] == "front-proxy-client"


def test_names_of_a_node():
    assert certificates()["wrk02"]["hosts"] == ["wrk02", "10.0.0.15"]


def test_names_of_the_api_server():
    assert certificates()["kubernetes"]["hosts"] == [
        "10.32.0.1",
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "ctl01",
        "10.0.0.11",
        "ctl02",
        "10.0.0.12",
        "kubelb",
        "10.0.0.13",
    ]


def test_an_etcd_member_of_its_own_is_named_too():
    hosts = certificates(topology(etcd=["ctl01", "ctl02", "client"]))["kubernetes"]["hosts"]
    assert hosts[-4:] == ["client", "10.0.0.16", "kubelb", "10.0.0.13"]
    assert len(set(hosts)) == len(hosts)


def test_further_names():
    hosts = certificates(extra_sans=["api.example.com", "10.0.0.11"])["kubernetes"]["hosts"]
    assert hosts[-1] == "api.example.com"
    assert hosts.count("10.0.0.11") == 1


def test_clients_and_users_have_no_names():
    plan = certificates()
    for name in ("admin", "kube-controller-manager", "kube-proxy", "kube-scheduler", "service-account"):
        assert plan[name]["hosts"] == []


def test_the_settings_are_not_changed():
    before = repr(SETTINGS)
    entry = certificates()["admin"]
    entry["csr"]["key"]["size"] = 1
    entry["csr"]["names"][0]["C"] = "XX"
    assert repr(SETTINGS) == before


# --- kubeconfigs ----------------------------------------------------------------------------------


def kubeconfigs(**options):
    plan = _plan.kubeconfig_plan(
        topology(),
        **{
            "cluster_name": "thw",
            "local_server": "https://127.0.0.1:6443",
            "server": "https://10.0.0.13:6443",
            **options,
        },
    )
    return {entry["path"]: entry for entry in plan}


@pytest.mark.parametrize(
    ("path", "user", "server", "certificate"),
    [
        ("admin", "admin", "https://127.0.0.1:6443", "admin"),
        ("kube-controller-manager", "system:kube-controller-manager", "https://127.0.0.1:6443", None),
        ("kube-scheduler", "system:kube-scheduler", "https://127.0.0.1:6443", None),
        ("kube-proxy", "system:kube-proxy", "https://10.0.0.13:6443", None),
        ("wrk01", "system:node:wrk01", "https://10.0.0.13:6443", None),
        ("wrk02", "system:node:wrk02", "https://10.0.0.13:6443", None),
        ("remote-admin", "admin", "https://10.0.0.13:6443", "admin"),
    ],
)
def test_kubeconfig(path, user, server, certificate):
    entry = kubeconfigs()[f"{path}.kubeconfig"]
    certificate = certificate or path
    assert entry["user"] == user
    assert entry["server"] == server
    assert entry["cluster_name"] == "thw"
    assert entry["certificate_authority"] == "ca.pem"
    assert (entry["client_certificate"], entry["client_key"]) == (f"{certificate}.pem", f"{certificate}-key.pem")


def test_every_kubeconfig_has_a_certificate():
    names = {f"{name}.pem" for name in certificates()}
    assert {entry["client_certificate"] for entry in kubeconfigs().values()} <= names
    assert len(kubeconfigs()) == 7


# --- nodes of the API -----------------------------------------------------------------------------


def node(name, **conditions):
    return {
        "metadata": {"name": name},
        "status": {"conditions": [{"type": kind, "status": status} for kind, status in conditions.items()]},
    }


def test_unready_nodes():
    nodes = [
        node("wrk01", Ready="True", DiskPressure="False"),
        node("wrk02", Ready="False"),
        node("wrk03", Ready="Unknown"),
        node("wrk04", DiskPressure="True"),
        {"metadata": {"name": "wrk05"}},
    ]
    names = ["wrk01", "wrk02", "wrk03", "wrk04", "wrk05", "wrk06"]
    assert _plan.unready_nodes(nodes, names) == names[1:]
    assert _plan.unready_nodes(nodes, []) == []


@pytest.mark.parametrize(
    ("kubelet", "heartbeat", "unready"),
    [
        ("active", "2026-01-01T00:00:00Z", []),
        ("inactive", "2026-01-01T00:00:00Z", ["wrk01"]),
        ("inactive", None, ["wrk01"]),
        ("inactive", "2026-01-01T00:01:00Z", []),
        ("inactive", "2026-01-01T00:01:05Z", []),
    ],
)
def test_unready_nodes_stale_heartbeat(kubelet, heartbeat, unready):
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}
    nodes = [{"metadata": {"name": "wrk01"}, "status": {"conditions": [condition]}}]
    # 2026-01-01T00:01:00.5Z
    reading = {"units": {"kubelet.service": kubelet}, "read_at": 1767225660.5}
    assert _plan.unready_nodes(nodes, ["wrk01"], {"wrk01": reading}) == unready


def test_apiserver_addresses_are_those_of_the_article():
    found = _plan.apiserver_addresses(topology(), "10.32.0.0/24", domain="x.test", extra=["api.example.com", "ctl01"])
    assert found == [
        "10.32.0.1", "127.0.0.1", "localhost",
        "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.x.test",
        "ctl01", "10.0.0.11", "ctl02", "10.0.0.12", "kubelb", "10.0.0.13", "api.example.com",
    ]  # fmt: skip
    assert certificates(domain="x.test", extra_sans=["api.example.com", "ctl01"])["kubernetes"]["hosts"] == found
