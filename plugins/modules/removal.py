#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: removal
short_description: Take components off a host
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - The reverse of M(hardway.kubernetes.component). Stops, disables and removes units, ends and removes programs, and
    removes paths and users, in this order. Packages stay.
  - The module reads from the host what has to be done. A removal that is interrupted is continued by the next run.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  units:
    description:
      - Units whose files are in C(/etc/systemd/system) because a role wrote them. They are stopped, disabled and
        removed; of a timer the time of its last run too.
    type: list
    elements: str
    default: []
  stopped:
    description: Units of packages and of systemd, which are stopped and disabled.
    type: list
    elements: str
    default: []
  paths:
    description:
      - Files, links and whole directories. A link is removed, and not what it leads to.
      - File systems below a directory are unmounted first. A directory on which a file system of its own is mounted
        is emptied.
    type: list
    elements: path
    default: []
  empty:
    description: Directories that are removed where nothing is left in them, in this order.
    type: list
    elements: path
    default: []
  keep:
    description: Paths that stay, also where they are in one of O(paths).
    type: list
    elements: path
    default: []
  users:
    description:
      - System users that M(hardway.kubernetes.component) made. A user of that name who has a home directory, or who is
        not a system user, stays.
    type: list
    elements: str
    default: []
  leave:
    description:
      - Directories that stay, with all that is in them. Files of O(users) there are given to root when the user
        is removed, because another user may get the same number.
    type: list
    elements: path
    default: []
  conffiles:
    description:
      - Configuration files of Debian packages. One that differs is taken out of the package, which is downloaded for
        this and not installed again.
      - Where the package cannot be had the file is left as it is, with a warning.
    type: list
    elements: path
    default: []
  records:
    description:
      - Directory of the records of M(hardway.kubernetes.component). The programs that it names are removed, after their
        processes were ended, and then the directory.
      - Without it programs stay.
    type: path
seealso:
  - module: hardway.kubernetes.component
  - module: hardway.kubernetes.network_removal
"""

EXAMPLES = r"""
- name: Remove kube-scheduler
  hardway.kubernetes.removal:
    units: [kube-scheduler.service]
    paths:
      - /var/lib/kubernetes
      - /etc/kubernetes/config
    empty: [/etc/kubernetes]
    users: [kube-scheduler]

- name: Remove all programs
  hardway.kubernetes.removal:
    records: /var/lib/hardway
"""

RETURN = r"""
steps:
  description: The removals in their order; in check mode the predicted ones.
  returned: always
  type: list
  elements: str
  sample:
    - stop kube-scheduler.service
    - disable kube-scheduler.service
    - remove /etc/systemd/system/kube-scheduler.service
    - daemon-reload
    - remove /var/lib/kubernetes
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.conffiles import Conffile, conffiles
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.removal import Removal, carry_out


def _restored(module: AnsibleModule, file: Conffile, run: Run) -> list[str]:
    """Restore a configuration file, and return what was done."""
    if not module.check_mode:
        try:
            file.restore(run)
        except HardwayError as error:
            # A host without it can be built on as well.
            module.warn(str(error))
            return []
    return [f"restore {file.path} from the package {file.package}"]


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    paths = {"type": "list", "elements": "path", "default": []}
    module = AnsibleModule(
        argument_spec={
            "units": names,
            "stopped": names,
            "paths": paths,
            "empty": paths,
            "keep": paths,
            "users": names,
            "leave": paths,
            "conffiles": paths,
            "records": {"type": "path"},
        },
        supports_check_mode=True,
    )
    # userdel is in a directory that is not in every PATH.
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

    def run(arguments: list[str]) -> tuple[int, str, str]:
        code, out, err = module.run_command(arguments)
        return code, out, err

    given = dict(module.params)
    restored = given.pop("conffiles")
    try:
        removal = Removal(run=run, **given)
        steps = [step.words for step in removal.steps()] if module.check_mode else carry_out(removal.steps)
        for file in conffiles(restored, run) if restored else []:
            if not file.as_packaged():
                steps += _restored(module, file, run)
    except (HardwayError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(steps), steps=steps, diff={"before": "".join(f"{step}\n" for step in steps), "after": ""}
    )


if __name__ == "__main__":
    main()
