# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The specification: URLs, members, networks, programs and images of the article's cluster."""

from __future__ import annotations

import re

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import specification
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import CatalogueError
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    CATALOGUE,
    settings,
    topology,
)


def spec(shape=None, architectures=None, **changes):
    known = dict.fromkeys(ADDRESSES, "amd64") if architectures is None else architectures
    readings = {host: {"architecture": architecture} for host, architecture in known.items()}
    return specification(shape or topology(), settings(**changes), CATALOGUE, readings)


def test_settings_are_taken_over():
    found = spec()
    expected = {
        "name": "kubernetes-the-hard-way",
        "release": "1.37",
        "domain": "cluster.local",
        "pod_cidr": "10.200.0.0/16",
        "node_prefix_length": 24,
        "service_cidr": "10.32.0.0/24",
        "api_service_address": "10.32.0.1",
        "dns_address": "10.32.0.10",
        "node_port_range": "30000-32767",
        "pod_network": "flannel",
        "kube_proxy_mode": "iptables",
        "kube_proxy_health_url": "http://127.0.0.1:10256/healthz",
        "pki_directory": "/srv/lab/.cluster/pki",
        "topology": topology(),
    }
    assert {key: found[key] for key in expected} == expected
    assert found["versions"] == CATALOGUE["releases"]["1.37"]


@pytest.mark.parametrize(
    ("parts", "addresses", "changes", "server"),
    [
        ({}, {}, {}, "https://10.0.0.13:6443"),
        ({"load_balancers": []}, {}, {}, "https://10.0.0.11:6443"),
        ({}, {"kubelb": "fd00::13"}, {}, "https://[fd00::13]:6443"),
        ({}, {}, {"cluster_api_server": "https://api.example.com"}, "https://api.example.com"),
    ],
)
def test_api(parts, addresses, changes, server):
    found = spec(topology(addresses=addresses, **parts), **changes)
    assert found["api"]["server"] == server
    assert found["api"]["local_server"] == "https://127.0.0.1:6443"
    assert found["api"]["local_kubectl"] == [
        "/usr/local/bin/kubectl",
        "--kubeconfig=/var/lib/kubernetes/admin.kubeconfig",
        "--cache-dir=/run/kubectl",
    ]
    leaf = next(entry for entry in found["certificates"]["certificates"] if entry["name"] == "kubernetes")
    assert found["api"]["names"] == leaf["hosts"]
    servers = {entry["path"]: entry["server"] for entry in found["kubeconfigs"]}
    assert servers["kube-proxy.kubeconfig"] == server
    assert servers["kube-scheduler.kubeconfig"] == "https://127.0.0.1:6443"


@pytest.mark.parametrize(
    ("parts", "server", "balanced"),
    [
        ({}, "", True),
        ({"load_balancers": []}, "", False),
        ({"load_balancers": []}, "https://api.example.com", True),
        ({"load_balancers": []}, "https://10.0.0.12:6443", False),
        ({"load_balancers": []}, "https://ctl02:6443", False),
        ({"controllers": ["ctl01"]}, "", False),
    ],
)
def test_whether_the_api_is_behind_a_load_balancer(parts, server, balanced):
    assert spec(topology(**parts), cluster_api_server=server)["api"]["balanced"] is balanced


def test_who_talks_to_the_api():
    assert spec()["api"]["client_host"] == "localhost"
    assert spec()["api"]["kubeconfig"] == "/srv/lab/.cluster/pki/remote-admin.kubeconfig"
    assert spec(cluster_api_kubeconfig="/root/config")["api"]["kubeconfig"] == "/root/config"


def test_etcd():
    found = spec(topology(etcd=["ctl01", "kubelb"], addresses={"kubelb": "fd00::13"}))["etcd"]
    assert found["members"] == {
        "ctl01": {"peer_url": "https://10.0.0.11:2380", "client_url": "https://10.0.0.11:2379"},
        "kubelb": {"peer_url": "https://[fd00::13]:2380", "client_url": "https://[fd00::13]:2379"},
    }
    assert found["client_urls"] == ["https://10.0.0.11:2379", "https://[fd00::13]:2379"]
    assert found["initial_cluster"] == "ctl01=https://10.0.0.11:2380,kubelb=https://[fd00::13]:2380"


@pytest.mark.parametrize(
    ("members", "interrupts"),
    [
        (
            ["ctl01"],
            "etcd has one member and needs all of them: no writes while one restarts, mostly less than 10 seconds",
        ),
        (
            ["ctl01", "ctl02"],
            "etcd has 2 members and needs all of them: no writes while one restarts, mostly less than 10 seconds",
        ),
        (["ctl01", "ctl02", "wrk01"], ""),
    ],
)
def test_what_a_restart_of_etcd_interrupts(members, interrupts):
    assert spec(topology(etcd=members))["etcd"]["interrupts"] == interrupts


