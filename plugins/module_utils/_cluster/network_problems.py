# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what is wrong with names and addresses of hosts, and with the networks of pods and Services."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import (
    FAMILIES,
    Address,
    Network,
    entries,
    family,
    node_prefix_lengths,
    parsed,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("NODE_NAME", "address_problems", "family_problems", "network_problems")

#: A DNS name, as names of nodes are (RFC 1123).
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PODS, _SERVICES, _LENGTHS = "cluster_pod_cidr", "cluster_service_cidr", "cluster_node_prefix_length"
# Both are IPv6's: the API server and the controller manager keep one bit of memory for each address or node network.
_SERVICE_BITS = 20
_NODE_NETWORK_BITS = 16


def _unusable(host: str, address: Address) -> list[str]:
    """Return why other hosts, or Kubernetes, cannot use a host's address."""
    if address.version == 6 and address.scope_id:
        return [
            f"{host}: node_address {address} has a zone; give an address that is the same for all hosts, without '%'"
        ]
    if address.is_link_local:
        return [f"{host}: node_address {address} is link-local, which Kubernetes refuses; give an address of its own"]
    if address.version == 6 and address.ipv4_mapped:
        return [f"{host}: node_address {address} is an IPv4 address within IPv6; write it as {address.ipv4_mapped}"]
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return [f"{host}: node_address {address} cannot be reached by other hosts; give its own address"]
    return []


def _twice(subject: str, of: str, values: t.Sequence[str]) -> list[str]:
    """Return whether values that all are addresses, or networks, have a family in common."""
    versions = [family(value) for value in values]
    if len(versions) == len(set(versions)):
        return []
    return [f"{subject} has {' and '.join(values)}; allowed: one {of}, or one of each family (IPv4 and IPv6)"]


def _addresses(host: str, shape: Topology) -> list[str]:
    texts = shape["all_addresses"][host]
    if not any(texts):
        return [f"{host}: has no address; set node_address to the IP address other hosts reach it at"]
    problems = []
    for text in texts:
        address = parsed(text)
        problems += _unusable(host, address) if address else [f"{host}: node_address {text!r} is not an IP address"]
    return problems + _twice(f"{host}: node_address", "address", [text for text in texts if parsed(text)])


def address_problems(shape: Topology) -> list[str]:
    """Return what is wrong with names and addresses of hosts, one sentence each."""
    problems = []
    owners: dict[str, list[str]] = {}
    for host in shape["hosts"]:
        if len(host) > 63 or not NODE_NAME.fullmatch(host):
            problems.append(
                f"{host}: the inventory name is used as node name and must be a DNS name: lower-case letters, "
                "digits, '-' and '.', at most 63 characters"
            )
        problems += _addresses(host, shape)
        for address in dict.fromkeys(filter(parsed, shape["all_addresses"][host])):
            owners.setdefault(address, []).append(host)
    return problems + [
        f"{' and '.join(hosts)}: have the same node_address {address}; each host needs its own"
        for address, hosts in owners.items()
        if len(hosts) > 1
    ]


def _network(name: str, text: object, problems: list[str]) -> Network | None:
    try:
        network = ipaddress.ip_network(str(text))
    except ValueError as error:
        problems.append(f"{name}: {text!r} is not a network ({error}); allowed: a CIDR such as 10.200.0.0/16")
        return None
    if network.is_link_local or network.is_multicast or network.is_loopback or "%" in str(text):
        problems.append(f"{name}: {network} is for one link, several receivers or loopback; give a private network")
        return None
    return network


def _parsed_networks(name: str, settings: Settings, problems: list[str]) -> list[Network]:
    """Return the networks of a setting; none where one of them is wrong."""
    texts: list[t.Any] = entries(settings[name]) or [settings[name]]
    found = [network for text in texts for network in (_network(name, text, problems),) if network]
    return found if len(found) == len(texts) else []


def _words(families: t.Iterable[str]) -> str:
    return ", then ".join(families)


def family_problems(shape: Topology, settings: Settings) -> list[str]:
    """Return where the families of hosts, pods and Services do not fit together, one sentence each.

    A host may have a family that pods do not have. A network that is none is left to :func:`network_problems`.
    """
    found = {name: _parsed_networks(name, settings, []) for name in (_PODS, _SERVICES)}
    pods, services = ([FAMILIES[network.version] for network in found[name]] for name in (_PODS, _SERVICES))
    if not pods or not services:
        return []
    problems = [
        problem for name in found for problem in _twice(name, "network", [str(network) for network in found[name]])
    ]
    if problems:
        return problems
    if pods != services:
        return [
            f"{_PODS} has {_words(pods)}, and {_SERVICES} has {_words(services)}; give both networks of the same "
            "families in the same order"
        ]
    for host in shape["hosts"]:
        # One with wrong addresses has a problem of its own.
        if not _addresses(host, shape):
            problems += _host_families(host, shape["all_addresses"][host], pods)
    return problems + _carried(settings, found[_PODS])


