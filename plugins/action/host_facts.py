# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the host's clock with the control node's while the module ``host_facts`` reads the host."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run the module, and return the least and the largest possible offset of the host's clock."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module with the task's own arguments."""
        super().run(tmp, task_vars)
        asked = time.time()
        result: dict[str, t.Any] = self._execute_module(
            module_name="hardway.kubernetes.host_facts", module_args=dict(self._task.args), task_vars=task_vars or {}
        )
        answered = time.time()
        reading = result.get("reading")
        if reading:
            reading["clock_offset_seconds"] = {
                "least": round(reading["read_at"] - answered, 2),
                "most": round(reading["read_at"] - asked, 2),
            }
        return result
