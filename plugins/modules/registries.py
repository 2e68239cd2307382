#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: registries
short_description: Configure the registries that containerd pulls images from
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Writes a C(hosts.toml) for each registry, with the certificates that it names. containerd reads them at every pull
    and is not restarted.
  - Credentials are written as the header C(Authorization) of requests. containerd sends it when it asks a registry
    for a token, too. The file is only readable by root.
  - Files of a registry that is not in O(registries) are removed, where this module wrote them. Directories and files
    of others stay.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  registries:
    description: The registries.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description:
          - Registry as names of images begin with it, with its port if it has one. V(_default) stands for every
            registry without an entry of its own.
        type: str
        required: true
      server:
        description:
          - URL of the registry, asked after the mirrors. By default C(https) and O(registries[].host). With the URL of
            a mirror here, the registry itself is never asked.
        type: str
      authority:
        description: File on the control node with the certificates of authorities that O(registries[].server) may have.
        type: str
      client_certificate:
        description: File on the control node with a client certificate for O(registries[].server).
        type: str
      client_key:
        description: File on the control node with the key of O(registries[].client_certificate).
        type: str
      override_path:
        description: The path in the URL is that of the API itself. C(/v2) is not appended.
        type: bool
        default: false
      username:
        description: User at O(registries[].server).
        type: str
      password:
        description: Password of O(registries[].username).
        type: str
      token:
        description: Token that is sent as it is, in place of user and password.
        type: str
      mirrors:
        description: Registries that are asked before O(registries[].server), in this order.
        type: list
        elements: dict
        default: []
        suboptions:
          url:
            description: URL of the mirror.
            type: str
            required: true
          capabilities:
            description: Requests that it is trusted with. Only V(resolve) decides which image a tag stands for.
            type: list
            elements: str
            choices: [pull, resolve]
            default: [pull, resolve]
          authority:
            description: As O(registries[].authority).
            type: str
          client_certificate:
            description: As O(registries[].client_certificate).
            type: str
          client_key:
            description: As O(registries[].client_key).
            type: str
          override_path:
            description: As O(registries[].override_path).
            type: bool
            default: false
          username:
            description: User at the mirror.
            type: str
          password:
            description: Password of O(registries[].mirrors[].username).
            type: str
          token:
            description: As O(registries[].token).
            type: str
  directory:
    description: Directory in which containerd looks for them, C(config_path) in its configuration.
    type: path
    default: /etc/containerd/certs.d
  contents:
    description: Set by the action plugin. Content of the files of the control node by path, base64.
    type: dict
    default: {}
notes:
  - The action plugin of the same name reads the files on the control node, and decrypts those that are encrypted with
    ansible-vault.
"""

EXAMPLES = r"""
- name: Pull the images of a private registry
  hardway.kubernetes.registries:
    registries:
      - host: registry.example.com:5000
        authority: /etc/ssl/registry-ca.pem
        username: cluster
        password: "{{ vault_registry_password }}"

- name: Pull every image from a mirror, and from nowhere else
  hardway.kubernetes.registries:
    registries:
      - host: _default
        server: https://mirror.example.com

- name: Remove the files of all registries
  hardway.kubernetes.registries:
    registries: []
"""

RETURN = r"""
steps:
  description: The changes in their order; in check mode the predicted ones.
  returned: always
  type: list
  elements: str
  sample:
    - create directory /etc/containerd/certs.d/registry.example.com_5000_
    - write /etc/containerd/certs.d/registry.example.com_5000_/server-ca.pem
    - write /etc/containerd/certs.d/registry.example.com_5000_/hosts.toml
"""

import base64

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.hosts_toml import CAPABILITIES
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.registries import DIRECTORY, Registries

_ENDPOINT = {
    "authority": {"type": "str"},
    "client_certificate": {"type": "str"},
    "client_key": {"type": "str", "no_log": False},
    "override_path": {"type": "bool", "default": False},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
}
_MIRROR = {
    "url": {"type": "str", "required": True},
    "capabilities": {"type": "list", "elements": "str", "choices": list(CAPABILITIES), "default": list(CAPABILITIES)},
    **_ENDPOINT,
}
_REGISTRY = {
    "host": {"type": "str", "required": True},
    "server": {"type": "str"},
    **_ENDPOINT,
    "mirrors": {"type": "list", "elements": "dict", "default": [], "options": _MIRROR},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "registries": {"type": "list", "elements": "dict", "required": True, "options": _REGISTRY},
            "directory": {"type": "path", "default": DIRECTORY},
            "contents": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    contents = {path: base64.b64decode(content) for path, content in module.params["contents"].items()}
    registries = Registries(module.params["registries"], contents, module.params["directory"])
    try:
        outcomes = registries.converge(check=module.check_mode)
    except (HardwayError, OSError) as error:
        module.fail_json(msg=str(error), steps=[])
    module.exit_json(
        changed=bool(outcomes),
        steps=[outcome.step for outcome in outcomes],
        diff=[outcome.diff for outcome in outcomes if outcome.diff],
    )


if __name__ == "__main__":
    main()
