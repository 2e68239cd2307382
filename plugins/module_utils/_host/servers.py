# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the etcd member of this host, with the client certificate that is there. Nothing is changed."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client, EtcdError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reading import condition

__all__ = ("etcd",)

_ETCD_FILES = {"ca_cert": "ca", "client_cert": "etcdctl", "client_key": "etcdctl-key"}


def etcd() -> dict[str, t.Any]:
    """Return ``members`` as the etcd of this host knows them, with its ``alarms`` and ``database``.

    Of a learner, or a member that is not ready, only what it answers.
    """
    found: dict[str, t.Any] = {}
    files = {option: f"/etc/etcd/{name}.pem" for option, name in _ETCD_FILES.items()}
    try:
        client = Client(endpoints=["https://127.0.0.1:2379"], timeout=2.0, **files)
        found["members"] = [
            {
                "id": f"{int(member['ID']):x}",
                "name": member.get("name", ""),
                "peer_urls": member.get("peerURLs", []),
                "learner": member.get("isLearner", False),
            }
            for member in client.first("/v3/cluster/member/list")[1].get("members", [])
        ]
        found.update(condition(client))
    except EtcdError:
        pass
    return found
