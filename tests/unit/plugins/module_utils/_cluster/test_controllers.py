# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that the inventory lacks, that are renamed or moved, and those that can be removed."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    computed,
    reading,
    running,
)

Readings = dict[str, dict[str, t.Any]]
THREE = {"controllers": ["ctl01", "ctl02", "ctl03"], "etcd": ["ctl01", "ctl02", "ctl03"]}
ONE_MISSING = {"controllers": ["ctl01", "ctl02"], "etcd": ["ctl01", "ctl02"]}
HOSTS = {"ctl03": {"node_address": "10.0.0.17"}}


def three() -> Readings:
    readings = running()
    readings["ctl03"] = {**reading("controller"), "addresses": ["127.0.0.1", "10.0.0.17"]}
    readings["ctl03"]["etcd"]["data"] = {"cluster_id": "d1cfaf999eb97a2a", "member_id": "c3"}
    for host in THREE["controllers"]:
        readings[host]["api_servers"] = ["10.0.0.11", "10.0.0.12", "10.0.0.17"]
        member = {"id": "c3", "name": "ctl03", "peer_urls": ["https://10.0.0.17:2380"], "learner": False}
        readings[host]["etcd"]["members"].append(member)
    return readings


def down(readings: Readings, *hosts: str) -> Readings:
    for host in hosts:
        readings[host]["etcd"] = {**readings[host]["etcd"], "members": [], "database": {}, "alarms": []}
    return readings


def problems(readings: Readings, parts: dict[str, list[str]], **options: t.Any) -> list[str]:
    return computed(readings, parts=parts, **options)["plan"]["problems"]


def removal(readings: Readings, parts: dict[str, list[str]], **options: t.Any) -> dict[str, list[str]]:
    return computed(readings, parts=parts, hosts=HOSTS, **options)["plan"]["removal"]


def test_an_inventory_that_lacks_a_controller_which_runs():
    readings = three()
    del readings["ctl03"]
    (found,) = problems(readings, ONE_MISSING)
    assert found.startswith("group 'controllers' lacks the host of the API server at 10.0.0.17, which runs")
    assert "ansible-playbook hardway.kubernetes.remove_controller -e remove_controller=HOST" in found
    assert "If that host is lost" in found


def test_a_member_alone_may_leave_the_inventory():
    """It does not serve: etcd removes it in the same run."""
    found = computed(three(), parts={**THREE, "etcd": ["ctl01", "ctl02"]}, hosts=HOSTS)["plan"]
    assert found["problems"] == []
    assert found["etcd"]["surplus"]


def test_an_api_server_of_a_cluster_with_an_etcd_of_its_own():
    readings = running()
    parts = {"controllers": ["ctl01"], "etcd": ["ctl01", "ctl02"]}
    (found,) = problems(readings, parts)
    assert "API server at 10.0.0.12" in found


def test_a_lost_controller_may_leave_the_inventory():
    """The API servers forget one that does not renew its lease."""
    readings = three()
    del readings["ctl03"]
    for host in ("ctl01", "ctl02"):
        readings[host]["api_servers"] = ["10.0.0.11", "10.0.0.12"]
    plan = computed(readings, parts=ONE_MISSING)["plan"]
    assert plan["problems"] == []
    assert plan["etcd"]["surplus"], "its member leaves in the same run"


def test_a_controller_that_joins():
    readings = {**running(), "ctl03": {**reading(), "addresses": ["10.0.0.17"]}}
    assert problems(readings, THREE, hosts=HOSTS) == []


def test_a_controller_without_a_member_that_has_another_address():
    readings = running()
    readings["ctl02"]["addresses"] = ["10.0.0.22"]
    parts = {"etcd": ["ctl01"]}
    for host in ("ctl01", "ctl02"):
        members = readings[host]["etcd"]["members"]
        readings[host]["etcd"]["members"] = members[:1]
    hosts = {"ctl02": {"node_address": "10.0.0.22"}}
    (found,) = problems(readings, parts, hosts=hosts)
    assert "API server at 10.0.0.12" in found
    assert "systemctl stop kube-apiserver" in found
    readings["ctl01"]["api_servers"] = ["10.0.0.11"]
    readings["ctl02"]["api_servers"] = []
    assert problems(readings, parts, hosts=hosts) == [], "it was stopped, as the message says"


def test_a_renamed_controller():
    readings = three()
    readings["node-c"] = readings.pop("ctl03")
    parts = {part: ["ctl01", "ctl02", "node-c"] for part in THREE}
    (found,) = problems(readings, parts, hosts={"node-c": HOSTS["ctl03"]})
    assert found.startswith("node-c: its etcd is the member ctl03, which the inventory does not have")
    assert "-e remove_controller=ctl03" in found


