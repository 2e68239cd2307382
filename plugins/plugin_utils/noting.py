# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions that run the module of their name and, in check mode, add what it would do to the plan of the run."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import RunNotes

__all__ = ("NotingAction", "subject")


def subject(action: ActionBase, task_vars: t.Mapping[str, t.Any] | None) -> str:
    """Return the host on which a task works: the one that it is delegated to, if it is."""
    return str(action._task.delegate_to or (task_vars or {}).get("inventory_hostname", "localhost"))


class NotingAction(ActionBase):
    """Run the module, and note what it would have done."""

    #: Name of the module.
    module: str
    #: Component of the plan.
    component: str

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module with the task's own arguments."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        result: dict[str, t.Any] = self._execute_module(
            module_name=f"hardway.kubernetes.{self.module}", module_args=self.arguments(), task_vars=task_vars
        )
        if self._task.check_mode and not result.get("failed"):
            steps = self.steps(result)
            if steps:
                note = {"host": self.host(task_vars), "component": self.component, "steps": steps, "effect": ""}
                RunNotes("steps").add(note)
        return result

    def arguments(self) -> dict[str, t.Any]:
        """Return the module's arguments."""
        return dict(self._task.args)

    def host(self, task_vars: t.Mapping[str, t.Any]) -> str:
        """Return the host that the note is about."""
        return subject(self, task_vars)

    def steps(self, result: t.Mapping[str, t.Any]) -> list[str]:
        """Return what the module would have done, from its result in check mode."""
        raise NotImplementedError
