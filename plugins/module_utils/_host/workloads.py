# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the API what an upgrade could hurt: pods of some nodes, single replicas, budgets, and old APIs in use."""

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse

__all__ = ("deprecated_apis", "read_workloads")

#: Returns the text at a path of the API.
Get = t.Callable[[str], str]

_WORKLOADS = ("deployments", "statefulsets")
_MIRROR = "kubernetes.io/config.mirror"
_SERIES = re.compile(r"^apiserver_requested_deprecated_apis\{(.*)\} 1(?:\.0)?$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def _items(get: Get, path: str) -> list[dict[str, t.Any]]:
    return list(json.loads(get(path)).get("items") or [])


def _name(found: t.Mapping[str, t.Any]) -> str:
    return f"{found['metadata']['namespace']}/{found['metadata']['name']}"


def _pod(pod: t.Mapping[str, t.Any], node: str) -> dict[str, t.Any] | None:
    """Return what a drain does to a pod; None for one that it leaves, or that has ended."""
    owners = [owner["kind"] for owner in pod["metadata"].get("ownerReferences") or []]
    stays = "DaemonSet" in owners or _MIRROR in (pod["metadata"].get("annotations") or {})
    if stays or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return None
    volumes = pod["spec"].get("volumes") or []
    return {
        "node": node,
        "name": _name(pod),
        "managed": bool(owners),
        "local_data": any("emptyDir" in volume for volume in volumes),
    }


def deprecated_apis(metrics: str) -> list[dict[str, str]]:
    """Return ``group``, ``version``, ``resource`` and ``removed_release`` of the deprecated APIs that were requested.

    :param metrics: of an API server, in the text format of Prometheus. It counts since it was started.
    """
    found = []
    for series in _SERIES.finditer(metrics):
        labels = dict(_LABEL.findall(series[1]))
        one = {name: labels.get(name, "") for name in ("group", "version", "resource", "removed_release")}
        if one["removed_release"] and one not in found:
            found.append(one)
    return found


def read_workloads(get: Get, nodes: t.Iterable[str]) -> dict[str, t.Any]:
    """Return ``pods``, ``single`` replicas, ``budgets`` that allow no disruption, and ``deprecated`` APIs.

    :param get: see :data:`Get`.
    :param nodes: nodes that are drained.
    """
    pods = []
    for node in nodes:
        selector = urllib.parse.urlencode({"fieldSelector": f"spec.nodeName={node}"})
        pods += [found for pod in _items(get, f"/api/v1/pods?{selector}") if (found := _pod(pod, node))]
    return {
        "pods": pods,
        "single": [
            f"{kind[:-1]} {_name(workload)}"
            for kind in _WORKLOADS
            for workload in _items(get, f"/apis/apps/v1/{kind}")
            if workload["spec"].get("replicas", 1) == 1
        ],
        "budgets": [
            _name(budget)
            for budget in _items(get, "/apis/policy/v1/poddisruptionbudgets")
            if budget.get("status", {}).get("expectedPods") and not budget["status"].get("disruptionsAllowed")
        ],
        "deprecated": deprecated_apis(get("/metrics")),
    }
