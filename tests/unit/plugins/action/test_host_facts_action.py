# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a host, and the range in which its clock lies, as seen from the control node."""

from __future__ import annotations

import time
from unittest import mock

import pytest
from ansible_collections.hardway.kubernetes.plugins.action import host_facts

# Ports of a host that is a controller and a worker.
BOTH = [80, 6443, 10248, 10249, 10250, 10256, 10257, 10259]


@pytest.fixture
def action():
    """Return the plugin, without a host."""
    return host_facts.ActionModule(
        task=mock.MagicMock(args={}, check_mode=False, async_val=0),
        connection=mock.MagicMock(),
        play_context=mock.MagicMock(),
        loader=mock.MagicMock(),
        templar=mock.MagicMock(),
        shared_loader_obj=None,
    )


@pytest.mark.parametrize("offset", [0.0, 3600.0, -90.0])
def test_the_true_offset_lies_in_the_range(action, offset):
    def module(**options):
        time.sleep(0.05)
        answer = {"reading": {"read_at": time.time() + offset}}
        time.sleep(0.1)
        return answer

    action._execute_module = module
    found = action.run(task_vars={})["reading"]["clock_offset_seconds"]
    assert found["least"] <= offset - 0.09
    assert found["most"] >= offset + 0.04
    assert found["most"] - found["least"] < 5


def test_a_failure_is_handed_on(action):
    action._execute_module = lambda **options: {"failed": True, "msg": "no python3"}
    assert action.run(task_vars={}) == {"failed": True, "msg": "no python3"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        (
            {"hosts": {"controllers": ["ctl01", "ctl02", "ctl03"], "etcd": ["wrk01"]}},
            {
                "ask_api": True,
                "ports": [2379, 2380],
                "api_servers": {"ctl01": "https://10.0.0.11:6443", "ctl02": "https://[fd00::12]:6443"},
            },
        ),
        ({"hosts": {"controllers": ["wrk01"], "workers": ["wrk01"]}}, {"ask_api": False, "ports": BOTH}),
        ({"hosts": 5}, {}),
    ],
)
def test_the_module_reads_what_the_run_needs(action, given, expected):
    arguments = []
    action._execute_module = lambda **options: arguments.append(options["module_args"]) or {}
    action._task.args = given
    hosts = {"ctl01": {"ansible_host": "10.0.0.11"}, "ctl02": {"node_address": "fd00::12"}, "wrk01": {}}
    variables = {"ansible_play_hosts_all": ["wrk01"], "hostvars": {**hosts, "ctl03": {}}}
    action.run(task_vars={"inventory_hostname": "wrk01", **variables})
    assert arguments == [expected]
