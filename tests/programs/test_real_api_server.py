# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real API server with the role's flags and files: whom it lets in, what it admits, and what it writes down."""

from __future__ import annotations

import base64
import concurrent.futures
import datetime
import json
import socket
import ssl
import time
import typing as t

import pytest
import yaml
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import ADDRESSES
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.test_authentication import (
    WRONG,
    authenticator,
)
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import ROLES, Role
from api_server import Api, refusal, serving
from conftest import CATALOGUE, Programs

TEST = "/api/v1/namespaces/test"


def _namespace(api: Api, name: str, **labels: str) -> str:
    """Make a namespace, and what the controller manager would make in it; return its path."""
    path = f"/api/v1/namespaces/{name}"
    given = {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}
    wanted = [("/api/v1/namespaces", {"name": name, "labels": given}), (f"{path}/serviceaccounts", {"name": "default"})]
    for where, metadata in wanted:
        status, answer, _headers = api.ask("POST", where, {"metadata": metadata})
        assert status == 201 or answer["reason"] == "AlreadyExists", answer
    return path


@pytest.fixture(scope="module", params=list(CATALOGUE["releases"]))
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Api]:
    """The API server of each release that the mirror has."""
    programs = Programs(request.param, tmp_path_factory.mktemp("programs"))
    paths = programs.path("kube-apiserver"), programs.path("etcd")
    # No issuer is there; it is looked for in the background.
    users = {"jwt": [authenticator(issuer={"url": "https://127.0.0.1:1"})]}
    with serving(paths, tmp_path_factory.mktemp("api"), apiserver_authentication=users) as server:
        _namespace(server, "test")
        yield server


