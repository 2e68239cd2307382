# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client at work while something fails, and what it saw."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
import time
import typing as t

from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

_LOG = "/var/tmp/load.log"
_SCRIPT = "/var/tmp/load.py"
_UNIT = "hardway-load"
# Writes in a row that show that it is at work.
ENOUGH = 20
# Seconds without an acknowledged write that a cluster whose etcd keeps its quorum may have.
LONGEST_GAP = 15.0


@dataclasses.dataclass
class Report:
    """A fault as a client saw it. Times are seconds.

    :ivar gap: longest time between two acknowledged writes.
    :ivar lost: acknowledged writes that are not there in the end.
    :ivar ready: time from the fault until every node is Ready again.
    :ivar quorum: whether etcd kept its quorum.
    """

    fault: str
    writes: int = 0
    failed: int = 0
    gap: float = 0.0
    lost: int = 0
    stale: int = 0
    ready: float = 0.0
    quorum: bool = True

    def __str__(self) -> str:
        return (
            f"{self.fault:<52} {self.writes:>6} {self.failed:>6} {self.gap:>8.1f} {self.lost:>5} {self.stale:>5} "
            f"{self.ready:>9.1f}  {'kept' if self.quorum else 'lost'}"
        )


HEADING = f"{'fault':<52} {'writes':>6} {'failed':>6} {'gap (s)':>8} {'lost':>5} {'stale':>5} {'Ready (s)':>9}  quorum"
reports: list[Report] = []


class Load:
    """The client's work during one fault.

    :param way: how it asks the API, "http" ten times a second or "kubectl".
    """

    def __init__(self, cluster: Cluster, namespace: str, fault: str, way: str = "http") -> None:
        self.cluster = cluster
        self.client: Node = cluster.client
        self.namespace = namespace
        self.way = way
        self.report = Report(fault)

    def __enter__(self) -> Load:
        self.cluster.kubectl("delete", "configmap", "load", f"--namespace={self.namespace}", "--ignore-not-found")
        self.client.out("sh", "-c", f"rm -f {_LOG}*")
        self.client.put(_SCRIPT, (pathlib.Path(__file__).parent / "load.py").read_bytes())
        self.client.out(
            "systemd-run", f"--unit={_UNIT}", "--collect", "--setenv=HOME=/root",
            "python3", _SCRIPT, _LOG, "/root/.kube/config", self.namespace, self.way,
        )  # fmt: skip
        wait_until(lambda: self._lines("write", "ok") > ENOUGH, seconds=60, what="the client writes")
        self.began = time.monotonic()
        return self

    def _lines(self, kind: str, outcome: str) -> int:
        counted = self.client.run("grep", "-c", f"^{kind} .* {outcome}$", _LOG).stdout.strip()
        return int(counted or 0)

    def recovered(self, *, seconds: float) -> None:
        """Wait until writes go on and every node is Ready, and note how long that took."""
        wait_until(self._well, seconds=seconds, what=f"{self.report.fault}: recovery")
        self.report.ready = time.monotonic() - self.began
        # Without a write afterwards the gap that the fault made would have no end, and would not be seen.
        acknowledged = self._lines("write", "ok")
        wait_until(
            lambda: self._lines("write", "ok") > acknowledged + ENOUGH,
            seconds=60,
            what=f"{self.report.fault}: writes go on",
        )

    def judge(self, *, costs_a_member: bool = False, longest_gap: float = LONGEST_GAP) -> None:
        """Check that no acknowledged write was lost, and that the cluster took writes all the time.

        :param costs_a_member: etcd is without a member for a while, which two members do not bear.
        :param longest_gap: seconds without an acknowledged write that are allowed.
        """
        report = self.report
        report.quorum = not costs_a_member or len(self.cluster.members) >= 3
        assert report.writes > ENOUGH, report
        assert report.lost == 0, report
        assert report.stale == 0, report
        if report.quorum:
            assert report.gap <= longest_gap, report

    def _well(self) -> bool:
        shown = self.client.run("kubectl", "get", "nodes", "--request-timeout=3s", "--output=json")
        if shown.rc != 0:
            return False
        conditions = [
            condition["status"]
            for node in json.loads(shown.stdout)["items"]
            for condition in node["status"]["conditions"]
            if condition["type"] == "Ready"
        ]
        return len(conditions) == len(self.cluster.workers) and set(conditions) == {"True"}

    def __exit__(self, *_exception: object) -> None:
        time.sleep(2)
        self.client.out("touch", f"{_LOG}.stop")
        wait_until(
            lambda: self.client.run("systemctl", "is-active", _UNIT).rc != 0, seconds=15, what="the client stops"
        )
        lines = [line.split() for line in self.client.out("cat", _LOG).splitlines()]
        written = [line for line in lines if line[0] == "write" and line[4] == "ok"]
        ends = [float(line[3]) for line in written]
        held = self.cluster.get("configmap", "load", f"--namespace={self.namespace}").get("data", {})
        self.report.writes = len(written)
        self.report.failed = sum(1 for line in lines if line[0] != "stale" and line[4] != "ok")
        self.report.stale = sum(1 for line in lines if line[0] == "stale")
        self.report.gap = max((later - earlier for earlier, later in itertools.pairwise(ends)), default=0.0)
        self.report.lost = sum(1 for line in written if f"{int(line[1]):07d}" not in held)
        self.client.out("sh", "-c", f"rm -f {_LOG}* {_SCRIPT}")
        reports.append(self.report)
