# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom an etcd member and an API server wait for before they restart."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    PARTS,
    computed,
    empty,
    reading,
    running,
)

ETCD = {
    "ctl01": "https://10.0.0.11:2379/health?exclude=NOSPACE",
    "ctl02": "https://10.0.0.12:2379/health?exclude=NOSPACE",
}
SERVERS = {"ctl01": "https://10.0.0.11:6443/readyz", "ctl02": "https://10.0.0.12:6443/readyz"}
BOTH = {"ctl01": [SERVERS["ctl02"]], "ctl02": [SERVERS["ctl01"]]}


def peers(readings, **options):
    return computed(readings, **options)["plan"]["peers"]


def test_a_cluster_that_runs():
    found = peers(running())
    assert found["etcd"] == {"ctl01": [ETCD["ctl02"]], "ctl02": [ETCD["ctl01"]]}
    assert found["apiserver"] == BOTH


def test_a_first_build():
    found = peers(empty())
    assert found["apiserver"] == {"ctl01": [], "ctl02": []}


@pytest.mark.parametrize(
    ("state", "counts"), [("active", True), ("activating", True), ("failed", True), ("inactive", False)]
)
def test_an_api_server_counts_when_it_runs_or_should(state, counts):
    readings = running()
    readings["ctl02"]["units"] = {**readings["ctl02"]["units"], "kube-apiserver.service": state}
    assert peers(readings)["apiserver"]["ctl01"] == ([SERVERS["ctl02"]] if counts else [])


def test_a_controller_outside_of_the_run_counts():
    readings = running()
    del readings["ctl02"]
    assert peers(readings)["apiserver"]["ctl01"] == [SERVERS["ctl02"]]


def test_a_controller_that_has_not_joined_does_not_count():
    parts = {"controllers": [*PARTS["controllers"], "new"], "etcd": [*PARTS["controllers"], "new"]}
    hosts = {"new": {"node_address": "10.0.0.17"}}
    assert peers(running(), hosts=hosts, parts=parts)["apiserver"]["ctl01"] == [SERVERS["ctl02"]]
    found = peers({**running(), "new": reading(addresses=["10.0.0.17"])}, hosts=hosts, parts=parts)
    assert found["apiserver"] == {**BOTH, "new": list(SERVERS.values())}
    assert found["etcd"]["ctl01"] == [ETCD["ctl02"]]
    assert found["etcd"]["new"] == list(ETCD.values())
