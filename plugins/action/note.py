# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a step to the plan of this run, for a task whose module leaves no note itself."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import RunNotes


class ActionModule(ActionBase):
    """Leave the note on the control node. No host is asked."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Leave a note for this host."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "component": {"type": "str", "required": True},
                "steps": {"type": "list", "elements": "str", "required": True},
                "effect": {"type": "str", "default": ""},
            }
        )
        host = (task_vars or {}).get("inventory_hostname", "localhost")
        RunNotes("steps").add({"host": host, **arguments})
        result.update(changed=False)
        return result
