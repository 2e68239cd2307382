#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: smoke_check
short_description: Ask a command or an address until it answers as expected, and say what was seen
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Runs a command, or asks an address over HTTP, until the answer matches a regular expression.
  - Prints one line with what it saw. A failure shows the last answer and names the chapter, that is
    the role and its tag, to look at.
options:
  command:
    description: Command to run, without a shell. Its output and standard error are the answer.
    type: list
    elements: str
  stdin:
    description: Text that the command reads.
    type: str
  exit_codes:
    description: Exit codes with which O(command) succeeds.
    type: list
    elements: int
    default: [0]
  url:
    description: Address to ask. Only an answer in the 200s counts. No proxy is used.
    type: str
  host_header:
    description: Host header to send to O(url).
    type: str
  beside:
    description: Command that runs as long as the check does, for example C(kubectl port-forward).
    type: list
    elements: str
    default: []
  expect:
    description: Python regular expression that is searched in the answer; V(^) and V($) match at lines.
    type: str
    required: true
  saw:
    description:
      - The line to print. V({found}) stands for the first group of O(expect), or for the whole match
        when it has no group.
    type: str
    required: true
  chapter:
    description: Role and tag that a failure points to.
    type: str
    required: true
  timeout:
    description: Seconds to keep asking.
    type: float
    default: 30
attributes:
  check_mode:
    description: In check mode nothing is asked.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Systems it runs on.
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: The health proxy answers
  hardway.kubernetes.smoke_check:
    url: http://ctl01/healthz
    host_header: kubernetes.default.svc.cluster.local
    expect: '\Aok\Z'
    saw: "ctl01: /healthz says {found}"
    chapter: healthz_nginx
"""

RETURN = r"""
msg:
  description: O(saw) with what was found.
  returned: success
  type: str
  sample: "ctl01: /healthz says ok"
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import smoke_check as _smoke_check


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "list", "elements": "str"},
            "stdin": {"type": "str"},
            "exit_codes": {"type": "list", "elements": "int", "default": [0]},
            "url": {"type": "str"},
            "host_header": {"type": "str"},
            "beside": {"type": "list", "elements": "str", "default": []},
            "expect": {"type": "str", "required": True},
            "saw": {"type": "str", "required": True},
            "chapter": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 30},
        },
        mutually_exclusive=[("command", "url")],
        required_one_of=[("command", "url")],
        required_by={"stdin": "command", "host_header": "url"},
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, msg="not asked in check mode")
    ask: _smoke_check.Command | _smoke_check.Request
    if params["command"]:
        ask = _smoke_check.Command(params["command"], stdin=params["stdin"], exit_codes=params["exit_codes"])
    else:
        ask = _smoke_check.Request(params["url"], host_header=params["host_header"])
    try:
        with contextlib.ExitStack() as stack:
            options = {}
            if params["beside"]:
                options["ended"] = stack.enter_context(_smoke_check.companion(params["beside"]))
            match = _smoke_check.wait_for(ask, expect=params["expect"], timeout=params["timeout"], **options)
    except _smoke_check.CheckError as error:
        chapter = params["chapter"]
        module.fail_json(
            msg=f"{error}\nLook at the chapter {chapter}: roles/{chapter}, run again with --tags {chapter}",
            changed=False,
        )
    module.exit_json(changed=False, msg=_smoke_check.describe(params["saw"], match))


if __name__ == "__main__":
    main()
