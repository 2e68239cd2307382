#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_maintenance
short_description: Free space in the databases of an etcd cluster
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Compacts the history of the keys, defragments the database of one member after the other, and disarms the alarm
    C(NOSPACE). One call does it for the whole cluster, through etcd's own JSON gateway.
  - A member does not answer while its database is defragmented. The next one follows when it is healthy again; the
    leader is the last.
  - It refuses without a quorum and while the alarm C(CORRUPT) is raised. It also refuses while a voting member does not
    answer, unless C(NOSPACE) is raised, because etcd refuses writes then anyway.
  - The alarm stays when the data in use fills the quota. Raise the quota first then.
  - A run that finds nothing to compact defragments only members with at least 1 MiB of free space in their database.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._etcd
options:
  keep_revisions:
    description:
      - How many revisions before the current one stay readable.
      - With V(0) clients that read the history, such as a list in pages or a watch that lags, have to list again. With
        many revisions of large values little is freed.
    type: int
    default: 0
  timeout:
    description: Seconds for the compaction, and for the defragmentation of each member.
    type: float
    default: 300
seealso:
  - module: hardway.kubernetes.etcd_member_info
"""

EXAMPLES = r"""
- name: Free space in the databases
  hardway.kubernetes.etcd_maintenance:
    endpoints: [https://10.240.0.11:2379, https://10.240.0.12:2379]
    ca_cert: /etc/etcd/ca.pem
    client_cert: /etc/etcd/etcdctl.pem
    client_key: /etc/etcd/etcdctl-key.pem
"""

RETURN = r"""
actions:
  description: The changes; in check mode the predicted ones.
  returned: always
  type: list
  elements: str
  sample: ["compact to revision 4711", "defragment ctl02 (16.0 MiB -> 1.0 MiB)", "disarm NOSPACE of ctl02"]
alarms:
  description: Alarms that are raised at the end.
  returned: success
  type: list
  elements: dict
  sample: []
members:
  description: The databases of the members that answer, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the member.
      type: str
    before:
      description: Size at the beginning, in bytes.
      type: int
    after:
      description: Size at the end, in bytes. In check mode the size now.
      type: int
    in_use:
      description: Bytes in use at the end.
      type: int
    quota:
      description: Its quota, in bytes; V(0) where etcd does not report it.
      type: int
  sample: [{"name": "ctl01", "before": 16822272, "after": 1073152, "in_use": 1064960, "quota": 16777216}]
report:
  description: RV(members) in words.
  returned: success
  type: list
  elements: str
  sample: ["ctl01: 16.0 MiB -> 1.0 MiB of a quota of 16.0 MiB, 1.0 MiB in use"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import CONNECTION, Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.maintenance import maintain


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "keep_revisions": {"type": "int", "default": 0},
            "timeout": {"type": "float", "default": 300},
            **CONNECTION,
        },
        required_together=[("client_cert", "client_key")],
        supports_check_mode=True,
    )
    params = module.params
    if params["keep_revisions"] < 0:
        module.fail_json(msg=f"keep_revisions: {params['keep_revisions']} is negative; 0 or more is allowed")
    try:
        outcome = maintain(
            Client.of(params),
            keep_revisions=params["keep_revisions"],
            timeout=params["timeout"],
            check_mode=module.check_mode,
        )
    except HardwayError as error:
        actions = getattr(error, "actions", [])
        module.fail_json(msg=str(error), actions=actions, changed=bool(actions) and not module.check_mode)
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**outcome.public())


if __name__ == "__main__":
    main()