def test_each_of_three_controllers_can_be_removed():
    assert removal(three(), THREE) == {"ctl01": [], "ctl02": [], "ctl03": []}


def test_the_last_controller_stays():
    readings = running()
    for host in ("ctl01", "ctl02"):
        readings[host]["etcd"]["members"] = readings[host]["etcd"]["members"][:1]
    parts = {"controllers": ["ctl01"], "etcd": ["ctl01"]}
    assert removal(readings, parts)["ctl01"] == [
        "ctl01 is the last controller: without it there is no API",
        "ctl01 is the last member of etcd: without it the data is lost",
    ]


def test_a_controller_that_is_the_address_of_the_api_stays():
    found = removal(three(), {**THREE, "load_balancers": []})
    assert found["ctl02"] == []
    assert "nodes and clients reach the API at https://10.0.0.11:6443, which is ctl01" in found["ctl01"][0]
    found = removal(three(), THREE, cluster_api_server="https://10.0.0.12:6443")
    assert found["ctl01"] == []
    assert len(found["ctl02"]) == 1


@pytest.mark.parametrize(
    ("lost", "removable"),
    [
        (["ctl03"], ["ctl03"]),
        (["ctl02"], ["ctl02"]),
        (["ctl02", "ctl03"], []),
    ],
)
def test_a_host_that_is_needed_for_quorum_stays(lost, removable):
    found = removal(down(three(), *lost), THREE)
    assert [host for host, reasons in found.items() if not reasons] == removable


def test_what_is_said_of_a_host_that_is_needed():
    (found,) = removal(down(three(), "ctl02"), THREE)["ctl03"]
    assert found == (
        "etcd would be without a quorum: of its 3 members (ctl01, ctl02, ctl03) ctl02 does not answer; 2 have to agree "
        "that ctl03 leaves, and 2 of the others have to run afterwards: start etcd on ctl02 first"
    )


def test_two_members_go_down_to_one_while_both_run():
    assert removal(running(), {}) == {"ctl01": [], "ctl02": []}
    (found,) = removal(down(running(), "ctl02"), {})["ctl02"]
    assert found.endswith("ansible-playbook hardway.kubernetes.etcd_replace_member -e etcd_lost=ctl02")


def test_a_controller_without_a_member_is_not_needed_for_quorum():
    readings = down(running(), "ctl02")
    for host in ("ctl01", "ctl02"):
        readings[host]["etcd"]["members"] = readings[host]["etcd"]["members"][:1]
    assert removal(readings, {"etcd": ["ctl01"]})["ctl02"] == []


def test_another_balancer():
    """The certificate of the API servers has its address before nodes and clients go there."""
    hosts = {"lb02": {"node_address": "10.0.0.18"}}
    readings = {**running(), "lb02": {**reading(), "addresses": ["10.0.0.18"]}}
    del readings["kubelb"]
    found = computed(readings, hosts=hosts, parts={"load_balancers": ["lb02"]})
    assert found["plan"]["problems"] == []
    assert found["spec"]["api"]["server"] == "https://10.0.0.18:6443"
    certificate = next(one for one in found["spec"]["certificates"]["certificates"] if one["name"] == "kubernetes")
    assert {"lb02", "10.0.0.18"} <= set(certificate["hosts"])
    assert not {"kubelb", ADDRESSES["kubelb"]} & set(certificate["hosts"])
    servers = {one["path"]: one["server"] for one in found["spec"]["kubeconfigs"]}
    assert servers["wrk01.kubeconfig"] == servers["remote-admin.kubeconfig"] == "https://10.0.0.18:6443"


def test_a_second_balancer_before_the_first_one_goes():
    """Nodes and clients use the first of the group; the certificate has both."""
    hosts = {"lb02": {"node_address": "10.0.0.18"}}
    for group, server in ((["kubelb", "lb02"], "10.0.0.13"), (["lb02", "kubelb"], "10.0.0.18")):
        readings = {**running(), "lb02": {**reading(), "addresses": ["10.0.0.18"]}}
        found = computed(readings, hosts=hosts, parts={"load_balancers": group})
        assert found["plan"]["problems"] == []
        assert found["spec"]["api"]["server"] == f"https://{server}:6443"
        assert {"kubelb", "10.0.0.13", "lb02", "10.0.0.18"} <= set(found["spec"]["api"]["names"])


def test_a_worker_with_another_address():
    """It is carried through: its serving certificate has the new one."""
    readings = running()
    readings["wrk02"]["addresses"] = ["10.0.0.25"]
    found = computed(readings, hosts={"wrk02": {"node_address": "10.0.0.25"}})
    assert found["plan"]["problems"] == []
    certificates = found["spec"]["certificates"]["certificates"]
    assert next(one for one in certificates if one["name"] == "wrk02-server")["hosts"] == ["wrk02", "10.0.0.25"]
