#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: programs
short_description: Install published programs, each verified before it is put in place
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Downloads programs, verifies the SHA-256 sum that their publisher gives, and installs them by
    rename. A wrong or missing sum stops before anything is replaced.
  - What was installed is recorded on the host. A run that finds it unchanged opens no address.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  programs:
    description: What to install, as the filter P(hardway.kubernetes.program_plan#filter) gives it.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the program.
        type: str
        required: true
      version:
        description: Its version.
        type: str
        required: true
      url:
        description: Upstream address of the executable or archive.
        type: str
        required: true
      checksum_url:
        description: Upstream address of the publisher's checksum file, a bare sum or lines of C(SUM  NAME).
        type: str
        required: true
      sha256:
        description: SHA-256 sum (hexadecimal) to use instead of the publisher's file.
        type: str
      directory:
        description: Directory to install into.
        type: path
        required: true
      files:
        description: Members of the archive to install; empty for a single executable.
        type: list
        elements: str
        default: []
  mirror:
    description:
      - Address that replaces C(https://) of every upstream address, for example V(file:///srv/mirror).
      - Empty to use the upstream addresses.
    type: str
    default: ""
  record:
    description: Where the host keeps the record of what was installed.
    type: path
    default: /var/lib/hardway/programs.json
  timeout:
    description: Seconds to wait for an address to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Install kubectl
  hardway.kubernetes.programs:
    programs: >-
      {{ __cluster_catalogue
         | hardway.kubernetes.program_plan(['kubectl'], release='1.37', architecture='amd64') }}
"""

RETURN = r"""
installed:
  description: Programs that were installed, or would be in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the program.
      type: str
      sample: etcd
    version:
      description: Version that was installed.
      type: str
      sample: 3.7.3
    reason:
      description: Why it was installed.
      type: str
      sample: /usr/local/bin/etcd is missing
written:
  description: Paths of the programs that were installed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: ["/usr/local/bin/etcd"]
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.programs import ProgramError, Programs


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "programs": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "version": {"type": "str", "required": True},
                    "url": {"type": "str", "required": True},
                    "checksum_url": {"type": "str", "required": True},
                    "sha256": {"type": "str"},
                    "directory": {"type": "path", "required": True},
                    "files": {"type": "list", "elements": "str", "default": []},
                },
            },
            "mirror": {"type": "str", "default": ""},
            "record": {"type": "path", "default": "/var/lib/hardway/programs.json"},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    opener = partial(open_url, timeout=module.params["timeout"], follow_redirects="safe")
    programs = Programs(record=module.params["record"], mirror=module.params["mirror"], opener=opener)
    installed = []
    written: list[str] = []
    for program in module.params["programs"]:
        reason = programs.reason(program)
        if reason is None:
            continue
        installed.append({"name": program["name"], "version": program["version"], "reason": reason})
        written += Programs.destinations(program).values()
        if module.check_mode:
            continue
        try:
            programs.install(program)
        except (ProgramError, OSError) as error:
            module.fail_json(msg=str(error), installed=installed[:-1])
    lines = "".join(f"{entry['name']} {entry['version']}: {entry['reason']}\n" for entry in installed)
    module.exit_json(
        changed=bool(installed),
        installed=installed,
        written=written,
        diff={"before": "", "after": lines} if installed else {},
    )


if __name__ == "__main__":
    main()
