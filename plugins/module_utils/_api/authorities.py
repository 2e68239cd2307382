# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what still trusts an authority: pods that started before a change, and aggregated API servers."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import Client, Object

__all__ = ("outdated_pods", "retire", "retired")

#: The ConfigMap of each namespace with which its pods verify the API.
_ROOT = "kube-root-ca.crt"
_PUBLISHED = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
#: Kinds of which `kubectl rollout restart` starts new pods.
_ROLLED = ("DaemonSet", "Deployment", "StatefulSet")


# --- pods ---------------------------------------------------------------------------------------------------------


def _written(config_map: Object) -> str:
    """Return when an object was written last, as the API has times."""
    metadata = config_map["metadata"]
    times = [str(entry.get("time") or "") for entry in metadata.get("managedFields") or []]
    return max([*times, str(metadata.get("creationTimestamp") or "")])


def _given(pod: Object) -> bool:
    """Return whether a pod that may run has the authorities in a volume."""
    volumes = pod.get("spec", {}).get("volumes") or []
    sources = [source for volume in volumes for source in (volume.get("projected") or {}).get("sources") or []]
    runs = pod.get("status", {}).get("phase") in ("Running", "Pending") and not pod["metadata"].get("deletionTimestamp")
    return runs and any((source.get("configMap") or {}).get("name") == _ROOT for source in sources)


def _owner(entry: Object, replica_sets: t.Mapping[tuple[str, str], Object]) -> tuple[str, str]:
    """Return kind and name of the object that makes a pod again; those of the pod itself where nothing does."""
    for reference in entry["metadata"].get("ownerReferences") or []:
        if not reference.get("controller"):
            continue
        above = replica_sets.get((entry["metadata"]["namespace"], reference["name"]))
        if reference["kind"] == "ReplicaSet" and above is not None:
            kind, name = _owner(above, {})
            return (kind, name) if kind != "Pod" else ("ReplicaSet", str(reference["name"]))
        return str(reference["kind"]), str(reference["name"])
    return "Pod", str(entry["metadata"]["name"])


def outdated_pods(client: Client) -> list[dict[str, t.Any]]:
    """Return the workloads with pods that started before the authorities of their namespace were written last.

    Such a pod may trust those of before: many programs read them only when they start.

    :returns: ``namespace``, ``kind``, ``name``, ``pods`` (names) and ``restarts`` (whether `kubectl rollout restart`
        starts its pods again), in the order of these.
    :raises ApiError: the API server does not answer.
    """
    pages = client.pages("/api/v1/configmaps", fieldSelector=f"metadata.name={_ROOT}")
    written = {found["metadata"]["namespace"]: _written(found) for page in pages for found in page}
    replica_sets = {
        (found["metadata"]["namespace"], found["metadata"]["name"]): found
        for page in client.pages("/apis/apps/v1/replicasets")
        for found in page
    }
    workloads: dict[tuple[str, str, str], list[str]] = {}
    for page in client.pages("/api/v1/pods"):
        for pod in page:
            namespace = str(pod["metadata"]["namespace"])
            started = str(pod.get("status", {}).get("startTime") or "")
            if started and started < written.get(namespace, "") and _given(pod):
                owner = _owner(pod, replica_sets)
                workloads.setdefault((namespace, *owner), []).append(str(pod["metadata"]["name"]))
    return [
        {"namespace": namespace, "kind": kind, "name": name, "pods": sorted(pods), "restarts": kind in _ROLLED}
        for (namespace, kind, name), pods in sorted(workloads.items())
    ]


# --- aggregated API servers -----------------------------------------------------------------------------------------


def _plain(pem: str) -> str:
    """Return what a certificate says, however its lines are broken."""
    return "".join(pem.split())


def retired(published: t.Mapping[str, str], trusted: t.Mapping[str, str]) -> dict[str, str]:
    """Return the entries of a ConfigMap without the certificates that are not trusted, as far as that changes them.

    :param published: PEM by entry.
    :param trusted: PEM of all that is trusted, by entry. An entry with none of it is left alone.
    """
    found: dict[str, str] = {}
    for name, pem in trusted.items():
        own = {_plain(block) for block in _BLOCK.findall(pem)}
        blocks = _BLOCK.findall(published.get(name, ""))
        kept = [block for block in blocks if _plain(block) in own]
        if kept and len(kept) < len(blocks):
            found[name] = "".join(f"{block}\n" for block in kept)
    return found


def retire(client: Client, *, trusted: t.Mapping[str, str], write: bool) -> list[str]:
    """Remove authorities that API servers do not trust from the ConfigMap that aggregated API servers read.

    API servers add theirs to it, and remove none before it has expired.

    :param trusted: PEM of what API servers trust, by entry of the ConfigMap.
    :param write: false to predict only.
    :returns: the entries that change.
    :raises ApiError: the API server does not answer, or somebody else wrote the ConfigMap meanwhile.
    """
    config_map = client.request("GET", _PUBLISHED)
    changed = retired(config_map.get("data") or {}, trusted)
    if changed and write:
        client.request("PUT", _PUBLISHED, {**config_map, "data": {**config_map["data"], **changed}})
    return list(changed)
