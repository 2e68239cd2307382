# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorities, certificates and kubeconfigs are the article's."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import certificates as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import settings, topology

LOCAL = "https://127.0.0.1:6443"
SERVER = "https://10.0.0.13:6443"
# Name, user and group, in the article's order.
LEAVES = [
    ("admin", "admin", "system:masters"),
    ("wrk01", "system:node:wrk01", "system:nodes"),
    ("wrk02", "system:node:wrk02", "system:nodes"),
    ("kube-controller-manager", "system:kube-controller-manager", "system:kube-controller-manager"),
    ("kube-proxy", "system:kube-proxy", "system:node-proxier"),
    ("kube-scheduler", "system:kube-scheduler", "system:kube-scheduler"),
    ("kubernetes", "kubernetes", "Kubernetes"),
    ("service-account", "service-accounts", "Kubernetes"),
    ("front-proxy-client", "front-proxy-client", "Kubernetes"),
]
API_NAMES = [
    "10.32.0.1", "127.0.0.1", "localhost",
    "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
    "ctl01", "10.0.0.11", "ctl02", "10.0.0.12", "kubelb", "10.0.0.13",
]  # fmt: skip


def leaves(shape=None, **changes):
    found = module.certificates(shape or topology(), settings(**changes))["certificates"]
    return {entry["name"]: entry for entry in found}


def test_service_address():
    assert module.service_address("10.32.0.0/24") == "10.32.0.1"
    assert module.service_address("fd00:1::/112") == "fd00:1::1"
    with pytest.raises(ValueError, match="host bits"):
        module.service_address("10.32.0.1/24")


def test_the_articles_authorities():
    authority, front_proxy = module.certificates(topology(), settings())["authorities"]
    subject = {"C": "US", "L": "Portland", "O": "Kubernetes", "OU": "CA", "ST": "Oregon"}
    assert authority == {
        "name": "ca",
        "csr": {
            "CN": "Kubernetes",
            "key": {"algo": "rsa", "size": 2048},
            "names": [subject],
            "ca": {"expiry": settings()["ca_authority_expiry"]},
        },
    }
    # A client of one must not pass for a client of the other.
    expected = {**authority, "name": "front-proxy-ca", "csr": {**authority["csr"], "CN": "Kubernetes Front Proxy"}}
    assert front_proxy == expected


def test_only_the_front_proxy_gets_a_new_authority():
    authorities = module.certificates(topology(), settings(ca_new_front_proxy_authority=True))["authorities"]
    assert [(one["name"], one.get("force"), one.get("regenerate_key")) for one in authorities] == [
        ("ca", None, None),
        ("front-proxy-ca", True, True),
    ]


def test_what_leaves_are_for():
    signing = module.certificates(topology(), settings(ca_expiry="100h"))["config"]["signing"]
    usages = ["signing", "key encipherment", "server auth", "client auth"]
    assert signing == {
        "default": {"expiry": "100h"},
        "profiles": {"kubernetes": {"expiry": "100h", "usages": usages}},
    }


def test_the_articles_files():
    assert list(leaves()) == [name for name, _user, _group in LEAVES]


@pytest.mark.parametrize(("name", "user", "group"), LEAVES)
def test_who_a_certificate_is_for(name, user, group):
    entry = leaves()[name]
    subject = {"C": "US", "L": "Portland", "O": group, "OU": "Kubernetes The Hard Way", "ST": "Oregon"}
    assert entry["csr"] == {"CN": user, "key": {"algo": "rsa", "size": 2048}, "names": [subject]}
    assert entry["ca"] == ("front-proxy-ca" if name == "front-proxy-client" else "ca")
    assert entry["profile"] == "kubernetes"


def test_names_of_a_certificate():
    named = {name: entry["hosts"] for name, entry in leaves().items() if entry["hosts"]}
    assert named == {"wrk01": ["wrk01", "10.0.0.14"], "wrk02": ["wrk02", "10.0.0.15"], "kubernetes": API_NAMES}


@pytest.mark.parametrize(
    ("parts", "changes", "expected"),
    [
        # An etcd member of its own is named too.
        (
            {"etcd": ["ctl01", "ctl02", "client"]},
            {},
            [*API_NAMES[:-2], "client", "10.0.0.16", "kubelb", "10.0.0.13"],
        ),
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


def test_every_kubeconfig_has_a_certificate():
    assert {entry["client_certificate"] for entry in kubeconfigs()} <= {f"{name}.pem" for name in leaves()}
    assert len(kubeconfigs()) == 7