def _host_families(host: str, addresses: t.Sequence[str], wanted: t.Sequence[str]) -> list[str]:
    own = [family(address) for address in addresses]
    missing = [name for name in wanted if name not in own]
    if missing:
        return [
            f"{host}: node_address {', '.join(addresses)} is {' and '.join(own)}, and pods and Services have "
            f"{' and '.join(missing)}; give the host an {missing[0]} address{'' if len(wanted) == 1 else ' too'}, or "
            f"{_PODS} and {_SERVICES} networks of {own[0]} alone"
        ]
    if own[0] != wanted[0]:
        return [
            f"{host}: the first address of node_address is {own[0]}, and the first networks of {_PODS} and {_SERVICES} "
            f"are {wanted[0]}; put {addresses[own.index(wanted[0])]} first"
        ]
    return []


def _carried(settings: Settings, pods: t.Iterable[Network]) -> list[str]:
    """Return the pod networks that the chosen network cannot carry."""
    return [
        f"cluster_pod_network: weave carries IPv4 alone, and {_PODS} has {network}; take flannel or bridge, or give "
        "pods and Services IPv4 networks alone"
        for network in pods
        if settings["cluster_pod_network"] == "weave" and network.version == 6
    ]


def network_problems(shape: Topology, settings: Settings) -> list[str]:
    """Return what is wrong with the networks of pods and Services, and what lies in them, one sentence each."""
    problems: list[str] = []
    networks = {name: _parsed_networks(name, settings, problems) for name in (_PODS, _SERVICES)}
    problems += [
        f"{_PODS} {pod} and {_SERVICES} {service} overlap; they must be apart"
        for pod in networks[_PODS]
        for service in networks[_SERVICES]
        if pod.overlaps(service)
    ]
    problems += [
        f"{host}: node_address {address} lies in {name} {network}; host, pod and service networks must be apart"
        for host in shape["hosts"]
        for address in filter(None, map(parsed, shape["all_addresses"][host]))
        for name, found in networks.items()
        for network in found
        if address in network
    ]
    if networks[_PODS]:
        problems += _node_networks(networks[_PODS], settings, len(shape["workers"]))
    if networks[_SERVICES]:
        problems += _dns_addresses(settings["cluster_dns_address"], networks[_SERVICES])
    return problems


def _node_networks(pods: t.Sequence[Network], settings: Settings, workers: int) -> list[str]:
    value = settings[_LENGTHS]
    try:
        lengths = node_prefix_lengths(value, settings[_PODS])
    except ValueError:
        return [f"{_LENGTHS}: {value!r} is not a number of bits; allowed: a number such as 24, or one for each network"]
    if len(lengths) != len(pods):
        return [
            f"{_LENGTHS}: {value!r} is of {len(lengths)} networks, and {_PODS} has {len(pods)}; give one number for "
            "each, or leave it empty for 24 (IPv4) and 64 (IPv6)"
        ]
    return [problem for pod, size in zip(pods, lengths, strict=True) for problem in _node_network(pod, size, workers)]


def _node_network(pod: Network, size: int, workers: int) -> list[str]:
    most = pod.max_prefixlen - 2
    if pod.version == 6:
        most = min(most, pod.prefixlen + _NODE_NETWORK_BITS)
    if not pod.prefixlen <= size <= most:
        return [f"{_LENGTHS}: {size} does not fit {_PODS} {pod}; allowed: {pod.prefixlen} to {most}"]
    count = 2 ** (size - pod.prefixlen)
    if count < workers:
        return [f"{_PODS} {pod} has {count} node networks of /{size}, and there are {workers} workers"]
    return []


def _dns_addresses(value: t.Any, services: t.Sequence[Network]) -> list[str]:
    texts = entries(value) or [value]
    problems = [
        f"{_SERVICES} {service} is larger than the API server takes; allowed: "
        f"/{service.max_prefixlen - _SERVICE_BITS} to /124"
        for service in services
        if service.version == 6 and service.max_prefixlen - service.prefixlen > _SERVICE_BITS
    ]
    if len(texts) > len(services):
        return [
            *problems,
            f"cluster_dns_address has {len(texts)} addresses, and {_SERVICES} {len(services)}; give one address, or "
            "one inside each network",
        ]
    return problems + [
        problem for text, service in zip(texts, services, strict=False) for problem in _dns_address(text, service)
    ]


def _dns_address(text: t.Any, service: Network) -> list[str]:
    address = parsed(text)
    if address is None:
        return [f"cluster_dns_address: {text!r} is not an IP address"]
    if service.num_addresses < 16:
        return [f"{_SERVICES} {service} has {service.num_addresses} addresses; at least 16 are needed"]
    if address not in service:
        return [f"cluster_dns_address {address} is outside {_SERVICES} {service}"]
    if address in (service[0], service[1]):
        return [f"cluster_dns_address {address} is taken (network address, or the API's own Service {service[1]})"]
    return []
