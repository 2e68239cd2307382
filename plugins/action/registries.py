# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the certificates of registries on the control node for the module ``registries``."""

from __future__ import annotations

import base64
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleFileNotFound
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.hosts_toml import files_of
from ansible_collections.hardway.kubernetes.plugins.plugin_utils import vaults
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.noting import NotingAction


class ActionModule(NotingAction):
    """Run the module with the contents of the files, and note what it would change."""

    module = "registries"
    component = "registries"

    def arguments(self) -> dict[str, t.Any]:
        """Return the module's arguments, with the contents of the files that they name."""
        given = dict(self._task.args)
        registries = given.get("registries")
        entries = registries if isinstance(registries, list) else []
        paths = {path for entry in entries if isinstance(entry, dict) for path in files_of(entry).values()}
        return {**given, "contents": {path: self._read(path) for path in sorted(paths)}}

    def _read(self, path: str) -> str:
        try:
            content, _encrypted = vaults.read(self._loader, vaults.from_here(path))
            return base64.b64encode(content).decode("ascii")
        except (AnsibleFileNotFound, OSError) as error:
            raise AnsibleActionFail(
                f"registries: {path} cannot be read on the control node; name a file with PEM text. Nothing was written"
            ) from error

    def steps(self, result: t.Mapping[str, t.Any]) -> list[str]:
        """Return the module's own steps."""
        return list(result.get("steps") or [])
