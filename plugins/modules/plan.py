#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: plan
short_description: Report what a run would change
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Puts together C(cluster.plan) and what the components of the same run said they would change, in the order in which
    a run would change it. It is the last task of C(playbooks/plan.yml).
  - It runs on the control node. Nothing is changed but the file that O(path) names.
options:
  cluster:
    description: The value that M(hardway.kubernetes.cluster) returned.
    type: dict
    required: true
  path:
    description: File to write C(changes), C(warnings) and C(problems) to, as JSON.
    type: path
attributes:
  check_mode:
    description: In check mode O(path) is not written.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Systems it runs on.
    support: full
    platforms: posix
seealso:
  - module: hardway.kubernetes.cluster
  - module: hardway.kubernetes.note
"""

EXAMPLES = r"""
- name: Report the plan
  hardway.kubernetes.plan:
    cluster: "{{ cluster }}"
    path: plan.json
"""

RETURN = r"""
changes:
  description: The changes of a run, in order. Empty when there is nothing to do.
  returned: success
  type: list
  elements: dict
  contains:
    hosts:
      description: Hosts, in the order in which they change.
      type: list
      elements: str
    component:
      description: Component that changes there.
      type: str
      sample: kube-apiserver
    change:
      description: How.
      type: str
      sample: write /etc/systemd/system/kube-apiserver.service, restart kube-apiserver.service
    effect:
      description: Effect on users of the cluster. Empty without one.
      type: str
warnings:
  description: Settings that are allowed and have a risk.
  returned: success
  type: list
  elements: str
problems:
  description: Reasons why a working cluster cannot be built.
  returned: success
  type: list
  elements: str
lines:
  description: The same as text.
  returned: success
  type: list
  elements: str
"""
