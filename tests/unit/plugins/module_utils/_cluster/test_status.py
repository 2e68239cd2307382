# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status: readings of hosts as one value."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import status
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    empty,
    reading,
    running,
    topology,
)

NOTHING = {"cluster_id": "", "members": [], "alarms": [], "databases": {}}


def test_nothing_is_built_yet():
    readings = empty()
    assert status(topology(), readings) == {
        "exists": False,
        "hosts": readings,
        "etcd": NOTHING,
        "api_serves": False,
        "nodes": {},
    }


def test_a_finished_cluster():
    readings = running()
    found = status(topology(), readings)
    assert found["exists"] is True
    assert found["hosts"] == readings
    assert found["etcd"]["cluster_id"] == "d1cfaf999eb97a2a"
    assert [member["name"] for member in found["etcd"]["members"]] == ["ctl01", "ctl02"]
    assert found["nodes"] == readings["ctl02"]["nodes"]
    assert list(found["nodes"]) == ["wrk01", "wrk02"]


@pytest.mark.parametrize("silent", [{}, {"ctl01": {}}])
def test_another_host_says_it_where_one_is_silent(silent):
    readings = {**running(), "ctl01": reading(), **silent}
    found = status(topology(), readings)
    assert found["exists"] is True
    assert found["etcd"]["members"] == readings["ctl02"]["etcd"]["members"]
    assert list(found["nodes"]) == ["wrk01", "wrk02"]


@pytest.mark.parametrize(
    ("host", "exists"),
    [
        ("ctl01", True),
        ("wrk01", True),  # Its kubelet's configuration file says what the cluster was made with.
        ("client", False),
    ],
)
def test_a_run_of_one_host(host, exists):
    readings = {host: running()[host]}
    found = status(topology(), readings)
    assert found["hosts"] == {**{name: {} for name in ADDRESSES}, **readings}
    assert found["exists"] is exists


def test_data_of_etcd_alone_is_a_cluster():
    stopped = reading(etcd={"data": {"cluster_id": "c1", "member_id": "a1"}})
    found = status(topology(), {"ctl01": stopped})
    assert found["exists"] is True
    assert found["etcd"] == {**NOTHING, "cluster_id": "c1"}


def test_damaged_data_does_not_say_whose_it_is():
    readings = running()
    readings["ctl01"]["etcd"]["data"] = {"cluster_id": "unknown", "member_id": "unknown", "damaged": "x"}
    assert status(topology(), readings)["etcd"]["cluster_id"] == "d1cfaf999eb97a2a"


@pytest.mark.parametrize("hosts", [ADDRESSES, ["ctl01", "wrk01"], ["wrk01", "wrk02"], []])
def test_the_api_serves_when_a_controller_says_so_or_none_is_asked(hosts):
    assert status(topology(), {host: running()[host] for host in hosts})["api_serves"] is True


@pytest.mark.parametrize(
    ("states", "serves"),
    [
        (("active", "inactive"), True),
        (("failed", "active"), True),
        (("inactive", "failed"), False),
    ],
)
def test_one_api_server_is_enough(states, serves):
    readings = running()
    for host, state in zip(("ctl01", "ctl02"), states, strict=True):
        readings[host]["units"]["kube-apiserver.service"] = state
    assert status(topology(), readings)["api_serves"] is serves
    # One that was not reached cannot say.
    assert status(topology(), {**readings, "ctl01": {}})["api_serves"] is (states[1] == "active")
