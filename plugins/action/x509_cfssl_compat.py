# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record in check mode which files the module ``x509_cfssl_compat`` would change, for the tasks that copy them."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.plugin_utils.noting import NotingAction
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import add_changed_files


class ActionModule(NotingAction):
    """Run the module, and note the files."""

    module = "x509_cfssl_compat"
    component = "certificates"

    def steps(self, result: t.Mapping[str, t.Any]) -> list[str]:
        """Return the files, which later tasks hear of too."""
        changed = result.get("changed_files") or []
        add_changed_files(changed)
        return [f"write {os.path.basename(path)}" for path in changed]
