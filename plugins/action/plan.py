# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the plan: what inventory and readings show, and what each component would change."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.plan import report
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import RunNotes


class ActionModule(ActionBase):
    """Work on the control node. No host is asked."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the plan as lines and as data, and write it to a file where one is named."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {"cluster": {"type": "dict", "required": True}, "path": {"type": "path"}}
        )
        warnings = RunNotes("warnings").read()
        found = report(arguments["cluster"], RunNotes("steps").read(), [note["text"] for note in warnings])
        result.update(found, changed=False, _ansible_verbose_always=True)
        result["msg"] = found["lines"]
        path = arguments["path"]
        if path and not self._task.check_mode:
            data = {key: found[key] for key in ("changes", "warnings", "problems")}
            try:
                with open(path, "w", encoding="utf-8") as stream:
                    json.dump(data, stream, indent=2)
                    stream.write("\n")
            except OSError as error:
                raise AnsibleActionFail(f"{os.path.abspath(path)} cannot be written: {error.strerror}.") from error
        return result
