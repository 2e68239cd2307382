# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of an inventory: hosts by part, and the address of each."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import node_address, url
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    PARTS,
    topology,
)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"node_address": "10.0.0.1", "ansible_host": "192.0.2.1"}, "10.0.0.1"),
        ({"ansible_host": "192.0.2.1"}, "192.0.2.1"),
        ({"ansible_host": "2001:db8::0:1"}, "2001:db8::1"),
        ({"node_address": "2001:DB8::0:1"}, "2001:db8::1"),
        ({"node_address": "ctl01.example.com", "ansible_host": "192.0.2.1"}, "ctl01.example.com"),
        ({"ansible_host": "ctl01.example.com"}, None),
        ({"node_address": "", "ansible_host": "192.0.2.1"}, "192.0.2.1"),
        ({"ansible_host": ""}, None),
        ({}, None),
    ],
)
def test_node_address(variables, address):
    assert node_address(variables) == address


def test_topology():
    assert topology() == {
        **PARTS,
        "hosts": list(ADDRESSES),
        "addresses": ADDRESSES,
        "all_addresses": {host: [address] for host, address in ADDRESSES.items()},
    }


def test_topology_has_every_host_once_and_may_be_incomplete():
    shape = topology(workers=[], clients=["ctl01"], addresses={"ctl01": None})
    assert shape["hosts"] == ["ctl01", "ctl02", "kubelb"]
    assert shape["addresses"] == {"ctl01": None, "ctl02": "10.0.0.12", "kubelb": "10.0.0.13"}
    assert shape["all_addresses"] == {"ctl01": [], "ctl02": ["10.0.0.12"], "kubelb": ["10.0.0.13"]}


@pytest.mark.parametrize(
    "given", ["10.0.0.11,FD00:0::11", " 10.0.0.11 , fd00::11", ["10.0.0.11", "fd00:0:0::11"], ("10.0.0.11", "fd00::11")]
)
def test_a_host_with_an_address_of_each_family(given):
    shape = topology(addresses={"ctl01": given})
    assert shape["addresses"]["ctl01"] == "10.0.0.11"
    assert shape["all_addresses"]["ctl01"] == ["10.0.0.11", "fd00::11"]


def test_url():
    assert url("10.0.0.11", 2379) == "https://10.0.0.11:2379"
    assert url("10.0.0.13", 80, scheme="http") == "http://10.0.0.13:80"
    assert url("fd00::13", 6443) == "https://[fd00::13]:6443"
