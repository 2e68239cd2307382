# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the faults, and the table in the end."""

from __future__ import annotations

import typing as t

import pytest
from client import HEADING, Load, reports

if t.TYPE_CHECKING:
    from support import Cluster


@pytest.fixture
def load(cluster: Cluster, namespace: str) -> t.Callable[..., Load]:
    """Return a context: the client works while it is open. ``load(fault, "kubectl")`` works with kubectl."""
    return lambda fault, way="http": Load(cluster, namespace, fault, way)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reports:
        terminalreporter.section("what a client saw")
        terminalreporter.write_line(HEADING)
        for report in reports:
            terminalreporter.write_line(str(report))
