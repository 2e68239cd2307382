# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of a cluster's API servers and kubelets while it is upgraded, and what is wrong with them."""

from __future__ import annotations

import json
import threading
import typing as t

from support import local

if t.TYPE_CHECKING:
    from support import Cluster

# Seconds between two looks.
_EVERY = 1.0


def minor(version: str) -> int:
    """Return the second part of a version such as "v1.37.2"."""
    return int(version.removeprefix("v").split(".")[1])


def wrong(servers: t.Mapping[str, str], nodes: t.Mapping[str, str]) -> list[str]:
    """Return what the version skew policy of Kubernetes forbids.

    API servers are within one minor version of each other. A kubelet is not newer than any of them, and at most three
    minor versions older (https://kubernetes.io/releases/version-skew-policy/).

    :param servers: versions of the API servers that answer, by host.
    :param nodes: versions of the kubelets, by node.
    """
    found = {host: minor(version) for host, version in servers.items()}
    if not found:
        return []
    oldest, newest = min(found.values()), max(found.values())
    faults = [f"API servers are more than one minor version apart: {dict(servers)}"] if newest - oldest > 1 else []
    for node, version in nodes.items():
        if not newest - 3 <= minor(version) <= oldest:
            faults.append(f"kubelet {node} {version} beside API servers {dict(servers)}")
    return faults


def kubelets(cluster: Cluster) -> set[str]:
    """Return the versions of all kubelets."""
    return {node["status"]["nodeInfo"]["kubeletVersion"] for node in cluster.get("nodes")["items"]}


class Versions:
    """Looks at the versions every second while the context is open.

    :ivar looks: number of looks at which an API server answered.
    :ivar servers: every set of versions of API servers that was seen at one time.
    :ivar faults: what was wrong, each once.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.looks = 0
        self.servers: set[frozenset[str]] = set()
        self.faults: dict[str, None] = {}

    def __enter__(self) -> Versions:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join(timeout=60)

    def _ask(self, address: str, path: str) -> dict[str, t.Any] | None:
        pki = self._cluster.pki
        pair = ("--cert", str(pki / "admin.pem"), "--key", str(pki / "admin-key.pem"))
        url = f"https://{address}:6443{path}"
        done = local("curl", "--silent", "--fail", "--max-time", "3", "--cacert", str(pki / "ca.pem"), *pair, url)
        return t.cast(dict[str, t.Any], json.loads(done.stdout)) if done.returncode == 0 else None

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            # The kubelets first: whatever an upgrade does meanwhile makes API servers newer, not older.
            listed = (self._ask(node.address, "/api/v1/nodes") for node in self._cluster.controllers)
            nodes = next(filter(None, listed), None)
            asked = {node.name: self._ask(node.address, "/version") for node in self._cluster.controllers}
            servers = {host: str(answer["gitVersion"]) for host, answer in asked.items() if answer}
            if not nodes or not servers:
                continue
            found = {
                node["metadata"]["name"]: str(node["status"]["nodeInfo"]["kubeletVersion"]) for node in nodes["items"]
            }
            self.looks += 1
            self.servers.add(frozenset(servers.values()))
            self.faults |= dict.fromkeys(wrong(servers, found))
