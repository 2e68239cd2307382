# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a finished cluster touches nothing: no process is another one, no file is written."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from playbook import ROOT, run
from snapshot import snapshot, touched

if t.TYPE_CHECKING:
    from support import Cluster


def _tags() -> list[str]:
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    parts = [*plays, *(task for play in plays for task in play.get("tasks", []))]
    listed = [tag for part in parts for tag in part.get("tags", [])]
    return [tag for tag in dict.fromkeys(listed) if tag != "always"]


@pytest.mark.parametrize("option", ["--tags=all", "--check", *(f"--tags={tag}" for tag in _tags())])
def test_a_run_touches_nothing(pytestconfig: pytest.Config, cluster: Cluster, option: str) -> None:
    before = snapshot(cluster)
    done = run(pytestconfig.option.ansible_inventory, option)
    assert done.changed == []
    assert touched(before, snapshot(cluster)) == {}


def test_every_role_has_its_tag() -> None:
    called = set(_tags())
    not_in_the_sequence = {"cluster", "smoke_test"}
    assert {role.name for role in (ROOT / "roles").iterdir()} - not_in_the_sequence == called


def test_the_state_notices_a_touched_file(cluster: Cluster) -> None:
    """The measure itself: a file written with the same content counts, and so does a restart."""
    before = snapshot(cluster)
    cluster.client.out("sh", "-c", "cp -p /root/.kube/config /root/.kube/new && mv /root/.kube/new /root/.kube/config")
    cluster.workers[0].out("systemctl", "restart", "kube-proxy")
    assert touched(before, snapshot(cluster)) == {
        # Its directory has another time too.
        cluster.client.name: {"/root/.kube", "/root/.kube/config"},
        cluster.workers[0].name: {"kube-proxy"},
    }
