# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of a running cluster: the snapshot, the workers that are drained, and their batches."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import rollout as module
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.releases import chapters
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    PARTS,
    computed,
    empty,
    reading,
    running,
)

WORKERS = ["wrk01", "wrk02", "wrk03", "wrk04", "wrk05"]
OLD = {"kubernetes": "1.36.3", "etcd": "3.6.16", "containerd": "2.3.7", "runc": "1.4.3"}


def cluster(**versions: str) -> dict[str, dict[str, t.Any]]:
    """Return readings of the article's cluster with other versions of some components."""
    readings = running()
    for found in readings.values():
        for name in found["programs"]:
            component = "kubernetes" if name.startswith("kube") else name
            if component in versions:
                found["programs"][name] = versions[component]
    return readings


def plan(readings: dict[str, dict[str, t.Any]], **options: t.Any) -> dict[str, t.Any]:
    return computed(readings, **options)["plan"]


def five(turns: t.Sequence[int] = (0, 0, 0, 0, 0), **settings: t.Any) -> dict[str, t.Any]:
    """Return the plan of an upgrade of five workers.

    :param turns: seconds that the last turns of the workers took.
    """
    readings = cluster(**OLD)
    hosts = {}
    for number, host in enumerate(WORKERS):
        address = ADDRESSES.get(host, f"10.0.0.{40 + number}")
        hosts[host] = {"node_address": address}
        readings[host] = {**readings["wrk01"], "addresses": [address]}
        for controller in PARTS["controllers"]:
            node = {**readings["ctl01"]["nodes"]["wrk01"], "turn_seconds": turns[number]}
            readings[controller]["nodes"][host] = node
    return plan(readings, hosts=hosts, parts={"workers": WORKERS}, **settings)


@pytest.mark.parametrize(
    ("text", "workers", "number"),
    [("1", 1, 1), ("1", 2, 1), ("2", 3, 2), ("25%", 3, 1), ("25%", 8, 2), ("50%", 5, 2), ("99%", 5, 4), ("1%", 1, 1)],
)
def test_workers_at_the_same_time(text, workers, number):
    assert module.max_unavailable(text, workers) == number


@pytest.mark.parametrize("text", ["0", "0%", "100%", "250%", "5", "-1", "1.5", "many", "", "%"])
def test_numbers_of_workers_that_are_refused(text):
    (problem,) = five(worker_max_unavailable=text)["problems"]
    assert problem.startswith("worker_max_unavailable: ")
    assert problem.endswith("; allowed: 1 to 4, or a share such as 25%, below 100%")


def test_a_number_that_differs_between_workers_is_refused():
    found = plan(running(), hosts={"wrk02": {"worker_max_unavailable": "50%"}})["problems"]
    assert found == [
        "worker_max_unavailable differs (wrk01: 1; wrk02: 50%); it holds for all workers: set it once, in "
        "group_vars/all"
    ]


def test_a_number_of_the_group_of_workers_counts():
    """Controllers do not have the group's variables."""
    readings = cluster(**OLD)
    hosts = {host: {"worker_max_unavailable": "2"} for host in ("wrk01", "wrk02")}
    assert "worker_max_unavailable: 2 leaves no worker" in plan(readings, hosts=hosts)["problems"][0]


@pytest.mark.parametrize(
    ("text", "batches"),
    [
        (1, [["wrk01"], ["wrk02"], ["wrk03"], ["wrk04"], ["wrk05"]]),
        ("50%", [["wrk01", "wrk02"], ["wrk03", "wrk04"], ["wrk05"]]),
        ("4", [["wrk01", "wrk02", "wrk03", "wrk04"], ["wrk05"]]),
    ],
)
def test_batches(text, batches):
    found = five(worker_max_unavailable=text)
    assert found["worker_batches"] == batches
    (turn,) = (change for change in found["changes"] if change["component"] == "drain")
    assert turn["hosts"] == WORKERS
    order = {
        1: "one worker after the other",
        "50%": "in batches, one after the other: wrk01, wrk02; wrk03, wrk04; wrk05",
        "4": "in batches, one after the other: wrk01, wrk02, wrk03, wrk04; wrk05",
    }[text]
    assert turn["change"].endswith(f"uncordon, {order}")


