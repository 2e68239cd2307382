#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: network_removal
short_description: Remove what kube-proxy and pod networks leave in a host's kernel
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Removes, after the programs that write them were stopped, the packet filter rules, chains, tables and sets of
    kube-proxy, the kubelet, CNI plugins, flannel, Weave Net and the role etcd, the interfaces of pod networks, the
    routes to pods, and network namespaces of pods.
  - Rules, chains, interfaces and routes of others stay. Tables that iptables made and that are empty are removed
    where the host has C(nft).
  - The module reads from the host what has to be done.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  pods:
    description: The networks of all pods, in CIDR notation, one of each address family.
    type: list
    elements: str
    required: true
seealso:
  - module: hardway.kubernetes.removal
"""

EXAMPLES = r"""
- name: Remove interfaces, routes and packet filter rules
  hardway.kubernetes.network_removal:
    pods: [10.200.0.0/16]
"""

RETURN = r"""
steps:
  description: The removals in their order; in check mode the predicted ones.
  returned: always
  type: list
  elements: str
  sample:
    - remove the interface cni0
    - remove 21 chains and 7 other rules with iptables-nft
"""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.pod_networks import Kernel
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.removal import carry_out


def main() -> None:
    pods = {"type": "list", "elements": "str", "required": True}
    module = AnsibleModule(argument_spec={"pods": pods}, supports_check_mode=True)
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

    def run(arguments: list[str], data: str | None = None) -> tuple[int, str, str]:
        code, out, err = module.run_command(arguments, data=data)
        return code, out, err

    try:
        kernel = Kernel(pods=module.params["pods"], run=run, find=shutil.which)
        steps = [step.words for step in kernel.steps()] if module.check_mode else carry_out(kernel.steps)
    except (HardwayError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(steps), steps=steps, diff={"before": "".join(f"{step}\n" for step in steps), "after": ""}
    )


if __name__ == "__main__":
    main()
