# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weave Net's own status."""

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from support import Cluster, Node

_API = "http://127.0.0.1:6784"
_PEERS = "kube-peers.weave.works/peers"


def report(worker: Node) -> dict[str, t.Any]:
    """Return the status of the worker's peer."""
    answer = worker.out("curl", "--silent", "--fail", "--header", "Accept: application/json", f"{_API}/report")
    return t.cast(dict[str, t.Any], json.loads(answer))


def listed_peers(cluster: Cluster) -> set[str]:
    """The nodes on the list that the peers keep in the API."""
    kept = cluster.get("configmap", "weave-net", "--namespace=kube-system")["metadata"]["annotations"][_PEERS]
    return {peer["NodeName"] for peer in json.loads(kept)["Peers"]}
