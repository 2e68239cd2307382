# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""remove_controller.yml with a wrong request: it says what is missing, and changes nothing. No host exists."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UNREACHABLE = "cannot be reached. Only the controller that is removed may be unreachable"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "remove_controller=: name a controller, -e remove_controller=NAME"),
        (["-e", "remove_controller=wrk01"], "Controllers: ctl01, ctl02. Not part of this run: none."),
        (["-e", "remove_controller=ctl02", "--limit=controllers"], "Not part of this run: kubelb."),
        (["-e", "remove_controller=ctl02"], f"ctl02 {UNREACHABLE}"),
        (["-e", "remove_controller=ctl02", "-e", "remove_controller_confirm=ctl01"], f"ctl02 {UNREACHABLE}"),
        (["-e", "remove_controller=ctl02", "-e", "remove_controller_confirm=ctl02"], f"ctl01 {UNREACHABLE}"),
    ],
)
def test_refused(arguments, said):
    # The programs beside this Python.
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["ansible-playbook", "-i", str(HERE / "inventory.yml"), "playbooks/remove_controller.yml", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PATH": path, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert said in output
    assert "Nothing was changed." in output
    assert "changed=1" not in output
    assert "Let the balancers forget" not in output
