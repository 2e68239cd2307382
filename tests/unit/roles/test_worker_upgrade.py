# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which workers are drained and changed: the role's own task lists, with stand-ins for what they do."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.facts import CORDON

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "worker"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
HOSTS = ["wrk01", "wrk02", "wrk03", "wrk04", "wrk05"]
# Hosts that come earlier in the inventory take longer, so that the order is not by chance.
STEP = """
- name: {name}
  ansible.builtin.shell: sleep 0.$((6 - {number})); echo "{name} {{{{ inventory_hostname }}}}" >>{log}
  changed_when: true
"""
FAILS = """
- name: Fail on one host
  when: inventory_hostname == '{host}'
  ansible.builtin.fail: {{msg: broken}}
"""


@pytest.fixture
def carried_out(tmp_path, ansible_playbook):
    """Run the role on five workers; return the steps in their order, and whether the run succeeded."""
    tasks = tmp_path / "roles" / "worker" / "tasks"
    tasks.mkdir(parents=True)
    for name in ("main", "batch"):
        shutil.copy(ROLE / "tasks" / f"{name}.yml", tasks)
    shutil.copytree(ROLE / "vars", tmp_path / "roles" / "worker" / "vars")
    log = tmp_path / "log"

    def step(name):
        return STEP.format(name=name, number="{{ inventory_hostname[-1] }}", log=log)

    (tmp_path / "inventory.yml").write_text(json.dumps({"all": {"hosts": dict.fromkeys(HOSTS, LOCAL)}}))
    (tmp_path / "site.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "any_errors_fatal": True, "roles": ["worker"]}])
    )

    def carried_out(batches, fails=""):
        (tasks / "upgrade.yml").write_text("---" + step("drain") + FAILS.format(host=fails) + step("upgrade"))
        (tasks / "host.yml").write_text("---\n[]\n")
        for name in ("containerd", "kubelet", "kube_proxy"):
            (tasks / f"{name}.yml").write_text("---" + step("other") if name == "kubelet" else "---\n[]\n")
        log.write_text("")
        extra = json.dumps({"cluster": {"plan": {"worker_batches": batches}}})
        done = ansible_playbook("site.yml", "--forks=5", "--extra-vars", extra)
        return log.read_text().splitlines(), done.returncode == 0, done.stdout

    return carried_out


def test_one_batch_is_finished_before_the_next_begins(carried_out):
    batches = [["wrk04"], ["wrk01", "wrk02"], ["wrk03"]]
    steps, succeeded, output = carried_out(batches)
    assert succeeded, output
    assert steps[:2] == ["drain wrk04", "upgrade wrk04"]
    assert set(steps[2:4]) == {"drain wrk01", "drain wrk02"}
    assert set(steps[4:6]) == {"upgrade wrk01", "upgrade wrk02"}
    assert steps[6:] == ["drain wrk03", "upgrade wrk03", "other wrk05"]


def test_a_failure_leaves_the_batches_after_it_as_they_are(carried_out):
    steps, succeeded, _output = carried_out([["wrk01"], ["wrk02"], ["wrk03"]], fails="wrk02")
    assert not succeeded
    assert steps == ["drain wrk01", "upgrade wrk01", "drain wrk02"]


def test_no_upgrade(carried_out):
    steps, succeeded, output = carried_out([])
    assert succeeded, output
    assert sorted(steps) == [f"other {host}" for host in HOSTS]


def test_the_note_on_a_node_is_the_one_that_a_reading_looks_for():
    assert CORDON in yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8")).values()
