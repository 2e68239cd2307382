# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the alarms of a cluster and the size of one member's database."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client

__all__ = ("condition", "raised")


# An alarm among the errors of a member's status, as the text form of its protobuf message.
_ALARM = re.compile(r"memberID:(\d+)\s+alarm:(\w+)")


def raised(client: Client) -> list[dict[str, str]]:
    """Return the alarms that are raised, with the member's ID in hexadecimal digits.

    etcd writes the question into its log, as it does with a change.

    :raises EtcdError: no endpoint can be used, or there is no quorum.
    """
    answer = client.first("/v3/maintenance/alarm", {"action": "GET"})[1]
    return [
        {"member": f"{int(entry.get('memberID', 0)):x}", "alarm": str(entry.get("alarm", "NONE"))}
        for entry in answer.get("alarms", ())
    ]


def condition(client: Client) -> dict[str, t.Any]:
    """Return ``alarms`` of the cluster and ``database`` of the member that answers.

    ``database`` has ``size``, ``in_use`` and ``quota`` in bytes; the quota is 0 where etcd does not report it (before
    3.6). Alarms are those that the member knows of: only its status is read, which writes nothing.

    :raises EtcdError: the endpoint cannot be used.
    """
    status = client.first("/v3/maintenance/status")[1]
    database = {"size": "dbSize", "in_use": "dbSizeInUse", "quota": "dbSizeQuota"}
    return {
        "alarms": [
            {"member": f"{int(member):x}", "alarm": alarm}
            for member, alarm in _ALARM.findall("\n".join(status.get("errors", ())))
        ],
        "database": {name: int(status.get(field, 0)) for name, field in database.items()},
    }
