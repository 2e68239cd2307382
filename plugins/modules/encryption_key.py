#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: encryption_key
short_description: Take the key that encrypts objects in etcd through a rotation
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Changes C(encryption-config.yaml) of a PKI directory. The file says how far a rotation is, so that a call does only
    the step that comes next, and changes nothing otherwise.
  - All API servers have to serve the file before the next step. Before O(step=remove), every object has to be
    rewritten, see M(hardway.kubernetes.encryption_rewrite).
  - The file from before a removal stays as C(encryption-config-previous.yaml), for backups of etcd from that time.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
requirements:
  - PyYAML
options:
  directory:
    description: The PKI directory.
    type: path
    required: true
  step:
    description:
      - The step. V(read) changes nothing.
      - With V(add), a new key reads, for resources that were not encrypted too. With V(first), it writes. With
        V(remove), it is alone.
    type: str
    choices: [read, add, first, remove]
    default: read
  begin:
    description: Whether O(step=add) begins a rotation where none is under way.
    type: bool
    default: false
  provider:
    description: Provider of a new key.
    type: str
    choices: [secretbox, aescbc]
    default: secretbox
  resources:
    description: Resources that are encrypted in the end. None of those that are encrypted may be missing.
    type: list
    elements: str
    default: [secrets]
seealso:
  - module: hardway.kubernetes.encryption_rewrite
"""

EXAMPLES = r"""
- name: Add a new key
  hardway.kubernetes.encryption_key:
    directory: /srv/kthw
    step: add
    begin: true
"""

RETURN = r"""
phase:
  description:
    - V(settled) without a rotation, V(added) while the newest key does not write, V(first) while it writes and older
      keys read. In check mode the phase now.
  returned: success
  type: str
  sample: added
key:
  description: Name of the newest key. Empty where nothing is encrypted.
  returned: success
  type: str
  sample: key2
provider:
  description: Its provider.
  returned: success
  type: str
  sample: secretbox
resources:
  description: The resources of the file.
  returned: success
  type: list
  elements: str
  sample: [secrets]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.encryption_file import run


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "step": {"type": "str", "choices": ["read", "add", "first", "remove"], "default": "read"},
            "begin": {"type": "bool", "default": False},
            "provider": {"type": "str", "choices": ["secretbox", "aescbc"], "default": "secretbox"},
            "resources": {"type": "list", "elements": "str", "default": ["secrets"]},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        state = run(
            params["directory"],
            params["step"],
            begin=params["begin"],
            provider=params["provider"],
            wanted=params["resources"],
            write=not module.check_mode,
        )
    except HardwayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**state._asdict())


if __name__ == "__main__":
    main()
