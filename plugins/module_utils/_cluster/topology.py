# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of the inventory: the hosts of each part, and their addresses."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import canonical, entries, host_port

__all__ = ("ETCD_PEER_PORT", "PARTS", "Topology", "node_address", "node_addresses", "topology", "url")

#: Where etcd's members listen for each other.
ETCD_PEER_PORT = 2380
#: Parts of a cluster, in the order in which they are built.
PARTS = ("controllers", "etcd", "load_balancers", "workers", "clients")


class Topology(t.TypedDict):
    """Hosts of each part, all hosts, and the addresses of each.

    ``addresses`` has the primary one, None where the inventory gives none; ``all_addresses`` has the primary one first.
    """

    controllers: list[str]
    etcd: list[str]
    load_balancers: list[str]
    workers: list[str]
    clients: list[str]
    hosts: list[str]
    addresses: dict[str, str | None]
    all_addresses: dict[str, list[str]]


def node_addresses(variables: t.Mapping[str, object]) -> list[str]:
    """Return a host's addresses: those of ``node_address``, else ``ansible_host`` when that is an IP address.

    ``node_address`` has one address, or one of each family, the primary one first. IPv6 addresses are written in one
    way only (RFC 5952), so that addresses can be compared. Anything else stays as it is.
    """
    given = variables.get("node_address")
    if given:
        return [canonical(entry) for entry in entries(given)]
    try:
        return [str(ipaddress.ip_address(str(variables.get("ansible_host"))))]
    except ValueError:
        return []


def node_address(variables: t.Mapping[str, object]) -> str | None:
    """Return a host's primary address, the first of :func:`node_addresses`; None without one."""
    return next(iter(node_addresses(variables)), None)


def topology(
    host_variables: t.Mapping[str, t.Mapping[str, object]], parts: t.Mapping[str, t.Sequence[str]]
) -> Topology:
    """Return the topology of an inventory.

    :param host_variables: the variables of each host, by inventory name.
    :param parts: hosts by part, one list for each of :data:`PARTS`.
    """
    hosts = list(dict.fromkeys(host for part in PARTS for host in parts[part]))
    addresses = {host: node_addresses(host_variables[host]) for host in hosts}
    return {
        "controllers": list(parts["controllers"]),
        "etcd": list(parts["etcd"]),
        "load_balancers": list(parts["load_balancers"]),
        "workers": list(parts["workers"]),
        "clients": list(parts["clients"]),
        "hosts": hosts,
        "addresses": {host: next(iter(found), None) for host, found in addresses.items()},
        "all_addresses": addresses,
    }


def url(address: str | None, port: int, *, scheme: str = "https") -> str:
    """Return a URL; an IPv6 address is put into brackets (RFC 3986, section 3.2.2)."""
    return f"{scheme}://{host_port(address, port)}"
