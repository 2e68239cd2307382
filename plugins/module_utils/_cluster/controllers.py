# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that leave: what the inventory lacks and still runs, and which controller can be removed."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd_damage import REPLACE
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading, Status
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("controller_problems", "removal")

_REMOVE = "ansible-playbook hardway.kubernetes.remove_controller -e remove_controller"


def controller_problems(shape: Topology, readings: t.Mapping[str, Reading], found: Status) -> list[str]:
    """Return the API servers and members that run under a name or address which the inventory does not have.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param found: what the readings say together.
    """
    return _unknown_servers(shape, readings) + _renamed_members(shape, readings, found)


def _unknown_servers(shape: Topology, readings: t.Mapping[str, Reading]) -> list[str]:
    """Every API server lists all of them in the Service ``kubernetes``, and one that is lost for 15 seconds no more."""
    own = {address for host in shape["controllers"] for address in shape["all_addresses"][host]}
    listed: list[str] = next(
        (found["api_servers"] for found in readings.values() if found and found.get("api_servers")), []
    )
    return [
        f"group 'controllers' lacks the host of the API server at {address}, which runs and would go on without being "
        f"kept up to date: put the host back into the inventory, and remove it: {_REMOVE}=HOST. If that host is lost, "
        "it is off the cluster's list within a minute: run this again. If the address of a controller was changed, "
        "stop the API server on its host first: systemctl stop kube-apiserver"
        for address in listed
        if address not in own
    ]


def _renamed_members(shape: Topology, readings: t.Mapping[str, Reading], found: Status) -> list[str]:
    """Return the hosts whose etcd is a member with a name that the inventory does not have."""
    names = {member["id"]: member["name"] for member in found["etcd"]["members"]}
    problems = []
    for host in shape["etcd"]:
        data = (readings.get(host) or {"etcd": {"data": None}})["etcd"]["data"] or {}
        old = names.get(str(data.get("member_id")), "")
        if old and old not in shape["etcd"]:
            problems.append(
                f"{host}: its etcd is the member {old}, which the inventory does not have; a member cannot be renamed: "
                f"put the name {old} back. To give the host another name, remove it under the old one "
                f"({_REMOVE}={old}), wipe the host, and add it under the new name"
            )
    return problems


def removal(shape: Topology, found: Status, server: str) -> dict[str, list[str]]:
    """Return why a controller cannot be removed, one sentence each, by controller; nothing for one that can.

    :param server: URL at which nodes and clients reach the API.
    """
    return {host: _kept(host, shape, found, server) for host in shape["controllers"]}


def _kept(host: str, shape: Topology, found: Status, server: str) -> list[str]:
    problems = []
    if shape["controllers"] == [host]:
        problems.append(f"{host} is the last controller: without it there is no API")
    elif urllib.parse.urlsplit(server).hostname in (host, *shape["all_addresses"][host]):
        problems.append(
            f"nodes and clients reach the API at {server}, which is {host}: set cluster_api_server to another address, "
            "or put another controller first in the inventory, and run site.yml before"
        )
    return problems + _quorum(host, found)


def _quorum(host: str, found: Status) -> list[str]:
    """Return why etcd would not be able to do without a member, or to agree on its removal."""
    members = [member for member in found["etcd"]["members"] if not member["learner"]]
    names = [str(member["name"]) for member in members]
    if host not in names:
        return []
    if names == [host]:
        return [f"{host} is the last member of etcd: without it the data is lost"]
    # The database of a member is read from the member itself.
    up = [name for name in names if name in found["etcd"]["databases"]]
    now, then = len(names) // 2 + 1, (len(names) - 1) // 2 + 1
    left = [name for name in up if name != host]
    if len(up) >= now and len(left) >= then:
        return []
    down = [name for name in names if name not in up]
    return [
        f"etcd would be without a quorum: of its {len(names)} members ({', '.join(names)}) "
        f"{', '.join(down)} {'does' if len(down) == 1 else 'do'} not answer; {now} have to agree that {host} leaves, "
        f"and {then} of the others have to run afterwards: {_way_to_quorum(host, down)}"
    ]


def _way_to_quorum(host: str, down: t.Sequence[str]) -> str:
    others = [name for name in down if name != host]
    if others:
        return f"start etcd on {', '.join(others)} first"
    return f"put a new host in its place, and replace its member: {REPLACE.format(host=host)}"
