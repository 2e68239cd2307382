# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run reads of a host."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.needs import needs

PARTS = {
    "controllers": ["ctl01", "ctl02"],
    "etcd": ["ctl01", "ctl02"],
    "load_balancers": ["lb01"],
    "workers": ["wrk01"],
    "clients": ["cli01"],
}
CONTROL_PLANE = [80, 2379, 2380, 6443, 10257, 10259]
NODE = [10248, 10249, 10250, 10256]


@pytest.mark.parametrize(
    ("host", "ports"),
    [("ctl01", CONTROL_PLANE), ("wrk01", NODE), ("cli01", [])],
)
def test_the_ports_of_a_host_s_components(host, ports):
    assert needs(PARTS, host, ["ctl01", "ctl02", "wrk01"]) == {"ask_api": False, "ports": ports}


def test_a_host_with_several_parts():
    parts = {**PARTS, "workers": ["ctl01"]}
    assert needs(parts, "ctl01", ["ctl01", "ctl02"])["ports"] == sorted(CONTROL_PLANE + NODE)


def test_a_load_balancer_listens_on_ports_of_a_setting():
    assert "ports" not in needs(PARTS, "lb01", ["ctl01", "ctl02"])
    assert "ports" not in needs({**PARTS, "load_balancers": ["ctl01"]}, "ctl01", ["ctl01", "ctl02"])


@pytest.mark.parametrize(
    ("in_run", "asks"), [(["wrk01"], True), (["ctl01", "wrk01"], True), (["ctl02", "wrk01", "ctl01"], False)]
)
def test_kubelets_ask_the_api_where_the_run_leaves_out_a_controller(in_run, asks):
    assert needs(PARTS, "wrk01", in_run)["ask_api"] is asks


@pytest.mark.parametrize("parts", [5, "ctl01", None, ["ctl01"], {"controllers": "ctl01"}, {"controllers": None}])
def test_everything_is_read_where_the_parts_are_not_what_they_should_be(parts):
    assert needs(parts, "wrk01", ["wrk01"]) == {}


def test_a_part_that_is_left_out():
    assert needs({"workers": ["wrk01"]}, "wrk01", ["wrk01"]) == {"ask_api": False, "ports": NODE}
