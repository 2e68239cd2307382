# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role preflight shows the plan with the effects of an upgrade, and stops with its problems."""

from __future__ import annotations

import pathlib

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

TASKS = pathlib.Path(__file__).resolve().parents[3] / "roles" / "preflight" / "tasks"


def shown(found, problems=(), etcd=(), tags=("all",), skipped=(), read=True):
    """Return the plan that is shown, whether the check passes, and its message, for a registered reading."""
    tasks = DataLoader().load_from_file(str(TASKS / "main.yml"), trusted_as_template=True)
    (reading,) = DataLoader().load_from_file(str(TASKS / "workloads.yml"), trusted_as_template=True)
    (show,) = (task for task in tasks if "ansible.builtin.debug" in task)
    (check,) = (task for task in tasks if "ansible.builtin.assert" in task)
    plan = {"summary": ["a plan"], "warnings": [], "problems": list(problems), "etcd": {"problems": list(etcd)}}
    variables = {"ansible_run_tags": list(tags), "ansible_skip_tags": list(skipped), reading["register"]: found}
    status = {"hosts": {"ctl03": {"etcd": {}} if read else {}}}
    cluster = {"plan": plan, "spec": {"topology": {"etcd": ["ctl03"]}}, "status": status}
    templar = Templar(loader=DataLoader(), variables={"cluster": cluster, **variables})
    message = templar.template(show["ansible.builtin.debug"]["msg"])
    templar = Templar(loader=DataLoader(), variables=templar.available_variables | check["vars"])
    asserted = check["ansible.builtin.assert"]
    return message, templar.evaluate_conditional(asserted["that"]), templar.template(asserted["fail_msg"])


def test_nothing_is_upgraded():
    message, passes, _failure = shown({"skipped": True})
    assert (message, passes) == (["a plan"], True)


@pytest.mark.parametrize("problems", [[], ["a wrong setting"]])
def test_effects_and_problems_of_an_upgrade(problems):
    message, passes, failure = shown({"effects": ["pods move"], "problems": ["a pod is lost"]}, problems)
    assert message == ["a plan", "Warning: pods move"]
    assert passes is False
    lines = [f"- {text}" for text in (*problems, "a pod is lost")]
    assert failure.splitlines() == [f"{len(lines)} problem(s) found. Nothing was changed.", *lines]


@pytest.mark.parametrize(
    ("tags", "skipped", "read", "refused"),
    [
        (["all"], [], True, True),
        (["apiserver", "etcd"], [], True, True),
        (["worker"], [], True, False),
        (["all"], ["etcd"], True, False),
        (["all"], [], False, False),  # --limit left it out
    ],
)
def test_data_that_etcd_does_not_start_with_stops_a_run_that_comes_to_etcd(tags, skipped, read, refused):
    _message, passes, failure = shown(
        {"skipped": True}, etcd=["ctl03: its data"], tags=tags, skipped=skipped, read=read
    )
    assert passes is not refused
    assert ("- ctl03: its data" in failure) is refused
