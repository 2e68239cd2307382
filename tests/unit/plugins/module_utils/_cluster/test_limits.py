# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times out of their range are refused before anything is changed."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.limits import DURATIONS, RANGES, seconds
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    KNOWN,
    computed,
    empty,
)


def problems(**settings):
    return computed(empty(), **settings)["plan"]["problems"]


@pytest.mark.parametrize("name", list(RANGES))
def test_numbers(name):
    least = RANGES[name].least
    others = {"worker_shutdown_grace_period_critical": 0} if name == "worker_shutdown_grace_period" else {}
    found = [one for one in problems(**{name: least - 1}) if "is a part" not in one]
    assert len(found) == 1
    found = found[0]
    assert found.endswith(f"{name}: {least - 1} is too small; allowed: {least} and more ({RANGES[name].meaning})")
    assert problems(**{**others, name: least}) == []
    assert KNOWN[name]["type"] == "int"


def test_critical_pods_get_a_part_of_the_time_of_all():
    found = computed(empty(), hosts={"wrk01": {"worker_shutdown_grace_period": 10}})["plan"]["problems"]
    assert found == [
        "wrk01: worker_shutdown_grace_period_critical: 15 is more than worker_shutdown_grace_period 10, of which it is "
        "a part; allowed: 0 to 10"
    ]
    both = {"worker_shutdown_grace_period": 10, "worker_shutdown_grace_period_critical": 10}
    assert problems(**both) == []


def test_a_number_of_one_host_is_named_with_it():
    found = computed(empty(), hosts={"wrk01": {"worker_pod_pids_limit": -2}})["plan"]["problems"]
    assert found == ["wrk01: worker_pod_pids_limit: -2 is too small; allowed: -1 and more (-1 means no limit)"]


@pytest.mark.parametrize(
    ("text", "number"), [("24h", 86400), ("1h30m", 5400), ("1.5h", 5400), ("90m", 5400), ("100ms", 0.1), (".5s", 0.5)]
)
def test_durations(text, number):
    assert seconds(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "24", "1d", "1h 30m", "-1h", "h"])
def test_what_is_not_a_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@pytest.mark.parametrize("name", list(DURATIONS))
@pytest.mark.parametrize(
    ("given", "words"),
    [("59m", "59m is too short; allowed: 1h and more"), ("1d", "'1d' is not a duration; allowed: numbers with units")],
)
def test_times(name, given, words):
    (found,) = problems(**{name: given})
    assert f": {name}: {words}" in found
    assert problems(**{name: "1h"}) == []
