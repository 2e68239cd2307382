# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workload is restarted with the kubectl that the task gives, and a rollout that fails fails the task."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "roles" / "ca" / "files" / "restart_workload.sh"


@pytest.fixture
def restart(tmp_path):
    """Run the script with a kubectl that ends in this way for 'rollout status'; return its exit code and the calls."""

    def restart(status):
        log, kubectl = tmp_path / "log", tmp_path / "a kubectl"
        text = f'#!/bin/sh\necho "$*" >>"{log}"\ncase "$*" in *" rollout status "*) exit {status};; esac\n'
        kubectl.write_text(text)
        kubectl.chmod(0o755)
        given = ["sh", str(SCRIPT), "deployment/web", "shop", str(kubectl), "--kubeconfig=/k", "--cache-dir=/c"]
        return subprocess.run(given, check=False).returncode, log.read_text().splitlines()

    return restart


def test_a_workload_is_restarted_and_waited_for(restart):
    assert restart(0) == (
        0,
        [
            "--kubeconfig=/k --cache-dir=/c --namespace=shop rollout restart deployment/web",
            "--kubeconfig=/k --cache-dir=/c --namespace=shop rollout status deployment/web --timeout=600s",
        ],
    )


def test_a_rollout_that_does_not_end_is_an_error(restart):
    assert restart(1)[0] == 1