BOTH = [["wrk01"], ["wrk02"]]


@pytest.mark.parametrize(
    ("versions", "settings", "batches"),
    [
        ({}, {}, []),
        ({"kubernetes": "1.36.3"}, {}, BOTH),
        ({"kubernetes": "1.37.0"}, {}, []),
        ({"containerd": "2.3.7"}, {}, []),
        ({"containerd": "2.3.7"}, {"worker_drain_on_runtime_change": True}, BOTH),
        ({"runc": "1.5.1"}, {"worker_drain_on_runtime_change": True}, BOTH),
        ({"kubernetes": "1.37.0"}, {"worker_drain_on_runtime_change": True}, []),
    ],
)
def test_changes_for_which_workers_are_drained(versions, settings, batches):
    found = plan(cluster(**versions), **settings)
    assert found["worker_batches"] == batches
    expected = "after its pods have moved to other workers" if batches else "pods go on running"
    effects = {change["effect"] for change in found["changes"] if change["component"] in ("kubelet", "containerd")}
    assert effects <= {expected}


def test_the_setting_of_one_worker():
    readings = cluster(containerd="2.3.7")
    found = plan(readings, hosts={"wrk02": {"worker_drain_on_runtime_change": True}})
    assert found["worker_batches"] == [["wrk02"]]


def test_workers_that_have_nothing_to_lose_are_not_drained():
    assert plan(empty())["worker_batches"] == []
    readings = cluster(**OLD)
    readings["wrk01"] = reading(addresses=["10.0.0.14"])
    for host in PARTS["controllers"]:
        del readings[host]["nodes"]["wrk01"]
    readings["wrk02"]["units"]["kubelet.service"] = "failed"
    assert plan(readings)["worker_batches"] == []


def test_a_worker_in_the_middle_of_its_turn_comes_first_and_is_finished():
    """A killed run left it cordoned: with the new kubelet, or with one that does not run."""
    readings = cluster(**OLD)
    readings["wrk02"]["programs"] = running()["wrk02"]["programs"]
    readings["wrk02"]["units"]["kubelet.service"] = "inactive"
    for host in PARTS["controllers"]:
        readings[host]["nodes"]["wrk02"] |= {"unschedulable": True, "cordoned_by_run": True}
    assert plan(readings)["worker_batches"] == [["wrk02"], ["wrk01"]]
    assert plan(readings, runs=chapters(["apiserver"]))["worker_batches"] == []


def test_a_node_that_somebody_else_cordoned_is_not_in_its_turn():
    readings = running()
    for host in PARTS["controllers"]:
        readings[host]["nodes"]["wrk02"]["unschedulable"] = True
    assert plan(readings)["worker_batches"] == []


def test_a_limit_that_leaves_controllers_out():
    """The kubelet of the host says what state its node is in."""
    readings = running()
    node = readings["ctl01"]["nodes"]["wrk02"]
    limited = {"wrk02": {**readings["wrk02"], "own_node": {**node, "cordoned_by_run": True}}}
    assert plan(limited)["worker_batches"] == [["wrk02"]]
    assert plan({"wrk02": cluster(kubernetes="1.36.3")["wrk02"]})["worker_batches"] == [["wrk02"]]


@pytest.mark.parametrize(
    ("versions", "tags", "upgrade"),
    [
        ({}, ["all"], (False, False)),
        (OLD, ["all"], (True, True)),
        ({"etcd": "3.6.16"}, ["all"], (True, False)),
        ({"etcd": "3.7.1"}, ["etcd"], (True, False)),
        ({"etcd": "3.6.16"}, ["apiserver"], (False, False)),
        ({"kubernetes": "1.37.1"}, ["all"], (True, False)),
        ({"kubernetes": "1.36.3"}, ["apiserver"], (True, True)),
        ({"containerd": "2.3.7"}, ["all"], (False, False)),
    ],
)
def test_what_an_upgrade_begins_with(versions, tags, upgrade):
    found = plan(cluster(**versions), runs=chapters(tags))
    backup, workloads = upgrade
    assert found["upgrade"] == {"backup": backup, "workloads": workloads, "accepts": found["upgrade"]["accepts"]}
    if backup:
        assert found["changes"][0] == {
            "hosts": ["ctl01"],
            "component": "etcd backup",
            "change": "save a snapshot first, and keep it on the control node in .etcd-backup beside the inventory",
            "effect": "no interruption",
        }
    assert [change["component"] for change in found["changes"]].count("etcd backup") == int(backup)


