# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API servers reach what runs on pods, although controllers run none: aggregated APIs and admission webhooks."""

from __future__ import annotations

import json
import typing as t

import pytest
from support import wait_until, written
from web import API_GROUP, REFUSAL, extensions

if t.TYPE_CHECKING:
    from support import Cluster, Node
    from web import Web

ADMIN = ("kubectl", "--kubeconfig=/var/lib/kubernetes/admin.kubeconfig")


@pytest.fixture(scope="module")
def extended(cluster: Cluster, web: Web, tls: tuple[bytes, bytes]) -> t.Iterator[None]:
    """The API servers ask the web servers. What makes them do so goes before the namespace, which could not go then."""
    made = extensions(web.namespace, tls[0])
    cluster.apply(*made)
    yield
    for one in made:
        cluster.kubectl("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found")


@pytest.mark.usefixtures("extended")
def test_an_aggregated_api(cluster: Cluster, web: Web, controller: Node) -> None:
    def answer() -> dict[str, str]:
        # Each API server looks by itself whether the API is available, every so often.
        found = controller.run(*ADMIN, "get", "--raw", f"/apis/{API_GROUP}/v1/who")
        return t.cast(dict[str, str], json.loads(found.stdout)) if found.rc == 0 else {}

    answered = set()
    for _attempt in range(10):
        answered.add(wait_until(answer, seconds=60, what=f"{controller.name}: an answer of the aggregated API")["pod"])
    assert answered <= {pod.name for pod in web.pods}
    wait_until(
        lambda: (
            {"type": "Available", "status": "True"}.items()
            <= cluster.get("apiservice", f"v1.{API_GROUP}")["status"]["conditions"][0].items()
        ),
        seconds=60,
        what="the aggregated API is available",
    )


@pytest.mark.usefixtures("extended")
def test_an_admission_webhook(web: Web, controller: Node) -> None:
    name = f"of-{controller.name}"
    metadata = {"namespace": web.namespace, "name": name, "labels": {"ask": "the-webhook"}}
    wanted = written({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    # Each API server learns of the webhook by itself. Until then it makes the object.
    def refused() -> str:
        done = controller.run("sh", "-c", f"{wanted} | {' '.join(ADMIN)} create --filename=-")
        controller.run(*ADMIN, "delete", "configmap", name, f"--namespace={web.namespace}", "--ignore-not-found")
        return str(done.stderr) if done.rc != 0 else ""

    said = wait_until(refused, seconds=20, what=f"{controller.name}: an object that the webhook refuses")
    assert f'admission webhook "refuse.{API_GROUP}" denied the request: {REFUSAL}' in said
