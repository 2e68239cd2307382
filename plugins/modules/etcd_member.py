#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_member
short_description: Keep a member in an etcd cluster, or out of it
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Adds, promotes, changes and removes members of an etcd cluster through etcd's own JSON gateway. It needs only
    Python on the host, and works with etcd 3.4, 3.5, 3.6 and 3.7.
  - A new member joins as a learner, which takes no part in votes, and is promoted once it has caught up.
  - It refuses a change that would lose the quorum. The message gives the numbers and the next step.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._etcd
options:
  name:
    description:
      - Name of the member, as its C(--name).
      - A member that was added and never started has no name yet; it is recognised by its O(peer_urls).
    type: str
  id:
    description: ID of the member in hexadecimal digits, as C(etcdctl member list) prints it, instead of O(name).
    type: str
  peer_urls:
    description: Where the other members reach it. Needed to add it; changed when they differ.
    type: list
    elements: str
    default: []
  client_urls:
    description:
      - Where it answers clients. These are used until the member has started and the cluster has its client URLs.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(present) adds it as a learner, waits until it has caught up, and promotes it to a voting member.
      - V(learner) adds it as a learner and leaves it at that. A voting member stays one.
      - V(promoted) promotes a learner. It does not add one.
      - V(absent) removes it, also when its host no longer exists.
    type: str
    choices: [present, learner, promoted, absent]
    default: present
  wait:
    description:
      - Wait until a learner has caught up. It has to be started meanwhile.
      - Without it RV(pending) lists the remaining steps.
    type: bool
    default: true
  timeout:
    description: Seconds for everything together.
    type: int
    default: 120
  force:
    description:
      - Allow a change that would leave the cluster without a quorum. etcd itself may still refuse.
      - The only voting member is never removed, and without a quorum the members cannot be changed at all.
    type: bool
    default: false
seealso:
  - module: hardway.kubernetes.etcd_member_info
"""

EXAMPLES = r"""
- name: Add ctl03, to be started next
  hardway.kubernetes.etcd_member:
    name: ctl03
    peer_urls: [https://10.240.0.13:2380]
    state: learner
    endpoints: [https://10.240.0.11:2379, https://10.240.0.12:2379]
    ca_cert: /etc/etcd/ca.pem
    client_cert: /etc/etcd/etcdctl.pem
    client_key: /etc/etcd/etcdctl-key.pem
  register: joining

- name: Remove a member that is permanently lost
  hardway.kubernetes.etcd_member:
    name: ctl02
    state: absent
    endpoints: [https://127.0.0.1:2379]
    ca_cert: /etc/etcd/ca.pem
    client_cert: /etc/etcd/etcdctl.pem
    client_key: /etc/etcd/etcdctl-key.pem
"""

RETURN = r"""
actions:
  description: The changes; in check mode the predicted ones. After a failure, those before it.
  returned: always
  type: list
  elements: str
  sample: ["add ctl03 as a learner with https://10.240.0.13:2380"]
pending:
  description: The remaining steps, with O(wait=false).
  returned: success
  type: list
  elements: str
  sample: ["promote ctl03 8211f1d0f64f3269 to a voting member"]
initial_cluster:
  description: Value of C(--initial-cluster) for its first start, with C(--initial-cluster-state=existing).
  returned: success
  type: str
  sample: ctl01=https://10.240.0.11:2380,ctl03=https://10.240.0.13:2380
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
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.membership import Wanted
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reconcile import reconcile


def _wanted(module: AnsibleModule) -> Wanted:
    params = module.params
    try:
        member_id = int(params["id"] or "0", 16)
    except ValueError:
        module.fail_json(msg=f"id: {params['id']!r} is not a member ID; allowed: up to 16 hexadecimal digits")
    return Wanted(
        state=params["state"],
        name=params["name"] or "",
        id=member_id,
        peer_urls=tuple(params["peer_urls"]),
        force=params["force"],
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "id": {"type": "str"},
            "peer_urls": {"type": "list", "elements": "str", "default": []},
            "client_urls": {"type": "list", "elements": "str", "default": []},
            **CONNECTION,
            "state": {"type": "str", "choices": ["present", "learner", "promoted", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 120},
            "force": {"type": "bool", "default": False},
        },
        required_one_of=[("name", "id")],
        mutually_exclusive=[("name", "id")],
        required_together=[("client_cert", "client_key")],
        supports_check_mode=True,
    )
    params = module.params
    wanted = _wanted(module)
    try:
        outcome = reconcile(
            Client.of(params),
            wanted,
            client_urls=params["client_urls"],
            wait=params["wait"],
            timeout=params["timeout"],
            check_mode=module.check_mode,
        )
    except HardwayError as error:
        done = getattr(error, "actions", [])
        module.fail_json(msg=f"{wanted.label} ({wanted.state}): {error}", changed=bool(done), actions=done)
    result = {
        "changed": bool(outcome.actions),
        "actions": outcome.actions,
        "pending": outcome.pending,
        "initial_cluster": outcome.initial_cluster,
        **outcome.after.public(),
    }
    if outcome.actions:
        result["diff"] = {"before": outcome.before.lines(), "after": outcome.after.lines()}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
