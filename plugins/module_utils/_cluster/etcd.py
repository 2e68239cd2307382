# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide from the readings of the hosts what the role etcd does with each: start, join, or stop with the reason."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd_damage import REPLACE, damaged, whole
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import ETCD_PEER_PORT, Topology, url

__all__ = ("Membership", "membership", "surplus")


class Membership(t.TypedDict):
    """The plan for the members of etcd."""

    #: All members start together, as a new cluster.
    new: bool
    #: Hosts that join an existing cluster, in the order in which they do.
    joining: list[str]
    #: Whether there are members that the inventory does not have.
    surplus: bool
    problems: list[str]


def _belongs(shape: Topology, member: t.Mapping[str, t.Any]) -> bool:
    """Return whether a member of the cluster is one of the inventory. One that never started has no name."""
    if member["name"]:
        return member["name"] in shape["etcd"]
    return bool(set(member["peer_urls"]) & {url(shape["addresses"][host], ETCD_PEER_PORT) for host in shape["etcd"]})


def surplus(shape: Topology, members: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the members of a running cluster that the inventory does not have.

    :param members: as the module ``etcd_member_info`` returns them.
    """
    return [dict(member) for member in members if not _belongs(shape, member)]


def membership(
    shape: Topology,
    readings: t.Mapping[str, t.Mapping[str, t.Any] | None],
    directories: t.Mapping[str, str] | None = None,
) -> Membership:
    """Return what has to be done with the members of a cluster.

    A host is part of a new cluster only when no etcd host has data or had some that was healthy, and all of them were
    read in this run. In all other cases the running cluster decides.

    :param shape: see :func:`topology.topology`.
    :param readings: readings of ``host_facts`` by etcd host; empty for a host that is not part of the run.
    :param directories: data directories of the inventory, by host, where they are known.
    :returns: ``new`` (all start together), ``joining`` (hosts that join an existing cluster), ``surplus`` (whether
        there are members that the inventory does not have) and ``problems``.
    """
    known = {host: found["etcd"] for host, found in readings.items() if found and host in shape["etcd"]}
    if not known:
        return {"new": False, "joining": [], "surplus": False, "problems": ["no etcd host was read in this run"]}
    data = {host: etcd["data"] for host, etcd in known.items() if etcd["data"]}
    empty = [host for host in shape["etcd"] if host in known and host not in data]
    gone = [] if data else _healthy_once(known)
    new = not data and not gone and known.keys() >= set(shape["etcd"])
    members = _members(known)
    return {
        "new": new,
        "joining": ([] if new else empty) + _learners(data, members),
        "surplus": bool(surplus(shape, members)),
        "problems": damaged(data, members=len(shape["etcd"]))
        + _foreign(known, whole(data), members)
        + _without_data(known, empty, gone, members, directories or {}),
    }


def _healthy_once(known: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    return [host for host, etcd in known.items() if etcd.get("was_healthy")]


def _without_data(
    known: t.Mapping[str, t.Mapping[str, t.Any]],
    empty: t.Iterable[str],
    gone: t.Sequence[str],
    members: t.Sequence[t.Mapping[str, t.Any]],
    directories: t.Mapping[str, str],
) -> list[str]:
    elsewhere = _elsewhere(known, empty, directories)
    others = [host for host in empty if host not in elsewhere]
    return list(elsewhere.values()) + _gone([host for host in gone if host in others], known) + _lost(others, members)


def _elsewhere(
    known: t.Mapping[str, t.Mapping[str, t.Any]], empty: t.Iterable[str], directories: t.Mapping[str, str]
) -> dict[str, str]:
    """Return hosts without data in the directory of their unit, where the inventory has another directory.

    Their data may be whole in the other one: nothing may be replaced or started.
    """
    return {
        host: f"{host}: its etcd runs with the data directory {known[host]['directory']}, which has no data, and "
        f"etcd_data_directory of the inventory is {directories[host]}. Nothing was changed, and the member must not "
        "be replaced: its data may be whole elsewhere. Put the directory that has it (it contains member/wal) into "
        "etcd_data_directory and, on the host, into --data-dir and ReadWritePaths of "
        "/etc/systemd/system/etcd.service, then: systemctl daemon-reload && systemctl restart etcd"
        for host in empty
        if known[host].get("started_with")
        and host in directories
        and known[host].get("directory", directories[host]) != directories[host]
    }


def _gone(hosts: t.Sequence[str], known: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return what is said where every member lost its data: an empty cluster in its place is never started."""
    if not hosts:
        return []
    places = ", ".join(dict.fromkeys(str(known[host].get("directory", "/var/lib/etcd")) for host in hosts))
    return [
        f"{', '.join(hosts)}: etcd was healthy there, and its data directory ({places}) has no data any more. A new, "
        "empty cluster was not started. Bring the data back, or restore a snapshot: ansible-playbook "
        "hardway.kubernetes.etcd_restore -e etcd_snapshot=FILE. To give up what the cluster held, remove "
        "/etc/etcd/bootstrap.env on these hosts"
    ]


def _members(known: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the members as the first host whose etcd answers has them."""
    return next((etcd["members"] for etcd in known.values() if etcd["members"]), [])


def _learners(hosts: t.Iterable[str], members: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return those of the hosts that have joined and do not vote yet."""
    learners = {member["name"] for member in members if member["learner"]}
    return [host for host in hosts if host in learners]


def _foreign(
    known: t.Mapping[str, t.Mapping[str, t.Any]],
    data: t.Mapping[str, t.Mapping[str, str]],
    members: t.Sequence[t.Mapping[str, t.Any]],
) -> list[str]:
    clusters: dict[str, list[str]] = {}
    for host, found in data.items():
        clusters.setdefault(found["cluster_id"], []).append(host)
    if len(clusters) > 1:
        owners = "; ".join(f"{', '.join(hosts)}: cluster {cluster}" for cluster, hosts in clusters.items())
        return [
            f"the data directories belong to different clusters ({owners}). None was changed. Find out "
            "which one is yours, move the other host's directory away while etcd is stopped there, and run this again"
        ]
    current = {member["id"] for member in members}
    return [
        f"{host}: its data directory belongs to member {found['member_id']}, which is not in the cluster any more. "
        f"It was not changed. To add the host again without that data: {REPLACE.format(host=host)}"
        for host, found in data.items()
        if current and not known[host]["members"] and found["member_id"] not in current
    ]


def _lost(empty: t.Sequence[str], members: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    names = {member["name"]: member["id"] for member in members}
    return [
        f"{host}: is member {names[host]} of the cluster and has no data any more, so it must not take part under that "
        f"ID again. To replace it: {REPLACE.format(host=host)}"
        for host in empty
        if host in names
    ]
