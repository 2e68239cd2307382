#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workload_info
short_description: Read from the API what an upgrade would hurt
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Reads the pods of the nodes that are drained, Deployments and StatefulSets with one replica, disruption budgets that
    allow no disruption, and which deprecated APIs were requested since the API server was started.
  - Says in words what an upgrade does to them, and adds the warnings to the plan of the run. The role
    P(hardway.kubernetes.preflight#role) stops with the problems. Nothing is changed.
  - An API that cannot be read is a warning.
options:
  kubeconfig:
    description: Kubeconfig of an administrator.
    type: path
    required: true
  nodes:
    description:
      - Nodes that are drained, each with the losses that are accepted there, V(local_data) and V(unmanaged_pods).
    type: dict
    default: {}
  release:
    description: Minor release of Kubernetes after the upgrade.
    type: str
    required: true
requirements:
  - kubernetes
attributes:
  check_mode:
    description: Nothing is changed in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Systems it runs on.
    support: full
    platforms: posix
seealso:
  - module: hardway.kubernetes.plan
"""

EXAMPLES = r"""
- name: Read what a drain of two workers would hurt
  hardway.kubernetes.workload_info:
    kubeconfig: admin.kubeconfig
    nodes:
      wrk01: [local_data]
      wrk02: [local_data]
    release: "1.37"
  delegate_to: localhost
  register: workloads
"""

RETURN = r"""
effects:
  description: Effects on workloads, in words.
  returned: always
  type: list
  elements: str
  sample: ["deployment shop/cart: one replica, which does not serve while it moves to another worker"]
problems:
  description: Losses that are not accepted, in words.
  returned: always
  type: list
  elements: str
workloads:
  description: The reading.
  returned: when the API could be read
  type: dict
  contains:
    pods:
      description: C(node), C(name), C(managed) and C(local_data) of each pod that a drain moves.
      type: list
      elements: dict
    single:
      description: Workloads with one replica.
      type: list
      elements: str
    budgets:
      description: Disruption budgets that allow no disruption.
      type: list
      elements: str
    deprecated:
      description: C(group), C(version), C(resource) and C(removed_release) of deprecated APIs that were requested.
      type: list
      elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.workloads import read_workloads

try:
    from kubernetes import config
except ImportError as error:
    KUBERNETES_ERROR: ImportError | None = error
else:
    KUBERNETES_ERROR = None

# Seconds to connect, and to wait for an answer.
_TIMEOUT = (5, 60)


def reader(kubeconfig: str) -> t.Callable[[str], str]:
    """Return a function that reads a path of the API."""
    api = config.new_client_from_config(config_file=kubeconfig)
    headers = {"Accept": "application/json, text/plain"}
    token = api.configuration.get_api_key_with_prefix("authorization")
    if token:
        headers["authorization"] = token

    def get(path: str) -> str:
        answer = api.rest_client.request(
            "GET", api.configuration.host + path, headers=headers, _request_timeout=_TIMEOUT
        )
        # Older versions of the library have read it by now.
        data = answer.data if answer.data is not None else answer.read()
        return data.decode("utf-8") if isinstance(data, bytes) else str(data)

    return get


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "required": True},
            "nodes": {"type": "dict", "default": {}},
            "release": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    if KUBERNETES_ERROR is not None:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=str(KUBERNETES_ERROR))
    try:
        found = read_workloads(reader(module.params["kubeconfig"]), module.params["nodes"])
    except Exception as error:  # The library's errors have no common base.
        module.fail_json(msg=" ".join(str(error).split())[:300])
    module.exit_json(changed=False, workloads=found)


if __name__ == "__main__":
    main()
