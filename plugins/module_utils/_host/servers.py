# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask etcd and the API server, with the certificates of this host. Nothing is changed."""

from __future__ import annotations

import http.client
import json
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client, EtcdError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reading import condition
from ansible_collections.hardway.kubernetes.plugins.module_utils._http import request, tls_context

__all__ = ("api_version", "etcd")

_ETCD_FILES = {"ca_cert": "ca", "client_cert": "kubernetes", "client_key": "kubernetes-key"}


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


def api_version(server: str, names: t.Sequence[str], directory: str = "/var/lib/kubelet") -> str:
    """Return the version of the API server that the kubelet of this host reaches; empty where none answers.

    :param server: its URL.
    :param names: names of the kubelet's certificates, at least one.
    """
    certificate = os.path.join(directory, names[0])
    try:
        context = tls_context(
            ca_cert="/var/lib/kubernetes/ca.pem",
            client_cert=f"{certificate}.pem",
            client_key=f"{certificate}-key.pem",
        )
        answer = request(f"{server}/version", context=context, timeout=2.0, limit=65536)
        return str(json.loads(answer.body)["gitVersion"]).lstrip("v") if answer.status == 200 else ""
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""
