# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the lab write on hosts arrives as it is."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from support import Node


def run(command):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    return types.SimpleNamespace(rc=done.returncode, stdout=done.stdout, stderr=done.stderr)


NODE = Node("here", "127.0.0.1", types.SimpleNamespace(run=run))


@pytest.mark.parametrize("content", ["text with 'quotes' and $(words)\n", b"\x00\xff\n\n", ""])
@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755])
def test_a_file_with_its_directory(tmp_path, content, mode):
    path = tmp_path / "a directory" / "it's a file"
    for _again in range(2):
        NODE.put(str(path), content, mode=mode)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
        assert path.stat().st_mode & 0o777 == mode


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError, match=r"here: sh -c .* exits with"):
        NODE.put(str(tmp_path / "file" / "below"), "content")
