# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources that a pattern of an encryption configuration names, and where etcd has their objects."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import ApiError, Client, Object

__all__ = ("Resource", "everything", "resources", "storage_path")

# Groups whose objects are not under the name of their group.
_BUILT_IN = frozenset(
    (
        *("", "apps", "autoscaling", "batch", "extensions", "policy"),
        *(
            f"{name}.k8s.io"
            for name in (
                *("admissionregistration", "certificates", "coordination", "discovery", "events", "networking", "node"),
                *("flowcontrol.apiserver", "internal.apiserver", "rbac.authorization", "resource", "scheduling"),
                *("storage", "storagemigration"),
            )
        ),
    )
)
# Resources whose objects are elsewhere (Kubernetes' pkg/kubeapiserver/default_storage_factory_builder.go).
_SPECIAL = {
    "replicationcontrollers": "controllers",
    "endpoints": "services/endpoints",
    "nodes": "minions",
    "services": "services/specs",
}


class Resource(t.NamedTuple):
    """A resource whose objects can be listed and updated.

    :ivar path: of its list in all namespaces.
    :ivar storage: what its keys in etcd begin with, after the prefix of the API server.
    """

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool

    @property
    def base(self) -> str:
        """The path of its version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def path(self) -> str:
        """The path of the list in all namespaces."""
        return f"{self.base}/{self.name}"

    @property
    def storage(self) -> str:
        """The beginning of its keys in etcd, after the API server's prefix."""
        return storage_path(self.name, self.group)

    def object_path(self, found: Object) -> str:
        """Return the path of one of its objects."""
        metadata = found["metadata"]
        namespace = f"/namespaces/{quote(metadata['namespace'], safe='')}" if self.namespaced else ""
        return f"{self.base}{namespace}/{self.name}/{quote(metadata['name'], safe='')}"


def storage_path(name: str, group: str) -> str:
    """Return what the keys of a resource begin with in etcd, after the prefix of the API server."""
    if group in _BUILT_IN:
        return f"/{_SPECIAL.get(name, name) if not group else name}/"
    return f"/{group}/{name}/"


def everything(patterns: t.Iterable[str]) -> bool:
    """Return whether a pattern names more than one resource."""
    return any(pattern.startswith("*") for pattern in patterns)


def _versions(client: Client) -> dict[str, list[str]]:
    """Return the versions of each group, the preferred one first."""
    found = {"": ["v1"]}
    for group in client.request("GET", "/apis").get("groups", ()):
        preferred = group.get("preferredVersion", {}).get("version")
        versions = [str(entry["version"]) for entry in group.get("versions", ())]
        found[group["name"]] = [version for version in versions if version == preferred]
        found[group["name"]] += [version for version in versions if version != preferred]
    return found


def _listed(client: Client, group: str, version: str) -> list[Resource]:
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    try:
        listed = client.request("GET", base).get("resources", ())
    except ApiError as error:
        # An aggregated API keeps its objects itself, and may not answer.
        if error.status == 503 and group not in _BUILT_IN:
            return []
        raise
    return [
        Resource(group, version, entry["name"], entry["kind"], bool(entry["namespaced"]))
        for entry in listed
        if "/" not in entry["name"] and {"list", "update"} <= set(entry.get("verbs", ()))
    ]


def resources(client: Client, patterns: t.Collection[str]) -> list[Resource]:
    """Return the resources of an API server that patterns name, such as ``secrets``, ``*.apps`` or ``*.*``.

    :raises ApiError: the API server does not answer.
    """
    found: dict[tuple[str, str], Resource] = {}
    for group, versions in _versions(client).items():
        wanted = {pattern.partition(".")[0] for pattern in patterns if pattern.partition(".")[2] == group}
        if "*.*" in patterns:
            wanted.add("*")
        if not wanted:
            continue
        for version in versions:
            for resource in _listed(client, group, version):
                if "*" in wanted or resource.name in wanted:
                    found.setdefault((group, resource.name), resource)
    return list(found.values())
