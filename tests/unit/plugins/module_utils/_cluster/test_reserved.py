# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node keeps for itself: quantities, and what is left for pods."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.reserved import RESERVED, quantity
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    KNOWN,
    computed,
    empty,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("1", 1), ("100m", 0.1), (".5", 0.5), ("1.", 1), ("2e3", 2000), ("1E", 1e18), ("1E2", 100), ("+3k", 3000)),
        *(("128Mi", 128 * 2**20), ("0.5Gi", 2**29)),
    ],
)
def test_quantities(text, number):
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "Mi", "128MB", "-1", "1,5", "1 Gi", "0x10"])
def test_what_is_not_a_quantity(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(text)


def problems(readings=None, **settings):
    return computed(readings or empty(), **settings)["plan"]["problems"]


@pytest.mark.parametrize("name", RESERVED)
def test_a_wrong_reservation_is_refused(name):
    found = problems(**{name: {"cpu": "100 m", "memory": "64Mi", "disk": "1Gi"}})
    assert found == [
        f"wrk01, wrk02: {name}.cpu: '100 m' is not a quantity; allowed: for example 100m, 0.5, 128Mi or 1Gi",
        f"wrk01, wrk02: {name}: 'disk' cannot be reserved; allowed: cpu, memory, ephemeral-storage, pid",
    ]
    assert problems(**{name: {}}) == problems(**{name: {"cpu": 1, "pid": 100}}) == []


def test_something_has_to_be_left_for_pods():
    small = empty()
    small["wrk02"]["memory_mib"] = 1000
    assert problems(small, worker_kube_reserved={"memory": "772Mi"}) == [
        "wrk02: worker_kube_reserved.memory 772Mi and worker_system_reserved.memory 128Mi leave nothing of its 1000 "
        "MiB of memory for pods; reserve less, or give the host more"
    ]
    assert problems(small, worker_kube_reserved={"memory": "771Mi"}) == []


def test_the_defaults_leave_half_of_the_smallest_host():
    memory = sum(quantity(KNOWN[name]["default"]["memory"]) for name in RESERVED) / 2**20
    assert memory + 100 <= KNOWN["preflight_memory_mib"]["default"] / 2
