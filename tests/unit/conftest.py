# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `ansible_collections.hardway.kubernetes` importable, in a plain clone as well as under ansible-test."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from hypothesis import settings

ROOT = pathlib.Path(__file__).absolute().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from collection import make_importable

make_importable()

# The same commit is tested with the same examples; the fuzz tests take others, by a seed that is printed.
settings.register_profile("same every time", derandomize=True)
settings.load_profile("same every time")


@pytest.fixture(scope="session")
def openssl():
    """Run openssl with these arguments; return what it printed."""

    def run(*arguments: object, cwd: pathlib.Path | None = None) -> str:
        command = ["openssl", *(str(argument) for argument in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run
