# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings with one value, or one for each address family."""

from __future__ import annotations

import ipaddress
import urllib.parse

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import (
    canonical,
    entries,
    family,
    host_port,
    networks,
    node_prefix_lengths,
    normalized,
)
from hypothesis import given
from hypothesis import strategies as st

DUAL = "10.200.0.0/16,fd00:200::/48"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("10.200.0.0/16", ["10.200.0.0/16"]),
        ("10.200.0.0/16, fd00:200::/48", ["10.200.0.0/16", "fd00:200::/48"]),
        (["10.200.0.0/16", "fd00:200::/48"], ["10.200.0.0/16", "fd00:200::/48"]),
        (24, ["24"]),
        ([24, 64], ["24", "64"]),
        ([], []),
        (None, []),
        ("", [""]),
    ],
)
def test_entries(value, found):
    assert entries(value) == found


# RFC 5952, sections 4.1 to 4.3: no leading zeros, the longest and first run of zeros shortened, lower case.
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2001:0db8::0001", "2001:db8::1"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("FD00:200::/48", "fd00:200::/48"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/24", "10.0.0.1/24"),
        ("ctl01.example.com", "ctl01.example.com"),
    ],
)
def test_canonical(text, wanted):
    assert canonical(text) == wanted


@given(st.ip_addresses(), st.integers(1, 65535))
def test_a_url_has_the_address_and_the_port_again(address, port):
    parts = urllib.parse.urlsplit(f"https://{host_port(str(address), port)}")
    assert (ipaddress.ip_address(parts.hostname or ""), parts.port) == (address, port)


def test_host_port_of_a_name():
    assert host_port("ctl01.example.com", 6443) == "ctl01.example.com:6443"


@pytest.mark.parametrize(
    ("text", "wanted"), [("10.0.0.1", "IPv4"), ("10.0.0.0/8", "IPv4"), ("fd00::1", "IPv6"), ("fd00::/8", "IPv6")]
)
def test_family(text, wanted):
    assert family(text) == wanted


def test_networks():
    assert [str(network) for network in networks(DUAL)] == DUAL.split(",")
    with pytest.raises(ValueError, match="host bits"):
        networks("10.200.0.0/16,fd00:200::1/48")


@pytest.mark.parametrize(
    ("value", "pods", "lengths"),
    [
        ([], "10.200.0.0/16", [24]),
        ("", "fd00:200::/48", [64]),
        ([], DUAL, [24, 64]),
        ([], ["fd00:200::/48", "10.200.0.0/16"], [64, 24]),
        (25, "10.200.0.0/16", [25]),
        ("25, 60", DUAL, [25, 60]),
        ([25, 60], DUAL, [25, 60]),
    ],
)
def test_node_prefix_lengths(value, pods, lengths):
    assert node_prefix_lengths(value, pods) == lengths


def test_what_is_given_in_different_forms_is_the_same():
    one = {"cluster_pod_cidr": ["10.200.0.0/16", "FD00:200::/48"], "cluster_node_prefix_length": [24, 64], "other": [1]}
    two = {"cluster_pod_cidr": "10.200.0.0/16, fd00:0200::/48", "cluster_node_prefix_length": [], "other": [1]}
    wanted = {"cluster_pod_cidr": DUAL, "cluster_node_prefix_length": "24,64", "other": [1]}
    assert normalized(one, DUAL) == normalized(two, DUAL) == wanted


def test_what_is_wrong_stays_as_it_is():
    given_so = {"cluster_pod_cidr": "pods", "cluster_service_cidr": None, "cluster_node_prefix_length": []}
    assert normalized(given_so, "pods") == {**given_so, "cluster_node_prefix_length": ""}
