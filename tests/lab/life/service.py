# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Deployment of two replicas behind a Service, and workers that ask it all the time."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

from support import NGINX, wait_until

if t.TYPE_CHECKING:
    from support import Cluster

_NAME = "visited"
_LOG, _SCRIPT, _UNIT = "/var/tmp/visit.log", "/var/tmp/visit.py", "hardway-visit"
# Seconds that a pod goes on serving after it is evicted, so that every kube-proxy has forgotten it.
_GOES_ON = 5


@contextlib.contextmanager
def deployed(cluster: Cluster, namespace: str) -> t.Iterator[str]:
    """Run the Deployment with its budget, and yield the address of its Service."""
    metadata = {"name": _NAME, "namespace": namespace}
    labels = {"app": _NAME}
    container = {
        "name": "nginx",
        "image": NGINX,
        "imagePullPolicy": "IfNotPresent",
        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": _GOES_ON}}},
    }
    selector = {"matchLabels": labels}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": selector, "template": template}
    cluster.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {"minAvailable": 1, "selector": selector},
        },
    )
    own = f"--namespace={namespace}"
    try:
        cluster.kubectl("rollout", "status", f"deployment/{_NAME}", own, "--timeout=120s")
        yield cluster.get("service", _NAME, own)["spec"]["clusterIP"]
    finally:
        cluster.kubectl("delete", "deployment,service,poddisruptionbudget", _NAME, own)


class Visitors:
    """Every worker asks the Service while the context is open.

    :ivar answered: number of requests that were answered.
    :ivar failed: outcomes of the others, as "WORKER TIME OUTCOME".
    """

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._workers = cluster.workers
        self._address = address
        self.answered = 0
        self.failed: list[str] = []

    def __enter__(self) -> Visitors:
        script = (pathlib.Path(__file__).parent / "visit.py").read_bytes()
        for worker in self._workers:
            worker.out("sh", "-c", f"rm -f {_LOG}*")
            worker.put(_SCRIPT, script)
            unit = ("systemd-run", f"--unit={_UNIT}", "--collect")
            worker.out(*unit, "python3", _SCRIPT, _LOG, self._address)
            wait_until(
                lambda worker=worker: worker.run("grep", "-q", " ok$", _LOG).rc == 0,
                seconds=30,
                what="the Service answers",
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        for worker in self._workers:
            worker.out("touch", f"{_LOG}.stop")
            wait_until(
                lambda worker=worker: worker.run("systemctl", "is-active", _UNIT).rc != 0, seconds=15, what="it stops"
            )
            lines = worker.out("cat", _LOG).splitlines()
            self.answered += sum(1 for line in lines if line.endswith(" ok"))
            self.failed += [f"{worker.name} {line}" for line in lines if not line.endswith(" ok")]
            worker.out("sh", "-c", f"rm -f {_LOG}* {_SCRIPT}")
