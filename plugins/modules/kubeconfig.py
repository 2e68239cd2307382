#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig
short_description: Keep kubeconfig files in a given state
version_added: 0.1.0
author:
  - hardway.kubernetes contributors (!UNKNOWN)
description:
  - Writes kubeconfig files, one or many in a call, as C(kubectl config set-cluster), C(set-credentials), C(set-context)
    and C(use-context) would. kubectl is not needed.
  - Everything is checked before it is written. Key and client certificate belong together, the certificate is valid
    now, may be used by clients and was signed by the cluster's authority, and the server is an https URL. Nothing is
    written unless all files of the call pass.
  - The module owns the whole file and removes other entries, unless O(kubeconfigs[].merge=true).
  - A file that differs only in order or layout, for example because kubectl has written it again, is left alone.
  - A symbolic link is written through. It stays, and the file that it leads to is replaced. The link of another user is
    followed only to that user's own files.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._pki
requirements:
  - PyYAML
options:
  directory:
    description:
      - Where relative paths start, those of certificates and keys as well as those of kubeconfig files.
      - Without it all paths must be absolute.
    type: path
  kubeconfigs:
    description:
      - Contexts, each with its cluster and its user, and the files that they are written to.
      - Entries with the same O(kubeconfigs[].path) make one file. They may share clusters and users, and must agree in
        O(kubeconfigs[].embed_certs), O(kubeconfigs[].merge), O(kubeconfigs[].verify), O(kubeconfigs[].mode),
        O(kubeconfigs[].owner) and O(kubeconfigs[].group).
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The file. Its directory must exist.
        type: str
        required: true
      cluster_name:
        description:
          - The name of the cluster.
          - The default is V(kubernetes-the-hard-way), or the name in O(kubeconfigs[].content).
        type: str
      server:
        description:
          - The URL of the API server. It must be https.
          - Without it the context refers to a cluster of another entry for the file or, with
            O(kubeconfigs[].merge=true), to one that is in the file.
        type: str
      certificate_authority:
        description: The authority that signed the server's certificate, as a path or as PEM text.
        type: str
      further_authorities:
        description:
          - Authorities that are trusted beside O(kubeconfigs[].certificate_authority), as paths or as PEM text, while
            one of them replaces the other.
          - They need O(kubeconfigs[].embed_certs=true).
        type: list
        elements: str
      tls_server_name:
        description: The name to expect in the server's certificate, if it is not the one in the URL.
        type: str
      proxy_url:
        description: A proxy on the way to the server, beginning with V(http://), V(https://) or V(socks5://).
        type: str
      user:
        description:
          - The name of the user. With O(kubeconfigs[].content) the default is the name there.
          - Without credentials the context refers to a user of another entry for the file or, with
            O(kubeconfigs[].merge=true), to one that is in the file.
        type: str
      client_certificate:
        description: The user's certificate, as a path or as PEM text.
        type: str
      client_key:
        description: The path of the client certificate's key.
        type: str
      token:
        description: A bearer token, instead of a client certificate.
        type: str
      exec:
        description: A program that gets the credentials, instead of a client certificate.
        type: dict
        suboptions:
          command:
            description: The program.
            type: str
            required: true
          args:
            description: Its arguments.
            type: list
            elements: str
            default: []
          env:
            description: Environment variables to set for it. Do not put secrets here.
            type: dict
            default: {}
          api_version:
            description: The version of the protocol between kubectl and the program.
            type: str
            default: client.authentication.k8s.io/v1
          interactive_mode:
            description: Whether the program gets the terminal's input.
            type: str
            choices: [Never, IfAvailable, Always]
            default: IfAvailable
          provide_cluster_info:
            description: Whether the program gets the cluster's data.
            type: bool
            default: false
          install_hint:
            description: Text that kubectl prints when the program is missing.
            type: str
      content:
        description:
          - The text of another kubeconfig, instead of O(kubeconfigs[].server) and credentials. Its context in use is
            taken, or its only one, with the cluster and the user of that.
          - O(kubeconfigs[].context), O(kubeconfigs[].cluster_name) and O(kubeconfigs[].user) rename them, and
            O(kubeconfigs[].namespace) takes the place of the namespace there.
          - Certificates and keys must be embedded in it, and are checked as those in files are. Fields that the other
            options cannot express are refused.
          - In check mode an empty text stands for a kubeconfig that an earlier task makes or changes.
        type: str
      context:
        description:
          - The name of the context that joins cluster and user.
          - The default is V(default), or the name in O(kubeconfigs[].content).
        type: str
      namespace:
        description: The namespace of the context.
        type: str
      current_context:
        description:
          - The context in use. Without it, that of the file's first entry.
          - With O(kubeconfigs[].merge=true) a context in use stays unless this is given.
        type: str
      embed_certs:
        description:
          - Whether certificates and keys are written into the file, so that it can be moved to other hosts.
          - Otherwise the file has their paths. Relative ones are written relative to the file, as kubectl reads them.
        type: bool
        default: true
      merge:
        description:
          - Changes only the entries that are named, and keeps everything else that is in the file, except comments.
          - A named cluster, user or context is replaced as a whole. Choose names that other entries do not use.
          - A file that cannot be read as a kubeconfig is an error.
        type: bool
        default: false
      verify:
        description: Whether certificates and keys are checked before they are written.
        type: bool
        default: true
      mode:
        description: The mode of the file.
        type: str
        default: "0600"
      owner:
        description: The owner of the file. A file that is there keeps its own when this is left out.
        type: str
      group:
        description: The group of the file. A file that is there keeps its own when this is left out.
        type: str
  changed_files:
    description:
      - Certificates and keys that an earlier task of this run changes, as RV(ignore:changed_files) of
        M(hardway.kubernetes.x509_cfssl_compat) has them.
      - In check mode the old files are still there. A kubeconfig that embeds one of these counts as changed then, and
        the old content is not checked. Without check mode the option has no effect.
    type: list
    elements: path
    default: []
  backup:
    description:
      - Whether a copy with a time stamp is kept of a file that is replaced. It holds the old keys, and has the mode and
        the owner of the original.
    type: bool
    default: false
seealso:
  - module: hardway.kubernetes.x509_cfssl_compat
  - name: Organizing cluster access using kubeconfig files
    description: Meaning of the entries of a kubeconfig.
    link: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

EXAMPLES = r"""
- name: Write the kubeconfigs of two nodes and of the administrators, on a controller and elsewhere
  hardway.kubernetes.kubeconfig:
    directory: /srv/kthw
    kubeconfigs:
      - path: wrk01.kubeconfig
        server: https://172.31.23.61:6443
        certificate_authority: ca.pem
        user: "system:node:wrk01"
        client_certificate: wrk01.pem
        client_key: wrk01-key.pem
      - path: wrk02.kubeconfig
        server: https://172.31.23.61:6443
        certificate_authority: ca.pem
        user: "system:node:wrk02"
        client_certificate: wrk02.pem
        client_key: wrk02-key.pem
      - path: admin.kubeconfig
        server: https://127.0.0.1:6443
        certificate_authority: ca.pem
        user: admin
        client_certificate: admin.pem
        client_key: admin-key.pem
      - path: remote-admin.kubeconfig
        server: https://172.31.23.61:6443
        certificate_authority: ca.pem
        user: admin
        client_certificate: admin.pem
        client_key: admin-key.pem
        context: kubernetes-the-hard-way

- name: Write the remote administrator's kubeconfig
  hardway.kubernetes.kubeconfig:
    kubeconfigs:
      - path: /home/cloud_user/.kube/config
        server: https://172.31.23.61:6443
        certificate_authority: /srv/kthw/ca.pem
        user: admin
        client_certificate: /srv/kthw/admin.pem
        client_key: /srv/kthw/admin-key.pem
        context: kubernetes-the-hard-way
        owner: cloud_user
        group: cloud_user

- name: Add the cluster to the kubeconfig that an administrator has
  hardway.kubernetes.kubeconfig:
    backup: true
    kubeconfigs:
      - path: /home/cloud_user/.kube/config
        merge: true
        server: https://172.31.23.61:6443
        certificate_authority: /srv/kthw/ca.pem
        user: kthw-admin
        client_certificate: /srv/kthw/admin.pem
        client_key: /srv/kthw/admin-key.pem
        context: kubernetes-the-hard-way
        owner: cloud_user
        group: cloud_user

# The host needs no certificate files: they come from the control node, inside the kubeconfig.
- name: Add the context of a kubeconfig on the control node to that of a user on a host
  hardway.kubernetes.kubeconfig:
    kubeconfigs:
      - path: /home/cloud_user/.kube/config
        merge: true
        content: "{{ lookup('ansible.builtin.file', '/srv/kthw/remote-admin.kubeconfig') }}"
        # Names that the user's other clusters do not have: an entry of the same name would be replaced.
        context: lab
        cluster_name: lab
        user: lab-admin
        owner: cloud_user
        group: cloud_user

- name: Write a file with one user and two clusters
  hardway.kubernetes.kubeconfig:
    kubeconfigs:
      - path: /etc/deploy/kubeconfig
        cluster_name: blue
        server: https://blue.example.com:6443
        certificate_authority: /etc/deploy/blue-ca.pem
        user: deployer
        token: "{{ vault_deployer_token }}"
        context: blue
      - path: /etc/deploy/kubeconfig
        cluster_name: green
        server: https://green.example.com:6443
        certificate_authority: /etc/deploy/green-ca.pem
        user: deployer
        context: green
        namespace: shop
"""

RETURN = r"""
results:
  description: One entry for each file, in the order in which the call names them.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      sample: /srv/kthw/admin.kubeconfig
    changed:
      description: Whether it was or would be changed, if only in owner or mode.
      type: bool
    status:
      description: V(unchanged), V(created) or V(updated).
      type: str
      sample: updated
    reasons:
      description: Sentences that say why something was changed.
      type: list
      elements: str
      sample: ["User admin: client-certificate-data differs"]
    current_context:
      description: The context in use.
      type: str
      sample: default
    not_after:
      description: When the first client certificate in it expires. Null when there is none.
      type: str
      sample: "2027-01-31T11:55:00Z"
    days_left:
      description: Whole days until then.
      type: int
      sample: 364
    backup_file:
      description: The copy of the file that was replaced.
      returned: when O(backup=true) and the file was replaced
      type: str
changed_files:
  description: Files whose content was changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/srv/kthw/admin.kubeconfig]
"""

import datetime as dt

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import YAML_ERROR
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.entries import wanted_files
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.finding import apply, examine
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.imports import imported
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import Sources
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.requirements import (
    CRYPTOGRAPHY,
    CRYPTOGRAPHY_ERROR,
)

OF_CONTENT = ("server", "certificate_authority", "further_authorities", "tls_server_name", "proxy_url",
              "client_certificate", "client_key", "token", "exec")  # fmt: skip
EXEC_SPEC: dict[str, dict[str, object]] = {
    "command": {"type": "str", "required": True},
    "args": {"type": "list", "elements": "str", "default": []},
    "env": {"type": "dict", "default": {}},
    "api_version": {"type": "str", "default": "client.authentication.k8s.io/v1"},
    "interactive_mode": {"type": "str", "choices": ["Never", "IfAvailable", "Always"], "default": "IfAvailable"},
    "provide_cluster_info": {"type": "bool", "default": False},
    "install_hint": {"type": "str"},
}
ENTRY_SPEC: dict[str, dict[str, object]] = {
    "path": {"type": "str", "required": True},
    "cluster_name": {"type": "str"},
    "server": {"type": "str"},
    "certificate_authority": {"type": "str"},
    "further_authorities": {"type": "list", "elements": "str"},
    "tls_server_name": {"type": "str"},
    "proxy_url": {"type": "str"},
    "user": {"type": "str"},
    "client_certificate": {"type": "str"},
    "client_key": {"type": "str", "no_log": False},  # a path
    "token": {"type": "str", "no_log": True},
    "exec": {"type": "dict", "options": EXEC_SPEC},
    "content": {"type": "str", "no_log": True},
    "context": {"type": "str"},
    "namespace": {"type": "str"},
    "current_context": {"type": "str"},
    "embed_certs": {"type": "bool", "default": True},
    "merge": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": True},
    "mode": {"type": "str", "default": "0600"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
}
ARGUMENT_SPEC: dict[str, dict[str, object]] = {
    "directory": {"type": "path"},
    "kubeconfigs": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": ENTRY_SPEC,
        "mutually_exclusive": [("content", name) for name in OF_CONTENT],
    },
    "changed_files": {"type": "list", "elements": "path", "default": []},
    "backup": {"type": "bool", "default": False},
}


def require_libraries(module: AnsibleModule) -> None:
    for library, error in ((CRYPTOGRAPHY, CRYPTOGRAPHY_ERROR), ("PyYAML", YAML_ERROR)):
        if error is not None:
            module.fail_json(msg=missing_required_lib(library), exception=str(error))


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    require_libraries(module)
    now = dt.datetime.now(dt.timezone.utc)
    changing = module.params["changed_files"] if module.check_mode else ()
    sources = Sources(module.params["directory"], now=now, changing=changing)
    try:
        files = wanted_files(module.params["kubeconfigs"], locate=sources.path, read=imported)
        findings = [examine(wanted, sources, check_mode=module.check_mode) for wanted in files]
        results = [finding.result(now) for finding in findings]
        if not module.check_mode:
            for finding, result in zip(findings, results):
                backup_file = apply(finding, backup=module.params["backup"])
                if backup_file is not None:
                    result["backup_file"] = backup_file
    except HardwayError as error:
        module.fail_json(msg=str(error))
    outcome: dict[str, object] = {
        "changed": any(finding.changed for finding in findings),
        "results": results,
        "changed_files": [finding.wanted.path for finding in findings if finding.writes],
    }
    if module._diff:
        outcome["diff"] = [finding.diff() for finding in findings if finding.changed]
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
