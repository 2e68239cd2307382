# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record in check mode which files the module ``kubeconfig`` would change, for the tasks that copy them."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import (
    RunNotes,
    add_changed_files,
    changed_files,
)


class ActionModule(ActionBase):
    """Run the module, and record the files that it would have changed."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module with the task's own arguments."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if self._task.check_mode:
            given = list(arguments.get("changed_files") or [])
            arguments["changed_files"] = given + [path for path in changed_files() if path not in given]
        result: dict[str, t.Any] = self._execute_module(
            module_name="hardway.kubernetes.kubeconfig", module_args=arguments, task_vars=task_vars
        )
        if self._task.check_mode:
            changed = result.get("changed_files") or []
            add_changed_files(changed)
            if changed:
                steps = [f"write {os.path.basename(path)}" for path in changed]
                RunNotes("steps").add({"host": "localhost", "component": "kubeconfigs", "steps": steps, "effect": ""})
        return result
