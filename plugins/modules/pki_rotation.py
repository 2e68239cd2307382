#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pki_rotation
short_description: Take a key pair of a PKI directory through a rotation
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - A rotation has three phases, and the files of the directory say which one it is in.
  - M(hardway.kubernetes.x509_cfssl_compat) makes the pair C(NAME-next), which is trusted. With O(step=switch) it
    becomes the pair C(NAME), which signs, and the old certificate becomes C(NAME-previous), which is trusted. With
    O(step=finish) that one is removed.
  - A call that was killed is continued by the next one. The files of a switch are replaced together.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._pki
options:
  directory:
    description: The PKI directory.
    type: path
    required: true
  name:
    description: Name of the pair, such as V(service-account).
    type: str
    required: true
  step:
    description: The step. V(read) changes nothing.
    type: str
    choices: [read, switch, finish]
    default: read
seealso:
  - module: hardway.kubernetes.x509_cfssl_compat
"""

EXAMPLES = r"""
- name: Let the new key sign
  hardway.kubernetes.pki_rotation:
    directory: /srv/kthw
    name: service-account
    step: switch
"""

RETURN = r"""
phase:
  description:
    - V(none) without a rotation, V(next) while the new pair does not sign yet, V(previous) while it signs and the old
      certificate is trusted. In check mode the phase now.
  returned: success
  type: str
  sample: next
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.requirements import (
    CRYPTOGRAPHY,
    CRYPTOGRAPHY_ERROR,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.rotation import run


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "step": {"type": "str", "choices": ["read", "switch", "finish"], "default": "read"},
        },
        supports_check_mode=True,
    )
    if CRYPTOGRAPHY_ERROR is not None:
        module.fail_json(msg=missing_required_lib(CRYPTOGRAPHY), exception=str(CRYPTOGRAPHY_ERROR))
    params = module.params
    try:
        changed, phase = run(params["directory"], params["name"], params["step"], write=not module.check_mode)
    except HardwayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, phase=phase)


if __name__ == "__main__":
    main()
