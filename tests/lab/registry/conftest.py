# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of registries."""

from __future__ import annotations

import typing as t

import private
import pytest
from playbook import run
from support import BUSYBOX, NGINX, own_namespace

if t.TYPE_CHECKING:
    from support import Cluster

WORKLOADS = ("deployments,daemonsets", "--namespace=kube-system")


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> t.Iterator[str]:
    """A namespace for pods."""
    yield from own_namespace(cluster, "hardway-registry-test")


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> list[str]:
    """Full names of all images that the cluster and the smoke test use."""
    found = {BUSYBOX, NGINX}
    for workload in cluster.get(*WORKLOADS)["items"]:
        pod = workload["spec"]["template"]["spec"]
        found |= {one["image"] for one in [*pod["containers"], *pod.get("initContainers", [])]}
    configuration = cluster.workers[0].out("cat", "/etc/containerd/config.toml")
    found |= {line.split('"')[1] for line in configuration.splitlines() if line.strip().startswith("sandbox =")}
    return sorted(found)


@pytest.fixture(scope="session")
def registry(
    cluster: Cluster, images: list[str], inventory: str, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[private.Registry]:
    """A private registry with these images. Afterwards the workers have those of the lab's archives again."""
    try:
        made = private.start(cluster.client, tmp_path_factory.mktemp("registry"))
        private.fill(made, images)
        yield made
    finally:
        run(inventory)
        private.stop(cluster.client)
