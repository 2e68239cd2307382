# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alarms and databases of etcd in the status, and the warnings about them."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.sizes import RAISE_QUOTA, nearly_full, size_text

__all__ = ("alarm_warnings", "databases")

_MAINTAIN = "ansible-playbook hardway.kubernetes.etcd_maintain"


def _text(host: str, database: t.Mapping[str, int]) -> str:
    if not database:
        return host
    quota = f" of a quota of {size_text(database['quota'])}" if database["quota"] else ""
    return f"{host} (database {size_text(database['size'])}{quota}, {size_text(database['in_use'])} in use)"


def databases(readings: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return ``alarms`` by name of the member, and ``databases`` by host.

    :param readings: of ``host_facts`` by host; empty for a host that was not reached.
    """
    found = {host: reading["etcd"] for host, reading in readings.items() if reading}
    names = {member["id"]: member["name"] for etcd in found.values() for member in etcd["members"]}
    # Every member knows all alarms; one that does not answer knows none.
    alarms: list[dict[str, str]] = next((etcd["alarms"] for etcd in found.values() if etcd["alarms"]), [])
    return {
        "alarms": [{**alarm, "member": names.get(alarm["member"]) or alarm["member"]} for alarm in alarms],
        "databases": {host: etcd["database"] for host, etcd in found.items() if etcd["database"]},
    }


def alarm_warnings(status: t.Mapping[str, t.Any]) -> list[str]:
    """Return what is wrong with the databases of etcd, one sentence for each kind of alarm.

    :param status: see :func:`status.status`.
    """
    sizes = status["etcd"]["databases"]
    raised: dict[str, list[str]] = {}
    for entry in status["etcd"]["alarms"]:
        raised.setdefault(entry["alarm"], []).append(entry["member"])
    warnings = []
    for alarm, members in raised.items():
        names = ", ".join(_text(name, sizes.get(name, {})) for name in members)
        if alarm == "NOSPACE":
            warnings.append(
                f"etcd raised the alarm NOSPACE for {names}, and refuses writes until it is disarmed. To free space "
                f"and disarm it: {_MAINTAIN}. If the data in use fills the quota, {RAISE_QUOTA} first"
            )
        elif alarm == "CORRUPT":
            warnings.append(
                f"etcd raised the alarm CORRUPT for {names}: the data of the members differs, and no member is "
                "restarted until that is resolved. Do not compact or defragment. Replace the member whose data is "
                "wrong (ansible-playbook hardway.kubernetes.etcd_replace_member), or restore a backup from before "
                "(ansible-playbook hardway.kubernetes.etcd_restore)"
            )
        else:
            warnings.append(f"etcd raised the alarm {alarm} for {names}; see etcd's documentation")
    full = [host for host, database in sizes.items() if nearly_full(database["size"], database["quota"])]
    if full and "NOSPACE" not in raised:
        names = ", ".join(_text(host, sizes[host]) for host in full)
        warnings.append(
            f"etcd refuses writes once a database reaches its quota, and is near it on {names}. To free space: "
            f"{_MAINTAIN}; if the data in use needs the space, {RAISE_QUOTA}"
        )
    return warnings
