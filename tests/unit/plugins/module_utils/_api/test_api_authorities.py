# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that may trust an authority of before, and the ConfigMap that aggregated API servers read."""

from __future__ import annotations

import base64
import copy
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.authorities import (
    bundled,
    outdated_pods,
    retire,
    retired,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import ApiError

EARLIER, WRITTEN, LATER = "2026-11-28T08:00:00Z", "2026-11-28T09:00:00Z", "2026-11-28T10:00:00Z"
PUBLISHED = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


class Api:
    """An API server in the place of a client."""

    def __init__(self, **lists: list[dict[str, t.Any]]) -> None:
        self.lists = lists
        self.config_map: dict[str, t.Any] = {}
        self.sent: list[dict[str, t.Any]] = []
        self.version = "7"
        self.refusal = 409
        # What an API server makes of the ConfigMap after each write.
        self.again: list[dict[str, t.Any]] = []

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
            if body["metadata"]["resourceVersion"] != self.version:
                self.config_map["metadata"]["resourceVersion"] = self.version
                raise ApiError(f"HTTP {self.refusal}", self.refusal)
            self.config_map = copy.deepcopy(self.again.pop() if self.again else body)
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


def removed(api: Api, *, write: bool = True) -> tuple[list[str], list[float]]:
    pauses: list[float] = []
    return retire(t.cast(t.Any, api), trusted=TRUSTED, write=write, pause=pauses.append), pauses


def test_the_rest_of_the_config_map_is_kept():
    api = api_with()
    before = copy.deepcopy(api.config_map)
    assert removed(api)[0] == ["client-ca-file"]
    assert api.sent == [{**before, "data": {**before["data"], "client-ca-file": pem(NEW)}}]
    # Nothing to do: no write, no pause.
    assert removed(api) == ([], [])
    assert len(api.sent) == 1


def test_an_old_authority_that_comes_back_is_removed_again():
    api = api_with()
    api.again = [copy.deepcopy(api.config_map)]
    assert removed(api)[0] == ["client-ca-file"]
    assert len(api.sent) == 2
    assert api.config_map["data"]["client-ca-file"] == pem(NEW)


def test_one_that_comes_back_for_ever_is_left_to_the_next_run():
    api = api_with()
    api.again = [copy.deepcopy(api.config_map) for _write in range(99)]
    assert removed(api)[0] == ["client-ca-file"]
    assert len(api.sent) == 10


def test_check_mode_writes_nothing():
    api = api_with()
    assert removed(api, write=False) == (["client-ca-file"], [])
    assert api.sent == []


def test_a_config_map_that_somebody_else_wrote_is_read_again():
    api = api_with("6")
    assert removed(api)[0] == ["client-ca-file"]
    assert [body["metadata"]["resourceVersion"] for body in api.sent] == ["6", "7"]


def test_a_refused_write_is_an_error():
    api = api_with("6")
    api.refusal = 403
    with pytest.raises(ApiError, match="403"):
        removed(api)


# --- certificates in objects of the API ---------------------------------------------------------------


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def webhook(name: str, bundle: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"name": name}, "webhooks": [{"clientConfig": {}}, {"clientConfig": {"caBundle": bundle}}]}


def test_webhooks_and_apis_with_the_old_authority_alone():
    api = Api(
        validatingwebhookconfigurations=[
            webhook("old", encoded(pem(OLD))),
            webhook("both", encoded(pem(OLD) + pem(NEW))),
            webhook("new", encoded(pem(NEW))),
            webhook("none", None),
            webhook("strange", "\u00e4"),
        ],
        apiservices=[{"metadata": {"name": "v1.metrics"}, "spec": {"caBundle": encoded(pem(OLD, width=64))}}],
        customresourcedefinitions=[
            {"metadata": {"name": "x"}, "spec": {"conversion": {"webhook": webhook("", encoded(pem(OLD)))}}},
            {"metadata": {"name": "y"}, "spec": {}},
        ],
    )
    assert bundled(t.cast(t.Any, api), old=pem(OLD), new=pem(NEW)) == [
        "ValidatingWebhookConfiguration old",
        "APIService v1.metrics",
        "CustomResourceDefinition x",
    ]
