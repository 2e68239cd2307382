#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_member_info
short_description: Read the members of an etcd cluster and their health
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Reads the members of an etcd cluster through its own JSON gateway, and the status of each member. It needs
    only Python on the host, and works with etcd 3.4, 3.5, 3.6 and 3.7.
  - A member that does not answer and a missing quorum are not errors; both are returned. It fails when no
    endpoint can be used, and names each with the cause.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._etcd
options:
  expected:
    description:
      - The members that belong to the cluster, as C(--initial-cluster), V(NAME=PEER_URL) with commas between.
      - A member that has never started has no name, and is known by its peer URLs.
    type: str
seealso:
  - module: hardway.kubernetes.etcd_member
"""

EXAMPLES = r"""
- name: Read the members
  hardway.kubernetes.etcd_member_info:
    endpoints: [https://10.240.0.11:2379, https://10.240.0.12:2379]
    ca_cert: /etc/etcd/ca.pem
    client_cert: /etc/etcd/etcdctl.pem
    client_key: /etc/etcd/etcdctl-key.pem
  register: etcd

- name: Go on only when a member may fail
  ansible.builtin.assert:
    that: etcd.tolerates >= 1

- name: Find members that do not belong to the cluster
  hardway.kubernetes.etcd_member_info:
    expected: ctl01=https://10.240.0.11:2380,ctl02=https://10.240.0.12:2380
    endpoints: [https://10.240.0.11:2379, https://10.240.0.12:2379]
    ca_cert: /etc/etcd/ca.pem
    client_cert: /etc/etcd/etcdctl.pem
    client_key: /etc/etcd/etcdctl-key.pem
"""

RETURN = r"""
alarms:
  description: Alarms that are raised; none is known without a quorum.
  returned: when the cluster answers
  type: list
  elements: dict
  sample: [{"member": "8e9e05c52164694d", "alarm": "NOSPACE"}]
cluster_id:
  description: ID of the cluster, in hexadecimal digits as C(etcdctl) prints it.
  returned: when the cluster answers
  type: str
  sample: f1d4b5c5b4e0a7d2
leader:
  description: The leader's C(id) and C(name); none while there is no leader.
  returned: when the cluster answers
  type: dict
  sample: {"id": "8e9e05c52164694d", "name": "ctl01"}
members:
  description: The members, as they are at the end.
  returned: when the cluster answers
  type: list
  elements: dict
  contains:
    id:
      description: ID in hexadecimal digits. In check mode V(0) for a member that would be added.
      type: str
    name:
      description: Name; empty until the member has started for the first time.
      type: str
    peer_urls:
      description: Where the other members reach it.
      type: list
      elements: str
    client_urls:
      description: Where clients reach it; none until it has started.
      type: list
      elements: str
    learner:
      description: Whether it takes no part in votes.
      type: bool
    started:
      description: Whether it has ever started.
      type: bool
    healthy:
      description: Whether it answers now, and sees a leader.
      type: bool
    problem:
      description: Why it is not healthy.
      type: str
    version:
      description: Version of etcd that it runs.
      type: str
    db_size:
      description: Size of its database, in bytes.
      type: int
    raft_term:
      description: Its raft term.
      type: int
    raft_index:
      description: Its raft index.
      type: int
  sample:
    - id: 8e9e05c52164694d
      name: ctl01
      peer_urls: ["https://10.240.0.11:2380"]
      client_urls: ["https://10.240.0.11:2379"]
      learner: false
      started: true
      healthy: true
      problem: ""
      version: 3.7.3
      db_size: 24576
      raft_term: 2
      raft_index: 9
unexpected:
  description: Those of RV(members) that are not among O(expected), in the same form.
  returned: with O(expected)
  type: list
  elements: dict
  sample: []
voting:
  description: How many members vote.
  returned: when the cluster answers
  type: int
  sample: 3
healthy:
  description: How many voting members are healthy.
  returned: when the cluster answers
  type: int
  sample: 3
quorum:
  description: How many voting members have to agree.
  returned: when the cluster answers
  type: int
  sample: 2
tolerates:
  description: How many more voting members may fail before writes stop. Members that do not answer count as failed.
  returned: when the cluster answers
  type: int
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import CONNECTION, Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.membership import unexpected
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reconcile import alarms, look


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "expected": {"type": "str"},
            **CONNECTION,
        },
        required_together=[("client_cert", "client_key")],
        supports_check_mode=True,
    )
    params = module.params
    try:
        client = Client.of(params)
        view = look(client)
        found = {"alarms": alarms(client, view), **view.public()}
        if params["expected"] is not None:
            found["unexpected"] = [member.public() for member in unexpected(view, params["expected"])]
    except HardwayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
