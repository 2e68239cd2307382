# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision of the role etcd for each member: start a new cluster, join, or refuse."""

from __future__ import annotations

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd import membership, surplus

NAMES = ["ctl01", "ctl02", "ctl03"]
TOPOLOGY = {"etcd": NAMES, "addresses": {name: f"10.0.0.1{number}" for number, name in enumerate(NAMES, start=1)}}
EMPTY = {"etcd": {"data": None, "members": [], "started_with": []}}
IDS = {"ctl01": "a1", "ctl02": "b2", "ctl03": "c3", "ctl09": "99"}


def members(*names, learner=()):
    return [
        {"id": IDS[name], "name": name, "peer_urls": [f"https://{name}:2380"], "learner": name in learner}
        for name in names
    ]


def host(name, *, runs=(), member=None, cluster="c1", learner=()):
    data = {"member_id": member or IDS[name], "cluster_id": cluster}
    return {"etcd": {"data": data, "members": members(*runs, learner=learner), "started_with": NAMES}}


def result(**readings):
    return membership(TOPOLOGY, {name: readings.get(name, {}) for name in NAMES})


def test_a_new_cluster_needs_every_host_looked_at_and_empty():
    assert result(ctl01=EMPTY, ctl02=EMPTY, ctl03=EMPTY) == {
        "new": True,
        "joining": [],
        "surplus": False,
        "problems": [],
    }
    limited = result(ctl03=EMPTY)
    assert limited["new"] is False, "the others may have data"
    assert limited["joining"] == ["ctl03"], "the cluster is asked"


def test_hosts_that_were_not_read():
    assert result()["problems"] == ["no etcd host was read in this run"]


def test_what_runs_stays():
    readings = {name: host(name, runs=NAMES) for name in NAMES}
    assert result(**readings) == {"new": False, "joining": [], "surplus": False, "problems": []}


def test_a_host_without_data_joins():
    two = ["ctl01", "ctl02"]
    found = result(ctl01=host("ctl01", runs=two), ctl02=host("ctl02", runs=two), ctl03=EMPTY)
    assert found == {"new": False, "joining": ["ctl03"], "surplus": False, "problems": []}


def test_a_learner_that_an_interrupted_run_left_is_promoted():
    three = {"runs": NAMES, "learner": ["ctl03"]}
    found = result(ctl01=host("ctl01", **three), ctl02=host("ctl02", **three), ctl03=host("ctl03"))
    assert found["joining"] == ["ctl03"]
    assert found["problems"] == []


def test_a_member_that_lost_its_data_does_not_come_back_under_its_old_id():
    found = result(ctl01=host("ctl01", runs=NAMES), ctl02=EMPTY, ctl03=host("ctl03", runs=NAMES))
    (problem,) = found["problems"]
    assert problem.startswith("ctl02: is member b2 of the cluster and has no data any more")
    assert problem.endswith("hardway.kubernetes.etcd_replace_member -e etcd_lost=ctl02")


def broken(name, *, cluster="unknown"):
    data = {
        "member_id": "unknown",
        "cluster_id": cluster,
        "damaged": f"/{name}.wal: it is empty",
    }
    return {"etcd": {"data": data, "members": [], "started_with": NAMES}}


def test_damaged_data_of_one_member():
    found = result(ctl01=host("ctl01", runs=NAMES), ctl02=broken("ctl02"), ctl03=host("ctl03", runs=NAMES))
    (problem,) = found["problems"]
    assert problem.startswith(
        "ctl02: its etcd data is damaged (/ctl02.wal: it is empty), and etcd must not start on it"
    )
    assert problem.endswith("hardway.kubernetes.etcd_replace_member -e etcd_lost=ctl02")
    assert found["joining"] == [], "it must not join as an empty host"
    assert found["new"] is False


def test_damaged_data_without_a_quorum():
    found = result(ctl01=host("ctl01"), ctl02=broken("ctl02"), ctl03=broken("ctl03", cluster="c1"))
    assert [problem.partition(":")[0] for problem in found["problems"]] == ["ctl02", "ctl03"]
    for problem in found["problems"]:
        assert "2 of 3 members are damaged" in problem
        assert problem.endswith(
            "restore a backup: ansible-playbook hardway.kubernetes.etcd_restore -e etcd_snapshot=FILE"
        )
        assert "etcd_replace_member" not in problem, "the other two would be lost"


