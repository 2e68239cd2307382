# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address at which nodes and clients reach the API, and the one that several load balancers share."""

from __future__ import annotations

import ipaddress
import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import (
    FAMILIES,
    NETWORKS,
    Address,
    Network,
    entries,
    parsed,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = (
    "VirtualAddress",
    "entrances",
    "leads_to_one",
    "shared_address",
    "virtual_address",
    "virtual_address_problems",
    "virtual_address_warnings",
)

_SETTING = "lb_virtual_address"


class VirtualAddress(t.TypedDict):
    """The shared address, empty without one; see the RETURN of the action plugin ``cluster``."""

    address: str
    router_id: int
    interfaces: dict[str, str]


def shared_address(shape: Topology, everything: t.Mapping[str, Settings], wanted: Settings) -> str:
    """Return the virtual address in its usual form, or what is given instead of one; empty without one.

    It may be set for the group of the load balancers alone: the first of them decides.

    :param everything: the settings by host.
    :param wanted: those of the cluster as a whole.
    """
    first = [everything[host] for host in shape["load_balancers"][:1]]
    value = [*first, wanted][0].get(_SETTING) or ""
    return str(parsed(value) or value)


def entrances(shape: Topology, settings: Settings) -> list[str]:
    """Return the hosts through which nodes and clients reach the API without ``cluster_api_server``."""
    balancers = shape["load_balancers"]
    return balancers if settings[_SETTING] and balancers else [*balancers, *shape["controllers"]][:1]


def leads_to_one(server: t.Any, hosts: t.Iterable[str], shape: Topology) -> bool:
    """Return whether a URL has the name or the address of one of some hosts."""
    names = {name for host in hosts for name in (host, *shape["all_addresses"][host])}
    return urllib.parse.urlsplit(str(server)).hostname in names


def _network(host: str, shape: Topology, readings: t.Mapping[str, Reading]) -> tuple[str, Network] | None:
    """Return interface and network of a host's address; None where they were not read."""
    own = shape["addresses"].get(host)
    found = (readings.get(host) or {}).get("networks", {}).get(own)
    if not found:
        return None
    return found["interface"], ipaddress.ip_network(f"{own}/{found['prefix_length']}", strict=False)


def virtual_address(shape: Topology, settings: Settings, readings: t.Mapping[str, Reading]) -> VirtualAddress:
    """Return the shared address, its VRRP router, and the interface on each load balancer that was read."""
    address = parsed(settings[_SETTING])
    if address is None:
        return {"address": "", "router_id": 0, "interfaces": {}}
    found = {host: _network(host, shape, readings) for host in shape["load_balancers"]}
    return {
        "address": str(address),
        # 1 to 255.
        "router_id": int(address) % 255 + 1,
        "interfaces": {host: network[0] for host, network in found.items() if network},
    }


def _taken(address: str, shape: Topology, readings: t.Mapping[str, Reading]) -> list[str]:
    """Return the hosts that have the address for another purpose."""
    problems = [
        f"{_SETTING}: {address} is the node_address of {host}; give an address that no host has"
        for host in shape["hosts"]
        if address in shape["all_addresses"][host]
    ]
    if problems:
        return problems
    return [
        f"{_SETTING}: {host} already has {address}, and keepalived of the role lb did not give it the address; take it "
        "off that host, or give an address that no host has"
        for host, found in readings.items()
        if found and address in found["addresses"] and address not in _held(found)
    ]


def _held(found: Reading) -> list[str]:
    return t.cast(list[str], found.get("keepalived", {}).get("addresses", []))


def _outside(address: Address, shape: Topology, readings: t.Mapping[str, Reading]) -> list[str]:
    """Return the load balancers in whose network the address cannot be."""
    problems = []
    for host in shape["load_balancers"]:
        found = _network(host, shape, readings)
        if not found or found[1].version != address.version:
            continue
        interface, network = found
        own = f"the network of {host} (node_address {shape['addresses'][host]} on {interface})"
        if address not in network:
            problems.append(
                f"{_SETTING}: {address} is outside {network}, {own}; give a free address of that network, or leave the "
                "setting empty and name an external load balancer in cluster_api_server"
            )
        elif network.num_addresses > 2 and address in (network[0], network[-1]):
            problems.append(
                f"{_SETTING}: {address} is the first or last address of {network}, {own}; give a free one between them"
            )
    return problems


def _in_networks(address: Address, settings: Settings) -> list[str]:
    """Return the networks of pods and Services that have the address."""
    problems = []
    for name in NETWORKS:
        for entry in entries(settings[name]):
            try:
                inside = address in ipaddress.ip_network(entry)
            except ValueError:
                continue
            if inside:
                problems.append(f"{_SETTING}: {address} lies in {name} {entry}; give an address of the hosts' network")
    return problems


def _of_another_family(address: Address, shape: Topology) -> list[str]:
    """Return the load balancers whose primary address is of another family: their VRRP peers are these addresses."""
    others = []
    for host in shape["load_balancers"]:
        own = parsed(shape["addresses"][host])
        if own and own.version != address.version:
            others.append(host)
    if not others:
        return []
    # Of two families, the other one.
    (version,) = FAMILIES.keys() - {address.version}
    return [
        f"{_SETTING}: {address} is {FAMILIES[address.version]}, and the first address of {', '.join(others)} is "
        f"{FAMILIES[version]}; keepalived moves an address of the same family alone: give one of their primary network"
    ]


def _different(shape: Topology, everything: t.Mapping[str, Settings], address: str) -> list[str]:
    return [
        f"{host}: {_SETTING} is {everything[host].get(_SETTING)!r}, {shape['load_balancers'][0]} has {address!r}; load "
        "balancers share one address: set it once, in group_vars/all or group_vars/lb"
        for host in shape["load_balancers"]
        if str(parsed(everything[host].get(_SETTING)) or everything[host].get(_SETTING) or "") != address
    ]


def _foreign(shape: Topology, readings: t.Mapping[str, Reading]) -> list[str]:
    return [
        f"{host}: /etc/keepalived/keepalived.conf is not of the role lb, which would replace it; stop keepalived and "
        f"move the file away, or leave {_SETTING} empty"
        for host in shape["load_balancers"]
        if (readings.get(host) or {}).get("keepalived", {}).get("foreign")
    ]


def _still_used(shape: Topology, readings: t.Mapping[str, Reading], address: str) -> list[str]:
    """Return the virtual addresses that a run would take away from nodes before they have another one."""
    holders: dict[str, list[str]] = {}
    for host in shape["load_balancers"]:
        for held in _held(readings.get(host) or {}):
            if held != address:
                holders.setdefault(held, []).append(host)
    problems = []
    for held, hosts in holders.items():
        users = [
            host
            for host in shape["workers"]
            for server in [(readings.get(host) or {}).get("identity", {}).get("api_server", "")]
            if urllib.parse.urlsplit(server).hostname == held
        ]
        if users:
            way = f"https://{shape['addresses'][hosts[0]]}:6443"
            problems.append(
                f"{_SETTING}: {', '.join(hosts)} would give up {held}, at which {', '.join(users)} still reach the "
                f"API. First set cluster_api_server to {way}, set {_SETTING} back to {held}, and run site.yml; then "
                f"set {_SETTING} to what it is to be, take cluster_api_server out, and run it again"
            )
    return problems


def virtual_address_problems(
    shape: Topology,
    readings: t.Mapping[str, Reading],
    everything: t.Mapping[str, Settings],
    settings: Settings,
) -> list[str]:
    """Return why load balancers cannot share the address, or not give up the one they have, one sentence each.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param everything: the settings by host.
    :param settings: the cluster's, with the result of :func:`shared_address`.
    """
    value = settings[_SETTING]
    problems = _different(shape, everything, value) + _still_used(shape, readings, value)
    if not value:
        return problems
    if not shape["load_balancers"]:
        return [
            *problems,
            f"{_SETTING} is {value}, and group 'lb' has no host that could have it; add two hosts to the group, or "
            "leave the setting empty",
        ]
    address = parsed(value)
    if address is None:
        return [*problems, f"{_SETTING}: {value!r} is not an IP address; allowed: a free address of the hosts' network"]
    problems += _in_networks(address, settings) + _of_another_family(address, shape)
    problems += _taken(str(address), shape, readings) + _outside(address, shape, readings)
    return problems + _foreign(shape, readings)


def virtual_address_warnings(shape: Topology, settings: Settings) -> list[str]:
    """Return what makes the way to the API depend on one load balancer, one sentence each."""
    balancers, value = shape["load_balancers"], settings[_SETTING]
    server = settings["cluster_api_server"]
    if value and len(balancers) == 1:
        return [
            f"{_SETTING}: {value} has one load balancer, {balancers[0]}, and fails with it; add a second host to group "
            "'lb', which takes the address over then"
        ]
    if len(balancers) > 1 and (leads_to_one(server, balancers, shape) or not (value or server)):
        found = f"cluster_api_server {server}" if server else f"{balancers[0]} alone"
        return [
            f"group 'lb' has {len(balancers)} hosts, and nodes and clients use {found}: without that host they do not "
            f"reach the API; {'take cluster_api_server out' if server and value else 'set ' + _SETTING}"
        ]
    return []
