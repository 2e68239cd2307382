# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what the module ``host_facts`` has to read, and compare the host's clock with the control node's meanwhile."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.needs import needs


class ActionModule(ActionBase):
    """Run the module, and return the least and the largest possible offset of the host's clock."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module with the task's own arguments, and with those that follow from ``hosts``."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if "hosts" in arguments:
            host, in_run = task_vars["inventory_hostname"], task_vars["ansible_play_hosts_all"]
            arguments.update(needs(arguments.pop("hosts"), host, in_run))
        asked = time.time()
        result: dict[str, t.Any] = self._execute_module(
            module_name="hardway.kubernetes.host_facts", module_args=arguments, task_vars=task_vars
        )
        answered = time.time()
        reading = result.get("reading")
        if reading:
            reading["clock_offset_seconds"] = {
                "least": round(reading["read_at"] - answered, 2),
                "most": round(reading["read_at"] - asked, 2),
            }
        return result
