# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade does to workloads, in words: named beforehand, and stopped where the loss is not accepted."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import harm as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import KNOWN

NOTHING: dict[str, t.Any] = {"pods": [], "single": [], "budgets": [], "deprecated": []}
DEFAULT = KNOWN["worker_drain_accepts"]["default"]


def pod(name: str, *, managed: bool = True, local_data: bool = False, node: str = "wrk01") -> dict[str, t.Any]:
    return {"node": node, "name": name, "managed": managed, "local_data": local_data}


def harm(
    *accepts: str, nodes: t.Mapping[str, t.Sequence[str]] | None = None, **found: t.Any
) -> tuple[list[str], list[str]]:
    """Return warnings and problems of an upgrade to 1.37 that drains wrk01."""
    return module.harm({**NOTHING, **found}, {"wrk01": accepts} if nodes is None else nodes, "1.37")


def test_nothing_is_hurt():
    assert harm() == ([], [])


@pytest.mark.parametrize(("removed", "warned"), [("1.36", True), ("1.37", True), ("1.38", False), ("2.0", False)])
def test_apis_that_are_no_longer_served(removed, warned):
    found = {"group": "", "version": "v1beta1", "resource": "flows", "removed_release": removed}
    warnings, problems = harm(deprecated=[found], nodes={})
    assert problems == []
    assert [text.split(" to newer")[0] for text in warnings] == [
        f"clients use APIs that Kubernetes 1.37 does not serve: flows in core/v1beta1 (until {removed}); move them"
    ] * warned


LOCAL = "pods shop/web on wrk01 lose the content of their emptyDir volumes when their worker is drained"
BARE = "pods shop/tool on wrk01 do not have a controller, and are gone for good when their worker is drained"


@pytest.mark.parametrize(
    ("accepts", "warned", "refused"),
    [
        (DEFAULT, [LOCAL], [BARE]),
        ([], [], [LOCAL, BARE]),
        (["local_data", "unmanaged_pods"], [LOCAL, BARE], []),
        (["unmanaged_pods"], [BARE], [LOCAL]),
    ],
)
def test_losses_are_accepted_or_stop_the_run(accepts, warned, refused):
    pods = [pod("shop/web", local_data=True), pod("shop/tool", managed=False), pod("shop/plain")]
    warnings, problems = harm(*accepts, pods=pods)
    assert warnings == warned
    assert [text.split(";")[0] for text in problems] == refused
    assert all("worker_drain_accepts" in text for text in problems)


def test_each_worker_has_its_own_setting():
    pods = [pod("shop/a", managed=False), pod("shop/b", managed=False, node="wrk02")]
    warnings, problems = harm(pods=pods, nodes={"wrk01": ["unmanaged_pods"], "wrk02": []})
    assert warnings[0].startswith("pods shop/a on wrk01 do not")
    assert problems[0].startswith("pods shop/b on wrk02 do not")


def test_workloads_that_stop_and_budgets_that_block():
    reading = {"single": ["deployment shop/cart"], "budgets": ["shop/cart"]}
    assert [text.split(";")[0] for text in harm(**reading)[0]] == [
        "deployment shop/cart: one replica, which does not serve while it moves to another worker",
        "PodDisruptionBudget shop/cart: allows no disruption now",
    ]
    assert harm(**reading, nodes={}) == ([], []), "nothing is drained"


def test_a_long_list_is_cut():
    pods = [pod(f"shop/p{number}", local_data=True) for number in range(13)]
    (warning,) = harm("local_data", pods=pods)[0]
    assert "shop/p9 on wrk01 and 3 more lose" in warning


def test_the_losses_are_the_choices_of_the_setting():
    assert list(module.LOSSES) == KNOWN["worker_drain_accepts"]["choices"]
