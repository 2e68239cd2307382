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


def shown(found, problems=()):
    """Return the plan that is shown, whether the check passes, and its message, for a registered reading."""
    tasks = DataLoader().load_from_file(str(TASKS / "main.yml"), trusted_as_template=True)
    (reading,) = DataLoader().load_from_file(str(TASKS / "workloads.yml"), trusted_as_template=True)
    (show,) = (task for task in tasks if "ansible.builtin.debug" in task)
    (check,) = (task for task in tasks if "ansible.builtin.assert" in task)
    plan = {"summary": ["a plan"], "warnings": [], "blocking": list(problems)}
    templar = Templar(loader=DataLoader(), variables={"cluster": {"plan": plan}, reading["register"]: found})
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
