# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what still trusts an authority: pods that started before a change, and aggregated API servers."""

from __future__ import annotations

import base64
import contextlib
import re
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import ApiError, Client, Object

__all__ = ("bundled", "outdated_pods", "retire", "retired")

#: The ConfigMap of each namespace with which its pods verify the API.
_ROOT = "kube-root-ca.crt"
_PUBLISHED = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
# How often what API servers publish is looked at, with pauses in seconds, and when it counts as left alone.
_ATTEMPTS, _PAUSE, _QUIET = 10, 3.0, 2
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
#: Objects with a caBundle.
_WITH_BUNDLES = {
    "ValidatingWebhookConfiguration": f"{_ADMISSION}/validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": f"{_ADMISSION}/mutatingwebhookconfigurations",
    "APIService": "/apis/apiregistration.k8s.io/v1/apiservices",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}
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


def retire(
    client: Client, *, trusted: t.Mapping[str, str], write: bool, pause: t.Callable[[float], None] = time.sleep
) -> list[str]:
    """Remove authorities that API servers do not trust from the ConfigMap that aggregated API servers read.

    API servers add theirs to it, and remove none before it has expired. One that has not read its own files again yet
    may add an old one once more, so that what was removed is looked at again.

    :param trusted: PEM of what API servers trust, by entry of the ConfigMap.
    :param write: false to predict only.
    :param pause: waits for a number of seconds.
    :returns: the entries that change.
    :raises ApiError: the API server does not answer.
    """
    changed: dict[str, None] = {}
    quiet = 0
    for _attempt in range(_ATTEMPTS):
        config_map = client.request("GET", _PUBLISHED)
        found = retired(config_map.get("data") or {}, trusted)
        changed.update(dict.fromkeys(found))
        quiet = 0 if found else quiet + 1
        if not write or not changed or quiet == _QUIET:
            break
        if found:
            _put(client, {**config_map, "data": {**config_map["data"], **found}})
        pause(_PAUSE)
    return list(changed)


def _put(client: Client, config_map: Object) -> None:
    """Write the ConfigMap, unless somebody else did so meanwhile: it is read again then."""
    try:
        client.request("PUT", _PUBLISHED, config_map)
    except ApiError as error:
        if error.status != 409:
            raise


# --- certificates in objects of the API -------------------------------------------------------------------------------


def _bundles(value: t.Any) -> t.Iterator[str]:
    """Yield every caBundle in an object, as PEM."""
    if isinstance(value, dict):
        for name, entry in value.items():
            if name == "caBundle" and isinstance(entry, str):
                with contextlib.suppress(ValueError):
                    yield base64.b64decode(entry).decode("ascii")
            else:
                yield from _bundles(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _bundles(entry)


def bundled(client: Client, *, old: str, new: str) -> list[str]:
    """Return the webhooks and APIs that are verified with an old authority, and not with the new one too.

    :param old: PEM of one certificate.
    :param new: PEM of one certificate.
    :returns: kind and name, such as ``ValidatingWebhookConfiguration checks``.
    :raises ApiError: the API server does not answer.
    """
    found = []
    for kind, path in _WITH_BUNDLES.items():
        for page in client.pages(path):
            for entry in page:
                texts = [_plain(text) for text in _bundles(entry.get("spec"))]
                texts += [_plain(text) for text in _bundles(entry.get("webhooks"))]
                if any(_plain(old) in text and _plain(new) not in text for text in texts):
                    found.append(f"{kind} {entry['metadata']['name']}")
    return found
