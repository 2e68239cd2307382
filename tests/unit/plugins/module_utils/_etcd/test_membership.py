# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership of etcd: the arithmetic of the quorum, and what is refused."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import RefusedError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.membership import (
    Member,
    Status,
    View,
    Wanted,
    check,
    initial_cluster,
    plan,
    predict,
    ready_to_promote,
    unexpected,
)


def member(number, *, up=True, learner=False, started=True, index=100):
    status = Status("3.7.3", 24576, 2, index, 1) if up and started else None
    name = f"ctl{number:02d}" if started else ""
    return Member(number, name, (f"https://10.0.0.{number}:2380",), learner=learner, status=status)


def view(*members):
    return View(0xABC, members)


def three(*, down=()):
    return view(*(member(number, up=number not in down) for number in (1, 2, 3)))


@pytest.mark.parametrize(
    ("voters", "down", "quorum", "tolerates"),
    [(1, 0, 1, 0), (2, 0, 2, 0), (3, 0, 2, 1), (3, 1, 2, 0), (3, 2, 2, 0), (4, 0, 3, 1), (5, 0, 3, 2), (5, 1, 3, 1)],
)
def test_arithmetic(voters, down, quorum, tolerates):
    found = view(*(member(number, up=number > down) for number in range(1, voters + 1)))
    assert (found.quorum, found.tolerates) == (quorum, tolerates)


def test_learners_do_not_count():
    found = view(member(1), member(2, learner=True))
    assert (found.quorum, len(found.voters), found.tolerates) == (1, 1, 0)


@pytest.mark.parametrize("voters", range(1, 6))
def test_no_allowed_removal_loses_the_quorum(voters):
    """Every combination of members that are up: what is allowed leaves a quorum of healthy members."""
    for ups in itertools.product([True, False], repeat=voters):
        before = view(*(member(number, up=up) for number, up in enumerate(ups, start=1)))
        for target in before.members:
            (step,) = plan(before, Wanted("absent", name=target.name))
            after = predict(before, step)
            safe = sum(ups) >= before.quorum and after.voters and len(after.healthy_voters) >= after.quorum
            if safe:
                check(before, step, force=False)
            else:
                with pytest.raises(RefusedError):
                    check(before, step, force=False)


def test_refusal_has_numbers_and_says_what_to_do():
    before = three(down=[3])
    (step,) = plan(before, Wanted("absent", name="ctl02"))
    with pytest.raises(RefusedError) as caught:
        check(before, step, force=False)
    assert str(caught.value) == (
        "ctl02 2: without it 1 of 2 voting members would be healthy and 2 are needed; bring back or remove first what "
        "does not answer (ctl03 3) (force: true removes it anyhow)"
    )
    check(before, step, force=True)


def test_members_that_never_started_count():
    before = view(member(1), member(2), member(3, started=False))
    (step,) = plan(before, Wanted("absent", name="ctl02"))
    with pytest.raises(RefusedError, match=r"\(not started\) 3"):
        check(before, step, force=False)


def test_without_a_quorum_force_does_not_help():
    before = three(down=[2, 3])
    (step,) = plan(before, Wanted("absent", name="ctl03"))
    with pytest.raises(RefusedError, match=r"1 of 3 voting members are healthy and 2 are needed.*ctl02 2, ctl03 3"):
        check(before, step, force=True)


def test_the_only_voting_member():
    before = view(member(1), member(2, learner=True))
    (step,) = plan(before, Wanted("absent", name="ctl01"))
    with pytest.raises(RefusedError, match="is the only voting member"):
        check(before, step, force=True)
    (step,) = plan(before, Wanted("absent", name="ctl02"))
    check(before, step, force=False)


def test_a_promotion_that_would_not_vote():
    before = view(member(1), member(2, learner=True, up=False))
    (step,) = plan(before, Wanted("promoted", name="ctl02"))
    with pytest.raises(RefusedError, match=r"would count for the quorum \(2 of 2\) and not vote"):
        check(before, step, force=False)


def test_peer_urls_of_one_of_two():
    before = view(member(1), member(2))
    (step,) = plan(before, Wanted("present", name="ctl02", peer_urls=("https://10.0.0.9:2380",)))
    assert step.kind == "update"
    with pytest.raises(RefusedError, match="1 of 2 voting members would be left where 2 are needed"):
        check(before, step, force=False)
    (step,) = plan(three(), Wanted("present", name="ctl02", peer_urls=("https://10.0.0.9:2380",)))
    check(three(), step, force=False)


