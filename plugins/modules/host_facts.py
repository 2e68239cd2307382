#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_facts
short_description: Read what the roles need to know about a host
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Reads operating system, resources, clock, packages, units and the settings of an existing
    cluster in one call. It takes the place of gathering all facts.
  - How far the host's clock is from the control node's is known as a range, C(clock_offset_seconds.least) to
    C(clock_offset_seconds.most), since it takes time to ask.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  units:
    description: systemd units whose state is wanted.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Read the host
  hardway.kubernetes.host_facts:
    units: [etcd.service]
"""

RETURN = r"""
ansible_facts:
  description: The facts, under C(ansible_facts.hardway).
  returned: always
  type: dict
  contains:
    hardway:
      description: Facts of the host.
      type: dict
      sample: {"architecture": "amd64", "cgroup_version": 2, "memory_mib": 3936}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.facts import collect


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    facts = collect(run=module.run_command, **module.params)
    module.exit_json(changed=False, ansible_facts={"hardway": facts})


if __name__ == "__main__":
    main()
