#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: note
short_description: Add a step to the plan of this run
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - C(playbooks/plan.yml) reports what each task would change. The modules of this collection report this themselves;
    this module reports it for a task with another module.
  - It runs on the control node. Nothing is changed.
  - The note is about the host of the task, or the host that it is delegated to.
options:
  component:
    description: Component that the step belongs to.
    type: str
    required: true
  steps:
    description: The changes of the task. Nothing is noted without steps and changed objects.
    type: list
    elements: str
    default: []
  applied:
    description: Result of M(kubernetes.core.k8s). Each object that it changed is a step.
    type: dict
    default: {}
  effect:
    description: Effect on users of the cluster. Empty without one.
    type: str
    default: ""
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
- name: Turn swap off
  ansible.builtin.command: swapoff --all
  register: swap
  changed_when: true

- name: Note that swap is turned off
  when: swap is changed
  hardway.kubernetes.note:
    component: worker
    steps: [turn swap off]

- name: Run the DaemonSet
  kubernetes.core.k8s:
    src: daemon-set.yaml
    apply: true
  register: applied

- name: Note what was applied
  hardway.kubernetes.note:
    component: daemon
    applied: "{{ applied }}"
"""

RETURN = r"""
note:
  description: The note that was left; without steps none was.
  returned: always
  type: dict
  contains:
    host:
      description: Host that the note is about.
      type: str
      sample: wrk01
    component:
      description: Component that the step belongs to.
      type: str
      sample: worker
    steps:
      description: The changes of the task.
      type: list
      elements: str
      sample: [turn swap off]
    effect:
      description: Effect on users of the cluster.
      type: str
      sample: ""
"""
