# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles write about addresses and networks, with one address family and with both."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.hardway.kubernetes.tests.unit.roles.families import GOLDEN, lab_hosts, written

ONE = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
FOUR_ALONE = written(lab_hosts(), [["10.200.0.0/24"], ["10.200.1.0/24"]])


def test_the_same_is_compared():
    assert FOUR_ALONE.keys() == ONE.keys()


@pytest.mark.parametrize("name", ONE)
def test_hosts_of_ipv4_alone_get_what_they_got_before_there_were_two_families(name):
    assert FOUR_ALONE[name] == ONE[name]
