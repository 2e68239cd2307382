#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: reachable
short_description: Check that packets from a host reach TCP ports of other hosts
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Opens a TCP connection to each port, all at the same time, and fails with those that do not answer.
  - A refused connection is an answer, because packets pass. Nothing has to listen yet, so that firewalls can be checked
    before a cluster is built.
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  platform:
    description: Target OS or families that can be operated against.
    platforms: posix
    support: full
options:
  targets:
    description: The ports.
    type: list
    elements: dict
    required: true
    suboptions:
      address:
        description: Address or name of the host.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        required: true
      words:
        description: Beginning of the message about it.
        type: str
        required: true
  timeout:
    description: Seconds to wait for an answer.
    type: int
    default: 3
  advice:
    description: End of the message.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Check that the host reaches the load balancer
  hardway.kubernetes.reachable:
    targets:
      - address: 10.240.0.10
        port: 6443
        words: wrk01 does not reach kubelb
    advice: Open the port in the firewalls of both hosts.
"""

RETURN = r"""
unreached:
  description: The ports that do not answer, in words.
  returned: always
  type: list
  elements: str
  sample: ["wrk01 does not reach kubelb: no answer within 3 s"]
"""


from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.reachability import unreached


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "targets": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "words": {"type": "str", "required": True},
                },
            },
            "timeout": {"type": "int", "default": 3},
            "advice": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    found = unreached(module.params["targets"], timeout=module.params["timeout"])
    if found:
        module.fail_json(msg="\n".join([*found, module.params["advice"]]).strip(), unreached=found)
    module.exit_json(changed=False, unreached=[])


if __name__ == "__main__":
    main()
