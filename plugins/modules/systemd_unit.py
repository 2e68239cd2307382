#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: systemd_unit
short_description: Keep a systemd unit enabled, running on its current files, and healthy
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Enables and starts a unit, restarts it when it runs on files that have changed since it started,
    and waits for its health endpoint.
  - That a restart is due is read from the host (a watched file is newer than the process), so a
    restart that an interrupted run still owed is made by the next one.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  name:
    description: Name of the unit.
    type: str
    required: true
  state:
    description: Whether it runs.
    type: str
    choices: [started, stopped]
    default: started
  enabled:
    description: Whether it starts at boot.
    type: bool
    default: true
  watch:
    description: Files that the unit reads when it starts. A newer one restarts or reloads it.
    type: list
    elements: path
    default: []
  changed_files:
    description:
      - Files that earlier tasks of this run changed. One that is watched restarts or reloads the unit.
      - With it check mode predicts truly, when nothing is newer yet.
    type: list
    elements: path
    default: []
  on_change:
    description: What a change asks for.
    type: str
    choices: [restart, reload]
    default: restart
  test_command:
    description: Command that must succeed before the unit is started, restarted or reloaded.
    type: list
    elements: str
    default: []
  health_url:
    description: Address that answers 200 when the program is healthy.
    type: str
  health_ca_cert:
    description: CA file to verify the health endpoint with. Without it only loopback is asked over HTTPS.
    type: path
  health_client_cert:
    description: Client certificate for the health endpoint.
    type: path
  health_client_key:
    description: Key of the client certificate.
    type: path
  peer_health_urls:
    description:
      - Health addresses of the other members of a cluster, asked with the same certificates as O(health_url).
      - All of them must be healthy before this one is restarted; it is waited for, and the restart is refused
        when one is not in time. A unit that does not run is started without asking.
    type: list
    elements: str
    default: []
  interrupts:
    description: What nobody can use while it restarts. A restart says so in a warning, with the seconds it took.
    type: str
  timeout:
    description: Seconds to wait until it is healthy.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Run etcd
  hardway.kubernetes.systemd_unit:
    name: etcd.service
    watch: [/usr/local/bin/etcd, /etc/systemd/system/etcd.service]
    health_url: https://127.0.0.1:2379/health
    health_ca_cert: /etc/etcd/ca.pem
    health_client_cert: /etc/etcd/kubernetes.pem
    health_client_key: /etc/etcd/kubernetes-key.pem
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [daemon-reload, restart]
reasons:
  description: Why, in words.
  returned: always
  type: list
  elements: str
  sample: ["/etc/systemd/system/etcd.service is newer than the running process"]
seconds_to_healthy:
  description: Seconds until the unit was active and healthy.
  returned: when the unit runs and this is no check mode
  type: float
  sample: 1.7
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.units import (
    Health,
    Unit,
    UnitError,
    wait_for_peers,
)


def _plan(unit: Unit, params: dict) -> tuple[list[str], list[str]]:
    """Return what has to be done, and why."""
    actions = []
    reasons = []
    if params["state"] == "stopped":
        if unit.active:
            actions.append("stop")
            reasons.append("it is running")
        if unit.known and unit.enabled and not params["enabled"]:
            actions.append("disable")
            reasons.append("it starts at boot")
        return actions, reasons
    if not unit.known or unit.properties["NeedDaemonReload"] == "yes":
        actions.append("daemon-reload")
        reasons.append("systemd has not read the unit file")
    if params["enabled"] != unit.enabled:
        actions.append("enable" if params["enabled"] else "disable")
        reasons.append(f"it is {unit.properties['UnitFileState'] or 'not enabled'}")
    reloads = params["on_change"] == "reload"
    newer = unit.newer_file(params["watch"], reloads=reloads)
    changed = [path for path in params["watch"] if path in params["changed_files"]]
    if not unit.known or not unit.active:
        actions.append("start")
        reasons.append("it is not running")
    elif newer or changed:
        actions.append(params["on_change"])
        reasons.append(f"{newer} is newer than the running process" if newer else f"{changed[0]} changes")
    return actions, reasons


def _health(params: dict, url: str) -> Health:
    return Health(
        url=url,
        ca_cert=params["health_ca_cert"],
        client_cert=params["health_client_cert"],
        client_key=params["health_client_key"],
    )


def _apply(module: AnsibleModule, unit: Unit, actions: list[str]) -> None:
    if "restart" in actions:
        wait_for_peers(
            unit.name,
            [_health(module.params, url) for url in module.params["peer_health_urls"]],
            timeout=module.params["timeout"],
        )
    for action in actions:
        if action == "daemon-reload":
            unit.systemctl("daemon-reload")
        elif action in ("enable", "disable"):
            unit.systemctl("--quiet", action, unit.name)
        elif action == "stop":
            unit.systemctl("stop", unit.name)
        else:
            command = module.params["test_command"]
            if command:
                code, out, err = module.run_command(command)
                if code != 0:
                    raise UnitError(
                        f"{' '.join(command)} refuses the new files, so {unit.name} was left as it is: "
                        f"{err.strip() or out.strip()}"
                    )
            # Not waited for here: members of a new etcd cluster only become active together.
            unit.systemctl("--no-block", action, unit.name)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "enabled": {"type": "bool", "default": True},
            "watch": {"type": "list", "elements": "path", "default": []},
            "changed_files": {"type": "list", "elements": "path", "default": []},
            "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
            "test_command": {"type": "list", "elements": "str", "default": []},
            "health_url": {"type": "str"},
            "health_ca_cert": {"type": "path"},
            "health_client_cert": {"type": "path"},
            "health_client_key": {"type": "path", "no_log": False},
            "peer_health_urls": {"type": "list", "elements": "str", "default": []},
            "interrupts": {"type": "str"},
            "timeout": {"type": "int", "default": 120},
        },
        required_together=[("health_client_cert", "health_client_key")],
        supports_check_mode=True,
    )
    params = module.params
    unit = Unit(params["name"], run=module.run_command)
    result = {"changed": False, "actions": [], "reasons": []}
    try:
        health = None
        if params["health_url"]:
            health = _health(params, params["health_url"])
        unit.refresh()
        actions, reasons = _plan(unit, params)
        result.update(changed=bool(actions), actions=actions, reasons=reasons)
        if not module.check_mode:
            _apply(module, unit, actions)
            if params["state"] == "started":
                result["seconds_to_healthy"] = round(unit.wait(health, timeout=params["timeout"]), 3)
                if "restart" in actions and params["interrupts"]:
                    module.warn(f"{params['interrupts']}: {result['seconds_to_healthy']:.1f} s")
    except (UnitError, OSError) as error:
        module.fail_json(msg=str(error), **result)
    if actions:
        result["diff"] = {"before": "", "after": "".join(f"{unit.name}: {reason}\n" for reason in reasons)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
