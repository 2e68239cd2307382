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
  - Writes whole kubeconfig files, one or many in a call, as C(kubectl config set-cluster), C(set-credentials),
    C(set-context) and C(use-context) would. kubectl is not needed.
  - What is written is checked before. Key and client certificate belong together, the certificate is valid now, may be
    used by clients and was signed by the cluster's authority, and the server is an https URL. Nothing is written
    unless all files of the call pass.
  - The module owns the whole file, and entries that are not asked for go away, unless O(merge=true).
  - A file that differs only in order or layout, for example because kubectl has written it again, is left alone.
notes:
  - Without PyYAML the module works as well, but writes a file again that differs in layout only, and does not show what
    was in it.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._pki
options:
  directory:
    description:
      - Where relative paths start, those of certificates and keys as well as those of kubeconfig files.
      - Without it all paths must be absolute.
    type: path
  kubeconfigs:
    description:
      - Several files in one call, instead of O(path).
      - What an entry leaves out of O(cluster_name), O(server), O(certificate_authority), O(tls_server_name),
        O(proxy_url), O(context), O(namespace), O(embed_certs), O(merge), O(verify), O(mode), O(owner) and O(group) is
        taken from the options of the call.
    type: list
    elements: dict
    suboptions:
      path:
        description: As O(path).
        type: str
        required: true
      cluster_name:
        description: As O(cluster_name).
        type: str
      server:
        description: As O(server).
        type: str
      certificate_authority:
        description: As O(certificate_authority).
        type: str
      tls_server_name:
        description: As O(tls_server_name).
        type: str
      proxy_url:
        description: As O(proxy_url).
        type: str
      user:
        description: As O(user).
        type: str
      client_certificate:
        description: As O(client_certificate).
        type: str
      client_key:
        description: As O(client_key).
        type: str
      token:
        description: As O(token).
        type: str
      exec:
        description: As O(exec).
        type: dict
        suboptions: &exec_options
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
            description: Whether the program is told about the cluster.
            type: bool
            default: false
          install_hint:
            description: What kubectl says when the program is missing.
            type: str
      context:
        description: As O(context).
        type: str
      namespace:
        description: As O(namespace).
        type: str
      current_context:
        description: As O(current_context).
        type: str
      clusters:
        description: As O(clusters).
        type: list
        elements: dict
        default: []
        suboptions: &cluster_options
          name:
            description: The name of the cluster.
            type: str
            required: true
          server:
            description: As O(server).
            type: str
            required: true
          certificate_authority:
            description: As O(certificate_authority).
            type: str
          tls_server_name:
            description: As O(tls_server_name).
            type: str
          proxy_url:
            description: As O(proxy_url).
            type: str
      users:
        description: As O(users).
        type: list
        elements: dict
        default: []
        suboptions: &user_options
          name:
            description: The name of the user.
            type: str
            required: true
          client_certificate:
            description: As O(client_certificate).
            type: str
          client_key:
            description: As O(client_key).
            type: str
          token:
            description: As O(token).
            type: str
          exec:
            description: As O(exec).
            type: dict
            suboptions: *exec_options
      contexts:
        description: As O(contexts).
        type: list
        elements: dict
        default: []
        suboptions: &context_options
          name:
            description: The name of the context.
            type: str
            required: true
          cluster:
            description: The name of a cluster.
            type: str
            required: true
          user:
            description: The name of a user.
            type: str
            required: true
          namespace:
            description: As O(namespace).
            type: str
      embed_certs:
        description: As O(embed_certs).
        type: bool
      merge:
        description: As O(merge).
        type: bool
      verify:
        description: As O(verify).
        type: bool
      mode:
        description: As O(mode).
        type: str
      owner:
        description: As O(owner).
        type: str
      group:
        description: As O(group).
        type: str
  path:
    description: The file. Its directory must exist.
    type: str
  cluster_name:
    description: The name of the cluster entry.
    type: str
    default: kubernetes-the-hard-way
  server:
    description: The URL of the API server. It must be https.
    type: str
  certificate_authority:
    description: The authority that signed the server's certificate, as a path or as PEM text.
    type: str
  tls_server_name:
    description: The name to expect in the server's certificate, if it is not the one in the URL.
    type: str
  proxy_url:
    description: A proxy on the way to the server, beginning with V(http://), V(https://) or V(socks5://).
    type: str
  user:
    description: The name of the user entry.
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
    suboptions: *exec_options
  context:
    description: The name of the context that joins O(cluster_name) and O(user).
    type: str
    default: default
  namespace:
    description: The namespace of that context.
    type: str
  current_context:
    description: The context in use. Without it O(context) when O(user) is given, and else the first of O(contexts).
    type: str
  clusters:
    description: Clusters besides the one that O(server) gives.
    type: list
    elements: dict
    default: []
    suboptions: *cluster_options
  users:
    description: Users besides the one that O(user) gives.
    type: list
    elements: dict
    default: []
    suboptions: *user_options
  contexts:
    description: Contexts besides the one that O(context) gives.
    type: list
    elements: dict
    default: []
    suboptions: *context_options
  embed_certs:
    description:
      - Whether certificates and keys are written into the file, so that it can be moved to other hosts.
      - Otherwise the file has their paths. Relative ones are written relative to the file, as kubectl reads them.
    type: bool
    default: true
  merge:
    description:
      - Changes only the entries that are named, and keeps everything else that is in the file, except comments.
      - A named entry is replaced as a whole. A context may name clusters and users that are in the file already.
      - The context in use is changed only when O(current_context) is given, or when the file has none.
      - A file that cannot be read as a kubeconfig is an error. Needs PyYAML when there is a file.
    type: bool
    default: false
  verify:
    description: Whether certificates and keys are checked before they are written.
    type: bool
    default: true
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
    description: Whether a copy with a time stamp is kept of a file that is replaced. It holds the old keys.
    type: bool
    default: false
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
seealso:
  - module: hardway.kubernetes.x509_cfssl_compat
  - name: Organizing cluster access using kubeconfig files
    description: What the entries of a kubeconfig mean.
    link: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

EXAMPLES = r"""
- name: The kubeconfigs of two nodes and of the on-host administrator, in one task
  hardway.kubernetes.kubeconfig:
    directory: /srv/kthw
    certificate_authority: ca.pem
    kubeconfigs:
      - path: wrk01.kubeconfig
        server: https://172.31.23.61:6443
        user: "system:node:wrk01"
        client_certificate: wrk01.pem
        client_key: wrk01-key.pem
      - path: wrk02.kubeconfig
        server: https://172.31.23.61:6443
        user: "system:node:wrk02"
        client_certificate: wrk02.pem
        client_key: wrk02-key.pem
      - path: admin.kubeconfig
        server: https://127.0.0.1:6443
        user: admin
        client_certificate: admin.pem
        client_key: admin-key.pem

- name: The remote administrator's own
  hardway.kubernetes.kubeconfig:
    path: /home/cloud_user/.kube/config
    server: https://172.31.23.61:6443
    certificate_authority: /srv/kthw/ca.pem
    user: admin
    client_certificate: /srv/kthw/admin.pem
    client_key: /srv/kthw/admin-key.pem
    context: kubernetes-the-hard-way
    owner: cloud_user
    group: cloud_user

- name: Add the cluster to what an administrator has already
  hardway.kubernetes.kubeconfig:
    path: /home/cloud_user/.kube/config
    merge: true
    backup: true
    server: https://172.31.23.61:6443
    certificate_authority: /srv/kthw/ca.pem
    user: kthw-admin
    client_certificate: /srv/kthw/admin.pem
    client_key: /srv/kthw/admin-key.pem
    context: kubernetes-the-hard-way
    owner: cloud_user
    group: cloud_user

- name: One user, two clusters
  hardway.kubernetes.kubeconfig:
    path: /etc/deploy/kubeconfig
    clusters:
      - name: blue
        server: https://blue.example.com:6443
        certificate_authority: /etc/deploy/blue-ca.pem
      - name: green
        server: https://green.example.com:6443
        certificate_authority: /etc/deploy/green-ca.pem
    users:
      - name: deployer
        token: "{{ vault_deployer_token }}"
    contexts:
      - {name: blue, cluster: blue, user: deployer}
      - {name: green, cluster: green, user: deployer, namespace: shop}
    current_context: blue
"""

RETURN = r"""
results:
  description: One entry for each file, in the order of the call.
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
      sample: ["User admin: client-certificate-data is another one"]
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
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import (
    Attributes,
    FileError,
    fix_attributes,
    write_file,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig import kubeconfig as kubeconfig
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.requirements import (
    CRYPTOGRAPHY,
    CRYPTOGRAPHY_ERROR,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import iso_time

EXEC_SPEC: dict[str, t.Any] = {
    "command": {"type": "str", "required": True},
    "args": {"type": "list", "elements": "str", "default": []},
    "env": {"type": "dict", "default": {}},
    "api_version": {"type": "str", "default": "client.authentication.k8s.io/v1"},
    "interactive_mode": {"type": "str", "choices": ["Never", "IfAvailable", "Always"], "default": "IfAvailable"},
    "provide_cluster_info": {"type": "bool", "default": False},
    "install_hint": {"type": "str"},
}
CLUSTER_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "server": {"type": "str", "required": True},
    "certificate_authority": {"type": "str"},
    "tls_server_name": {"type": "str"},
    "proxy_url": {"type": "str"},
}
CREDENTIALS_SPEC: dict[str, t.Any] = {
    "client_certificate": {"type": "str"},
    "client_key": {"type": "str", "no_log": False},  # a path
    "token": {"type": "str", "no_log": True},
    "exec": {"type": "dict", "options": EXEC_SPEC},
}
CONTEXT_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "namespace": {"type": "str"},
}
# What belongs to one file and to nothing else.
FILE_SPEC: dict[str, t.Any] = {
    "path": {"type": "str"},
    "user": {"type": "str"},
    **CREDENTIALS_SPEC,
    "current_context": {"type": "str"},
    "clusters": {"type": "list", "elements": "dict", "default": [], "options": CLUSTER_SPEC},
    "users": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, **CREDENTIALS_SPEC},
    },
    "contexts": {"type": "list", "elements": "dict", "default": [], "options": CONTEXT_SPEC},
}
# What an entry of the list takes from the call when it does not say it itself.
SHARED_SPEC: dict[str, t.Any] = {
    "cluster_name": {"type": "str"},
    "server": {"type": "str"},
    "certificate_authority": {"type": "str"},
    "tls_server_name": {"type": "str"},
    "proxy_url": {"type": "str"},
    "context": {"type": "str"},
    "namespace": {"type": "str"},
    "embed_certs": {"type": "bool"},
    "merge": {"type": "bool"},
    "verify": {"type": "bool"},
    "mode": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
}
DEFAULTS: dict[str, t.Any] = {
    "cluster_name": "kubernetes-the-hard-way",
    "context": "default",
    "embed_certs": True,
    "merge": False,
    "verify": True,
    "mode": "0600",
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "directory": {"type": "path"},
    "kubeconfigs": {
        "type": "list",
        "elements": "dict",
        "options": {**FILE_SPEC, **SHARED_SPEC, "path": {"type": "str", "required": True}},
    },
    **FILE_SPEC,
    **{name: {**spec, "default": DEFAULTS[name]} if name in DEFAULTS else spec for name, spec in SHARED_SPEC.items()},
    "changed_files": {"type": "list", "elements": "path", "default": []},
    "backup": {"type": "bool", "default": False},
}


def _exec_plugin(entry: dict[str, t.Any] | None) -> kubeconfig.ExecPlugin | None:
    if not entry:
        return None
    values = dict(entry)
    values["args"] = tuple(values["args"])
    values["env"] = tuple((str(name), str(value)) for name, value in values["env"].items())
    return kubeconfig.ExecPlugin(**values)


def _user(name: str, entry: dict[str, t.Any]) -> kubeconfig.User:
    return kubeconfig.User(
        name=name,
        client_certificate=entry["client_certificate"],
        client_key=entry["client_key"],
        token=entry["token"],
        exec_plugin=_exec_plugin(entry["exec"]),
    )


def _wanted(entry: dict[str, t.Any], sources: kubeconfig.Sources) -> kubeconfig.Wanted:
    path = sources.path(entry["path"], where="path")
    clusters = [kubeconfig.Cluster(**cluster) for cluster in entry["clusters"]]
    users = [_user(user["name"], user) for user in entry["users"]]
    contexts = [kubeconfig.Context(**context) for context in entry["contexts"]]
    if entry["server"] and (entry["user"] or not clusters):
        cluster = {name: entry[name] for name in CLUSTER_SPEC if name != "name"}
        clusters.insert(0, kubeconfig.Cluster(name=entry["cluster_name"], **cluster))
    if entry["user"]:
        users.insert(0, _user(entry["user"], entry))
        contexts.insert(
            0, kubeconfig.Context(entry["context"], entry["cluster_name"], entry["user"], entry["namespace"])
        )
    return kubeconfig.Wanted(
        path=path,
        clusters=tuple(clusters),
        users=tuple(users),
        contexts=tuple(contexts),
        current_context=entry["current_context"] or (contexts[0].name if contexts and not entry["merge"] else ""),
        embed_certs=entry["embed_certs"],
        verify=entry["verify"],
        merge=entry["merge"],
        attributes=Attributes.parse(owner=entry["owner"], group=entry["group"], mode=entry["mode"]),
    )


def _entries(params: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    if params["kubeconfigs"] is None:
        return [params]
    shared = {name: params[name] for name in SHARED_SPEC}
    return [
        {**entry, **{name: value for name, value in shared.items() if entry[name] is None}}
        for entry in params["kubeconfigs"]
    ]


def _result(finding: kubeconfig.Finding, now: dt.datetime) -> dict[str, t.Any]:
    reasons = finding.reasons + finding.attribute_reasons
    return {
        "path": finding.wanted.path,
        "changed": finding.changed,
        "status": finding.status,
        "reasons": [reason[:1].upper() + reason[1:] for reason in reasons],
        "current_context": finding.current_context,
        "not_after": iso_time(finding.not_after) if finding.not_after else None,
        "days_left": (finding.not_after - now) // dt.timedelta(days=1) if finding.not_after else None,
    }


def _write(module: AnsibleModule, finding: kubeconfig.Finding, result: dict[str, t.Any]) -> None:
    wanted = finding.wanted
    if finding.writes and finding.content is not None:
        if module.params["backup"] and os.path.exists(wanted.path):
            result["backup_file"] = module.backup_local(wanted.path)
        write_file(wanted.path, finding.content, wanted.attributes)
    elif finding.attribute_reasons:
        fix_attributes(wanted.path, wanted.attributes)


def main() -> None:
    single = [name for name in FILE_SPEC if FILE_SPEC[name].get("default") is None]
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        required_one_of=[("path", "kubeconfigs")],
        mutually_exclusive=[("kubeconfigs", name) for name in single],
    )
    if CRYPTOGRAPHY_ERROR is not None:
        module.fail_json(msg=missing_required_lib(CRYPTOGRAPHY), exception=str(CRYPTOGRAPHY_ERROR))
    now = dt.datetime.now(dt.timezone.utc)
    changing = module.params["changed_files"] if module.check_mode else ()
    sources = kubeconfig.Sources(module.params["directory"], now=now, changing=changing)
    try:
        files = [_wanted(entry, sources) for entry in _entries(module.params)]
        paths = [os.path.realpath(wanted.path) for wanted in files]
        for path in paths:
            if paths.count(path) > 1:
                raise kubeconfig.KubeconfigError(f"{path} is asked for twice. Give each kubeconfig its own path.")
        findings = [kubeconfig.examine(wanted, sources, check_mode=module.check_mode) for wanted in files]
        results = [_result(finding, now) for finding in findings]
        if not module.check_mode:
            for finding, result in zip(findings, results):
                _write(module, finding, result)
    except (kubeconfig.KubeconfigError, FileError) as error:
        module.fail_json(msg=str(error))
    outcome: dict[str, t.Any] = {
        "changed": any(finding.changed for finding in findings),
        "results": results,
        "changed_files": [finding.wanted.path for finding in findings if finding.writes],
    }
    if module._diff:
        outcome["diff"] = [
            {
                "before_header": finding.wanted.path,
                "after_header": finding.wanted.path,
                "before": finding.before,
                "after": finding.after,
            }
            for finding in findings
            if finding.changed
        ]
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
