# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the workloads, and add to the plan of this run what an upgrade does to them."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.harm import harm
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import RunNotes


class ActionModule(ActionBase):
    """Run the module on the host that talks to the API, and judge its reading on the control node."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the reading with warnings and problems in words."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        result: dict[str, t.Any] = self._execute_module(
            module_name="hardway.kubernetes.workload_info", module_args=arguments, task_vars=task_vars or {}
        )
        if "workloads" in result:
            warnings, problems = harm(result["workloads"], arguments.get("nodes") or {}, str(arguments["release"]))
        else:
            reason = result.get("msg", "the API does not answer")
            warnings, problems = [f"the workloads that this upgrade could hurt could not be read: {reason}"], []
        for warning in warnings:
            RunNotes("warnings").add({"text": warning})
        return {
            "changed": False,
            "effects": warnings,
            "problems": problems,
            **{name: result[name] for name in ("workloads",) if name in result},
        }
