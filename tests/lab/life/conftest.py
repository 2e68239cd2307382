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

from client import HEADING, Load, reports
from service import Visitors, deployed

if t.TYPE_CHECKING:
    from support import Cluster


@pytest.fixture
def writes(cluster: Cluster, namespace: str) -> t.Callable[[str], Load]:
    """Return a context: a client writes and reads through the load balancer while it is open."""
    return lambda operation: Load(cluster, namespace, operation)


@pytest.fixture
def visitors(cluster: Cluster, namespace: str) -> t.Iterator[Visitors]:
    """A context: every worker asks the Service of a Deployment with two replicas while it is open."""
    with deployed(cluster, namespace) as address:
        yield Visitors(cluster, address)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reports:
        terminalreporter.section("what a client saw")
        for line in (HEADING, *reports):
            terminalreporter.write_line(str(line))
