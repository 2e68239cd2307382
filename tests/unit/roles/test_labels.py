# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role worker asks for nodes only where the inventory has labels or taints, or had some."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import ROLES, Role

# The role's own names.
_VARIABLES = DataLoader().load_from_file(str(ROLES / "worker" / "vars" / "main.yml"))
MARKS, FOUND, PATCH = (
    next(name for name in _VARIABLES if name.endswith(end)) for end in ("_marks", "_node_found", "_node_patch")
)
READ = FOUND.replace("_node_found", "_nodes")

HOSTS = ("ctl01", "wrk01", "wrk02")
NODES = {"resources": [{"metadata": {"name": "wrk01", "labels": {"zone": "a"}}}]}


def role(host="wrk01", *, hosts=None, nodes=None, **settings):
    hostvars = {name: (hosts or {}).get(name, {}) for name in HOSTS}
    found = Role("worker", host, ansible_play_hosts_all=list(HOSTS), hostvars=hostvars, **settings)
    found._templar.available_variables["cluster"]["status"]["nodes"] = nodes or {}
    return found


@pytest.mark.parametrize(
    ("hosts", "nodes", "asked"),
    [
        ({}, {}, False),
        ({"wrk02": {"worker_labels": {}, "worker_taints": []}}, {"wrk01": {"ready": True}}, False),
        ({}, {"wrk01": {"from_inventory": False}}, False),
        ({"wrk02": {"worker_labels": {"disk": "ssd"}}}, {}, True),
        ({"wrk02": {"worker_taints": [{"key": "a", "effect": "NoSchedule"}]}}, {}, True),
        ({}, {"wrk01": {"from_inventory": True}}, True),
    ],
)
def test_nodes_are_read_only_where_there_is_something_to_keep_in_step(hosts, nodes, asked):
    assert bool(role(hosts=hosts, nodes=nodes).value(MARKS)) is asked


def test_the_node_of_the_worker_is_patched():
    assert role(**{READ: NODES}).value(FOUND) == NODES["resources"]


@pytest.mark.parametrize(
    ("host", "nodes"),
    [
        ("ctl01", {"resources": [{"metadata": {"name": "ctl01"}}]}),  # not a worker
        ("wrk02", NODES),  # check mode: it has not joined
        ("wrk01", {"skipped": True}),  # the nodes were not read
    ],
)
def test_what_is_not_a_node_is_left_alone(host, nodes):
    found = role(host, worker_labels={"disk": "ssd"}, **{READ: nodes})
    assert found.value(FOUND) == []
    assert found.value(PATCH) == {}
