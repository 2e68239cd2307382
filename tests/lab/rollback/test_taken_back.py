# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that breaks a component ends on its first host, and is rolled back there, while a client writes.

ROLLBACK_CASES is the number of cases (default: all); HARDWAY_SEED draws them.
"""

from __future__ import annotations

import os
import random
import typing as t

import pytest
from hosts import Watch, all_run, broken_program, journals, processes, state
from parts import BREAKS, PARTS, Break
from playbook import run, variables

if t.TYPE_CHECKING:
    from client import Load
    from support import Cluster

pytestmark = pytest.mark.disruptive


def _cases() -> list[Break]:
    number = int(os.environ.get("ROLLBACK_CASES") or len(BREAKS))
    if number >= len(BREAKS):
        return list(BREAKS)
    return random.Random(os.environ.get("HARDWAY_SEED", "1")).sample(BREAKS, k=number)


def _host(failure: str) -> str:
    """Return the host of a failure, which begins with role, task and host."""
    return failure.split(": ")[2]


@pytest.mark.parametrize("broken", _cases(), ids=str)
def test_taken_back(cluster: Cluster, load: t.Callable[[str], Load], inventory: str, broken: Break) -> None:
    part = PARTS[broken.part]
    settings = dict(broken.variables)
    if broken.program:
        settings |= broken_program(part, cluster)
    before = state(part, cluster)
    running = processes(part, cluster)
    with load(str(broken)) as work, Watch(part, cluster) as watch:
        failed = run(inventory, f"--tags={part.tag}", *variables(**settings), succeeds=False)
        work.recovered(seconds=60)
    print(f"{broken}: down {watch.down}; " + "\n".join(failed.failures))
    assert failed.returncode != 0
    # The hosts: as before, and one of them at most was ever touched.
    assert state(part, cluster) == before
    assert journals(cluster) == {}
    touched = [name for name, found in processes(part, cluster).items() if found != running[name]]
    assert len(touched) <= 1
    assert watch.most <= 1
    assert watch.ill == []
    assert set(watch.down) <= set(touched) | {name for name in watch.down if part.unit == "nginx.service"}
    all_run(cluster)
    # The words: cause, what was tried, what serves, what was left.
    told = [failure for failure in failed.failures if "was left as it is, because the change failed" not in failure]
    assert len(told) == 1, failed.failures
    assert broken.said in told[0]
    assert "The change was: " in told[0]
    assert told[0].endswith("this host serves as before.")
    assert sorted(map(_host, failed.failures)) == sorted(node.name for node in part.hosts(cluster))
    # The client.
    work.judge(costs_a_member=part.name == "etcd")
    # With the right value again there is nothing to do.
    assert run(inventory, f"--tags={part.tag}").changed == []
    assert processes(part, cluster) == processes(part, cluster) | {
        name: found for name, found in running.items() if name not in touched
    }


def test_no_later_chapter_begins(cluster: Cluster, inventory: str) -> None:
    """The hosts that are well do not go on with what may need the component that failed."""
    last = cluster.controllers[-1].name
    flags = "{{ {'no-such-flag': '1'} if inventory_hostname == '" + last + "' else {} }}"
    later = PARTS["kube-controller-manager"]
    before = (state(later, cluster), processes(later, cluster))
    failed = run(
        inventory,
        "--tags=apiserver,controller_manager",
        *variables(apiserver_extra_flags=flags, controller_manager_verbosity=3),
        succeeds=False,
    )
    assert list(map(_host, failed.failures)) == [last]
    assert failed.failures[0].endswith("this host serves as before.")
    assert {host for _task, host in failed.changed} <= {last}
    assert (state(later, cluster), processes(later, cluster)) == before


def test_nothing_is_left_to_do(inventory: str) -> None:
    assert run(inventory).changed == []
