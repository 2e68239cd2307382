# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at any moment of a change, with its modules on the hosts, is finished by the next.

ROLLBACK_KILLS is the number of moments (default: 30); HARDWAY_SEED draws them.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
import typing as t

import pytest
from hosts import all_run, journals, state
from parts import PARTS
from playbook import kill, run, start, variables
from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster

pytestmark = pytest.mark.disruptive

SEED = os.environ.get("HARDWAY_SEED", "1")
KILLS = int(os.environ.get("ROLLBACK_KILLS") or 30)
# By tag: its component, and two values of a setting that change nothing but a restart. The first is the lab's own.
CHANGES: dict[str, tuple[str, tuple[dict[str, t.Any], dict[str, t.Any]]]] = {
    "etcd": ("etcd", ({}, {"etcd_extra_flags": {"max-request-bytes": "1572865"}})),
    "apiserver": ("kube-apiserver", ({}, {"apiserver_verbosity": 1})),
}
States = dict[str, dict[str, list[str]]]


class Site:
    """The playbook on the lab, with one of the values of a change."""

    def __init__(self, inventory: str, cluster: Cluster) -> None:
        self.inventory = inventory
        self.cluster = cluster
        self.value = dict.fromkeys(CHANGES, 0)

    def arguments(self, tag: str) -> tuple[str, ...]:
        return (f"--tags={tag}", *variables(**CHANGES[tag][1][self.value[tag]]))

    def kill(self, process: subprocess.Popen[bytes], *, modules: bool) -> bool:
        """Kill a run, and its modules on the hosts; return whether it was still running."""
        struck = kill(process)
        if modules:
            for node in self.cluster.controllers:
                node.end_modules()
        return struck

    def state(self, tag: str) -> dict[str, list[str]]:
        """The files of the component, but for when a program was put in its place."""
        return state(PARTS[CHANGES[tag][0]], self.cluster)


@pytest.fixture(scope="module")
def site(inventory: str, cluster: Cluster) -> t.Iterator[Site]:
    site = Site(inventory, cluster)
    yield site
    for tag in CHANGES:
        site.value[tag] = 0
        run(inventory, *site.arguments(tag))
    assert run(inventory).changed == []


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> dict[tuple[str, int], tuple[dict[str, list[str]], float]]:
    """State after an undisturbed run, and its seconds, by tag and value."""
    found = {}
    for tag in CHANGES:
        for value in (1, 0):
            site.value[tag] = value
            begun = time.monotonic()
            assert run(site.inventory, *site.arguments(tag)).changed
            found[tag, value] = (site.state(tag), time.monotonic() - begun)
    return found


def _moments() -> list[tuple[str, float, bool]]:
    """Return tag, part of the change's time, and whether the modules on the hosts are killed too."""
    chance = random.Random(SEED)
    # The first third is preflight, which changes nothing.
    return [(chance.choice(list(CHANGES)), chance.uniform(0.3, 1.0), chance.random() < 0.7) for _number in range(KILLS)]


def _finished(site: Site, tag: str, wanted: dict[str, list[str]]) -> None:
    """Assert that one run finishes what was killed, and that there is nothing left to do after it."""
    run(site.inventory, *site.arguments(tag))
    assert site.state(tag) == wanted
    assert journals(site.cluster) == {}
    all_run(site.cluster)
    assert run(site.inventory, f"--tags={tag}", *site.arguments(tag)[1:]).changed == []


@pytest.mark.parametrize(("tag", "moment", "modules"), _moments())
def test_killed_and_finished(
    site: Site,
    undisturbed: dict[tuple[str, int], tuple[dict[str, list[str]], float]],
    tag: str,
    moment: float,
    modules: bool,
) -> None:
    site.value[tag] = 1 - site.value[tag]
    wanted, seconds = undisturbed[tag, site.value[tag]]
    process = start(site.inventory, *site.arguments(tag))
    time.sleep(moment * seconds)
    struck = site.kill(process, modules=modules)
    print(f"seed {SEED}: {tag} killed after {moment * seconds:.1f} s, modules too: {modules}, in time: {struck}")
    _finished(site, tag, wanted)


def test_killed_while_it_is_taken_back(
    site: Site, undisturbed: dict[tuple[str, int], tuple[dict[str, list[str]], float]]
) -> None:
    # etcd parses these flags, and ends because they do not go together.
    tag = "etcd"
    wanted = undisturbed[tag, site.value[tag]][0]
    process = start(site.inventory, f"--tags={tag}", *variables(etcd_extra_flags={"heartbeat-interval": 5000}))

    def about_to_be_taken_back() -> bool:
        shown = [node.out("systemctl", "show", "--property=NRestarts", "etcd").strip() for node in site.cluster.members]
        return "NRestarts=2" in shown or process.poll() is not None

    wait_until(about_to_be_taken_back, seconds=180, what="etcd has ended three times")
    time.sleep(random.Random(SEED).uniform(0.0, 1.5))
    assert site.kill(process, modules=True), "it was rolled back before"
    _finished(site, tag, wanted)
