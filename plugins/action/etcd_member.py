# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say in check mode what the module ``etcd_member`` would change in the etcd cluster."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.plan import MEMBERSHIP
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.noting import NotingAction


class ActionModule(NotingAction):
    """Run the module, and note its steps."""

    module = "etcd_member"
    component = MEMBERSHIP

    def host(self, task_vars: t.Mapping[str, t.Any]) -> str:
        """Return the host that joins or leaves: the task is delegated to a member that is there already."""
        return str(task_vars.get("inventory_hostname", "localhost"))

    def steps(self, result: t.Mapping[str, t.Any]) -> list[str]:
        """Return the steps."""
        return list(result.get("actions") or [])
