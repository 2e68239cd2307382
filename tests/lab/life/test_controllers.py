# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three controllers become one, and three again, while a client writes.

The lab has three: `make lab CONTROLLERS=3`. Elsewhere the test is skipped.
"""

from __future__ import annotations

import json
import typing as t

import pytest
from playbook import run, variables, wipe
from support import wait_until

if t.TYPE_CHECKING:
    from conftest import Edit
    from serving import Serving
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

PLAYBOOK = "playbooks/remove_controller.yml"
PROGRAMS = ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")


@pytest.fixture
def fewer(edited: t.Callable[[Edit], str]) -> t.Callable[[set[str]], str]:
    """Return a function: a copy of the inventory without some controllers."""

    def without(away: set[str]) -> str:
        def edit(groups: dict[str, t.Any]) -> None:
            for name in away:
                del groups["controllers"]["hosts"][name]

        return edited(edit)

    return without


def _members(cluster: Cluster) -> list[dict[str, t.Any]]:
    listed = json.loads(cluster.etcdctl(cluster.members[0], "member", "list", "--write-out=json"))
    return t.cast(list[dict[str, t.Any]], listed["members"])


def _check_it_is_gone(cluster: Cluster, left: Node) -> None:
    """Check that nothing of a controller runs, and that nobody knows it."""
    shown = left.run("systemctl", "is-active", *PROGRAMS).stdout.split()
    assert "active" not in shown
    enabled = left.run("systemctl", "is-enabled", *PROGRAMS).stdout.split()
    assert set(enabled) == {"disabled"}
    keys = left.run("find", "/var/lib/kubernetes", "/etc/etcd", "-name", "*-key.pem").stdout.split()
    assert keys == []
    assert left.name not in {member["name"] for member in _members(cluster)}
    slices = cluster.get("endpointslices", "--namespace=default", "--selector=kubernetes.io/service-name=kubernetes")
    addresses = {address for found in slices["items"] for one in found["endpoints"] for address in one["addresses"]}
    assert addresses
    assert left.address not in addresses
    selector = "--selector=apiserver.kubernetes.io/identity=kube-apiserver"
    leases = cluster.get("leases", "--namespace=kube-system", selector)["items"]
    hosts = {found["metadata"]["labels"]["kubernetes.io/hostname"] for found in leases}
    assert hosts
    assert left.name not in hosts


def test_three_become_one_and_three_again(
    cluster: Cluster,
    inventory: str,
    fewer: t.Callable[[set[str]], str],
    serving: Serving,
) -> None:
    if len(cluster.controllers) < 3:
        pytest.skip("the lab has no three controllers: make lab CONTROLLERS=3")
    second, third = cluster.controllers[1:3]
    known = inventory
    away: set[str] = set()
    for leaving in (third, second):
        refused = run(fewer(away | {leaving.name}), succeeds=False)
        assert refused.changed == []
        assert leaving.address in " ".join(refused.failures)
        known = fewer(away) if away else inventory
        with serving.during(f"{3 - len(away)} controllers -> {2 - len(away)}"):
            run(known, *variables(remove_controller=leaving.name), playbook=PLAYBOOK)
        _check_it_is_gone(cluster, leaving)
        away.add(leaving.name)
        assert run(fewer(away)).changed == []
    last = run(known, *variables(remove_controller=cluster.controllers[0].name), playbook=PLAYBOOK, succeeds=False)
    assert last.changed == []
    refused = run(inventory, succeeds=False)
    assert refused.changed == []
    assert "data of" in " ".join(refused.failures)
    for name in away:
        wipe(inventory, name)
    with serving.during("1 controller -> 3"):
        run(inventory)
    wait_until(
        lambda: [member.get("isLearner", False) for member in _members(cluster)] == [False] * 3,
        seconds=30,
        what="three members vote",
    )
    assert run(inventory).changed == []
