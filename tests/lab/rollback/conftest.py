# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the fault tests, and how many of the cases run: ROLLBACK_CASES and ROLLBACK_KILLS."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from client import HEADING, Load, reports

if t.TYPE_CHECKING:
    from support import Cluster


@pytest.fixture
def load(cluster: Cluster, namespace: str) -> t.Callable[[str], Load]:
    """Return a context: the client works while it is open."""
    return lambda what: Load(cluster, namespace, what)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reports:
        terminalreporter.section("what a client saw")
        terminalreporter.write_line(HEADING)
        for report in reports:
            terminalreporter.write_line(str(report))
