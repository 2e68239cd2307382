#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: service_account_token_info
short_description: Find the Secrets with tokens of service accounts, and the key of each
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Reads the Secrets of type C(kubernetes.io/service-account-token). Their tokens do not expire. They are
    refused when the key that signed them is not accepted any more.
  - No token is returned. It needs only Python on the host.
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
seealso:
  - module: hardway.kubernetes.pki_rotation
"""

EXAMPLES = r"""
- name: Find tokens that do not expire
  hardway.kubernetes.service_account_token_info:
  register: tokens
"""

RETURN = r"""
secrets:
  description:
    - The Secrets, with C(namespace), C(name), and C(key), the SHA-256 of the public key that verifies the token.
  returned: success
  type: list
  elements: dict
  sample: [{"namespace": "ci", "name": "deployer", "key": "5af1d2..."}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.tokens import legacy_tokens
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError


def main() -> None:
    module = AnsibleModule(
        argument_spec={"kubeconfig": {"type": "path", "default": "/var/lib/kubernetes/admin.kubeconfig"}},
        supports_check_mode=True,
    )
    try:
        found = legacy_tokens(Client.when_ready(module.params["kubeconfig"]))
    except HardwayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, secrets=found)


if __name__ == "__main__":
    main()
