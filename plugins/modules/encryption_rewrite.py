#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: encryption_rewrite
short_description: Write objects again with the key that encrypts them
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Lists the objects of the resources in pages, and updates each as it is. The API server writes those whose value in
    etcd another key has encrypted, and no others.
  - Then it looks at the beginning of every value in etcd, and repeats this until none has another key, or is not
    encrypted. It fails when O(timeout) is over before, and names what is left.
  - Nothing of an object and nothing of a value is returned. It runs on a controller, and needs only Python there.
  - Every API server has to write with the key before.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._etcd
options:
  kubeconfig:
    description: Kubeconfig that the role P(hardway.kubernetes.apiserver#role) wrote.
    type: path
    default: /var/lib/kubernetes/admin.kubeconfig
  resources:
    description:
      - Resources as an C(EncryptionConfiguration) names them, such as V(secrets), V(deployments.apps), V(*.apps) or
        V(*.*).
    type: list
    elements: str
    required: true
  provider:
    description: Provider of the key.
    type: str
    required: true
  key:
    description: Name of the key.
    type: str
    required: true
  etcd_prefix:
    description: Prefix of the API server's keys in etcd.
    type: str
    default: /registry
  timeout:
    description: Seconds for all of it.
    type: float
    default: 900
seealso:
  - module: hardway.kubernetes.encryption_key
"""

EXAMPLES = r"""
- name: Encrypt all Secrets with the new key
  hardway.kubernetes.encryption_rewrite:
    endpoints: [https://10.240.0.11:2379]
    ca_cert: /var/lib/kubernetes/etcd-ca.pem
    client_cert: /var/lib/kubernetes/apiserver-etcd-client.pem
    client_key: /var/lib/kubernetes/apiserver-etcd-client-key.pem
    resources: [secrets]
    provider: secretbox
    key: key2
"""

RETURN = r"""
updates:
  description: How many updates of objects there were. 0 in check mode.
  returned: success
  type: int
  sample: 42
examined:
  description: How many keys of etcd were looked at in the end.
  returned: success
  type: int
  sample: 42
remaining:
  description:
    - How many of them another key has encrypted, by provider and key, or V(not encrypted). Empty but in check mode.
  returned: success
  type: dict
  sample: {"secretbox key1": 42}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.resources import resources
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.rewriting import Target, rewrite, survey
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import CONNECTION
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client as Etcd


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "default": "/var/lib/kubernetes/admin.kubeconfig"},
            "resources": {"type": "list", "elements": "str", "required": True},
            "provider": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": False},
            "etcd_prefix": {"type": "str", "default": "/registry"},
            "timeout": {"type": "float", "default": 900},
            **CONNECTION,
        },
        required_together=[("client_cert", "client_key")],
        supports_check_mode=True,
    )
    params = module.params
    target = Target(tuple(params["resources"]), f"{params['provider']} {params['key']}", params["etcd_prefix"])
    updates = 0
    try:
        client, etcd = Client.when_ready(params["kubeconfig"]), Etcd.of(params)
        if module.check_mode:
            found = survey(etcd, target, resources(client, target.patterns))
        else:
            updates, found = rewrite(client, etcd, target, timeout=params["timeout"])
    except HardwayError as error:
        module.fail_json(msg=str(error))
    changed = bool(updates or found.remaining)
    module.exit_json(changed=changed, updates=updates, examined=found.keys, remaining=found.remaining)


if __name__ == "__main__":
    main()