@pytest.mark.parametrize(("state", "kinds"), [("present", ["add", "promote"]), ("learner", ["add"]), ("absent", [])])
def test_a_member_that_is_not_there(state, kinds):
    wanted = Wanted(state, name="ctl04", peer_urls=("https://10.0.0.4:2380",))
    assert [step.kind for step in plan(three(), wanted)] == kinds


@pytest.mark.parametrize(
    ("state", "kinds"), [("present", ["promote"]), ("promoted", ["promote"]), ("learner", []), ("absent", ["remove"])]
)
@pytest.mark.parametrize("started", [True, False])
def test_a_learner(state, kinds, started):
    before = view(member(1), member(4, learner=True, started=started))
    wanted = Wanted(state, name="ctl04", peer_urls=("https://10.0.0.4:2380",))
    assert [step.kind for step in plan(before, wanted)] == kinds


@pytest.mark.parametrize("state", ["present", "promoted", "learner"])
def test_a_voting_member_stays(state):
    assert plan(three(), Wanted(state, name="ctl02")) == []


def test_nobody_to_promote():
    with pytest.raises(RefusedError, match=r"is not a member of the cluster abc \(ctl01, ctl02, ctl03\)"):
        plan(three(), Wanted("promoted", name="ctl04"))


def test_adding_needs_urls():
    with pytest.raises(RefusedError, match="adding it needs name and peer_urls"):
        plan(three(), Wanted("present", name="ctl04"))


def test_urls_of_another():
    with pytest.raises(RefusedError, match=r"ctl04: the member ctl02 2 has https://10.0.0.2:2380 already"):
        plan(three(), Wanted("present", name="ctl04", peer_urls=("https://10.0.0.2:2380",)))


def test_two_of_one_name():
    twins = view(member(1), member(2), dataclasses.replace(member(3), name="ctl02"))
    with pytest.raises(RefusedError, match=r"2 members have this name \(2, 3\); say which with the option id"):
        plan(twins, Wanted("absent", name="ctl02"))
    (step,) = plan(twins, Wanted("absent", id=3))
    assert step.id == 3


def test_by_id():
    (step,) = plan(three(), Wanted("absent", id=2))
    assert str(step) == "remove ctl02 2"
    assert plan(three(), Wanted("absent", id=9)) == []


@pytest.mark.parametrize(("index", "ready"), [(100, True), (90, True), (89, False)])
def test_ready(index, ready):
    learner = member(2, learner=True, index=index)
    assert ready_to_promote(view(member(1), learner), learner) is ready


def test_initial_cluster_names_the_one_that_joins():
    before = view(member(1), member(4, learner=True, started=False))
    wanted = Wanted("learner", name="ctl04", peer_urls=("https://10.0.0.4:2380",))
    assert initial_cluster(before, wanted) == "ctl01=https://10.0.0.1:2380,ctl04=https://10.0.0.4:2380"


def test_the_leader_is_whom_most_follow():
    strays = view(member(1), member(2), dataclasses.replace(member(3), status=Status("3.7.3", 1, 1, 1, 3)))
    assert strays.leader.name == "ctl01"
    assert three(down=[1, 2, 3]).leader is None


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("ctl01=https://10.0.0.1:2380,ctl02=https://10.0.0.2:2380,ctl03=https://10.0.0.3:2380", []),
        ("ctl01=https://10.0.0.1:2380, ctl02=https://10.0.0.2:2380", [3]),
        ("ctl01=https://10.0.0.1:2380,ctl03=https://10.0.0.3:2380", [2]),
        # A member with a name is known by it, whatever its address was when the inventory was written.
        ("ctl01=https://10.0.0.9:2380,ctl02=https://10.0.0.2:2380,other=https://10.0.0.3:2380", []),
        ("other=https://10.0.0.1:2380", [1, 2, 3]),
        ("", [1, 2, 3]),
    ],
)
def test_members_that_are_not_expected(expected, found):
    members = view(member(1), member(2, up=False), member(3, learner=True, started=False))
    assert [entry.id for entry in unexpected(members, expected)] == found


@pytest.mark.parametrize("entry", ["ctl01", "ctl01=", "=https://10.0.0.1:2380"])
def test_expected_members_have_a_form(entry):
    with pytest.raises(RefusedError, match="is not of the form NAME=PEER_URL"):
        unexpected(three(), entry)
