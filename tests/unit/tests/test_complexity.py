# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/complexity.py: functions that pass, and functions that fail."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "scripts"))

import complexity


def function(branches: int, indent: str = "", name: str = "work") -> str:
    body = "".join(f"{indent}    if x == {number}:\n{indent}        x += 1\n" for number in range(branches))
    return f"{indent}def {name}(x):\n{body}{indent}    return x\n"


@pytest.fixture
def module(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "module.py"


@pytest.mark.parametrize(("branches", "status"), [(14, 0), (15, 1)])
def test_fifteen_is_allowed(
    module: pathlib.Path, branches: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    module.write_text(function(branches))
    assert complexity.main([str(module)]) == status
    if status:
        assert f"{module}:1: work has a cyclomatic complexity of 16, 15 is allowed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "source",
    [
        "# complexity: one branch per form\n" + function(20),
        "# complexity: one branch per form\n# that a publisher uses\n" + function(20),
        "# complexity: one branch per form\n@decorator\n" + function(20),
        function(20).replace("def work(x):", "def work(x):  # complexity: one branch per form"),
    ],
)
def test_a_reason_is_honoured(module: pathlib.Path, source: str) -> None:
    module.write_text(source)
    assert complexity.main([str(module)]) == 0


@pytest.mark.parametrize(
    "source",
    [
        "# complexity:\n" + function(20),
        "# complexity: of another function\nx = 1\n\n\n" + function(20),
        "class Work:\n" + function(20, "    "),
        "class Work:\n    class Inner:\n" + function(20, "        "),
        "def outer():\n" + function(20, "    ") + "    return work\n",
    ],
)
def test_no_function_escapes(module: pathlib.Path, source: str) -> None:
    module.write_text(source)
    assert complexity.main([str(module)]) == 1


def test_assertions_count_except_in_tests(tmp_path: pathlib.Path) -> None:
    source = "def work(x):\n" + "    assert x\n" * 20
    for directory, status in (("plugins", 1), ("tests", 0)):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "module.py").write_text(source)
        assert complexity.main([str(tmp_path / directory)]) == status
