# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether etcd's members wait for each other's health, or start together."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    computed,
    empty,
    running,
)

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "etcd"


def silent() -> dict[str, dict[str, t.Any]]:
    """Return the readings of a cluster whose etcd runs, and accepts nobody: all certificates have expired."""
    readings = running()
    for reading in readings.values():
        reading["etcd"]["members"] = []
    return readings


def one_silent() -> dict[str, dict[str, t.Any]]:
    readings = running()
    readings["ctl01"]["etcd"]["members"] = []
    return readings


@pytest.mark.parametrize(
    ("readings", "waits"), [(empty(), False), (running(), True), (silent(), False), (one_silent(), True)]
)
def test_members_wait_for_health_one_by_one(readings, waits):
    loader = DataLoader()
    variables: dict[str, t.Any] = {
        "cluster": {**computed(readings), "check_mode": False},
        "inventory_hostname": "ctl01",
    }
    for file in ("defaults", "vars"):
        variables |= loader.load_from_file(str(ROLE / file / "main.yml"), trusted_as_template=True)
    tasks = loader.load_from_file(str(ROLE / "tasks" / "main.yml"), trusted_as_template=True)
    templar = Templar(loader=loader, variables=variables)
    (run,) = [task for task in tasks if task["name"] == "Install, configure and run etcd"]
    assert templar.template(run["hardway.kubernetes.component"]["unit"]["wait"]) is waits
    (wait,) = [task for task in tasks if task["name"].startswith("Wait for the members that become healthy together")]
    assert templar.evaluate_conditional(wait["when"]) is not waits
