# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the line of the module ``smoke_check`` also without -v."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run the module, and let the callback print what it saw."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module with the task's own arguments."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        result = self._execute_module(
            module_name="hardway.kubernetes.smoke_check", module_args=dict(self._task.args), task_vars=task_vars
        )
        result.pop("invocation", None)
        if not result.get("failed"):
            result["_ansible_verbose_always"] = True
        return result
