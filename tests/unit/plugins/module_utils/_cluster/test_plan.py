# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan in words: what changes where, in which order, and with which effect."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import plan as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    PARTS,
    computed,
    reading,
    running,
)

TITLE = "kubernetes-the-hard-way: Kubernetes 1.37.2"
NO_POLICY = (
    "cluster_pod_network flannel does not enforce NetworkPolicy: the API takes such objects, and every pod still "
    "reaches every other"
)
EVEN = "etcd has 2 members: that survives 0 failures, no more than 1 would; 1, 3 or 5 members are usual"


def older(readings, programs):
    """Put other versions into readings, where the program is installed."""
    for found in readings.values():
        found["programs"] = {name: programs.get(name, version) for name, version in found["programs"].items()}
    return readings


def effects(readings, **inventory):
    return {change["component"]: change["effect"] for change in computed(readings, **inventory)["plan"]["changes"]}


OLDER = {
    "etcd": "3.6.16",
    "kube-apiserver": "1.36.3",
    "kubelet": "1.36.3",
    "containerd": "2.3.7",
    "kube-proxy": "1.36.3",
}
THREE = [*PARTS["etcd"], "wrk01"]


@pytest.mark.parametrize(
    ("parts", "settings", "expected"),
    [
        (
            {},
            {},
            {
                "etcd": "etcd has 2 members and needs all of them: no writes while one restarts, "
                "mostly less than 10 seconds",
                "kube-apiserver": "one at a time: no interruption",
                "drain": "pods move to other workers; disruption budgets are kept",
                "containerd": "after its pods have moved to other workers",
                "kubelet": "after its pods have moved to other workers",
                "kube-proxy": "",
            },
        ),
        ({"controllers": ["ctl01"]}, {}, {"kube-apiserver": "the API does not answer while it restarts"}),
        (
            {"load_balancers": []},
            {},
            {"kube-apiserver": "the API does not answer while ctl01 restarts: nodes and clients use it alone"},
        ),
        (
            {"load_balancers": []},
            {"cluster_api_server": "https://api.example.com"},
            {"kube-apiserver": "one at a time: no interruption"},
        ),
        ({"etcd": THREE}, {}, {"etcd": "one member at a time: no interruption"}),
    ],
)
def test_effects(parts, settings, expected):
    readings = older(running(), OLDER)
    if "etcd" in parts:
        data = readings["ctl01"]["etcd"]
        data["members"].append({"id": "c3", "name": "wrk01", "peer_urls": [], "learner": False})
        readings["wrk01"]["etcd"] = {**data, "data": {**data["data"], "member_id": "c3"}}
        readings["wrk01"]["units"]["etcd.service"] = "active"
        readings["wrk01"]["programs"]["etcd"] = "3.6.16"
    found = effects(readings, parts=parts, **settings)
    assert {component: found[component] for component in expected} == expected


def test_what_does_not_run_is_started_and_interrupts_nothing():
    readings = running()
    readings["ctl02"]["units"]["kube-apiserver.service"] = "failed"
    del readings["ctl02"]["programs"]["kube-apiserver"]
    readings["kubelb"]["units"]["nginx.service"] = "inactive"
    assert computed(readings)["plan"]["changes"] == [
        {
            "hosts": ["ctl02"],
            "component": "kube-apiserver",
            "change": "install kube-apiserver 1.37.2, start",
            "effect": "",
        },
        {"hosts": ["kubelb"], "component": "load balancer", "change": "start", "effect": ""},
    ]


def test_hosts_with_the_same_change_are_named_together_and_others_apart():
    readings = older(running(), {"kubelet": "1.37.1"})
    readings["wrk02"]["programs"]["kubelet"] = "1.37.0"
    found = [(change["hosts"], change["change"]) for change in computed(readings)["plan"]["changes"]]
    assert found == [(["wrk01"], "kubelet 1.37.1 -> 1.37.2"), (["wrk02"], "kubelet 1.37.0 -> 1.37.2")]


def test_members_that_leave_are_those_that_etcd_alone_knows():
    """A member without a name, which never started, is known by its address."""
    readings = running()
    gone = {"id": "99", "name": "", "peer_urls": ["https://10.0.0.99:2380"], "learner": True}
    for host in ("ctl01", "ctl02"):
        members = readings[host]["etcd"]["members"]
        members[1] = {**members[1], "name": ""}
        members.append(gone)
    assert computed(readings)["plan"]["changes"] == [
        {
            "hosts": ["99"],
            "component": "etcd membership",
            "change": "remove from the etcd cluster: the inventory does not have it",
            "effect": "no interruption",
        }
    ]