def test_accepted_losses_of_the_workers_that_are_drained():
    found = plan(cluster(**OLD), hosts={"wrk02": {"worker_drain_accepts": ["unmanaged_pods"]}})
    assert found["upgrade"]["accepts"] == {"wrk01": ["local_data"], "wrk02": ["unmanaged_pods"]}
    assert plan(cluster(kubernetes="1.37.1"))["upgrade"]["accepts"] == {}


def test_the_directory_of_the_snapshot_is_named():
    found = plan(cluster(**OLD), etcd_backup_directory="/srv/backups")
    assert found["changes"][0]["change"].endswith("in /srv/backups")


def test_nothing_is_saved_where_no_member_is_part_of_the_run():
    """The host that was read has a member, which the inventory does not have."""
    found = plan({"ctl01": cluster(**OLD)["ctl01"]}, parts={"etcd": ["ctl02"]})
    assert found["upgrade"]["backup"] is False


def test_an_interrupted_upgrade_goes_on_where_etcd_has_no_quorum():
    """One of two members does not come up with the new release: the other one knows the members, and cannot write."""
    readings = cluster(**OLD)
    readings["ctl01"]["units"]["etcd.service"] = "activating"
    readings["ctl01"]["etcd"]["members"] = []
    found = plan(readings)
    assert found["upgrade"]["backup"] is False
    assert "etcd backup" not in [change["component"] for change in found["changes"]]
    readings["ctl02"]["etcd"]["members"] = []
    assert plan(readings)["upgrade"]["backup"] is False, "no member answers"
    readings = cluster(**OLD)
    assert plan({host: readings[host] for host in ("ctl02", "wrk01")})["upgrade"]["backup"] is True, "a limit"


@pytest.mark.parametrize(
    ("versions", "named"),
    [
        (OLD, ["etcd 3.6.16 -> 3.7.3: ", "kube-apiserver 1.36.3 -> 1.37.2: "]),
        ({"kubernetes": "1.36.3"}, ["kube-apiserver 1.36.3 -> 1.37.2: "]),
        ({"kubernetes": "1.37.1", "etcd": "3.7.1"}, []),
        ({}, []),
    ],
)
def test_until_when_it_can_be_undone(versions, named):
    found = [text for text in plan(cluster(**versions))["warnings"] if "the way back" in text]
    assert [text[: len(words)] for text, words in zip(found, named, strict=True)] == named
    assert all("docs/operate/upgrade.md" in text for text in found)


def test_the_order_of_an_upgrade():
    components = [change["component"] for change in plan(cluster(**OLD))["changes"]]
    order = ["etcd backup", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "drain"]
    assert components == [*order, "containerd", "kubelet", "kube-proxy"]


@pytest.mark.parametrize(
    ("turns", "number", "lasts"),
    [
        ([0, 0, 0, 0, 0], 1, ""),
        ([30, 31, 32, 33, 34], 1, "; about 160 s, as in the last upgrade"),
        ([30, 0, 0, 0, 40], 1, "; about 175 s, as in the last upgrade"),  # The others as long as these on average.
        ([30, 31, 32, 33, 34], 2, "; about 98 s, as in the last upgrade"),  # The slowest of each batch.
    ],
)
def test_how_long_the_turns_of_workers_will_take(turns, number, lasts):
    changes = five(turns, worker_max_unavailable=number)["changes"]
    (drain,) = [change for change in changes if change["component"] == "drain"]
    assert drain["effect"] == f"pods move to other workers; disruption budgets are kept{lasts}"
