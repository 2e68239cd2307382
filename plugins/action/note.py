# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a step to the plan of this run, for a task whose module leaves no note itself."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.noting import subject
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import RunNotes


class ActionModule(ActionBase):
    """Leave the note on the control node. No host is asked."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Leave a note for this host, or the one that the task is delegated to."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {
                "component": {"type": "str", "required": True},
                "steps": {"type": "list", "elements": "str", "default": []},
                "applied": {"type": "dict", "default": {}},
                "effect": {"type": "str", "default": ""},
            }
        )
        steps = arguments["steps"] + [f"apply {name}" for name in _changed_objects(arguments["applied"])]
        note = {
            "host": subject(self, task_vars),
            "component": arguments["component"],
            "steps": steps,
            "effect": arguments["effect"],
        }
        if steps:
            RunNotes("steps").add(note)
        result.update(changed=False, note=note)
        return result


def _changed_objects(applied: t.Mapping[str, t.Any]) -> list[str]:
    """Return the objects that kubernetes.core.k8s changed, by kind and name: of one, or of several at once."""
    found = applied.get("result") or {}
    one_by_one = found.get("results", [applied])
    changed = [one["result"] for one in one_by_one if one.get("changed")]
    return [f"{item['kind']} {item['metadata']['name']}" for item in changed]