def test_damaged_data_of_one_of_two():
    two = {**TOPOLOGY, "etcd": NAMES[:2]}
    (problem,) = membership(two, {"ctl01": host("ctl01"), "ctl02": broken("ctl02")})["problems"]
    assert "-e etcd_lost=ctl02, or restore a backup: " in problem
    both = membership(two, {name: broken(name) for name in NAMES[:2]})["problems"]
    assert all("etcd_lost" not in problem for problem in both)
    assert len(both) == 2


def test_data_of_another_cluster():
    found = result(ctl01=host("ctl01", runs=NAMES), ctl02=host("ctl02", cluster="ff"), ctl03=host("ctl03", runs=NAMES))
    (problem,) = found["problems"]
    assert "(ctl01, ctl03: cluster c1; ctl02: cluster ff). None was changed." in problem


def test_data_of_a_member_that_was_removed():
    two = ["ctl01", "ctl02"]
    found = result(ctl01=host("ctl01", runs=two), ctl02=host("ctl02", runs=two), ctl03=host("ctl03", member="dead"))
    (problem,) = found["problems"]
    assert problem.startswith("ctl03: its data directory belongs to member dead, which is not in the cluster any more.")


def test_data_that_cannot_be_read_is_never_taken_for_none():
    found = result(ctl01=host("ctl01", member="unknown", cluster="unknown"), ctl02=EMPTY, ctl03=EMPTY)
    assert found["new"] is False


def test_surplus():
    runs = [*NAMES, "ctl09"]
    found = result(**{name: host(name, runs=runs) for name in NAMES})
    assert found["surplus"] is True
    assert surplus(TOPOLOGY, members(*runs)) == members("ctl09")
    unnamed = [{"id": "1", "name": "", "peer_urls": [f"https://{TOPOLOGY['addresses']['ctl02']}:2380"]}]
    assert surplus(TOPOLOGY, unnamed) == []


def lost(directory="/var/lib/etcd"):
    etcd = {"data": None, "members": [], "started_with": NAMES, "was_healthy": True, "directory": directory}
    return {"etcd": etcd}


def test_a_cluster_whose_data_is_gone_is_not_started_as_a_new_one():
    found = result(ctl01=lost(), ctl02=lost(), ctl03=lost())
    assert found["new"] is False
    (problem,) = found["problems"]
    assert problem.startswith(
        "ctl01, ctl02, ctl03: etcd was healthy there, and its data directory (/var/lib/etcd) has no"
    )
    assert "etcd_restore -e etcd_snapshot=FILE" in problem
    # One is enough: the others may be new hosts.
    assert result(ctl01=EMPTY, ctl02=lost(), ctl03=EMPTY)["new"] is False
    # With a survivor, the cluster that runs decides.
    assert result(ctl01=host("ctl01", runs=["ctl01"]), ctl02=lost(), ctl03=EMPTY)["problems"] == []


def test_a_member_whose_unit_has_another_data_directory_is_never_replaced():
    directories = dict.fromkeys(NAMES, "/var/lib/etcd")
    readings = {"ctl01": host("ctl01", runs=NAMES), "ctl02": lost("/srv/etcd"), "ctl03": host("ctl03", runs=NAMES)}
    (problem,) = membership(TOPOLOGY, readings, directories)["problems"]
    assert problem.startswith("ctl02: its etcd runs with the data directory /srv/etcd, which has no data, and ")
    assert "etcd_data_directory of the inventory is /var/lib/etcd" in problem
    assert "etcd_replace_member" not in problem
    # In its own directory, data that is missing is lost.
    readings["ctl02"] = lost()
    (problem,) = membership(TOPOLOGY, readings, directories)["problems"]
    assert "etcd_replace_member -e etcd_lost=ctl02" in problem


def test_every_unit_has_another_data_directory():
    found = membership(TOPOLOGY, dict.fromkeys(NAMES, lost("/srv/etcd")), dict.fromkeys(NAMES, "/var/lib/etcd"))
    assert found["new"] is False
    assert [problem.partition(":")[0] for problem in found["problems"]] == NAMES
    assert not any("etcd_replace_member" in problem for problem in found["problems"])
