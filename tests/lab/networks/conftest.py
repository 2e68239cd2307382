# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the pod network."""

from __future__ import annotations

import typing as t

import pytest
import web as servers
from support import own_namespace

if t.TYPE_CHECKING:
    from support import Cluster


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> t.Iterator[str]:
    """A namespace in which pods may have ports of their host."""
    yield from own_namespace(cluster, "hardway-networks-test", enforce="privileged")


@pytest.fixture(scope="session")
def tls(namespace: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Certificate and key of the web servers' Service."""
    return servers.certificate(f"web.{namespace}.svc", tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def web(cluster: Cluster, namespace: str, tls: tuple[bytes, bytes]) -> servers.Web:
    """The web servers. They go with their namespace."""
    cluster.apply(*servers.objects(namespace, cluster.families, *tls))
    for workload in ("daemonset/web", "deployment/alone"):
        cluster.kubectl("rollout", "status", workload, f"--namespace={namespace}", "--timeout=120s")
    pods = servers.pods(cluster, namespace, "web")
    assert [pod.worker for pod in pods] == [worker.name for worker in cluster.workers]
    [alone] = servers.pods(cluster, namespace, "alone")
    return servers.Web(cluster, namespace, pods, alone)
