#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_snapshot
short_description: Save, check and restore snapshots of etcd
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Saves a snapshot of an etcd member through etcd's own JSON gateway, and checks it before it gets its name.
  - Restores a snapshot beside the data of a member that may go on running, swaps the two while etcd is stopped, and
    compares the running member with the snapshot afterwards. Data that was replaced is kept aside and never removed.
  - C(etcdutl) of etcd 3.6 or newer has to be on the host.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._etcd
options:
  state:
    description:
      - V(saved) saves a snapshot into O(path), unless that file exists; then it is checked and left as it is.
      - V(checked) verifies the digest at the end of O(path) and the structure of the database in it. It changes
        nothing.
      - V(restored) checks O(path) and restores it into C(restore/data) inside O(data_directory). etcd may go on
        running.
      - V(swapped) puts the restored data in the place of the member's, which is kept in O(aside). It refuses while
        etcd runs. C(restore) and everything in it is removed then.
      - V(copied) copies the member's data to O(aside), with owners and modes. It refuses while etcd runs.
      - V(compared) fails when the running member has a key that was written after O(revision), or another number of
        keys than O(key_count). It changes nothing.
    type: str
    choices: [saved, checked, restored, swapped, copied, compared]
    required: true
  path:
    description: File of the snapshot on the host. A new one can be read by its owner alone; its directory has to exist.
    type: path
  data_directory:
    description: Data directory of the member, as its C(--data-dir). Restored data gets its owner and group.
    type: path
  name:
    description: Name of the member that the snapshot is restored for, as its C(--name).
    type: str
  peer_url:
    description: Where the other members will reach it.
    type: str
  initial_cluster:
    description: All members that restore this snapshot, as C(--initial-cluster).
    type: str
  token:
    description:
      - Token of the restored cluster, the same on all its members.
      - Use another one for each restore. It changes the cluster ID, so that a member with older data is rejected.
    type: str
  bump_revision:
    description:
      - How far above the snapshot's revision the restored data begins. Revisions below are marked as compacted.
      - It has to be larger than the number of writes since the snapshot. It forces watchers to list again instead of
        using their caches. V(0) continues at the snapshot's revision.
    type: int
    default: 1000000000
  aside:
    description: Name of the directory inside O(data_directory) that keeps the member's data.
    type: str
  revision:
    description: RV(snapshot.revision) of the snapshot that was restored.
    type: int
  key_count:
    description:
      - RV(snapshot.key_count) of the snapshot that was restored.
      - Without it the keys are counted and not compared.
    type: int
  etcdutl:
    description: Where C(etcdutl) is on the host.
    type: path
    default: /usr/local/bin/etcdutl
  endpoints:
    description:
      - Client URLs of the cluster's members, C(https://HOST:PORT). The first usable one is used.
      - Required with O(state=saved) and O(state=compared).
    required: false
notes:
  - In check mode O(state=restored) and O(state=swapped) assume the files that earlier tasks would have made.
seealso:
  - module: hardway.kubernetes.etcd_member
  - module: hardway.kubernetes.etcd_member_info
