#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: published_authorities
short_description: Remove authorities that API servers do not trust from what they publish
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - API servers publish the authorities of clients and of the front proxy in the ConfigMap
    C(extension-apiserver-authentication) in C(kube-system). The controller manager, the scheduler and aggregated API
    servers trust what it has. API servers add to it, and remove an authority only when it has expired.
  - Removes what is not in the files of this host's API server. It needs only Python on the host.
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
  client_ca_file:
    description: The API server's C(--client-ca-file).
    type: path
    required: true
  requestheader_client_ca_file:
    description: The API server's C(--requestheader-client-ca-file).
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Remove authorities that are not trusted any more
  hardway.kubernetes.published_authorities:
    client_ca_file: /var/lib/kubernetes/ca.pem
    requestheader_client_ca_file: /var/lib/kubernetes/front-proxy-ca.pem
"""

RETURN = r"""
entries:
  description: Entries of the ConfigMap that were changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [client-ca-file]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.authorities import retire
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError

FILES = ("client_ca_file", "requestheader_client_ca_file")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "default": "/var/lib/kubernetes/admin.kubeconfig"},
            **{name: {"type": "path", "required": True} for name in FILES},
        },
        supports_check_mode=True,
    )
    trusted = {}
    for name in FILES:
        try:
            with open(module.params[name], encoding="utf-8") as stream:
                trusted[name.replace("_", "-")] = stream.read()
        except OSError as error:
            module.fail_json(msg=f"{module.params[name]} cannot be read: {error.strerror}. Run site.yml first.")
    try:
        entries = retire(Client.when_ready(module.params["kubeconfig"]), trusted=trusted, write=not module.check_mode)
    except HardwayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(entries), entries=entries)


if __name__ == "__main__":
    main()
