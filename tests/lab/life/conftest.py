# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients at work while the cluster is operated: of the API, and of a Deployment behind a Service."""

from __future__ import annotations

import pathlib
import shutil
import sys
import typing as t

import pytest
import yaml
from playbook import ROOT

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from serving import HEADING, Serving, operations
from versions import kubelets

if t.TYPE_CHECKING:
    from support import Cluster

Edit = t.Callable[[dict[str, t.Any]], None]


@pytest.fixture
def edited(inventory: str) -> t.Iterator[t.Callable[[Edit], str]]:
    """Return a function: a copy of the inventory, whose groups another function edits. It returns the copy's path."""
    copy = ROOT / "inventories" / "lab-custom-edited"

    def make(edit: Edit) -> str:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT / inventory, copy)
        path = copy / "hosts.yml"
        hosts = yaml.safe_load(path.read_text(encoding="utf-8"))
        edit(hosts["all"]["children"])
        path.write_text(yaml.safe_dump(hosts, sort_keys=False), encoding="utf-8")
        return str(copy.relative_to(ROOT))

    yield make
    shutil.rmtree(copy, ignore_errors=True)


@pytest.fixture
def later(cluster: Cluster) -> list[str]:
    """The catalogue's releases after that of the kubelets, in their order; without one the test is skipped."""
    catalogue = yaml.safe_load((ROOT / "roles" / "cluster" / "files" / "catalogue.yml").read_text(encoding="utf-8"))
    releases = sorted(catalogue["releases"], key=lambda release: int(release.partition(".")[2]))
    (version,) = kubelets(cluster)
    release = version.removeprefix("v").rpartition(".")[0]
    found = releases[releases.index(release) + 1 :]
    if not found:
        pytest.skip(f"the cluster has release {release}, the newest: make lab RELEASE={releases[-2]}")
    return found


@pytest.fixture
def serving(cluster: Cluster, namespace: str) -> Serving:
    """The cluster, whose clients are watched during an operation."""
    return Serving(cluster, namespace)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if operations:
        terminalreporter.section("what clients saw")
        for line in (HEADING, *operations):
            terminalreporter.write_line(str(line))
