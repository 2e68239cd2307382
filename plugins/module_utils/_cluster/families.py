# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that have one value, or one for each address family: a list, or a text with commas as in Kubernetes' flags.

The first value is of the primary family, which the API's own Service has
(https://kubernetes.io/docs/concepts/services-networking/dual-stack). IPv6 addresses are written in one way only
(RFC 5952), so that texts can be compared.
"""

from __future__ import annotations

import ipaddress
import typing as t

__all__ = (
    "FAMILIES",
    "NETWORKS",
    "NODE_PREFIX_LENGTHS",
    "PER_FAMILY",
    "Address",
    "Network",
    "bracketed",
    "canonical",
    "entries",
    "family",
    "host_port",
    "networks",
    "node_prefix_lengths",
    "normalized",
    "parsed",
)

# `|` between classes needs Python 3.10, and ansible-test has older ones in mind.
Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007
Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]  # noqa: UP007

#: The name of each family, as a Service of Kubernetes has it in ``ipFamilies``, by the IP version.
FAMILIES = {4: "IPv4", 6: "IPv6"}
#: Prefix length of a node's part of the pod network, in bits, by the IP version: Kubernetes' own defaults.
NODE_PREFIX_LENGTHS = {4: 24, 6: 64}
_LENGTHS = "cluster_node_prefix_length"
#: The settings that are networks.
NETWORKS = ("cluster_pod_cidr", "cluster_service_cidr")
#: The settings that have a value for each family.
PER_FAMILY = (*NETWORKS, "cluster_dns_address", _LENGTHS)


def entries(value: object) -> list[str]:
    """Return the entries of a setting as they are: those of a list, or of a text with commas; none for None."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [str(entry).strip() for entry in value]
    return [entry.strip() for entry in str(value).split(",")]


def canonical(entry: str) -> str:
    """Return an address or a network in its usual form (RFC 5952 for IPv6), anything else as it is."""
    for parse in (ipaddress.ip_address, ipaddress.ip_network):
        try:
            return str(parse(entry))
        except ValueError:
            continue
    return entry


def parsed(value: object) -> Address | None:
    """Return an address; None for anything else."""
    try:
        return ipaddress.ip_address(str(value))
    except ValueError:
        return None


def networks(value: object) -> list[Network]:
    """Return the networks of a setting, the primary one first.

    :raises ValueError: an entry is not a network, or has host bits.
    """
    return [ipaddress.ip_network(entry) for entry in entries(value)]


def family(entry: str) -> str:
    """Return ``IPv4`` or ``IPv6``, the family of an address or network.

    :raises ValueError: it is neither.
    """
    return FAMILIES[ipaddress.ip_interface(entry).version]


def bracketed(host: str | None) -> str | None:
    """Return a name or address as a URL has it: IPv6 in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if host and ":" in host else host


def host_port(host: str | None, port: int) -> str:
    """Return ``HOST:PORT``, for example ``10.240.0.11:6443`` and ``[fd00::11]:6443``."""
    return f"{bracketed(host)}:{port}"


def node_prefix_lengths(value: object, pods: object) -> list[int]:
    """Return the prefix length of a node's part of each pod network, in bits.

    :param value: the setting; empty for :data:`NODE_PREFIX_LENGTHS`.
    :param pods: the pod networks, see :func:`networks`.
    :raises ValueError: a length is not a number, or a pod network is not a network.
    """
    given = [int(entry) for entry in entries(value) if entry]
    return given or [NODE_PREFIX_LENGTHS[network.version] for network in networks(pods)]


def normalized(settings: t.Mapping[str, t.Any], pods: object) -> dict[str, t.Any]:
    """Return settings with those of one value per family as one text each, with commas, in their usual form.

    Anything else stays as it is: preflight says what is wrong with it.

    :param pods: the pod networks, on which the default of the prefix length depends.
    """
    found = dict(settings)
    for name in PER_FAMILY:
        if name in found and found[name] is not None:
            found[name] = ",".join(canonical(entry) for entry in entries(found[name]))
    if found.get(_LENGTHS) == "":
        found[_LENGTHS] = _usual_lengths(pods)
    return found


def _usual_lengths(pods: object) -> str:
    try:
        return ",".join(map(str, node_prefix_lengths("", pods)))
    except ValueError:
        # A pod network that is not a network is a problem of its own.
        return ""