def _cipher(api: Api, ciphers: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as plain, context.wrap_socket(plain) as secured:
        return str(secured.cipher()[0])


def test_ciphers(api):
    assert "GCM" in _cipher(api, "ECDHE+AESGCM")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        _cipher(api, "ECDHE+AES128+SHA1")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_strangers_see_health(api, path):
    assert api.ask("GET", path, admin=False)[:2] == (200, "ok")


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", "/livez/ping", "/metrics", "/openapi/v2", "/readyz/"])
def test_strangers_see_nothing_else(api, path):
    assert api.ask("GET", path, admin=False)[0] == 401
    assert api.ask("GET", path)[0] != 401


# The others take the same time: two seconds each.
@pytest.mark.parametrize(
    ("given", "field", "_words"), WRONG[1::8], ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_preflight_refuses_an_api_server_refuses_too(programs, tmp_path, given, field, _words):
    found = refusal(programs.path("kube-apiserver"), tmp_path, apiserver_authentication=given)
    assert "authentication configuration" in found
    assert field.rpartition(".")[2].partition("[")[0] in found


def test_groups_that_are_not_stable_are_not_served(api):
    groups = api.ask("GET", "/apis")[1]["groups"]
    versions = [version["groupVersion"] for group in groups for version in group["versions"]]
    assert versions and not [version for version in versions if "alpha" in version or "beta" in version]


def test_external_addresses_of_services_are_refused(api):
    spec = {"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}
    status, answer, _headers = api.ask("POST", f"{TEST}/services", {"metadata": {"name": "a"}, "spec": spec})
    assert status == 403 and "external IPs is denied" in answer["message"]
    del spec["externalIPs"]
    assert api.ask("POST", f"{TEST}/services", {"metadata": {"name": "a"}, "spec": spec})[0] == 201


def test_tokens_end(api):
    account = f"{TEST}/serviceaccounts"
    assert api.ask("POST", account, {"metadata": {"name": "long"}})[0] == 201
    asked = {"spec": {"audiences": [], "expirationSeconds": 30 * 86400}}
    status, answer, _headers = api.ask("POST", f"{account}/long/token", asked)
    assert status == 201
    ends = datetime.datetime.fromisoformat(answer["status"]["expirationTimestamp"])
    hours = (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 3600
    assert 23.9 < hours <= 24


def test_tokens_of_pods_end_too(api):
    assert api.ask("POST", f"{TEST}/pods", _pod("bound"))[0] == 201
    # As the kubelet asks.
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "bound"}
    asked = {"spec": {"audiences": [], "expirationSeconds": 3607, "boundObjectRef": bound}}
    status, answer, _headers = api.ask("POST", f"{TEST}/serviceaccounts/default/token", asked)
    assert status == 201
    claims = answer["status"]["token"].split(".")[1]
    ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
    assert 3000 < ends - time.time() <= 3607


def test_events_of_one_user_are_limited(api):
    about = {"kind": "Pod", "namespace": "test", "name": "none"}
    event = {"metadata": {"generateName": "flood."}, "involvedObject": about, "reason": "Flood"}
    # Faster than 50 in a second, and for a while.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _number: api.until_refused(f"{TEST}/events", event, most=5000), range(2)))
    assert 100 <= sum(made) < 5000


def _pod(name: str, container: dict[str, t.Any] | None = None, **spec: t.Any) -> dict[str, t.Any]:
    containers = [{"name": "a", "image": "example.com/a", **(container or {})}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, **spec}}


#: Pods that get at their host.
REFUSED = {
    "privileged": _pod("a", {"securityContext": {"privileged": True}}),
    "host-path": _pod("a", volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
    "host-network": _pod("a", hostNetwork=True),
    "host-processes": _pod("a", hostPID=True),
    "host-port": _pod("a", {"ports": [{"containerPort": 80, "hostPort": 80}]}),
    "capability": _pod("a", {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
    "unfiltered": _pod("a", {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_pods_that_get_at_their_host_are_refused(api, name):
    status, answer, _headers = api.ask("POST", f"{TEST}/pods", REFUSED[name])
    assert status == 403 and 'violates PodSecurity "baseline:latest"' in answer["message"]
    for place in ("/api/v1/namespaces/kube-system", _namespace(api, "privileged", enforce="privileged")):
        _namespace(api, "kube-system")
        assert api.ask("POST", f"{place}/pods?dryRun=All", REFUSED[name])[0] == 201


def test_other_pods_are_taken_with_a_warning(api):
    status, _answer, headers = api.ask("POST", f"{TEST}/pods", _pod("plain"))
    assert status == 201 and 'would violate PodSecurity \\"restricted:latest\\"' in headers["Warning"]


def test_the_smoke_tests_pods_fit_the_strictest_level(api):
    place = _namespace(api, "smoke", enforce="restricted")
    texts = Role("smoke_test", "client").template("objects.yaml.j2")
    pods = [found["spec"]["template"] for found in yaml.safe_load_all(texts) if found["kind"] == "Deployment"]
    assert len(pods) == 2
    for number, pod in enumerate(pods):
        given = {"metadata": {**pod["metadata"], "name": f"pod-{number}"}, "spec": pod["spec"]}
        status, answer, headers = api.ask("POST", f"{place}/pods", given)
        assert (status, headers["Warning"]) == (201, None), answer


BOTH = {
    "hosts": {
        host: {"node_address": f"{address},fd00::{address.rpartition('.')[2]}"} for host, address in ADDRESSES.items()
    },
    "cluster_pod_cidr": "10.200.0.0/16,fd00:200::/48",
    "cluster_service_cidr": "10.32.0.0/24,fd00:32::/112",
    "cluster_dns_address": "10.32.0.10,fd00:32::a",
}


def test_services_of_both_address_families(programs, tmp_path):
    texts = (ROLES / "addons" / "templates" / "coredns.yaml.j2").read_text(encoding="utf-8").split("---\n")
    (text,) = (one for one in texts if "kind: Service\n" in one)
    dns = yaml.safe_load(Role("addons", "ctl01", **BOTH).filled_in(text))
    with serving((programs.path("kube-apiserver"), programs.path("etcd")), tmp_path, **BOTH) as server:
        status, answer, _headers = server.ask("POST", "/api/v1/namespaces/kube-system/services", dns)
        assert status == 201, answer
        assert answer["spec"]["clusterIPs"] == ["10.32.0.10", "fd00:32::a"]
        own = server.ask("GET", "/api/v1/namespaces/default/services/kubernetes")[1]
        assert own["spec"]["clusterIPs"] == ["10.32.0.1"]


def _recorded(api: Api, number: int) -> list[dict[str, t.Any]]:
    """Return the entries of the audit log of one of the tests' requests, by its number."""
    deadline = time.monotonic() + 5
    while True:
        found = [event for event in api.events() if event.get("userAgent") == f"test-{number}"]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


_ROLE = {"metadata": {"name": "a"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
_TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": _pod("")["spec"]}
_DEPLOYMENT = {
    "metadata": {"name": "a"},
    "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": _TEMPLATE},
}
_HOOK = {"metadata": {"name": "a"}, "webhooks": []}
_ACCOUNT = f"{TEST}/serviceaccounts/default/token"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/test/leases"
_ABOUT = {"kind": "Pod", "namespace": "test", "name": "none"}
_EVENT = {"metadata": {"name": "a"}, "involvedObject": _ABOUT, "reason": "Test"}
_REVIEW = {"spec": {"token": "mellon"}}
#: Requests of the administrator, with the level at which the log has each; they are made in this order.
AUDITED: list[tuple[str, str, t.Any, str]] = [
    ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/test/roles", _ROLE, "RequestResponse"),
    ("GET", "/apis/rbac.authorization.k8s.io/v1/namespaces/test/roles", None, "Metadata"),
    ("DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/test/roles/a", {}, "RequestResponse"),
    (
        "POST",
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        _HOOK,
        "RequestResponse",
    ),
    ("POST", "/apis/apps/v1/namespaces/test/deployments", _DEPLOYMENT, "Request"),
    ("POST", f"{TEST}/pods", _pod("audited"), "Request"),
    ("POST", f"{TEST}/secrets", {"metadata": {"name": "a"}, "stringData": {"a": "mellon"}}, "Metadata"),
    ("GET", f"{TEST}/secrets", None, "Metadata"),
    ("DELETE", f"{TEST}/secrets", {}, "Metadata"),
    ("POST", f"{TEST}/configmaps", {"metadata": {"name": "a"}, "data": {"a": "mellon"}}, "Metadata"),
    ("POST", _ACCOUNT, {"spec": {"audiences": [], "expirationSeconds": 3600}}, "Metadata"),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", _REVIEW, "Metadata"),
    ("POST", _LEASES, {"metadata": {"name": "a"}, "spec": {}}, "Metadata"),
    ("POST", f"{TEST}/events", _EVENT, ""),
    ("DELETE", f"{TEST}/events/a", {}, "Metadata"),
    ("GET", "/readyz", None, ""),
    ("GET", "/readyz/ping", None, "Metadata"),
    ("GET", "/version", None, "Metadata"),
]


@pytest.mark.parametrize("number", range(len(AUDITED)), ids=lambda number: " ".join(AUDITED[number][:2]))
def test_the_audit_log_has_content_where_it_should(api, number):
    method, path, body, level = AUDITED[number]
    status = api.ask(method, path, body, User_Agent=f"test-{number}")[0]
    assert status in (200, 201, 429), status
    if not level:
        # What comes later is there.
        api.ask("GET", "/version", User_Agent="test-1000")
        assert _recorded(api, 1000) and not _recorded(api, number)
        return
    (event,) = _recorded(api, number)
    assert event["level"] == level
    assert ("requestObject" in event) is (level != "Metadata")
    assert ("responseObject" in event) is (level == "RequestResponse")
    assert "managedFields" not in json.dumps(event)


def test_the_audit_log_has_no_secret(api):
    text = api.audit.read_text(encoding="utf-8")
    assert "test-6" in text, "the Secret's request is recorded"
    for word in ("mellon", base64.b64encode(b"mellon").decode().rstrip("=")):
        assert word not in text
    # A service account's token begins like that.
    assert "eyJhbGciOi" not in text
