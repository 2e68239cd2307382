# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a power cut every unit starts for as long as it takes, and ends in the right order at a shutdown."""

from __future__ import annotations

import re

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import ROLES

# A timer starts it: it waits for its member by itself.
SCHEDULED = "etcd-backup.service.j2"
UNITS = sorted(path for path in ROLES.glob("*/templates/*.service.j2") if path.name != SCHEDULED)


def directives(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z]\w+)=(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_never_stays_failed(unit):
    found = directives(unit.read_text(encoding="utf-8"))
    assert found["Restart"] in ("always", "on-failure")
    assert found["StartLimitIntervalSec"] == "0"


@pytest.mark.parametrize("role", ["lb", "healthz_nginx"])
def test_nginx_never_stays_failed(role):
    found = directives((ROLES / role / "templates" / "nginx.service.conf.j2").read_text(encoding="utf-8"))
    assert (found["Restart"], found["StartLimitIntervalSec"]) == ("on-failure", "0")


@pytest.mark.parametrize(("role", "unit", "needs"), [
    ("worker", "kubelet", "containerd.service"),
    ("apiserver", "kube-apiserver", "etcd.service"),
    ("etcd", "etcd-backup", "etcd.service"),
])  # fmt: skip
def test_at_a_shutdown_a_unit_stops_before_what_it_needs(role, unit, needs):
    # systemd stops units in the reverse of After=.
    text = (ROLES / role / "templates" / f"{unit}.service.j2").read_text(encoding="utf-8")
    assert needs in directives(text)["After"].split()
