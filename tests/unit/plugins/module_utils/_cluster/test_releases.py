# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of version on an existing cluster: what is carried through, and what is refused with the way that works."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import releases as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    computed,
    empty,
    running,
)


def cluster(kubernetes: str, etcd: str = "3.6.16", **hosts: str) -> dict[str, dict[str, t.Any]]:
    """Return readings of a cluster of these versions; of single hosts another one of Kubernetes."""
    readings = running()
    for host, reading in readings.items():
        for name in reading["programs"]:
            if name.startswith("kube"):
                reading["programs"][name] = hosts.get(host, kubernetes)
            elif name == "etcd":
                reading["programs"][name] = etcd
        reading["nodes"] = {}
    return readings


def problems(
    readings: dict[str, dict[str, t.Any]], runs: module.Chapters | None = None, **settings: t.Any
) -> list[str]:
    return computed(readings, runs=runs, **settings)["plan"]["problems"]


def older(program: str, hosts: str, wanted: str, found: str, component: str = "kubernetes") -> str:
    reason = "etcd does not start on the data of a newer one" if component == "etcd" else "Kubernetes cannot go back"
    named = ", ".join(f"{host} {found}" for host in hosts.split())
    return (
        f"{program}: {named}, the inventory says {wanted}; {reason}. Set cluster_release to a release that has {found} "
        f"or a newer one, or cluster_versions to {{{component}: {found}}}"
    )


CONTROLLERS, WORKERS = "ctl01 ctl02", "wrk01 wrk02"


@pytest.mark.parametrize("release", ["1.36", "1.37"])
def test_the_same_release_and_the_next(release):
    assert problems(cluster("1.36.3"), cluster_release=release) == []
    assert problems(cluster("1.36.1"), cluster_release=release) == [], "an older patch"


def test_an_older_release():
    assert problems(cluster("1.37.2", "3.7.3"), cluster_release="1.36") == [
        older("etcd", CONTROLLERS, "3.6.16", "3.7.3", "etcd"),
        *(
            older(program, CONTROLLERS, "1.36.3", "1.37.2")
            for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        ),
        *(older(program, WORKERS, "1.36.3", "1.37.2") for program in ("kubelet", "kube-proxy")),
    ]


def test_a_single_host_that_is_newer():
    """A run that failed has left it; going on is the way, not going back."""
    found = problems(cluster("1.36.3", wrk02="1.37.2"), cluster_release="1.36")
    assert found == [older(program, "wrk02", "1.36.3", "1.37.2") for program in ("kubelet", "kube-proxy")]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"kubernetes": "1.37.1"}, 5),
        ({"etcd": "3.7.2"}, 1),
        ({"etcd": "3.6.16"}, 1),
        ({"etcd": "3.7.4", "kubernetes": "1.37.10"}, 0),
        ({"containerd": "2.3.7", "coredns": "1.14.7"}, 0),
    ],
)
def test_single_versions_downwards(versions, expected):
    assert len(problems(cluster("1.37.2", "3.7.3"), cluster_versions=versions)) == expected


def test_two_minor_releases_at_once():
    assert problems(cluster("1.35.4"), cluster_release="1.37") == [
        "kube-apiserver: ctl01 1.35.4, ctl02 1.35.4, the inventory says 1.37.2; one minor release at a time: set "
        "cluster_release 1.36 first, run site.yml, then go on"
    ]
    assert problems(cluster("1.35.4"), cluster_release="1.36") == []
    # The oldest API server counts.
    (problem,) = problems(cluster("1.36.3", ctl02="1.35.4"), cluster_release="1.37")
    assert problem.startswith("kube-apiserver: ctl02 1.35.4, the inventory says 1.37.2;")


def test_two_minor_releases_of_etcd():
    assert problems(cluster("1.37.2", "3.5.21")) == [
        "etcd: ctl01 3.5.21, ctl02 3.5.21, the inventory says 3.7.3; one minor release at a time: set a version 3.6 in "
        "cluster_versions first, run site.yml, then go on"
    ]


NEWER = (
    "kubelet: wrk01, wrk02 would get 1.37.2, newer than kube-apiserver (ctl01 1.36.3, ctl02 1.36.3), which this run "
    "leaves out; a kubelet must not be newer: run site.yml with the tag apiserver, without a limit, first"
)


@pytest.mark.parametrize(
    ("tags", "skipped", "refused"),
    [
        (["all"], [], False),
        (["worker"], [], True),
        (["all"], ["apiserver"], True),
        (["apiserver", "worker"], [], False),
        (["apiserver"], [], False),
        (["all"], ["worker"], False),
        (["preflight"], [], False),
        ([], [], False),
    ],
)
def test_kubelets_newer_than_the_api_servers(tags, skipped, refused):
    runs = module.chapters(tags, skipped)
    found = problems(cluster("1.36.3"), runs, cluster_release="1.37")
    assert [text for text in found if text.startswith("kubelet")] == [NEWER] * refused
    assert problems(cluster("1.36.3"), runs, cluster_release="1.36") == []


