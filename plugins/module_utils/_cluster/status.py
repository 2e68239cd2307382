# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status: the readings of all hosts of a run as one value."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd_alarms import databases
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("Reading", "Status", "status")

#: The reading of ``host_facts`` of one host; empty when it was not reached, or is not part of the run.
Reading = t.Mapping[str, t.Any]
#: The documented value: see the RETURN of the action plugin ``cluster``.
Status = dict[str, t.Any]


def status(shape: Topology, readings: t.Mapping[str, Reading]) -> Status:
    """Return the status of the cluster.

    :param readings: by host of the run.
    """
    found = [reading for reading in readings.values() if reading]
    # Damaged data may not say whose it is.
    data = [reading["etcd"]["data"] for reading in found if reading["etcd"]["data"]]
    data.sort(key=lambda owner: "damaged" in owner)
    return {
        "exists": any(reading["cluster"] for reading in found) or bool(data),
        "hosts": {host: readings.get(host, {}) for host in shape["hosts"]},
        "etcd": {
            "cluster_id": data[0]["cluster_id"] if data else "",
            "members": next((reading["etcd"]["members"] for reading in found if reading["etcd"]["members"]), []),
            **databases(readings),
        },
        "api_serves": _api_serves([readings[host] for host in shape["controllers"] if readings.get(host)]),
        # Every API server says the same; one that does not answer says nothing.
        "nodes": next((reading["nodes"] for reading in found if reading["nodes"]), {}),
    }


def _api_serves(controllers: t.Sequence[Reading]) -> bool:
    """Return whether an API server runs; it is expected to where no controller was read, as nodes cannot do without."""
    return not controllers or any(found["units"].get("kube-apiserver.service") == "active" for found in controllers)
