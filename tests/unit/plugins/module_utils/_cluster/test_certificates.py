# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorities, certificates and kubeconfigs: who they are for, and what they prove."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import certificates as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    computed,
    running,
    settings,
    topology,
)

LOCAL = "https://127.0.0.1:6443"
SERVER = "https://10.0.0.13:6443"
# Name, user, group, authority and use.
LEAVES = [
    ("admin", "admin", "hardway:cluster-admins", "ca", "administrator"),
    ("super-admin", "super-admin", "system:masters", "ca", "administrator"),
    ("wrk01", "system:node:wrk01", "system:nodes", "ca", "client"),
    ("wrk01-server", "system:node:wrk01", "system:nodes", "ca", "server"),
    ("wrk02", "system:node:wrk02", "system:nodes", "ca", "client"),
    ("wrk02-server", "system:node:wrk02", "system:nodes", "ca", "server"),
    ("kube-controller-manager", "system:kube-controller-manager", "system:kube-controller-manager", "ca", "client"),
    ("kube-proxy", "system:kube-proxy", "system:node-proxier", "ca", "client"),
    ("kube-scheduler", "system:kube-scheduler", "system:kube-scheduler", "ca", "client"),
    ("kubernetes", "kubernetes", "Kubernetes", "ca", "server"),
    ("apiserver-kubelet-client", "kubernetes", "Kubernetes", "ca", "client"),
    ("service-account", "service-accounts", "Kubernetes", "ca", "key-pair"),
    ("etcd-ctl01", "etcd-member", "Kubernetes", "etcd-ca", "peer"),
    ("etcd-ctl02", "etcd-member", "Kubernetes", "etcd-ca", "peer"),
    ("apiserver-etcd-client", "kube-apiserver", "Kubernetes", "etcd-ca", "client"),
    ("etcdctl", "etcdctl", "Kubernetes", "etcd-ca", "client"),
    ("front-proxy-client", "front-proxy-client", "Kubernetes", "front-proxy-ca", "client"),
]
API_NAMES = [
    "10.32.0.1", "127.0.0.1", "localhost",
    "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
    "ctl01", "10.0.0.11", "ctl02", "10.0.0.12", "kubelb", "10.0.0.13",
]  # fmt: skip


def leaves(shape=None, **changes):
    found = module.certificates(shape or topology(), settings(**changes))["certificates"]
    return {entry["name"]: entry for entry in found}


def test_service_addresses():
    assert module.service_addresses("10.32.0.0/24") == ["10.32.0.1"]
    assert module.service_addresses("fd00:1::/112,10.32.0.0/24") == ["fd00:1::1", "10.32.0.1"]
    with pytest.raises(ValueError, match="host bits"):
        module.service_addresses("10.32.0.1/24")


def test_authorities_are_apart_and_sign_no_others():
    authority, *others = module.certificates(topology(), settings())["authorities"]
    subject = {"C": "US", "L": "Portland", "O": "Kubernetes", "OU": "CA", "ST": "Oregon"}
    assert authority == {
        "name": "ca",
        "csr": {
            "CN": "Kubernetes",
            "key": {"algo": "rsa", "size": 2048},
            "names": [subject],
            "ca": {"expiry": settings()["ca_authority_expiry"], "pathlen": 0, "pathlenzero": True},
        },
    }
    # A client of one must not pass for a client of another.
    assert others == [
        {**authority, "name": name, "csr": {**authority["csr"], "CN": common_name}}
        for name, common_name in (("etcd-ca", "etcd"), ("front-proxy-ca", "Kubernetes Front Proxy"))
    ]


def test_only_the_front_proxy_gets_a_new_authority():
    authorities = module.certificates(topology(), settings(ca_new_front_proxy_authority=True))["authorities"]
    assert [(one["name"], one.get("force"), one.get("regenerate_key")) for one in authorities] == [
        ("ca", None, None),
        ("etcd-ca", None, None),
        ("front-proxy-ca", True, True),
    ]


def test_authorities_are_renewed_where_they_are_named():
    authorities = module.certificates(topology(), settings(ca_renew_authorities=["etcd-ca"]))["authorities"]
    assert [(one["name"], one.get("renew"), one.get("force")) for one in authorities] == [
        ("ca", None, None),
        ("etcd-ca", True, None),
        ("front-proxy-ca", None, None),
    ]


def test_an_unknown_authority_is_not_renewed():
    (problem,) = computed(running(), ca_renew_authorities=["etcd"])["plan"]["problems"]
    assert "ca_renew_authorities" in problem
    assert "front-proxy-ca" in problem


def test_what_leaves_are_for():
    wanted = module.certificates(topology(), settings(ca_expiry="100h", ca_admin_expiry="10h"))
    signing = wanted["config"]["signing"]
    assert signing["default"] == {"expiry": "100h"}
    assert {
        name: (profile["expiry"], profile["usages"][:2], profile["usages"][2:])
        for name, profile in signing["profiles"].items()
    } == {
        "server": ("100h", ["signing", "key encipherment"], ["server auth"]),
        "client": ("100h", ["signing", "key encipherment"], ["client auth"]),
        "peer": ("100h", ["signing", "key encipherment"], ["server auth", "client auth"]),
        "administrator": ("10h", ["signing", "key encipherment"], ["client auth"]),
        # Neither a server nor a client. With no purpose at all it would be both.
        "key-pair": ("100h", ["signing", "key encipherment"], ["code signing"]),
    }


