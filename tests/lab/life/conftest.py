# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients at work while the cluster is operated: of the API, and of a Deployment behind a Service."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from serving import HEADING, Serving, operations

if t.TYPE_CHECKING:
    from support import Cluster


@pytest.fixture
def serving(cluster: Cluster, namespace: str) -> Serving:
    """The cluster, whose clients are watched during an operation."""
    return Serving(cluster, namespace)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if operations:
        terminalreporter.section("what clients saw")
        for line in (HEADING, *operations):
            terminalreporter.write_line(str(line))
