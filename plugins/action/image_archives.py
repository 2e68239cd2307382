# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say in check mode which archives the module ``image_archives`` would import."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.plugin_utils.noting import NotingAction


class ActionModule(NotingAction):
    """Run the module, and note the archives."""

    module = "image_archives"
    component = "images"

    def steps(self, result: t.Mapping[str, t.Any]) -> list[str]:
        """Return the archives."""
        return [f"import {os.path.basename(archive)}" for archive in result.get("imported") or {}]
