# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ca creates the password of Weave Net, once."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

TASKS = pathlib.Path(__file__).resolve().parents[3] / "roles" / "ca" / "tasks" / "main.yml"


def creates() -> dict[str, t.Any]:
    loaded = DataLoader().load_from_file(str(TASKS), trusted_as_template=True)
    return next(task for task in loaded if task["name"] == "Create the password of Weave Net, once")


def templar(path: str) -> Templar:
    return Templar(loader=DataLoader(), variables={"cluster": {"spec": {"weave": {"password_file": path}}}})


@pytest.mark.parametrize(("used", "there", "runs"), [(True, False, True), (True, True, False), (False, False, False)])
def test_the_file_is_created_where_it_is_used_and_missing(tmp_path, used, there, runs):
    path = tmp_path / "weave-password"
    if there:
        path.write_text("kept")
    variables = templar(str(path) if used else "")
    assert all(variables.evaluate_conditional(condition) for condition in creates()["when"]) is runs


def test_it_is_long_random_and_for_its_owner_alone():
    (file,) = creates()["hardway.kubernetes.component"]["files"]
    assert (file["mode"], file["secret"], file["force"]) == ("0600", True, False)
    variables = templar("/pki/weave-password")
    assert variables.template(file["path"]) == "/pki/weave-password"
    # Without the loader of collections only the short names are known.
    content = trust_as_template(file["content"].replace("ansible.builtin.", ""))
    passwords = {str(variables.template(content)) for _run in range(3)}
    assert len(passwords) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9]{43}", password) for password in passwords)
