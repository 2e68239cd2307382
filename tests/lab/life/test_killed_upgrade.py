# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade is killed again and again, with its modules on the hosts, and the last run finishes it.

The lab has an older release than the newest: `make lab RELEASE=1.36`. HARDWAY_SEED draws the moments.
"""

from __future__ import annotations

import os
import random
import typing as t

import pytest
from playbook import killed, run, variables
from versions import Versions

if t.TYPE_CHECKING:
    from serving import Serving
    from support import Cluster

pytestmark = pytest.mark.disruptive

SEED = os.environ.get("HARDWAY_SEED", "1")
KILLS = 5


def test_an_upgrade_that_is_killed_is_finished(
    cluster: Cluster, inventory: str, later: list[str], serving: Serving
) -> None:
    new = later[0]
    wanted = variables(cluster_release=new)
    chance = random.Random(SEED)
    struck = 0
    with serving.during(f"upgrade to {new}, killed", costs_a_member=True, seconds=120), Versions(cluster) as versions:
        for _number in range(KILLS):
            after = chance.uniform(20, 90)
            in_time = killed(inventory, *wanted, after=after)
            modules = chance.random() < 0.7
            if modules:
                for node in (*cluster.controllers, *cluster.workers):
                    node.end_modules()
            struck += in_time
            print(f"seed {SEED}: killed after {after:.0f} s, modules too: {modules}, in time: {in_time}")
        run(inventory, *wanted)
    assert struck >= 2, "too few of the runs were killed"
    assert versions.looks > 60
    assert list(versions.faults) == []
    nodes = cluster.get("nodes")["items"]
    assert {node["status"]["nodeInfo"]["kubeletVersion"].rpartition(".")[0] for node in nodes} == {f"v{new}"}
    assert [node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")] == []
    assert run(inventory, *wanted).changed == []