def test_programs_are_for_the_architecture_of_each_host():
    mirror = "file:///srv/mirror"
    url = "https://dl.k8s.io/release/v1.37.2/bin/linux/arm64/kubelet"
    found = spec(
        architectures={"wrk01": "amd64", "wrk02": "arm64", "client": None},
        cluster_mirror=mirror,
        cluster_checksums={url: "ab" * 32},
    )["hosts"]
    assert {host: entry["address"] for host, entry in found.items()} == ADDRESSES
    assert found["wrk02"]["programs"]["kubelet"] == {
        "name": "kubelet",
        "version": "1.37.2",
        "url": url,
        "checksum_url": f"{url}.sha256",
        "sha256": "ab" * 32,
        "directory": "/usr/local/bin",
        "files": [],
        "mirror": mirror,
    }
    assert "/amd64/" in found["wrk01"]["programs"]["kubelet"]["url"]
    assert found["wrk01"]["programs"].keys() == set(CATALOGUE["programs"])
    # A host that was not read has no architecture.
    assert found["ctl01"]["programs"] == found["client"]["programs"] == {}
    with pytest.raises(CatalogueError, match="architecture 'riscv64' is not in the release catalogue"):
        spec(architectures={"wrk01": "riscv64"})


def test_another_release_and_versions_of_ones_own():
    found = spec(cluster_release="1.36", cluster_versions={"etcd": "3.6.20"})
    assert found["release"] == "1.36"
    assert found["versions"] == {**CATALOGUE["releases"]["1.36"], "etcd": "3.6.20"}
    programs = found["hosts"]["ctl01"]["programs"]
    assert programs["etcd"]["version"] == "3.6.20"
    assert programs["kubelet"]["version"] == CATALOGUE["releases"]["1.36"]["kubernetes"]


@pytest.mark.parametrize(
    ("pod_network", "images"),
    [
        ("flannel", ["pause", "coredns", "flannel"]),
        ("weave", ["pause", "coredns", "weave-kube", "weave-npc"]),
        ("none", ["pause", "coredns"]),
    ],
)
def test_images_are_those_of_the_pod_network(pod_network, images):
    found = spec(cluster_pod_network=pod_network, cluster_image_digests={"pause": "sha256:12"})["images"]
    assert list(found) == images
    assert found["pause"] == "registry.k8s.io/pause:3.10.2@sha256:12"


def test_images_of_another_registry():
    names = {"pause": "registry.example.com/pause:{version}", "coredns": "registry.example.com/dns:mine"}
    found = spec(
        cluster_release="1.35",
        cluster_pod_network="none",
        cluster_images=names,
        cluster_image_digests={"pause": "sha256:12"},
    )["images"]
    assert found == {
        "pause": "registry.example.com/pause:3.10.1@sha256:12",
        "coredns": "registry.example.com/dns:mine",
    }
    assert spec(cluster_images={"pause": ""})["images"]["pause"] == "registry.k8s.io/pause:3.10.2"


def test_images_are_held_to_the_digests_of_the_catalogue():
    digests = CATALOGUE["digests"]
    found = spec(cluster_release="1.36", cluster_pod_network="flannel", cluster_pin_images=True)["images"]
    assert found["pause"] == f"registry.k8s.io/pause:3.10.2@{digests['pause']['3.10.2']}"
    assert found["coredns"] == f"registry.k8s.io/coredns/coredns:v1.14.7@{digests['coredns']['1.14.7']}"
    # The catalogue has none for it.
    assert found["flannel"] == "ghcr.io/flannel-io/flannel:v0.28.10"
    assert "@" not in str(spec(cluster_release="1.36")["images"])
    # Of another version it says nothing, and the inventory holds before it.
    more = {"cluster_versions": {"coredns": "1.14.8"}, "cluster_image_digests": {"pause": "sha256:12"}}
    found = spec(cluster_release="1.36", cluster_pin_images=True, **more)["images"]
    assert found["coredns"] == "registry.k8s.io/coredns/coredns:v1.14.8"
    assert found["pause"] == "registry.k8s.io/pause:3.10.2@sha256:12"
    own = f"registry.example.com/pause@sha256:{'a' * 64}"
    assert spec(cluster_pin_images=True, cluster_images={"pause": own})["images"]["pause"] == own


def test_the_catalogue_s_digests_are_those_of_images_that_it_has():
    for image, versions in CATALOGUE["digests"].items():
        component = CATALOGUE["images"][image]["version"]
        assert set(versions) <= {release[component] for release in CATALOGUE["releases"].values()}
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in versions.values())
