# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what the module ``host_facts`` has to read, and compare the host's clock with the control node's meanwhile."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.needs import needs
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import API_PORT
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import node_address, url


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
            hosts = arguments.pop("hosts")
            arguments.update(needs(hosts, host, in_run))
            if arguments.get("ask_api"):
                arguments["api_servers"] = _left_out(hosts, in_run, task_vars["hostvars"])
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


def _left_out(
    parts: t.Mapping[str, t.Any], in_run: t.Collection[str], variables: t.Mapping[str, t.Mapping[str, t.Any]]
) -> dict[str, str]:
    """Return the URLs of the API servers that are not part of the run, by host."""
    hosts = [host for host in parts.get("controllers", []) if host not in in_run and host in variables]
    return {host: url(address, API_PORT) for host in hosts if (address := node_address(variables[host]))}