def test_one_certificate_per_identity_and_direction():
    assert list(leaves()) == [name for name, *_rest in LEAVES]


@pytest.mark.parametrize(("name", "user", "group", "authority", "profile"), LEAVES)
def test_who_a_certificate_is_for(name, user, group, authority, profile):
    entry = leaves()[name]
    subject = {"C": "US", "L": "Portland", "O": group, "OU": "Kubernetes The Hard Way", "ST": "Oregon"}
    assert entry["csr"] == {"CN": user, "key": {"algo": "rsa", "size": 2048}, "names": [subject]}
    assert (entry["ca"], entry["profile"]) == (authority, profile)


def test_names_of_a_certificate():
    named = {name: entry["hosts"] for name, entry in leaves().items() if entry["hosts"]}
    assert named == {
        "wrk01-server": ["wrk01", "10.0.0.14"],
        "wrk02-server": ["wrk02", "10.0.0.15"],
        "kubernetes": API_NAMES,
        "etcd-ctl01": ["ctl01", "10.0.0.11", "127.0.0.1", "localhost"],
        "etcd-ctl02": ["ctl02", "10.0.0.12", "127.0.0.1", "localhost"],
    }


@pytest.mark.parametrize(
    ("parts", "changes", "expected"),
    [
        # An etcd member of its own has its own certificate.
        ({"etcd": ["ctl01", "ctl02", "client"]}, {}, API_NAMES),
        ({}, {"ca_extra_sans": ["api.example.com", "10.0.0.11"]}, [*API_NAMES, "api.example.com"]),
        ({}, {"cluster_api_server": "https://api.example.com:6443"}, [*API_NAMES, "api.example.com"]),
        ({}, {"cluster_api_server": "https://api.example.com/"}, [*API_NAMES, "api.example.com"]),
        ({}, {"cluster_api_server": "https://[fd00::9]:6443"}, [*API_NAMES, "fd00::9"]),
        ({}, {"cluster_api_server": "https://10.0.0.13:6443"}, API_NAMES),
        ({}, {"cluster_api_server": "not a URL"}, API_NAMES),
        ({}, {"cluster_domain": "x.test"}, [*API_NAMES[:6], "kubernetes.default.svc.x.test", *API_NAMES[7:]]),
        ({}, {"cluster_service_cidr": "10.96.0.0/12"}, ["10.96.0.1", *API_NAMES[1:]]),
    ],
)
def test_names_of_the_api_server(parts, changes, expected):
    assert module.api_names(topology(**parts), settings(**changes)) == expected
    assert leaves(topology(**parts), **changes)["kubernetes"]["hosts"] == expected


def test_the_settings_are_not_changed():
    given = settings()
    before = repr(given)
    entry = module.certificates(topology(), given)["certificates"][0]
    entry["csr"]["key"]["size"] = 1
    entry["csr"]["names"][0]["C"] = "XX"
    assert repr(given) == before


def kubeconfigs():
    return module.kubeconfigs(topology(), cluster_name="thw", local_server=LOCAL, server=SERVER)


@pytest.mark.parametrize(
    ("name", "user", "server", "certificate", "context"),
    [
        ("admin", "admin", LOCAL, "admin", "default"),
        ("super-admin", "super-admin", LOCAL, "super-admin", "default"),
        ("kube-controller-manager", "system:kube-controller-manager", LOCAL, "kube-controller-manager", "default"),
        ("kube-scheduler", "system:kube-scheduler", LOCAL, "kube-scheduler", "default"),
        ("kube-proxy", "system:kube-proxy", SERVER, "kube-proxy", "default"),
        ("wrk01", "system:node:wrk01", SERVER, "wrk01", "default"),
        ("wrk02", "system:node:wrk02", SERVER, "wrk02", "default"),
        ("remote-admin", "admin", SERVER, "admin", "thw"),
    ],
)
def test_kubeconfig(name, user, server, certificate, context):
    (entry,) = [entry for entry in kubeconfigs() if entry["path"] == f"{name}.kubeconfig"]
    assert entry == {
        "path": f"{name}.kubeconfig",
        "cluster_name": "thw",
        "server": server,
        "certificate_authority": "ca.pem",
        "user": user,
        "client_certificate": f"{certificate}.pem",
        "client_key": f"{certificate}-key.pem",
        "context": context,
    }


def test_kubeconfigs_trust_all_authorities_of_a_rotation():
    authorities = ["ca-next.pem", "ca.pem"]
    found = module.kubeconfigs(
        topology(), cluster_name="thw", local_server=LOCAL, server=SERVER, authorities=authorities
    )
    assert {(entry["certificate_authority"], *entry["further_authorities"]) for entry in found} == {tuple(authorities)}


def test_every_kubeconfig_has_a_certificate():
    assert {entry["client_certificate"] for entry in kubeconfigs()} <= {f"{name}.pem" for name in leaves()}
    assert len(kubeconfigs()) == 8
