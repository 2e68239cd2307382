#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: component
short_description: Install, configure and run one component of a host, as one transaction
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Takes what one component of one host consists of (packages, a user, programs, files, a systemd unit and its health
    endpoint) and brings the host to it in this order. It installs packages, makes the user, installs programs, writes
    the files, enables and starts, restarts or reloads the unit, and waits until it is healthy. Each part is optional.
  - RV(steps) says in words what is done and RV(reasons) why. With C(-v) one reads in RV(commands) what one would
    have typed.
  - A program is downloaded and verified with the SHA-256 sum of its publisher before it replaces the old one. A
    file is replaced in one step, after its content was written completely. Programs and files that are up to date are
    not changed.
  - Whether a restart is due is read from the host. A running unit restarts when its programs, its unit file, its
    drop-ins or its files are newer than its process. A restart that an interrupted run did not reach is done by the
    next one.
  - Before a unit with O(unit.template) is started or restarted, its program checks its own command line and
    configuration files, without starting. This holds for etcd (flags), kube-apiserver and kube-controller-manager
    (flags and what they validate of them), kube-scheduler, kubelet, kube-proxy and containerd (configuration files
    too). A field that the kubelet or kube-proxy would ignore is refused as well. The unit is left as it is then.
  - A change is rolled back when a unit that was healthy before does not become healthy after it. The previous programs
    and files are restored, the unit is restarted on them, and the task fails with a message about both. For this the
    replaced programs and files are kept in a private journal on the host (C(journal/NAME) in O(records)) until the
    unit is healthy. A run that finds the journal of an interrupted run continues the change, and can still roll back
    to the state before both runs.
  - Such a change is given up before O(unit.timeout) when the program has ended three times in a row.
  - A process that an interrupted run has left on the host, and that still changes it, is waited for.
  - For a unit that did not run before, a change cannot be rolled back. Its programs and files stay, for inspection.
  - Running units of one component restart or reload on one host at a time. After the first failure the hosts that
    have not had their turn are left as they are. A first start does not wait for other hosts.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  name:
    description: Name of the component. Hosts that change the component of the same name take turns.
    type: str
    required: true
  packages:
    description:
      - Names of Debian packages that it needs, installed by M(ansible.builtin.apt) without the recommended ones when
        one of them is missing. Packages are not taken back, and a new one restarts nothing.
    type: list
    elements: str
    default: []
  user:
    description:
      - System user that the unit runs as. Where the host has no such user, C(useradd --system) makes it, with a group
        of the same name, without a home directory and without a shell. It is not taken back.
    type: str
  programs:
    description:
      - Names of the programs to install. They must be among O(published). A new one restarts the unit.
    type: list
    elements: str
    default: []
  tools:
    description:
      - Names of further programs to install, which the unit does not run. A new one restarts nothing.
    type: list
    elements: str
    default: []
  published:
    description:
      - Programs by name, with what their publisher says about them.
        C(cluster.spec.hosts[inventory_hostname].programs) of the role P(hardway.kubernetes.cluster#role) is such a
        dictionary.
      - Each has C(name), C(version), C(url) (upstream address of the executable or archive), C(checksum_url)
        (address of the publisher's checksum file), C(directory) to install into, and optionally C(sha256) (used
        instead of the publisher's file), C(files) (members of the archive to install) and C(mirror) (address that
        replaces C(https://) of the upstream addresses).
    type: dict
    default: {}
  files:
    description: Files, directories and links, in the order in which they are made.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: path
        required: true
      state:
        description: Kind of the path. V(absent) removes a file or link. Directories are never removed.
        type: str
        choices: [file, directory, link, absent]
        default: file
      template:
        description: Template whose result is the content, searched as M(ansible.builtin.template) does.
        type: str
      src:
        description:
          - File on the control node whose bytes are the content.
          - In check mode it may be missing, or named by an earlier M(hardway.kubernetes.x509_cfssl_compat) or
            M(hardway.kubernetes.kubeconfig) as one that it changes. The path on the host counts as changed then.
        type: str
      bundle:
        description:
          - Files on the control node whose certificates together are the content, in this order, each content once.
          - In check mode they are as O(files[].src).
        type: list
        elements: str
      content:
        description: The content itself.
        type: str
      made_from:
        description:
          - Files on the control node from which O(files[].content) was made.
          - In check mode the path counts as changed when an earlier M(hardway.kubernetes.x509_cfssl_compat) or
            M(hardway.kubernetes.kubeconfig) names one of them as one that it changes.
        type: list
        elements: path
        default: []
      target:
        description: Target of a link.
        type: str
      owner:
        description: User that owns the path. By default the user that the task runs as.
        type: str
      group:
        description: Group of the path. By default the group that the task runs as.
        type: str
      mode:
        description: Octal mode as text; by default V(0644) for files and V(0755) for directories.
        type: str
      secret:
        description:
          - Keep the content out of diffs, results and logs.
          - Content that holds a private key is treated so even without this.
        type: bool
        default: false
      force:
        description: Replace content that differs. With V(false) a file is written only where there is none.
        type: bool
        default: true
      restart:
        description:
          - Restart (or reload) the unit when the path changes. V(false) for files that the program reads again by
            itself.
        type: bool
        default: true
  unit:
    description: The systemd unit that runs the component.
    type: dict
    suboptions:
      name:
        description: Name of the unit.
        type: str
        required: true
      template:
        description:
          - Template of the unit file, written to C(/etc/systemd/system/NAME).
          - Without it the unit belongs to the distribution, or to an earlier task.
        type: str
      state:
        description: Whether it runs.
        type: str
        choices: [started, stopped]
        default: started
      enabled:
        description: Whether it starts at boot.
        type: bool
        default: true
      on_change:
        description:
          - Action after a change. A reload counts as done when the unit's newest child process is newer.
          - It fails when a unit with child processes has no new one 10 seconds after it.
        type: str
        choices: [restart, reload]
        default: restart
      test_command:
        description: Command that must succeed on the new files before the unit is started, restarted or reloaded.
        type: list
        elements: str
        default: []
      health:
        description: Address that answers 200 when the component is healthy. Without it an active unit is healthy.
        type: dict
        suboptions:
          url:
            description: The address.
            type: str
            required: true
          ca_cert:
            description: Authority to verify the server with. Without it HTTPS is used on loopback only.
            type: path
          client_cert:
            description: Client certificate of the request.
            type: path
          client_key:
            description: Key of the client certificate.
            type: path
      peers:
        description:
          - Health addresses of the same component on other hosts, requested with the certificates of O(unit.health).
          - All of them must be healthy before a healthy unit is restarted. The module waits for them, and refuses the
            restart when one is not healthy in time. Hosts that are not healthy have their turn meanwhile.
          - A unit that does not run, or is not healthy itself, is started or restarted without this check.
        type: list
        elements: str
        default: []
      interrupts:
        description: Text for a warning about the interruption during a restart. The warning has the seconds it took.
        type: str
      wait:
        description:
          - Wait until the unit is healthy.
          - V(false) for members that only become healthy together. Such a change is not rolled back.
        type: bool
        default: true
      timeout:
        description: Seconds to wait until it is healthy.
        type: int
        default: 120
  records:
    description: Directory on the host for the record of the installed programs, and for the journal.
    type: path
    default: /var/lib/hardway
  download_timeout:
    description: Seconds to wait for an address of a program to answer.
    type: int
    default: 30
  turn:
    description:
      - Set by the action plugin. With V(ask) a change that would restart or reload a running unit is predicted instead
        of made.
    type: str
    choices: [ask, taken]
    default: taken
  contents:
    description: Set by the action plugin. Content by path, base64.
    type: dict
    default: {}
  secret_contents:
    description: Set by the action plugin. Secret content by path, base64.
    type: dict
    default: {}
notes:
  - The action plugin of the same name reads templates and files on the control node, installs packages, and lets hosts
    take turns.
"""

EXAMPLES = r"""
- name: Run kube-apiserver
  hardway.kubernetes.component:
    name: kube-apiserver
    programs: [kube-apiserver]
    tools: [kubectl]
    published: "{{ cluster.spec.hosts[inventory_hostname].programs }}"
    files:
      - path: /var/lib/kubernetes
        state: directory
      # kube-apiserver reads its certificates again when they change.
      - path: /var/lib/kubernetes/kubernetes.pem
        src: pki/kubernetes.pem
        restart: false
      - path: /var/lib/kubernetes/encryption-config.yaml
        src: pki/encryption-config.yaml
        mode: "0600"
        secret: true
    unit:
      name: kube-apiserver.service
      template: kube-apiserver.service.j2
      health:
        url: https://127.0.0.1:6443/readyz
        ca_cert: /var/lib/kubernetes/ca.pem
      timeout: 180

- name: Run the distribution's nginx
  hardway.kubernetes.component:
    name: nginx
    packages: [nginx]
    files:
      - path: /etc/nginx/nginx.conf
        template: nginx.conf.j2
    unit:
      name: nginx.service
      on_change: reload
      test_command: [nginx, -t, -q]

- name: Write a kubeconfig, and nothing else
  hardway.kubernetes.component:
    name: client
    files:
      - path: /root/.kube/config
        src: pki/remote-admin.kubeconfig
        mode: "0600"
        secret: true

- name: Stop the kubelet, also at the next boot
  hardway.kubernetes.component:
    name: kubelet
    unit:
      name: kubelet.service
      state: stopped
      enabled: false
"""

RETURN = r"""
steps:
  description: The changes in their order; in check mode the predicted ones.
  returned: always
  type: list
  elements: str
  sample:
    - install kube-apiserver 1.37.2
    - write /etc/systemd/system/kube-apiserver.service
    - daemon-reload
    - restart kube-apiserver.service
reasons:
  description: The reasons for the changes.
  returned: always
  type: list
  elements: str
  sample:
    - version 1.36.3 is installed, 1.37.2 is wanted
    - /usr/local/bin/kube-apiserver changes
commands:
  description: The equivalent commands.
  returned: always
  type: list
  elements: str
  sample:
    - systemctl daemon-reload
    - systemctl restart kube-apiserver.service
seconds_to_healthy:
  description: Seconds until the unit was active and healthy.
  returned: when the unit runs, is waited for, and this is not check mode
  type: float
  sample: 1.7
"""

import base64
import contextlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.journal import alone
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.component import (
    RECORDS,
    Component,
    ComponentFile,
    ComponentUnit,
    Plan,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import url_opener
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.health import Health
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.packages import unreached_sources
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.programs import chosen

_FILE = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
    "template": {"type": "str"},
    "src": {"type": "str"},
    "bundle": {"type": "list", "elements": "str"},
    "content": {"type": "str"},
    "made_from": {"type": "list", "elements": "path", "default": []},
    "target": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "secret": {"type": "bool", "default": False, "no_log": False},
    "force": {"type": "bool", "default": True},
    "restart": {"type": "bool", "default": True},
}
_HEALTH = {
    "url": {"type": "str", "required": True},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
}
_UNIT = {
    "name": {"type": "str", "required": True},
    "template": {"type": "str"},
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "enabled": {"type": "bool", "default": True},
    "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
    "test_command": {"type": "list", "elements": "str", "default": []},
    "health": {"type": "dict", "options": _HEALTH, "required_together": [("client_cert", "client_key")]},
    "peers": {"type": "list", "elements": "str", "default": []},
    "interrupts": {"type": "str"},
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 120},
}
_ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "user": {"type": "str"},
    "programs": {"type": "list", "elements": "str", "default": []},
    "tools": {"type": "list", "elements": "str", "default": []},
    "published": {"type": "dict", "default": {}},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": _FILE,
        "mutually_exclusive": [("template", "src", "bundle", "content")],
        "required_if": [("state", "link", ("target",))],
    },
    "unit": {"type": "dict", "options": _UNIT},
    "records": {"type": "path", "default": RECORDS},
    "download_timeout": {"type": "int", "default": 30},
    "turn": {"type": "str", "choices": ["ask", "taken"], "default": "taken"},
    "contents": {"type": "dict", "default": {}},
    "secret_contents": {"type": "dict", "default": {}, "no_log": True},
}


def _files(module: AnsibleModule, unit: ComponentUnit | None) -> list[ComponentFile]:
    contents = {**module.params["contents"], **module.params["secret_contents"]}
    entries = list(module.params["files"])
    if unit and unit.own:
        entries.append({"path": unit.path, "state": "file", "restart": True})
    return [
        ComponentFile(
            entry=entry,
            content=base64.b64decode(contents[entry["path"]]) if entry["path"] in contents else None,
            secret=entry["path"] in module.params["secret_contents"],
            restart=entry["restart"],
        )
        for entry in entries
    ]


def _unit(params: dict[str, t.Any] | None) -> ComponentUnit | None:
    if params is None:
        return None
    health = params["health"] or {}
    certificates = {name: health.get(name) for name in ("ca_cert", "client_cert", "client_key")}
    return ComponentUnit(
        health=Health(**health) if health else None,
        peers=[Health(url=url, **certificates) for url in params["peers"]],
        own=bool(params["template"]),
        **{name: params[name] for name in ("name", "state", "enabled", "on_change", "test_command", "wait", "timeout")},
    )


def _component(module: AnsibleModule) -> Component:
    params = module.params
    unit = _unit(params["unit"])
    return Component(
        name=params["name"],
        programs=chosen(params["programs"], params["published"]),
        tools=chosen(params["tools"], params["published"]),
        packages=params["packages"],
        user=params["user"],
        files=_files(module, unit),
        unit=unit,
        opener=url_opener(timeout=params["download_timeout"]),
        run=module.run_command,
        records=params["records"],
        accounts_later=module.check_mode,
    )


def _planned(module: AnsibleModule, result: dict[str, t.Any]) -> tuple[Component, Plan]:
    component = _component(module)
    plan = component.plan()
    result.update(changed=bool(plan.steps), steps=plan.steps, reasons=plan.reasons, commands=plan.commands)
    return component, plan


def _ask(module: AnsibleModule, component: Component, plan: Plan, result: dict[str, t.Any]) -> None:
    """End with what the action plugin has to do first: install packages, or wait for this host's turn."""
    if plan.packages:
        module.exit_json(
            needs_packages=plan.packages,
            unreached_sources=unreached_sources(plan.packages, module.run_command),
            diff=plan.diff,
            **{**result, "changed": False},
        )
    if plan.disturbs and module.params["turn"] == "ask":
        # Without the turn: another host may need it to become healthy.
        component.wait_for_peers(plan)
        module.exit_json(needs_turn=True, **{**result, "changed": False})


def _patience(params: dict[str, t.Any]) -> float:
    """Return the seconds that another run may need: to wait for health, and once more to roll back."""
    unit = params["unit"]
    return 60.0 + 2 * (unit["timeout"] if unit else 0)


def main() -> None:
    module = AnsibleModule(argument_spec=_ARGUMENTS, supports_check_mode=True)
    result: dict[str, t.Any] = {"changed": False, "steps": [], "reasons": [], "commands": []}
    try:
        component, plan = _planned(module, result)
        with contextlib.ExitStack() as stack:
            if not module.check_mode:
                _ask(module, component, plan, result)
                # A file alone is replaced in one step, and may belong to a user who is not root.
                if (module.params["unit"] or plan.programs) and plan.steps:
                    journals = os.path.join(module.params["records"], "journal")
                    stack.enter_context(alone(journals, timeout=_patience(module.params)))
                    # Another run may have changed this host meanwhile.
                    component, plan = _planned(module, result)
                    _ask(module, component, plan, result)
            seconds = None if module.check_mode else component.carry_out(plan)
    except (HardwayError, OSError) as error:
        module.fail_json(msg=str(error), **result)
    if seconds is not None:
        result["seconds_to_healthy"] = round(seconds, 3)
        interrupts = module.params["unit"]["interrupts"]
        if interrupts and "restart" in plan.actions:
            module.warn(f"{interrupts}: {seconds:.1f} s")
    module.exit_json(diff=plan.diff, **result)


if __name__ == "__main__":
    main()
