# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules with which controllers and members alone reach etcd."""

from __future__ import annotations

import re

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, empty
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import Role


def sets(host="ctl01", **options):
    text = Role("etcd", host, **options).template("firewall.nft.j2")
    # nft refuses a set of no elements that says so.
    assert not re.search(r"\{\s*\}", text)
    found = re.findall(r"set (\w+) \{[^}]*elements = \{ ([^}]*) \}", text)
    return {name: elements.split(", ") for name, elements in found}


def test_controllers_and_members():
    assert sets() == {"members": ["10.0.0.11", "10.0.0.12"], "clients": ["10.0.0.11", "10.0.0.12"]}


def test_members_on_hosts_of_their_own():
    found = sets(parts={"etcd": ["client", "kubelb"]}, etcd_firewall_clients=["10.0.0.9", "10.0.8.0/24"])
    assert found == {
        "members": ["10.0.0.16", "10.0.0.13"],
        "clients": ["10.0.0.11", "10.0.0.12", "10.0.0.9", "10.0.8.0/24"],
    }


def test_both_families():
    assert sets(hosts={"ctl01": {"node_address": "10.0.0.11,fd00::11"}}, etcd_firewall_clients=["fd00:8::/64"]) == {
        "members": ["10.0.0.11", "10.0.0.12"],
        "clients": ["10.0.0.11", "10.0.0.12"],
        "members6": ["fd00::11"],
        "clients6": ["fd00::11", "fd00:8::/64"],
    }


def test_members_without_a_cluster():
    assert sets("client", parts={"etcd": ["client"], "controllers": []}) == {"members": ["10.0.0.16"]}


@pytest.mark.parametrize("client", ["10.0.0.9", "10.0.8.0/24", "fd00::9", "fd00:8::/64"])
def test_further_clients(client):
    assert computed(empty(), etcd_firewall_clients=[client])["plan"]["problems"] == []


@pytest.mark.parametrize("client", ["monitor", "10.0.8.1/24", "fd00::9/64", "10.0.0.9:2379", ""])
def test_a_client_that_is_no_address(client):
    (problem,) = computed(empty(), etcd_firewall_clients=[client])["plan"]["problems"]
    assert problem.startswith(f"etcd_firewall_clients: {client!r} is neither an IP address nor a network (")
