# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module in this process, the way Ansible would."""

from __future__ import annotations

import dataclasses
import importlib
import json
import typing as t

import pytest
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args


@dataclasses.dataclass
class Outcome:
    failed: bool
    data: dict[str, t.Any]
    output: str

    @property
    def message(self) -> str:
        return self.data.get("msg", "")

    @property
    def by_name(self) -> dict[str, dict[str, t.Any]]:
        return {entry["name"]: entry for entry in self.data["results"]}

    @property
    def statuses(self) -> dict[str, str]:
        return {name: entry["status"] for name, entry in self.by_name.items()}

    @property
    def warnings(self) -> str:
        return "\n".join(str(entry) for entry in self.data.get("warnings", []))


@pytest.fixture
def run_module(capsys):
    def run(name: str, /, *, check: bool = False, diff: bool = False, **params: t.Any) -> Outcome:
        module = importlib.import_module(f"ansible_collections.hardway.kubernetes.plugins.modules.{name}")
        capsys.readouterr()
        warnings._global_warnings.clear()  # they outlive a module that does not end its process
        arguments = {**params, "_ansible_check_mode": check, "_ansible_diff": diff}
        with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
            module.main()
        output = capsys.readouterr().out
        data = json.loads(output)
        return Outcome(bool(ended.value.code), data, output)

    return run
