# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports are tried from which hosts: where one of the two is new, and never else."""

from __future__ import annotations

from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    PARTS,
    computed,
    empty,
    reading,
    running,
)

NAMES = {address: host for host, address in ADDRESSES.items()} | {"10.0.0.17": "new"}
FIRST_BUILD = {
    "ctl01": {("ctl02", 2379), ("ctl02", 2380), ("ctl02", 6443), ("wrk01", 10250), ("wrk02", 10250)},
    "ctl02": {("ctl01", 2379), ("ctl01", 2380), ("ctl01", 6443), ("wrk01", 10250), ("wrk02", 10250)},
    "kubelb": {("ctl01", 6443), ("ctl02", 6443)},
    "wrk01": {("kubelb", 6443)},
    "wrk02": {("kubelb", 6443)},
    "client": {("kubelb", 6443)},
}
NEW = {"new": {"node_address": "10.0.0.17"}}


def probed(readings, **options):
    """Return the ports by host, each as the name of the other host and the number."""
    found = computed(readings, **options)["plan"]["probes"]
    ports = {host: {(NAMES[one["address"]], one["port"]) for one in entries} for host, entries in found.items()}
    assert {host: len(entries) for host, entries in found.items()} == {host: len(each) for host, each in ports.items()}
    return ports


def test_a_first_build():
    assert probed(empty()) == FIRST_BUILD


def test_the_message():
    found = computed(empty())["plan"]["probes"]["kubelb"][0]
    assert found == {
        "address": "10.0.0.11",
        "port": 6443,
        "words": "kubelb does not reach ctl01 (10.0.0.11) on TCP port 6443, on which the load balancer reaches API "
        "servers",
    }


def test_a_cluster_that_runs():
    assert probed(running()) == {}


def test_a_worker_that_joins():
    found = {**running(), "new": reading(addresses=["10.0.0.17"])}
    parts = {"workers": [*PARTS["workers"], "new"]}
    assert probed(found, hosts=NEW, parts=parts) == {
        "new": {("kubelb", 6443)},
        "ctl01": {("new", 10250)},
        "ctl02": {("new", 10250)},
    }


def test_a_member_that_joins():
    found = {**running(), "new": reading(addresses=["10.0.0.17"])}
    parts = {"etcd": [*PARTS["etcd"], "new"]}
    assert probed(found, hosts=NEW, parts=parts) == {
        "new": {(host, port) for host in ("ctl01", "ctl02") for port in (2379, 2380)},
        "ctl01": {("new", 2379), ("new", 2380)},
        "ctl02": {("new", 2379), ("new", 2380)},
    }


def test_a_host_that_was_not_read_may_be_down():
    found = {host: each for host, each in empty().items() if host != "wrk02"}
    found["ctl02"] = {}
    assert probed(found) == {
        "ctl01": {("wrk01", 10250)},
        "kubelb": {("ctl01", 6443)},
        "wrk01": {("kubelb", 6443)},
        "client": {("kubelb", 6443)},
    }


def test_another_way_to_the_api():
    assert probed(empty(), parts={"load_balancers": []})["wrk01"] == {("ctl01", 6443)}
    assert "wrk01" not in probed(empty(), cluster_api_server="https://api.example.com:6443")
