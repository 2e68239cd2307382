# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API admits and serves, as users and strangers of the cluster see it."""

from __future__ import annotations

import base64
import json
import time
import typing as t

import pytest
from support import wait_until, written

if t.TYPE_CHECKING:
    from support import Cluster


def _applied(cluster: Cluster, *objects: dict[str, t.Any]) -> tuple[int, str]:
    """Return the exit code of kubectl apply, and what it says."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    done = cluster.client.run("sh", "-c", f"{written(listed)} | kubectl apply --filename=- 2>&1")
    return done.rc, str(done.stdout)


def test_a_service_cannot_take_an_address(cluster: Cluster, namespace: str) -> None:
    spec = {"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}
    metadata = {"namespace": namespace, "name": "thief"}
    code, said = _applied(cluster, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    assert code != 0 and "external IPs is denied" in said


#: Ways from a pod to its host.
WAYS: dict[str, dict[str, t.Any]] = {
    "privileged": {"containers": [{"securityContext": {"privileged": True}}]},
    "host-path": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
    "host-network": {"hostNetwork": True},
    "host-processes": {"hostPID": True},
    "capability": {"containers": [{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
}


def _pod(namespace: str, name: str, spec: dict[str, t.Any]) -> dict[str, t.Any]:
    container = {"name": "a", "image": "example.test/none", **spec.get("containers", [{}])[0]}
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "containers": [container]}}


@pytest.mark.parametrize("way", list(WAYS))
def test_a_pod_does_not_get_at_its_host(cluster: Cluster, namespace: str, way: str) -> None:
    code, said = _applied(cluster, _pod(namespace, way, WAYS[way]))
    assert code != 0 and 'violates PodSecurity "baseline:latest"' in said


def test_groups_that_are_not_stable_are_not_served(cluster: Cluster) -> None:
    served = cluster.kubectl("api-versions").split()
    assert "apps/v1" in served
    assert not [version for version in served if "alpha" in version or "beta" in version]


def test_the_audit_log_has_what_became_of_rights(cluster: Cluster, namespace: str) -> None:
    name = "audited"
    cluster.kubectl("create", "role", name, f"--namespace={namespace}", "--verb=get", "--resource=pods")

    def event() -> dict[str, t.Any]:
        for node in cluster.controllers:
            for line in node.run(
                "grep", "-hF", f'"name":"{name}"', "/var/log/kubernetes/audit.log"
            ).stdout.splitlines():
                found = json.loads(line)
                reference = found["objectRef"]
                if (found["verb"], reference.get("namespace"), reference["resource"]) == ("create", namespace, "roles"):
                    return dict(found)
        return {}

    found = wait_until(event, seconds=10, what="the creation of the Role in an audit log")
    assert found["level"] == "RequestResponse"
    assert found["requestObject"]["rules"] == found["responseObject"]["rules"]


def test_a_token_ends_within_a_day(cluster: Cluster, namespace: str) -> None:
    token = cluster.kubectl("create", "token", "default", f"--namespace={namespace}", "--duration=720h")
    claims = token.split(".")[1]
    ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
    assert ends - time.time() <= 24 * 3600 + 60
