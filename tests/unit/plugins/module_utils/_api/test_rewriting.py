# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects are written again until etcd has none of another key: a server of the API and an etcd in memory."""

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import ApiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.resources import resources, storage_path
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.rewriting import (
    RewriteError,
    Target,
    rewrite,
    survey,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd import values

OLD, NEW, PLAIN = b"k8s:enc:aescbc:v1:key1:\x8f\x00", b"k8s:enc:secretbox:v1:key2:\x8f\x00", b"k8s\x00\n\x0c\n"
ALL = ["get", "list", "update"]
API = {
    "/api/v1": [
        {"name": "secrets", "kind": "Secret", "namespaced": True, "verbs": ALL},
        {"name": "nodes", "kind": "Node", "namespaced": False, "verbs": ALL},
        {"name": "nodes/status", "kind": "Node", "namespaced": False, "verbs": ALL},
        {"name": "componentstatuses", "kind": "ComponentStatus", "namespaced": False, "verbs": ["get", "list"]},
    ],
    "/apis/apps/v1": [{"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ALL}],
    "/apis/example.com/v1": [{"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": ALL}],
    "/apis/example.com/v1alpha1": [
        {"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": ALL},
        {"name": "gadgets", "kind": "Gadget", "namespaced": False, "verbs": ALL},
    ],
}
GROUPS = [
    {"name": "apps", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
    {
        "name": "example.com",
        "versions": [{"version": "v1alpha1"}, {"version": "v1"}],
        "preferredVersion": {"version": "v1"},
    },
    {"name": "aggregated.example.com", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
]


class Cluster:
    """API servers and etcd.

    :ivar stored: values by key of etcd.
    :ivar objects: keys of etcd by path of an object.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {"/registry/minions/a": PLAIN, "/registry/ranges/serviceips": OLD}
        self.objects: dict[str, str] = {}
        self.puts: list[tuple[str, t.Any]] = []
        self.answers: dict[str, int] = {}

    def put(self, path: str, key: str, value: bytes) -> None:
        self.objects[path] = key
        self.stored[key] = value

    # --- the API's client ---

    def request(self, method: str, path: str, body: t.Any = None) -> t.Any:
        if method == "GET" and path == "/apis":
            return {"groups": GROUPS}
        if method == "GET" and path in API:
            return {"resources": API[path]}
        if method == "PUT":
            self.puts.append((path, body))
            if self.answers.get(path):
                raise ApiError(f"PUT {path}: HTTP {self.answers[path]}", self.answers[path])
            self.stored[self.objects[path]] = NEW
            return {}
        raise ApiError(f"{method} {path}: HTTP 503", 503)

    def pages(self, path: str) -> t.Iterator[list[t.Any]]:
        base, name = path.rsplit("/", 1)
        for found in list(self.objects):
            parts = found[len(base) + 1 :].split("/")
            if found.startswith(f"{base}/") and parts[-2] == name:
                namespace = {"namespace": parts[1]} if parts[0] == "namespaces" else {}
                yield [{"metadata": {"name": parts[-1], **namespace, "resourceVersion": "7"}}]

    # --- etcd's client ---

    def first(self, path: str, body: dict[str, t.Any]) -> tuple[str, dict[str, t.Any]]:
        assert path == "/v3/kv/range"
        start, end = (base64.b64decode(body[name]).decode() for name in ("key", "range_end"))
        keys = sorted(key for key in self.stored if start <= key < end)
        kvs = [
            {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(self.stored[key]).decode()}
            for key in keys[: body["limit"]]
        ]
        return "", {"kvs": kvs, "more": len(keys) > body["limit"]}


@pytest.fixture
def cluster():
    found = Cluster()
    for number in range(250):
        found.put(f"/api/v1/namespaces/a/secrets/s{number}", f"/registry/secrets/a/s{number}", OLD)
    found.put("/apis/apps/v1/namespaces/a/deployments/d", "/registry/deployments/a/d", PLAIN)
    found.put("/apis/example.com/v1/namespaces/a/widgets/w", "/registry/example.com/widgets/a/w", OLD)
    found.put("/apis/example.com/v1alpha1/gadgets/g", "/registry/example.com/gadgets/g", PLAIN)
    return found


def target(*patterns):
    return Target(patterns, "secretbox key2", "/registry")


def done(cluster, *patterns, timeout=60):
    return rewrite(cluster, cluster, target(*patterns), timeout=timeout, sleep=lambda _seconds: None)


def test_objects_are_written_as_they_are(cluster):
    updates, found = done(cluster, "secrets")
    assert (updates, found.keys, found.remaining) == (250, 250, {})
    path, body = cluster.puts[0]
    assert path == "/api/v1/namespaces/a/secrets/s0"
    assert body == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s0", "namespace": "a", "resourceVersion": "7"},
    }
    assert cluster.stored["/registry/deployments/a/d"] == PLAIN
    cluster.puts.clear()
    assert done(cluster, "secrets")[0] == 0
    assert cluster.puts == []


def test_custom_resources(cluster):
    assert done(cluster, "widgets.example.com", "gadgets.example.com")[0] == 2
    assert [(body["apiVersion"], body["kind"]) for _path, body in cluster.puts] == [
        ("example.com/v1", "Widget"),
        ("example.com/v1alpha1", "Gadget"),
    ]


def test_a_group(cluster):
    # Elsewhere nothing may be left that another key encrypted: no API shows the ranges.
    cluster.stored = {key: value for key, value in cluster.stored.items() if "example.com" in key}
    assert done(cluster, "*.example.com")[0] == 2
    assert set(cluster.stored.values()) == {NEW}


def test_everything_waits_for_what_the_api_server_writes_itself(cluster):
    def api_server(_seconds):
        cluster.stored["/registry/ranges/serviceips"] = NEW

    cluster.put("/api/v1/nodes/a", "/registry/minions/a", PLAIN)
    updates, found = rewrite(cluster, cluster, target("*.*"), timeout=60, sleep=api_server)
    assert updates == 254
    assert found.remaining == {}
    assert set(cluster.stored.values()) == {NEW}


def test_what_is_changed_or_deleted_meanwhile_is_looked_at_again(cluster):
    path, key = "/api/v1/namespaces/a/secrets/s1", "/registry/secrets/a/s1"
    cluster.answers[path] = 409

    def somebody(_seconds):
        assert cluster.stored[key] == OLD
        del cluster.answers[path]

    assert rewrite(cluster, cluster, target("secrets"), timeout=60, sleep=somebody)[1].remaining == {}


def test_what_the_api_server_refuses_is_named(cluster):
    cluster.answers["/api/v1/namespaces/a/secrets/s1"] = 403
    # Somebody else writes it all the time, which is not a refusal.
    cluster.answers["/api/v1/namespaces/a/secrets/s2"] = 409
    with pytest.raises(RewriteError) as caught:
        done(cluster, "secrets", timeout=-1)
    message = str(caught.value)
    assert "2 aescbc key1 (/registry/secrets/a/s1, /registry/secrets/a/s2)" in message
    assert "409" not in message
    assert "PUT /api/v1/namespaces/a/secrets/s1: HTTP 403" in message
    assert "No key was removed" in message


def test_values_of_a_resource_that_is_not_served_any_more(cluster):
    cluster.stored["/registry/gone.example.com/things/a/t"] = OLD
    with pytest.raises(RewriteError, match=r"/registry/gone\.example\.com/things/a/t"):
        done(cluster, "things.gone.example.com", timeout=-1)


def test_a_survey_changes_nothing(cluster):
    found = survey(cluster, target("secrets"), resources(cluster, ["secrets"]))
    assert found.remaining == {"aescbc key1": 250}
    assert found.examples == [f"/registry/secrets/a/s{number}" for number in (0, 1, 10, 100, 101)]
    assert cluster.puts == []
    everything = survey(cluster, target("*.*"), resources(cluster, ["*.*"]))
    # The range of Service addresses has the old key; the node is a resource that is not encrypted.
    assert everything.remaining == {"aescbc key1": 252, "not encrypted": 3}


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["secrets"], ["secrets"]),
        (["*."], ["secrets", "nodes"]),
        (["deployments.apps"], ["deployments"]),
        (["*.example.com"], ["widgets", "gadgets"]),
        (["*.*"], ["secrets", "nodes", "deployments", "widgets", "gadgets"]),
        (["unknown"], []),
    ],
)
def test_the_resources_of_a_pattern(cluster, patterns, names):
    assert [resource.name for resource in resources(cluster, patterns)] == names


@pytest.mark.parametrize(
    ("name", "group", "path"),
    [
        ("secrets", "", "/secrets/"),
        ("nodes", "", "/minions/"),
        ("services", "", "/services/specs/"),
        ("endpoints", "", "/services/endpoints/"),
        ("nodes", "example.com", "/example.com/nodes/"),
        ("deployments", "apps", "/deployments/"),
        ("networkpolicies", "networking.k8s.io", "/networkpolicies/"),
        ("clusterroles", "rbac.authorization.k8s.io", "/clusterroles/"),
        ("apiservices", "apiregistration.k8s.io", "/apiregistration.k8s.io/apiservices/"),
        ("gateways", "gateway.networking.k8s.io", "/gateway.networking.k8s.io/gateways/"),
    ],
)
def test_where_etcd_has_the_objects(name, group, path):
    assert storage_path(name, group) == path


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (OLD, "aescbc key1"),
        (NEW, "secretbox key2"),
        (b"k8s:enc:kms:v2:vault:x", "kms vault"),
        (b"k8s:enc:broken", "broken "),
        (PLAIN, values.PLAIN),
        (b"", values.PLAIN),
        (NEW + b"x" * 5000, "secretbox key2"),
    ],
)
def test_the_beginning_of_a_value(value, found):
    cluster = Cluster()
    cluster.stored = {"/registry/secrets/a/b": value, "/registry/secretsx": OLD}
    assert list(values.encryptions(cluster, "/registry/secrets/")) == [("/registry/secrets/a/b", found)]
