# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that serves while it is operated, and the table of what its clients saw."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from client import Load
from service import Visitors, deployed

if t.TYPE_CHECKING:
    from client import Report
    from support import Cluster

# Requests in an operation that show that the Service was asked at all.
_ENOUGH = 50


@dataclasses.dataclass
class Operation:
    """What clients saw of an operation.

    :ivar seconds: of the operation itself.
    :ivar writes: what the client of the API saw.
    :ivar requests: number of requests to the Service.
    :ivar failed: those of them that were not answered.
    :ivar restarted: restarts of containers, by the UID of the pod.
    """

    seconds: float
    writes: Report
    requests: int
    failed: list[str]
    restarted: dict[str, int]

    def __str__(self) -> str:
        return (
            f"{self.writes.fault:<52} {self.seconds:>7.0f} {self.writes.gap:>7.1f} {self.writes.lost:>5} "
            f"{self.requests:>9} {len(self.failed):>7} {sum(self.restarted.values()):>8}"
        )


HEADING = f"{'operation':<52} {'seconds':>7} {'gap (s)':>7} {'lost':>5} {'requests':>9} {'failed':>7} {'restarts':>8}"
operations: list[Operation] = []


def _restarts(cluster: Cluster) -> dict[str, int]:
    """Return how often the containers of each pod were restarted, by the pod's UID."""
    return {
        pod["metadata"]["uid"]: sum(found["restartCount"] for found in pod["status"].get("containerStatuses", []))
        for pod in cluster.get("pods", "--all-namespaces")["items"]
    }


class Serving:
    """A cluster with a client of the API and a Deployment behind a Service that every worker asks."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    @contextlib.contextmanager
    def during(
        self, operation: str, *, way: str = "http", costs_a_member: bool = False, seconds: float = 60
    ) -> t.Iterator[None]:
        """Let clients work while the context is open, and check in the end that they were served.

        :param way: how the client asks the API, see :class:`client.Load`.
        :param costs_a_member: see :meth:`client.Load.judge`.
        :param seconds: how long the cluster may take afterwards until every node is Ready.
        """
        with deployed(self._cluster, self._namespace) as address:
            before = _restarts(self._cluster)
            visitors = Visitors(self._cluster, address)
            with visitors, Load(self._cluster, self._namespace, operation, way) as load:
                began = time.monotonic()
                yield
                took = time.monotonic() - began
                load.recovered(seconds=seconds)
            now = _restarts(self._cluster)
        restarted = {pod: now[pod] - before[pod] for pod in before if pod in now and now[pod] != before[pod]}
        requests = visitors.answered + len(visitors.failed)
        operations.append(Operation(took, load.report, requests, visitors.failed, restarted))
        load.judge(costs_a_member=costs_a_member)
        assert visitors.answered > _ENOUGH
        assert visitors.failed == []
        assert restarted == {}
