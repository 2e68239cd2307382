# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare an existing cluster with the inventory. A change that it cannot go through is refused.

``setting_classes.py`` says of every setting what its change means for an existing cluster.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd_damage import REPLACE
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import (
    NETWORKS,
    PER_FAMILY,
    canonical,
    entries,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading, Status
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import ETCD_PEER_PORT, Topology, url

__all__ = ("existing_problems", "issuers")

_BACK = "an existing cluster cannot change it: put the old value back, or build a new cluster"
# A setting that another one takes the place of: the dictionary, and its key.
_OVERRIDES = {
    "cluster_pod_cidr": ("controller_manager_extra_flags", "cluster-cidr"),
    "cluster_name": ("controller_manager_extra_flags", "cluster-name"),
    "cluster_node_prefix_length": ("controller_manager_extra_flags", "node-cidr-mask-size"),
    "cluster_service_cidr": ("apiserver_extra_flags", "service-cluster-ip-range"),
    "cluster_node_port_range": ("apiserver_extra_flags", "service-node-port-range"),
    "cluster_dns_address": ("worker_kubelet_config", "clusterDNS"),
    "cluster_domain": ("worker_kubelet_config", "clusterDomain"),
    "etcd_data_directory": ("etcd_extra_flags", "data-dir"),
}
_PORTS = re.compile(r"(\d+)(?:([-+])(\d+))?")


def _override(settings: Settings, variable: str, key: str) -> t.Any:
    """Return the value that a dictionary of further flags or settings has for a key; None without one."""
    further = settings.get(variable)
    return further.get(key) if isinstance(further, t.Mapping) else None


def _wanted(settings: Settings, variable: str) -> tuple[str, str]:
    """Return the setting that decides, and its value as the hosts' files have it."""
    name, value = variable, settings.get(variable)
    if variable in _OVERRIDES:
        further, key = _OVERRIDES[variable]
        own = _override(settings, further, key)
        if own is not None:
            name, value = f"{further}.{key}", own
    return name, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _ports(text: str) -> range | None:
    """Return the ports of ``FIRST-LAST``, ``FIRST+MORE`` or ``PORT``; None for anything else."""
    found = _PORTS.fullmatch(text)
    if not found:
        return None
    first, last = int(found[1]), int(found[3] or found[1])
    return range(first, (first + last if found[2] == "+" else last) + 1)


def _narrowed(found: str, wanted: str) -> bool:
    old, new = _ports(found), _ports(wanted)
    # A value that is not a range is left to the program.
    return bool(old and new is not None and not (old[0] in new and old[-1] in new))


def _made_with(host: str, facts: Reading, settings: Settings) -> list[str]:
    problems = []
    for variable, found in facts["cluster"].items():
        name, wanted = _wanted(settings, variable)
        if _same(variable, found, wanted) or _is_free(variable, facts, settings):
            continue
        start = f"{host}: the cluster on it was made with {name}={found}, the inventory says {wanted}"
        if variable in NETWORKS and _count(found) != _count(wanted):
            problems.append(
                f"{start}; a run does not add an address family to an existing cluster or take one away: put the old "
                "value back, or build a new cluster"
            )
        elif variable != "cluster_node_port_range":
            problems.append(f"{start}; {_BACK}")
        elif _narrowed(found, wanted):
            problems.append(
                f"{start}; Services may use ports outside of that: keep a range that contains {found}, or build a new "
                "cluster"
            )
    return problems


def _count(text: str) -> int:
    return len(entries(text))


def _same(variable: str, found: str, wanted: str) -> bool:
    """Whether a setting has the value that a host's files have: addresses and networks are compared as such."""
    if variable not in PER_FAMILY:
        return found == wanted
    # Where the number of families differs, the networks say so.
    if variable == "cluster_node_prefix_length" and _count(found) != _count(wanted):
        return True
    return [canonical(one) for one in entries(found)] == [canonical(one) for one in entries(wanted)]


def _is_free(variable: str, facts: Reading, settings: Settings) -> bool:
    """Return whether nothing on the host depends on a setting, so that it can have another value."""
    if variable == "etcd_data_directory":
        return not facts["etcd"]["data"]
    return variable == "pod_network_flannel_backend" and settings.get("cluster_pod_network") != "flannel"


def issuers(settings: Settings) -> tuple[str, list[str]]:
    """Return the setting that decides, and the issuers whose tokens API servers accept. They issue as the first."""
    found = _override(settings, "apiserver_extra_flags", "service-account-issuer")
    if found is None:
        return "cluster_domain", [f"https://kubernetes.default.svc.{settings.get('cluster_domain')}"]
    accepted = found if isinstance(found, (list, tuple)) else [found]
    return "apiserver_extra_flags.service-account-issuer", [str(issuer) for issuer in accepted]


def _issuer_and_prefix(host: str, facts: Reading, settings: Settings) -> list[str]:
    """Compare what an API server's flags say and no other file does."""
    problems = []
    identity = facts.get("identity", {})
    name, accepted = issuers(settings)
    found = identity.get("issuers", [])
    if found and found[0] not in accepted:
        problems.append(
            f"{host}: the API server on it issues tokens as {found[0]}, with {name} of the inventory it would accept "
            f"only {', '.join(accepted)}, and refuse the token of every pod that runs; put the old value back, or "
            "let apiserver_extra_flags.service-account-issuer name both, the new one first"
        )
    prefix = _override(settings, "apiserver_extra_flags", "etcd-prefix") or "/registry"
    if identity.get("etcd_prefix") and identity["etcd_prefix"] != prefix:
        problems.append(
            f"{host}: the API server on it keeps its objects under {identity['etcd_prefix']} in etcd, "
            f"apiserver_extra_flags.etcd-prefix of the inventory says {prefix}, where there are none; {_BACK}"
        )
    return problems


def _service_account_key(host: str, facts: Reading, settings: Settings) -> list[str]:
    """A key of another kind would be a new key, and no token of a pod would be accepted any more."""
    found = _first_kind(facts, "/var/lib/kubernetes/service-account.pem")
    key = settings.get("ca_key") or {}
    wanted = f"{key.get('algo')} {key.get('size', 256)}"
    if not found or found == wanted:
        return []
    return [
        f"{host}: the service account's key on it is {found}, ca_key of the inventory says {wanted}; with a new key "
        "the token of every pod that runs would be refused: put the old value back"
    ]


def _first_kind(facts: Reading, path: str) -> str:
    certificates = facts.get("identity", {}).get("certificates", {}).get(path)
    return str(certificates[0]["key"]) if certificates else ""


def _moved_members(shape: Topology, members: t.Sequence[t.Mapping[str, t.Any]], settings: Settings) -> list[str]:
    """Return the etcd members whose peer URL is not the one of the inventory's address."""
    moved = {
        member["name"]: member["peer_urls"]
        for member in members
        if member["name"] in shape["etcd"]
        and shape["addresses"][member["name"]]
        and url(shape["addresses"][member["name"]], ETCD_PEER_PORT) not in member["peer_urls"]
    }
    way = "put the old address back"
    if len(moved) == 1 and len(members) > 2:
        way += f". To move this member, with all others healthy: {REPLACE} -e etcd_confirm={settings['cluster_name']}"
    return [
        f"{host}: its etcd member has the peer URL {', '.join(urls)}, node_address {shape['addresses'][host]} of the "
        f"inventory gives {url(shape['addresses'][host], ETCD_PEER_PORT)}; a member cannot change it in a run: "
        f"{way.format(host=host)}"
        for host, urls in moved.items()
    ]


def _renamed_workers(shape: Topology, readings: t.Mapping[str, Reading], nodes: t.Mapping[str, t.Any]) -> list[str]:
    """Return the workers whose kubelet runs as a node of another name."""
    problems = []
    for host in shape["workers"]:
        found = readings.get(host) or {}
        names = found.get("identity", {}).get("kubelet_names", [])
        runs = found.get("units", {}).get("kubelet.service") == "active"
        if host in names or host in nodes or not runs:
            continue
        old = [name for name in names if name not in shape["workers"] and (name in nodes or not nodes)]
        problems += [
            f"{host}: its kubelet is the node {name}, which the inventory does not have; a node cannot be renamed: put "
            f"the name {name} back. To give the host another name, remove the worker with remove_worker under its old "
            "name, wipe the host, and add it under the new one"
            for name in old
        ]
    return problems


def existing_problems(
    shape: Topology,
    readings: t.Mapping[str, Reading],
    settings: Settings,
    own: t.Mapping[str, Settings],
    status: Status,
) -> list[str]:
    """Return what an existing cluster cannot go through, one sentence each.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param settings: the cluster's.
    :param own: what the variables of single hosts give, by host.
    :param status: what the readings say together.
    """
    problems: list[str] = []
    for host, found in readings.items():
        if found:
            single = own.get(host, {})
            # One that differs from the cluster's is reported as such.
            effective = {**settings, **{name: single[name] for name in single if not name.startswith("cluster_")}}
            problems += _made_with(host, found, effective) + _issuer_and_prefix(host, found, effective)
            problems += _service_account_key(host, found, effective)
    problems += _moved_members(shape, status["etcd"]["members"], settings)
    return problems + _renamed_workers(shape, readings, status["nodes"])
