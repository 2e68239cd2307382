# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of etcd data that is damaged, with the way that is safe for the members that are whole."""

from __future__ import annotations

import typing as t

__all__ = ("REPLACE", "damaged", "whole")

#: The way for a member whose data is not of use any more.
REPLACE = "ansible-playbook hardway.kubernetes.etcd_replace_member -e etcd_lost={host}"
Data = t.Mapping[str, t.Mapping[str, str]]


def whole(data: Data) -> dict[str, t.Mapping[str, str]]:
    """Return the data that is not damaged, by host."""
    return {host: found for host, found in data.items() if not found.get("damaged")}


def damaged(data: Data, *, members: int) -> list[str]:
    """Return a problem for each host whose data is damaged.

    :param data: the data of each host that has some, as ``host_facts`` reads it.
    :param members: how many hosts etcd has.
    """
    broken = {host: found["damaged"] for host, found in data.items() if found.get("damaged")}
    kept = "Nothing was changed. Keep a copy of the directory until the cluster works again"
    if len(broken) * 2 < members:
        return [
            f"{host}: its etcd data is damaged ({what}), and etcd must not start on it. {kept}. The other members have "
            f"the data; to replace this one: {REPLACE.format(host=host)}"
            for host, what in broken.items()
        ]
    way = "restore a backup: ansible-playbook hardway.kubernetes.etcd_restore -e etcd_snapshot=FILE"
    if len(broken) < members == 2:
        way = f"go on with the other member's data: {REPLACE}, or {way}"
    return [
        f"{host}: its etcd data is damaged ({what}), and etcd must not start on it; {len(broken)} of {members} members "
        f"are damaged, so that there is no quorum. {kept}. Then {way.format(host=host)}"
        for host, what in broken.items()
    ]
