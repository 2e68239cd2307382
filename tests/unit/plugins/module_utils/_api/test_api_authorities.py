# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that may trust an authority of before, and the ConfigMap that aggregated API servers read."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.authorities import outdated_pods, retire, retired
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import ApiError

EARLIER, WRITTEN, LATER = "2026-11-28T08:00:00Z", "2026-11-28T09:00:00Z", "2026-11-28T10:00:00Z"
PUBLISHED = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


class Api:
    """An API server in the place of a client."""

    def __init__(self, **lists: list[dict[str, t.Any]]) -> None:
        self.lists = lists
        self.config_map: dict[str, t.Any] = {}
        self.sent: list[dict[str, t.Any]] = []

    def pages(self, path: str, **parameters: str) -> t.Iterator[list[dict[str, t.Any]]]:
        found = self.lists.get(path.rsplit("/", 1)[1], [])
        if path.endswith("configmaps"):
            assert parameters == {"fieldSelector": "metadata.name=kube-root-ca.crt"}
        yield found[:1]
        yield found[1:]

    def request(self, method: str, path: str, body: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        assert path == PUBLISHED
        if method == "PUT":
            assert body is not None
            self.sent.append(body)
            if body["metadata"]["resourceVersion"] != "7":
                raise ApiError("HTTP 409", 409)
        return copy.deepcopy(self.config_map)


def config_map(namespace: str = "shop", *times: str) -> dict[str, t.Any]:
    fields = [{"manager": "kube-controller-manager", "time": time} for time in times]
    metadata = {"namespace": namespace, "creationTimestamp": EARLIER, "managedFields": fields}
    return {"metadata": {**metadata, "name": "kube-root-ca.crt"}}


def owned(kind: str, name: str) -> list[dict[str, t.Any]]:
    return [{"kind": "Other", "name": "x"}, {"kind": kind, "name": name, "controller": True}]


def pod(name: str, started: str = EARLIER, **changes: t.Any) -> dict[str, t.Any]:
    sources = [{"serviceAccountToken": {}}, {"configMap": {"name": changes.get("source", "kube-root-ca.crt")}}]
    metadata = {"namespace": changes.get("namespace", "shop"), "name": name, **changes.get("metadata", {})}
    return {
        "metadata": {**metadata, "ownerReferences": changes.get("owners", [])},
        "spec": {"volumes": [{"name": "data"}, {"projected": {"sources": sources}}]},
        "status": {"phase": changes.get("phase", "Running"), "startTime": started},
    }


def outdated(*pods: dict[str, t.Any], **lists: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return outdated_pods(t.cast(t.Any, Api(pods=[*pods], configmaps=[config_map("shop", EARLIER, WRITTEN)], **lists)))


def entry(kind: str, name: str, *pods: str, restarts: bool) -> dict[str, t.Any]:
    return {"namespace": "shop", "kind": kind, "name": name, "pods": [*pods], "restarts": restarts}


def test_a_pod_that_started_before_its_authorities_were_written():
    assert outdated(pod("old"), pod("new", LATER)) == [entry("Pod", "old", "old", restarts=False)]


def test_pods_are_named_by_what_makes_them_again():
    sets = [
        {"metadata": {"namespace": "shop", "name": "web-1", "ownerReferences": owned("Deployment", "web")}},
        {"metadata": {"namespace": "shop", "name": "bare-1"}},
        {"metadata": {"namespace": "other", "name": "db-1", "ownerReferences": owned("Deployment", "foreign")}},
    ]
    found = outdated(
        pod("web-1-b", owners=owned("ReplicaSet", "web-1")),
        pod("web-1-a", owners=owned("ReplicaSet", "web-1")),
        pod("bare-1-a", owners=owned("ReplicaSet", "bare-1")),
        pod("db-1-a", owners=owned("ReplicaSet", "db-1")),
        pod("log-a", owners=owned("DaemonSet", "log")),
        pod("store-0", owners=owned("StatefulSet", "store")),
        pod("once-a", owners=owned("Job", "once")),
        replicasets=sets,
    )
    assert found == [
        entry("DaemonSet", "log", "log-a", restarts=True),
        entry("Deployment", "web", "web-1-a", "web-1-b", restarts=True),
        entry("Job", "once", "once-a", restarts=False),
        entry("ReplicaSet", "bare-1", "bare-1-a", restarts=False),
        entry("ReplicaSet", "db-1", "db-1-a", restarts=False),
        entry("StatefulSet", "store", "store-0", restarts=True),
    ]


@pytest.mark.parametrize(
    "one",
    [
        pod("new", LATER),
        pod("same", WRITTEN),
        pod("waiting", ""),
        pod("over", phase="Succeeded"),
        pod("ending", metadata={"deletionTimestamp": LATER}),
        pod("without", source="settings"),
        pod("elsewhere", namespace="young"),
        {"metadata": {"namespace": "shop", "name": "static"}, "status": {"phase": "Running", "startTime": EARLIER}},
    ],
    ids=lambda one: one["metadata"]["name"],
)
def test_other_pods_are_not_named(one):
    assert outdated(one) == []


def test_a_config_map_without_fields_counts_from_its_creation():
    api = Api(pods=[pod("old", "2026-11-28T07:00:00Z"), pod("new")], configmaps=[config_map()])
    assert [found["name"] for found in outdated_pods(t.cast(t.Any, api))] == ["old"]


# --- what API servers publish -----------------------------------------------------------------------


def pem(text: str, width: int = 4) -> str:
    lines = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


OLD, NEW = "b2xkYXV0aG9yaXR5", "bmV3YXV0aG9yaXR5"


@pytest.mark.parametrize(
    ("published", "trusted", "expected"),
    [
        (pem(OLD) + pem(NEW), pem(NEW), pem(NEW)),
        (pem(OLD) + pem(NEW), pem(NEW, width=64), pem(NEW)),
        (pem(NEW), pem(NEW, width=64), None),
        (pem(OLD) + pem(NEW), pem(NEW) + pem(OLD), None),
        # API servers add what they trust first.
        (pem(OLD), pem(NEW), None),
        ("", pem(NEW), None),
    ],
)
def test_what_is_not_trusted_is_removed(published, trusted, expected):
    assert retired({"client-ca-file": published}, {"client-ca-file": trusted}) == (
        {} if expected is None else {"client-ca-file": expected}
    )


def api_with(version: str = "7") -> Api:
    api = Api()
    api.config_map = {
        "metadata": {"name": "x", "resourceVersion": version},
        "data": {"client-ca-file": pem(OLD) + pem(NEW), "requestheader-client-ca-file": pem(OLD), "other": "kept"},
    }
    return api


TRUSTED = {"client-ca-file": pem(NEW), "requestheader-client-ca-file": pem(OLD)}


def test_the_rest_of_the_config_map_is_kept():
    api = api_with()
    assert retire(t.cast(t.Any, api), trusted=TRUSTED, write=True) == ["client-ca-file"]
    (sent,) = api.sent
    assert sent == {**api.config_map, "data": {**api.config_map["data"], "client-ca-file": pem(NEW)}}
    api.config_map = sent
    assert retire(t.cast(t.Any, api), trusted=TRUSTED, write=True) == []
    assert len(api.sent) == 1


def test_check_mode_writes_nothing():
    api = api_with()
    assert retire(t.cast(t.Any, api), trusted=TRUSTED, write=False) == ["client-ca-file"]
    assert api.sent == []


def test_a_config_map_that_somebody_else_wrote_is_not_overwritten():
    with pytest.raises(ApiError, match="409"):
        retire(t.cast(t.Any, api_with("8")), trusted=TRUSTED, write=True)