@pytest.mark.parametrize(
    ("tags", "skipped", "programs"),
    [
        (["all"], [], []),
        (["controller_manager"], [], ["kube-controller-manager"]),
        (["scheduler", "preflight"], [], ["kube-scheduler"]),
        (["all"], ["apiserver", "worker"], ["kube-controller-manager", "kube-scheduler"]),
        (["apiserver", "scheduler"], [], []),
        (["etcd"], [], []),
    ],
)
def test_what_uses_an_api_server_is_not_newer_than_it(tags, skipped, programs):
    runs = module.chapters(tags, skipped)
    assert problems(cluster("1.36.3"), runs, cluster_release="1.37") == [
        f"{program}: ctl01, ctl02 would get 1.37.2, newer than kube-apiserver (ctl01 1.36.3, ctl02 1.36.3), which this "
        f"run leaves out; {program} must not be newer: run site.yml with the tag apiserver too, or without tags"
        for program in programs
    ]
    assert problems(cluster("1.36.3"), runs, cluster_release="1.36") == []
    assert problems(cluster("1.37.1"), runs, cluster_release="1.37") == [], "a patch release"


def limited(api_version: str, *hosts: str) -> list[str]:
    readings = cluster("1.36.3")
    readings["wrk02"]["identity"]["api_version"] = api_version
    return problems({host: readings[host] for host in hosts}, cluster_release="1.37")


def test_kubelets_of_a_run_with_a_limit():
    """No controller is read, or not all of them are: the kubelet's own API server says its version."""
    assert limited("1.36.3", "wrk02") == [
        "kubelet: wrk02 would get 1.37.2, newer than kube-apiserver (reached from wrk02 1.36.3), which this run leaves "
        "out; a kubelet must not be newer: run site.yml with the tag apiserver, without a limit, first"
    ]
    assert len(limited("1.36.3", "wrk02", "ctl01")) == 1
    assert limited("1.36.3", "wrk02", "ctl01", "ctl02") == []
    assert limited("1.37.2", "wrk02") == []
    assert limited("", "wrk02") == [], "no API server answers"
    assert limited("1.36.3", "ctl01") == []


def test_each_controller_that_a_limit_leaves_out_counts():
    """A load balancer may lead to the one that is upgraded already."""
    readings = cluster("1.36.3", ctl01="1.37.2")
    readings["wrk02"]["identity"] |= {"api_version": "1.37.2", "api_versions": {"ctl01": "1.37.2", "ctl02": "1.36.3"}}
    (problem,) = problems({"wrk02": readings["wrk02"]}, cluster_release="1.37")
    assert "newer than kube-apiserver (ctl02 1.36.3), which this run leaves out" in problem
    (problem,) = problems({host: readings[host] for host in ("ctl01", "wrk02")}, cluster_release="1.37")
    assert "(ctl02 1.36.3)" in problem
    readings["wrk02"]["identity"]["api_versions"]["ctl02"] = "1.37.2"
    assert problems({"wrk02": readings["wrk02"]}, cluster_release="1.37") == []


def test_kubelets_after_their_api_servers():
    readings = cluster("1.36.3", ctl01="1.37.2", ctl02="1.37.2")
    assert problems(readings, module.chapters(["worker"]), cluster_release="1.37") == []


def test_kubelets_that_are_too_old():
    readings = cluster("1.36.3", wrk02="1.33.1")
    expected = (
        "kubelet: {}, more than 3 minor releases older than the kube-apiserver 1.37.2 of the inventory; bring the "
        "kubelets to the release of the API servers first, with the old cluster_release"
    )
    assert problems(readings, cluster_release="1.37") == [expected.format("wrk02 1.33.1")]
    assert problems(readings, cluster_release="1.36") == []
    assert problems(readings, module.chapters(["worker"]), cluster_release="1.37") != [expected.format("wrk02 1.33.1")]
    # A node that is not part of the run is known to the API servers.
    readings = cluster("1.36.3")
    node = {"ready": True, "version": "1.33.9", "pod_cidr": "", "unschedulable": False}
    readings["ctl01"]["nodes"] = {
        "other": node,
        "wrk01": {**node, "version": "1.36.3"},
        "unknown": {**node, "version": ""},
    }
    assert problems(readings, cluster_release="1.37") == [expected.format("other 1.33.9")]


def test_hosts_of_a_build_that_stopped_may_have_any_version():
    readings = empty()
    readings["ctl01"]["programs"] = {"kube-apiserver": "1.37.2", "etcd": "3.7.3"}
    assert problems(readings, cluster_release="1.35") == []


def test_versions_that_cannot_be_read_are_left_out():
    assert problems(cluster("devel", "")) == []
    assert len(problems(cluster("1.36.3"), cluster_release="1.18")) == 1
