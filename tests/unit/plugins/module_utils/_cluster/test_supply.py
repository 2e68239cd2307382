# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror that anyone on the way can change is refused, unless the inventory has the sums."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.supply import is_open
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, running

MIRROR = "http://mirror.example.com"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", False),
        ("/srv/mirror", False),
        ("file:///srv/mirror", False),
        ("https://mirror.example.com", False),
        (MIRROR, True),
        ("HTTP://10.0.0.9:8080/x", True),
        ("http://[fd00::9]/", True),
        ("http://127.0.0.1:8099", False),
        ("http://[::1]:8099", False),
        ("http://localhost:8099", False),
    ],
)
def test_what_others_can_change(address, expected):
    assert is_open(address) is expected


def problems(**changes):
    return computed(running(), **changes)["plan"]["problems"]


def addresses():
    """Of the programs that the catalogue has no sum for."""
    hosts = computed(running())["spec"]["hosts"].values()
    found = [program for host in hosts for program in host["programs"].values()]
    assert any(program["sha256"] for program in found)
    return sorted({program["url"] for program in found if not program["sha256"]})


def test_an_open_mirror_is_refused():
    (problem,) = problems(cluster_mirror=MIRROR)
    first, *others = addresses()
    assert problem == (
        f"cluster_mirror {MIRROR}: over plain HTTP others on the way can change a program and its sum; allowed are "
        f"https://, file://, or a sum in cluster_checksums for each program, which lacks {first} and {len(others)} more"
    )


def test_sums_of_the_inventory_make_it_safe():
    sums = dict.fromkeys(addresses(), "ab" * 32)
    assert problems(cluster_mirror=MIRROR, cluster_checksums=sums) == []
    last = sums.popitem()[0]
    (problem,) = problems(cluster_mirror=MIRROR, cluster_checksums=sums)
    assert problem.endswith(f"which lacks {last}")


def sums_of_programs(**changes):
    hosts = computed(running(), **changes)["spec"]["hosts"].values()
    return {program["sha256"] for host in hosts for program in host["programs"].values()}


def test_a_mirror_of_built_programs_says_that_the_catalogues_sums_do_not_hold():
    published = sums_of_programs()
    mirror = "https://mirror.example.com"
    assert sums_of_programs(cluster_mirror=mirror) == published
    assert sums_of_programs(cluster_mirror=mirror, cluster_mirror_checksums="mirror") == {None}
    # Without a mirror the files are the publishers'.
    assert sums_of_programs(cluster_mirror_checksums="mirror") == published
    (problem,) = problems(cluster_mirror=MIRROR, cluster_mirror_checksums="mirror")
    assert "over plain HTTP" in problem


def test_an_image_archive_from_an_open_server_is_refused():
    archives = ["/srv/mirror/images/pause.tar", "https://mirror.example.com/pause.tar", f"{MIRROR}/pause.tar"]
    assert problems(worker_image_archives=archives) == [
        f"worker_image_archives {MIRROR}/pause.tar: over plain HTTP others on the way can change the archive and its "
        "sum; allowed are https:// and paths"
    ]


@pytest.mark.parametrize("mirror", ["", "https://mirror.example.com", "file:///srv/mirror"])
def test_other_ways_are_not(mirror):
    assert problems(cluster_mirror=mirror) == []
