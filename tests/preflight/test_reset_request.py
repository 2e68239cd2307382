# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reset.yml with a wrong request: it says what is missing, and changes nothing. No host exists."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAME = "kubernetes-the-hard-way"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], f"-e reset_cluster={NAME} (found: none)"),
        ([], "- wrk01, wrk02: pods, volumes of pods on the host, images"),
        (["--check"], f"-e reset_cluster={NAME} (found: none)"),
        (["-e", "reset_cluster=other"], f"-e reset_cluster={NAME} (found: other)"),
        (["-e", f"reset_cluster={NAME}", "--limit=workers"], "client, ctl01, ctl02, kubelb: not part of this run."),
        (["-e", f"reset_cluster={NAME}"], "ctl01, ctl02, kubelb, wrk01, wrk02, client: cannot be reached."),
    ],
)
def test_refused(arguments, said):
    # The programs beside this Python.
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["ansible-playbook", "-i", str(HERE / "inventory.yml"), "playbooks/reset.yml", *arguments],
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
    assert "PLAY [Workers]" not in output
