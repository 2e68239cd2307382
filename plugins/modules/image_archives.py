#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_archives
short_description: Import container image archives into containerd
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Verifies archives of C(docker save) or the OCI layout and imports them for the kubelet.
  - Imported images are pinned (C(io.cri-containerd.pinned)), so that the kubelet keeps them when a disk fills up.
  - An archive whose images are there and whose checksum file is unchanged is not read again.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  archives:
    description: Paths or addresses of archives. Each has a checksum file C(NAME.sha256) beside it.
    type: list
    elements: str
    required: true
  record:
    description: File of the record of imported archives on the host.
    type: path
    default: /var/lib/hardway/images.json
  timeout:
    description: Seconds to wait for an address to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Import images on a host without a registry
  hardway.kubernetes.image_archives:
    archives:
      - /srv/mirror/images/registry.k8s.io_pause_3.10.2.tar
"""

RETURN = r"""
imported:
  description: Archives that were imported, or would be in check mode, and why.
  returned: always
  type: dict
  sample: {"/srv/mirror/images/registry.k8s.io_pause_3.10.2.tar": "image registry.k8s.io/pause:3.10.2 is missing"}
"""


from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import url_opener
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.images import ImageArchives


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "archives": {"type": "list", "elements": "str", "required": True},
            "record": {"type": "path", "default": "/var/lib/hardway/images.json"},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    archives = ImageArchives(
        record=module.params["record"],
        opener=url_opener(timeout=module.params["timeout"]),
        run=module.run_command,
    )
    imported = {}
    try:
        # In check mode a new host does not have containerd yet.
        present = archives.present() if module.get_bin_path("ctr", opt_dirs=["/usr/local/bin"]) else set()
        for given in module.params["archives"]:
            address = given if "://" in given else f"file://{given}"
            reason = archives.reason(address, present)
            if reason is None:
                continue
            imported[given] = reason
            if not module.check_mode:
                archives.load(address)
    except (HardwayError, OSError) as error:
        module.fail_json(msg=str(error), imported=imported)
    lines = "".join(f"{reason}\n" for reason in imported.values())
    module.exit_json(changed=bool(imported), imported=imported, diff={"before": "", "after": lines} if imported else {})


if __name__ == "__main__":
    main()
