# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of an API server become what an upgrade would hurt."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._host import workloads as module


def series(resource: str, removed: str, value: int = 1, subresource: str = "") -> str:
    """Return a line of an API server's metrics."""
    labels = f'group="example.io",removed_release="{removed}",resource="{resource}",subresource="{subresource}"'
    return f'apiserver_requested_deprecated_apis{{{labels},version="v1beta3"}} {value}'


METRICS = "\n".join(
    [
        "# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested",
        "# TYPE apiserver_requested_deprecated_apis gauge",
        series("componentstatuses", ""),
        series("flows", "1.37"),
        series("flows", "1.37", subresource="status"),
        series("unused", "1.36", 0),
        'apiserver_requests_total{code="200"} 1',
        "",
    ]
)


def test_deprecated_apis():
    assert module.deprecated_apis(METRICS) == [
        {"group": "example.io", "version": "v1beta3", "resource": "flows", "removed_release": "1.37"}
    ]
    assert module.deprecated_apis("") == []


def pod(
    name: str, *, owner: str = "ReplicaSet", phase: str = "Running", volumes: t.Sequence[str] = (), **more: t.Any
) -> dict[str, t.Any]:
    metadata: dict[str, t.Any] = {"namespace": "shop", "name": name, **more}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner, "name": "x"}]
    return {
        "metadata": metadata,
        "spec": {"volumes": [{"name": f"v{number}", kind: {}} for number, kind in enumerate(volumes)]},
        "status": {"phase": phase},
    }


def workload(name: str, **spec: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"namespace": "shop", "name": name}, "spec": spec}


def budget(name: str, expected: int, allowed: int) -> dict[str, t.Any]:
    return {**workload(name), "status": {"expectedPods": expected, "disruptionsAllowed": allowed}}


ANSWERS: dict[str, list[dict[str, t.Any]]] = {
    "/api/v1/pods?fieldSelector=spec.nodeName%3Dwrk01": [
        pod("web", volumes=["configMap", "emptyDir"]),
        pod("plain"),
        pod("bare", owner=""),
        pod("flannel", owner="DaemonSet", volumes=["emptyDir"]),
        pod("static", owner="Node", annotations={"kubernetes.io/config.mirror": "x"}),
        pod("done", owner="", phase="Succeeded"),
    ],
    "/api/v1/pods?fieldSelector=spec.nodeName%3Dwrk02": [],
    "/apis/apps/v1/deployments": [
        workload("one", replicas=1),
        workload("two", replicas=2),
        workload("off", replicas=0),
    ],
    "/apis/apps/v1/statefulsets": [workload("store")],
    "/apis/policy/v1/poddisruptionbudgets": [budget("tight", 2, 0), budget("loose", 2, 1), budget("empty", 0, 0)],
}


def test_what_a_drain_moves():
    def get(path: str) -> str:
        return METRICS if path == "/metrics" else json.dumps({"items": ANSWERS[path]})

    assert module.read_workloads(get, ["wrk01", "wrk02"]) == {
        "pods": [
            {"node": "wrk01", "name": "shop/web", "managed": True, "local_data": True},
            {"node": "wrk01", "name": "shop/plain", "managed": True, "local_data": False},
            {"node": "wrk01", "name": "shop/bare", "managed": False, "local_data": False},
        ],
        "single": ["deployment shop/one", "statefulset shop/store"],
        "budgets": ["shop/tight"],
        "deprecated": [{"group": "example.io", "version": "v1beta3", "resource": "flows", "removed_release": "1.37"}],
    }
