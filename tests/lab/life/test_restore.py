# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All controllers are lost: new hosts, the PKI directory and a backup of etcd bring the cluster back to its workers."""

from __future__ import annotations

import base64
import typing as t

import pytest
from playbook import run, variables, wipe
from service import deployed
from support import wait_until

if t.TYPE_CHECKING:
    import pathlib

    from support import Cluster

pytestmark = pytest.mark.disruptive

_CONTENT = "kept by nobody but etcd"


def _started(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Return when the containers of a namespace were started, by the pod's UID."""
    return {
        pod["metadata"]["uid"]: status["state"]["running"]["startedAt"]
        for pod in cluster.get("pods", f"--namespace={namespace}")["items"]
        for status in pod["status"]["containerStatuses"]
    }


def test_new_hosts_serve_the_old_cluster(
    cluster: Cluster, inventory: str, namespace: str, tmp_path: pathlib.Path
) -> None:
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "kept", "namespace": namespace},
            "stringData": {"content": _CONTENT},
        }
    )
    with deployed(cluster, namespace) as address:
        started = _started(cluster, namespace)
        backups = tmp_path / "backups"
        run(inventory, *variables(etcd_backup_directory=str(backups)), playbook="playbooks/etcd_backup.yml")
        (snapshot,) = backups.glob("*.db")
        for controller in cluster.controllers:
            wipe(inventory, controller.name)
        # What runs goes on.
        for worker in cluster.workers:
            worker.out("curl", "--silent", "--fail", "--max-time", "5", f"http://{address}/")
        run(inventory, "--tags=etcd")
        restore = variables(etcd_snapshot=str(snapshot), etcd_confirm=cluster.name)
        run(inventory, *restore, playbook="playbooks/etcd_restore.yml")
        run(inventory)
        wait_until(
            lambda: {cluster.ready(worker) for worker in cluster.workers} == {"True"},
            seconds=60,
            what="the workers are Ready",
        )
        secret = cluster.get("secret", "kept", f"--namespace={namespace}")
        assert base64.b64decode(secret["data"]["content"]).decode() == _CONTENT
        assert _started(cluster, namespace) == started
        assert run(inventory).changed == []
        run(inventory, playbook="playbooks/smoke.yml")
