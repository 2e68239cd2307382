# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of the inventory: the hosts of each part, and their addresses."""

from __future__ import annotations

import ipaddress
import typing as t

__all__ = ("ETCD_PEER_PORT", "PARTS", "Topology", "node_address", "topology", "url")

#: Where etcd's members listen for each other.
ETCD_PEER_PORT = 2380
#: Parts of a cluster, in the order in which they are built.
PARTS = ("controllers", "etcd", "load_balancers", "workers", "clients")


class Topology(t.TypedDict):
    """Hosts of each part, all hosts, and the address of each (None where the inventory gives none)."""

    controllers: list[str]
    etcd: list[str]
    load_balancers: list[str]
    workers: list[str]
    clients: list[str]
    hosts: list[str]
    addresses: dict[str, str | None]


def node_address(variables: t.Mapping[str, object]) -> str | None:
    """Return a host's address: ``node_address``, else ``ansible_host`` when that is an IP address.

    An IPv6 address is written in one way only (RFC 5952), so that addresses can be compared.
    """
    address = variables.get("node_address")
    try:
        return str(ipaddress.ip_address(str(address or variables.get("ansible_host"))))
    except ValueError:
        return str(address) if address else None


def topology(
    host_variables: t.Mapping[str, t.Mapping[str, object]], parts: t.Mapping[str, t.Sequence[str]]
) -> Topology:
    """Return the topology of an inventory.

    :param host_variables: the variables of each host, by inventory name.
    :param parts: hosts by part, one list for each of :data:`PARTS`.
    """
    hosts = list(dict.fromkeys(host for part in PARTS for host in parts[part]))
    return {
        "controllers": list(parts["controllers"]),
        "etcd": list(parts["etcd"]),
        "load_balancers": list(parts["load_balancers"]),
        "workers": list(parts["workers"]),
        "clients": list(parts["clients"]),
        "hosts": hosts,
        "addresses": {host: node_address(host_variables[host]) for host in hosts},
    }


def url(address: str | None, port: int, *, scheme: str = "https") -> str:
    """Return a URL; an IPv6 address is put into brackets (RFC 3986, section 3.2.2)."""
    literal = f"[{address}]" if address and ":" in address else address
    return f"{scheme}://{literal}:{port}"
