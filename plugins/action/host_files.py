# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read templates and files on the control node for the module ``host_files``."""

from __future__ import annotations

import base64
import os
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleFileNotFound
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.host_files import SECRET_MARKS


class ActionModule(ActionBase):
    """Send what the module needs in one call, secret content apart from the rest."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Render, read, and run the module."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        contents: dict[str, str] = {}
        secrets: dict[str, str] = {}
        files = []
        # What these hold now is not what a real run would copy.
        expected = arguments.pop("changed_files", None) or []
        self._changing = {os.path.realpath(path) for path in expected} if self._task.check_mode else set()
        for given in arguments.get("files") or []:
            entry = dict(given)
            if "template" in entry or "src" in entry or "content" in entry:
                content = self._content(entry, task_vars)
                secret = bool(entry.get("secret")) or any(mark in content for mark in SECRET_MARKS)
                (secrets if secret else contents)[entry["path"]] = base64.b64encode(content).decode("ascii")
                entry.pop("content", None)
            files.append(entry)
        arguments.update(files=files, contents=contents, secret_contents=secrets)
        return self._execute_module(
            module_name="hardway.kubernetes.host_files", module_args=arguments, task_vars=task_vars
        )

    def _content(self, entry: dict[str, t.Any], task_vars: dict[str, t.Any]) -> bytes:
        if "content" in entry:
            return str(entry["content"]).encode()
        try:
            if "template" in entry:
                return self._render(entry["template"], task_vars)
            source = self._find_needle("files", entry["src"])
            with open(source, "rb") as stream:
                content = stream.read()
            if os.path.realpath(source) in self._changing:
                # Not the old content with something added to it: that may be a key.
                return f"{entry['src']} is changed by an earlier task\n".encode()
            return content
        except (AnsibleError, OSError) as error:
            if "src" in entry and self._task.check_mode:
                # An earlier task makes it in a real run: predict that the file is written.
                return f"{entry['src']} does not exist yet\n".encode()
            if isinstance(error, AnsibleFileNotFound) and "src" in entry:
                raise AnsibleActionFail(
                    f"{entry['path']}: {entry['src']} is not on the control node; an earlier chapter makes it "
                    "(--tags ca: certificates, kubeconfigs and the encryption key). Nothing was written."
                ) from error
            raise AnsibleActionFail(f"{entry['path']}: {error}") from error

    def _render(self, template: str, task_vars: dict[str, t.Any]) -> bytes:
        path = self._find_needle("templates", template)
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        return str(lookup.run([path], variables=task_vars)[0]).encode()
