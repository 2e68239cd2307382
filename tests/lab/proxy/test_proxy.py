# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker whose only way out is a proxy: programs and packages come through it, and what is inside does not."""

from __future__ import annotations

import time
import typing as t
import urllib.parse

import pytest
import way_out
from playbook import run, variables, wipe

if t.TYPE_CHECKING:
    from support import Cluster

# The whole run. apt itself tries for minutes.
REFUSED_SECONDS = 90

pytestmark = pytest.mark.disruptive


@pytest.fixture
def way(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[way_out.WayOut]:
    try:
        yield way_out.start(cluster.client, tmp_path_factory.mktemp("proxy"))
    finally:
        way_out.stop(cluster.client)


def test_a_worker_is_built_through_a_proxy(cluster: Cluster, inventory: str, way: way_out.WayOut) -> None:
    worker = cluster.workers[-1]
    chosen = ("--tags=worker", f"--limit={worker.name}")
    wipe(inventory, worker.name)
    try:
        way_out.shut_in(worker, way)
        # A package goes as well, so that the role has something to install from the distribution.
        worker.out("sh", "-c", "dpkg --purge socat >/dev/null && ! command -v socat")
        # The host has no other way: without the proxy the run ends, and says what to set.
        started = time.monotonic()
        refused = run(inventory, *chosen, *variables(cluster_mirror=way.mirror), succeeds=False)
        assert time.monotonic() - started < REFUSED_SECONDS
        assert refused.returncode != 0
        (failure,) = refused.failures
        assert f"{worker.name}: none of its package sources can be reached: http" in failure
        assert "socat" in failure
        assert "set cluster_http_proxy and cluster_https_proxy" in failure
        assert worker.run("sh", "-c", "command -v socat || command -v kubelet").rc != 0
        edit = variables(cluster_mirror=way.mirror, cluster_http_proxy=way.url, cluster_https_proxy=way.url)
        run(inventory, *chosen, *edit)
        assert cluster.ready(worker) == "True"
        assert run(inventory, *chosen, *edit).changed == []
        targets = way.targets()
        assert f"{way_out.MIRROR}:{way_out.MIRROR_PORT}" in targets
        package = worker.out("apt-get", "-qq", "--print-uris", "download", "socat").split("'")[1]
        assert any(str(urllib.parse.urlsplit(package).hostname) in target for target in targets)
        # What is inside is reached without it.
        inside = [node.address for part in cluster.groups.values() for node in part]
        assert not [target for target in targets if any(address in target for address in inside)]
        # Pulls of containerd go through it, too.
        pid = worker.out("systemctl", "show", "--property=MainPID", "--value", "containerd").strip()
        variables_of_containerd = worker.out("cat", f"/proc/{pid}/environ").split("\0")
        assert f"https_proxy={way.url}" in variables_of_containerd
    finally:
        way_out.let_out(worker)
        run(inventory)
    assert run(inventory).changed == []
    run(inventory, playbook="playbooks/smoke.yml")