def test_summary():
    finished = computed(running())
    warnings = [f"Warning: {text}" for text in (NO_POLICY, EVEN)]
    nothing = "Versions, units and members are as the inventory says; files are compared on the way."
    assert finished["plan"]["summary"] == [f"{TITLE} on 6 hosts", nothing, *warnings]
    readings = older(running(), {"kubectl": "1.36.3", "kube-apiserver": "1.37.1"})
    del readings["client"]["programs"]["kubectl"]
    assert computed(readings)["plan"]["summary"] == [
        f"{TITLE} on 6 hosts",
        "ctl01: etcd backup: save a snapshot first, and keep it on the control node in .etcd-backup beside the "
        "inventory (no interruption)",
        "ctl01, ctl02: kube-apiserver: kube-apiserver 1.37.1 -> 1.37.2 (one at a time: no interruption)",
        "client: kubectl: install kubectl 1.37.2",
        *warnings,
    ]
    fresh = computed({"client": reading(addresses=[])})
    assert fresh["plan"]["summary"][0] == f"{TITLE} is built on 6 hosts"


def note(host, component, *steps, **more):
    return {"host": host, "component": component, "steps": list(steps), **more}


def test_report():
    """The notes of components replace the derived changes; the other changes stay."""
    readings = older(running(), {"kube-scheduler": "1.37.1", "kubelet": "1.37.1"})
    notes = [
        note("ctl01", "kube-scheduler", "install kube-scheduler 1.37.2", "restart", effect="none"),
        note("ctl02", "kube-scheduler", "install kube-scheduler 1.37.2", "restart", effect="none"),
        note("ctl02", "kube-scheduler", "install kube-scheduler 1.37.2", "restart", effect="none"),
        note("wrk01", "kubelet", "install kubelet 1.37.2"),
    ]
    found = module.report(computed(readings), notes)
    kubelet = {"component": "kubelet", "change": "kubelet 1.37.1 -> 1.37.2", "effect": "pods go on running"}
    assert found["changes"] == [
        {"hosts": ["wrk02"], **kubelet},
        {
            "hosts": ["ctl01", "ctl02"],
            "component": "kube-scheduler",
            "change": "install kube-scheduler 1.37.2, restart",
            "effect": "none",
        },
        {"hosts": ["wrk01"], "component": "kubelet", "change": "install kubelet 1.37.2", "effect": ""},
    ]
    assert found["warnings"] == [NO_POLICY, EVEN]
    assert found["problems"] == []
    assert module.report(computed(readings), notes, ["pods move"])["warnings"] == [NO_POLICY, EVEN, "pods move"]
    assert found["lines"][2] == "ctl01, ctl02: kube-scheduler: install kube-scheduler 1.37.2, restart (none)"


def test_hosts_come_in_the_order_of_the_inventory():
    """Whatever the order in which they are done."""
    notes = [
        note("localhost", "certificates", "write kubernetes.pem"),
        note("wrk02", "containerd", "install runc 1.5.2"),
        note("wrk02", "kubelet", "restart"),
        note("wrk01", "containerd", "restart"),
        note("ctl02", "containerd", "install runc 1.5.2"),
        note("wrk01", "kubelet", "restart"),
    ]
    found = module.report(computed(running()), notes)["changes"]
    assert [(change["component"], change["hosts"], change["change"]) for change in found] == [
        ("certificates", ["localhost"], "write kubernetes.pem"),
        ("containerd", ["ctl02", "wrk02"], "install runc 1.5.2"),
        ("containerd", ["wrk01"], "restart"),
        ("kubelet", ["wrk01", "wrk02"], "restart"),
    ]


def test_who_removes_a_member_says_it():
    readings = running()
    gone = {"id": "99", "name": "ctl09", "peer_urls": ["https://10.0.0.99:2380"], "learner": False}
    for host in ("ctl01", "ctl02"):
        readings[host]["etcd"]["members"].append(gone)
    (derived,) = module.report(computed(readings), [])["changes"]
    assert (derived["component"], derived["hosts"]) == (module.MEMBERSHIP, ["ctl09"])
    (said,) = module.report(computed(readings), [note("ctl01", module.MEMBERSHIP, "remove ctl09 99")])["changes"]
    assert said["change"] == "remove ctl09 99"


def test_report_of_nothing():
    found = module.report(computed(running()), [])
    assert found["changes"] == []
    assert found["lines"][:2] == [f"{TITLE} on 6 hosts", "Nothing to do."]
