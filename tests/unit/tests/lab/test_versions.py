# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's upgrades hold against the version skew policy."""

from __future__ import annotations

import pathlib
import sys

import pytest

_LAB = pathlib.Path(__file__).resolve().parents[3] / "lab"
sys.path += [str(_LAB), str(_LAB / "life")]

from versions import wrong


@pytest.mark.parametrize(
    ("servers", "nodes"),
    [
        ({"ctl01": "v1.36.3", "ctl02": "v1.37.2"}, {"wrk01": "v1.36.3"}),
        ({"ctl01": "v1.37.2"}, {"wrk01": "v1.37.2", "wrk02": "v1.34.1"}),
        ({}, {"wrk01": "v1.37.2"}),
    ],
)
def test_what_the_policy_allows(servers: dict[str, str], nodes: dict[str, str]) -> None:
    assert wrong(servers, nodes) == []


@pytest.mark.parametrize(
    ("servers", "nodes", "named"),
    [
        ({"ctl01": "v1.35.6", "ctl02": "v1.37.2"}, {}, "API servers are more than one"),
        ({"ctl01": "v1.36.3", "ctl02": "v1.37.2"}, {"wrk01": "v1.37.2"}, "kubelet wrk01"),
        ({"ctl01": "v1.37.2"}, {"wrk02": "v1.33.1"}, "kubelet wrk02"),
    ],
)
def test_what_the_policy_forbids(servers: dict[str, str], nodes: dict[str, str], named: str) -> None:
    (fault,) = wrong(servers, nodes)
    assert named in fault