"""

EXAMPLES = r"""
- name: Save a snapshot
  hardway.kubernetes.etcd_snapshot:
    state: saved
    path: /root/etcd.db
    endpoints: [https://127.0.0.1:2379]
    ca_cert: /etc/etcd/ca.pem
    client_cert: /etc/etcd/etcdctl.pem
    client_key: /etc/etcd/etcdctl-key.pem
  register: saved

- name: Restore it beside the data of this member
  hardway.kubernetes.etcd_snapshot:
    state: restored
    path: /root/etcd.db
    data_directory: /var/lib/etcd
    name: ctl01
    peer_url: https://10.240.0.11:2380
    initial_cluster: ctl01=https://10.240.0.11:2380
    token: restored-on-monday

# Stop etcd first.
- name: Put the restored data in the place of the old data
  hardway.kubernetes.etcd_snapshot:
    state: swapped
    data_directory: /var/lib/etcd
    aside: before-monday

# Start etcd first.
- name: Compare the member with the snapshot
  hardway.kubernetes.etcd_snapshot:
    state: compared
    revision: "{{ saved.snapshot.revision }}"
    key_count: "{{ saved.snapshot.key_count }}"
    endpoints: [https://127.0.0.1:2379]
    ca_cert: /etc/etcd/ca.pem
    client_cert: /etc/etcd/etcdctl.pem
    client_key: /etc/etcd/etcdctl-key.pem
"""

RETURN = r"""
actions:
  description: The changes; in check mode the predicted ones.
  returned: success
  type: list
  elements: str
  sample: ["save a snapshot of https://127.0.0.1:2379 as /root/etcd.db"]
aside:
  description: Where the member's data is kept.
  returned: with O(state=swapped) and O(state=copied)
  type: str
  sample: /var/lib/etcd/before-monday
comparison:
  description: The comparison in words.
  returned: with O(state=compared)
  type: str
  sample: 1234 keys, as when the snapshot was taken, none younger than revision 56789
snapshot:
  description: Contents of the snapshot.
  returned: with O(state=saved), O(state=checked) and O(state=restored), when the file is there
  type: dict
  contains:
    revision:
      description: The last revision in it.
      type: int
    size:
      description: Size of the file, in bytes.
      type: int
    sha256:
      description: SHA-256 of the database in it, as etcd wrote it at the end of the file.
      type: str
    version:
      description: Version of the database's format.
      type: str
    cluster_id:
      description: ID of the cluster, in hexadecimal digits. With O(state=saved), when a snapshot was saved.
      type: str
    member:
      description: Name of the member that sent it. With O(state=saved), when a snapshot was saved.
      type: str
    taken:
      description: When it was taken, in UTC. With O(state=saved), when a snapshot was saved.
      type: str
    key_count:
      description:
        - How many keys there were at its revision. With O(state=saved), when a snapshot was saved.
        - None when that revision was compacted before the keys could be counted.
      type: int
  sample:
    revision: 56789
    size: 2105376
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    version: 3.7.0
    cluster_id: f1d4b5c5b4e0a7d2
    member: ctl01
    taken: 20260131T235959Z
    key_count: 1234
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import CONNECTION, Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.etcdutl import Etcdutl, NewMember
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.snapshots import Snapshots, Wanted


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["saved", "checked", "restored", "swapped", "copied", "compared"],
                "required": True,
            },
            "path": {"type": "path"},
            "data_directory": {"type": "path"},
            "name": {"type": "str"},
            "peer_url": {"type": "str"},
            "initial_cluster": {"type": "str"},
            "token": {"type": "str", "no_log": False},
            "bump_revision": {"type": "int", "default": 1000000000},
            "aside": {"type": "str"},
            "revision": {"type": "int"},
            "key_count": {"type": "int"},
            "etcdutl": {"type": "path", "default": "/usr/local/bin/etcdutl"},
            **CONNECTION,
            # Not every state asks etcd.
            "endpoints": {"type": "list", "elements": "str"},
        },
        required_together=[("client_cert", "client_key")],
        required_if=[
            ("state", "saved", ("path", "endpoints")),
            ("state", "checked", ("path",)),
            ("state", "restored", ("path", "data_directory", "name", "peer_url", "initial_cluster", "token")),
            ("state", "swapped", ("data_directory", "aside")),
            ("state", "copied", ("data_directory", "aside")),
            ("state", "compared", ("revision", "endpoints")),
        ],
        supports_check_mode=True,
    )
    params = module.params
    wanted = Wanted(
        **{option: params[option] for option in ("state", "path", "data_directory", "aside", "revision", "key_count")},
        member=NewMember(
            **{option: params[option] for option in ("name", "peer_url", "initial_cluster", "token", "bump_revision")}
        ),
    )
    try:
        outcome = Snapshots(
            client=Client.of(params) if params["endpoints"] else None,
            etcdutl=Etcdutl(params["etcdutl"], run=module.run_command),
            check_mode=module.check_mode,
        ).converge(wanted)
    except HardwayError as error:
        module.fail_json(msg=f"{wanted.state}: {error}")
    module.exit_json(**outcome.public())


if __name__ == "__main__":
    main()
