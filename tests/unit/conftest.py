# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `ansible_collections.hardway.kubernetes` importable, in a plain clone as well as under ansible-test."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _collection_tree() -> pathlib.Path:
    here = pathlib.Path(__file__).absolute().parents[2]
    if here.parts[-3:] == ("ansible_collections", "hardway", "kubernetes"):
        return here.parents[2]  # ansible-test runs in such a tree
    tree = ROOT / ".collections"
    link = tree / "ansible_collections" / "hardway" / "kubernetes"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(pathlib.Path("..", "..", ".."), target_is_directory=True)
    return tree


sys.path.insert(0, str(_collection_tree()))


@pytest.fixture(scope="session")
def openssl():
    """Run openssl with these arguments; return what it printed."""

    def run(*arguments: object, cwd: pathlib.Path | None = None) -> str:
        command = ["openssl", *(str(argument) for argument in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run
