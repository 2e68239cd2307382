#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_files
short_description: Converge a set of files, directories and links in one pass
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Brings every file, directory and link that one component needs into its wanted state, in one
    connection to the host. Templates and files are read on the control node.
  - A file is replaced by rename, after its content was written completely. Directories are never removed.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  files:
    description: The paths, in the order in which they are made.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path on the host.
        type: path
        required: true
      state:
        description:
          - Kind of the path. V(absent) removes a file or link.
        type: str
        choices: [file, directory, link, absent]
        default: file
      template:
        description: Template whose result is the content, searched as M(ansible.builtin.template) does.
        type: str
      src:
        description: File on the control node whose bytes are the content.
        type: str
      content:
        description: The content itself.
        type: str
      target:
        description: What a link points to.
        type: str
      owner:
        description: User that owns the path. By default the user that the task runs as.
        type: str
      group:
        description: Group of the path. By default the group that the task runs as.
        type: str
      mode:
        description: Octal mode as text; by default V(0644) for files and V(0755) for directories.
        type: str
      secret:
        description:
          - Keep the content out of diffs, results and logs.
          - Content that holds a private key is treated so even without this.
        type: bool
        default: false
  changed_files:
    description:
      - Files on the control node that an earlier task of this run changes, for example RV(ignore:changed_files) of
        M(hardway.kubernetes.x509_cfssl_compat).
      - In check mode they are still the old ones. A path whose O(files[].src) is among them counts as changed then.
        Without check mode the option has no effect.
    type: list
    elements: path
    default: []
  contents:
    description: Set by the action plugin. Content by path, base64.
    type: dict
    default: {}
  secret_contents:
    description: Set by the action plugin. Secret content by path, base64.
    type: dict
    default: {}
notes:
  - The action plugin of the same name reads O(files[].template) and O(files[].src) on the control node.
"""

EXAMPLES = r"""
- name: Certificates and unit of etcd
  hardway.kubernetes.host_files:
    files:
      - path: /etc/etcd
        state: directory
      - path: /etc/etcd/kubernetes-key.pem
        src: pki/kubernetes-key.pem
        owner: etcd
        mode: "0600"
        secret: true
      - path: /etc/systemd/system/etcd.service
        template: etcd.service.j2
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, by path.
  returned: always
  type: dict
  sample: {"/etc/etcd/ca.pem": ["content"]}
written:
  description: Files whose content was changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: ["/etc/etcd/ca.pem"]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.host_files import FileError, HostFiles


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
                    "template": {"type": "str"},
                    "src": {"type": "str"},
                    "content": {"type": "str"},
                    "target": {"type": "str"},
                    "owner": {"type": "str"},
                    "group": {"type": "str"},
                    "mode": {"type": "str"},
                    "secret": {"type": "bool", "default": False, "no_log": False},
                },
                "mutually_exclusive": [("template", "src", "content")],
                "required_if": [("state", "link", ("target",))],
            },
            # Used up by the action plugin.
            "changed_files": {"type": "list", "elements": "path", "default": []},
            "contents": {"type": "dict", "default": {}},
            "secret_contents": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    # Not atomic_move: it gives a new file the default mode, until the wanted one is set again.
    host_files = HostFiles(check=module.check_mode, replace=os.replace)
    contents = module.params["contents"]
    secrets = module.params["secret_contents"]
    changes: dict[str, list[str]] = {}
    diffs = []
    for entry in module.params["files"]:
        path = entry["path"]
        try:
            outcome = host_files.converge(entry, secrets.get(path, contents.get(path)), secret=path in secrets)
        except FileError as error:
            module.fail_json(msg=str(error), changes=changes)
        except OSError as error:
            module.fail_json(msg=f"{path}: {error.strerror or error}", changes=changes)
        if outcome.changes:
            changes[path] = outcome.changes
        if outcome.diff:
            diffs.append(outcome.diff)
    written = [path for path, found in changes.items() if {"created", "content"} & set(found)]
    module.exit_json(changed=bool(changes), changes=changes, written=written, diff=diffs)


if __name__ == "__main__":
    main()
