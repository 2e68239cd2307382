#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: outdated_pod_info
short_description: Find the pods, webhooks and APIs that trust an authority of before
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Each namespace has the authorities that its pods verify the API with in the ConfigMap C(kube-root-ca.crt). The
    kubelet keeps the copy in a pod up to date, but many programs read it only when they start.
  - Finds the pods that started before the ConfigMap of their namespace was written last. It needs only Python on the
    host.
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
  kubeconfig:
    description: Kubeconfig that the role P(hardway.kubernetes.apiserver#role) wrote.
    type: path
    default: /var/lib/kubernetes/admin.kubeconfig
  old:
    description: PEM of an authority that goes. With it, webhooks and APIs whose C(caBundle) has it are found.
    type: str
  new:
    description: PEM of the authority in its place.
    type: str
seealso:
  - module: hardway.kubernetes.pki_rotation
"""

EXAMPLES = r"""
- name: Find pods that may trust the old authority alone
  hardway.kubernetes.outdated_pod_info:
  register: outdated
"""

RETURN = r"""
workloads:
  description:
    - The objects that own such pods, with C(namespace), C(kind), C(name), the names of the C(pods), and C(restarts),
      whether C(kubectl rollout restart) starts them again. Of a pod that nothing owns the pod itself.
  returned: success
  type: list
  elements: dict
  sample: [{"namespace": "shop", "kind": "Deployment", "name": "web", "pods": ["web-7d4b9-x2x"], "restarts": true}]
bundles:
  description: Webhooks and APIs whose C(caBundle) has O(old) and not O(new). Empty without them.
  returned: success
  type: list
  elements: str
  sample: [ValidatingWebhookConfiguration checks]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.authorities import bundled, outdated_pods
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "default": "/var/lib/kubernetes/admin.kubeconfig"},
            "old": {"type": "str"},
            "new": {"type": "str"},
        },
        required_together=[("old", "new")],
        supports_check_mode=True,
    )
    try:
        client = Client.when_ready(module.params["kubeconfig"])
        found = outdated_pods(client)
        old, new = module.params["old"], module.params["new"]
        bundles = bundled(client, old=old, new=new) if old else []
    except HardwayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, workloads=found, bundles=bundles)


if __name__ == "__main__":
    main()
