# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The balancer that nodes and clients use is replaced, and is gone in the end.

The lab has the new one beside it: `make lab LBS=2`. Elsewhere the test is skipped.
"""

from __future__ import annotations

import typing as t

import pytest
from playbook import run

if t.TYPE_CHECKING:
    from conftest import Edit
    from serving import Serving
    from support import Cluster

pytestmark = pytest.mark.disruptive


def test_the_balancer_is_replaced(
    cluster: Cluster, inventory: str, edited: t.Callable[[Edit], str], serving: Serving
) -> None:
    if len(cluster.groups["lb"]) < 2:
        pytest.skip("the lab has one balancer: make lab LBS=2")
    old, new = cluster.groups["lb"]

    def put_first(groups: dict[str, t.Any]) -> None:
        groups["lb"]["hosts"] = {name: groups["lb"]["hosts"][name] for name in (new.name, old.name)}

    def leave_out(groups: dict[str, t.Any]) -> None:
        put_first(groups)
        del groups["lb"]["hosts"][old.name]

    try:
        # kubectl reads its kubeconfig at each request, and goes to the new one as soon as that says so.
        with serving.during("the balancer replaced", way="kubectl"):
            run(edited(put_first))
            run(edited(leave_out))
            old.out("systemctl", "disable", "--now", "nginx")
        assert all(
            f"https://{new.address}:6443" in worker.out("cat", f"/var/lib/{name}/kubeconfig")
            for worker in cluster.workers
            for name in ("kubelet", "kube-proxy")
        )
        assert run(edited(leave_out)).changed == []
    finally:
        run(inventory)
    assert run(inventory).changed == []
