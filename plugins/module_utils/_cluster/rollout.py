# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of a running cluster: what is saved first, which workers are drained, and in which batches they change."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.releases import Chapters, parsed_version
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import Spec
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading, Status
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("Rollout", "batches", "max_unavailable", "rollout", "rollout_problems", "way_back")

#: Part, unit and chapter of the programs before whose change a snapshot is saved.
_SAVED_FOR: t.Mapping[str, tuple[str, str, str]] = {
    "etcd": ("etcd", "etcd.service", "etcd"),
    "kube-apiserver": ("controllers", "kube-apiserver.service", "apiserver"),
}
_RUNTIME = ("containerd", "runc")
_DOCUMENT = "docs/operate/upgrade.md"


class Rollout(t.TypedDict):
    """Steps of an upgrade besides the changes of the components.

    :ivar backup: a snapshot of etcd is saved before anything changes.
    :ivar workloads: the API is asked what the upgrade would hurt.
    :ivar accepts: accepted losses by worker that is drained.
    """

    backup: bool
    workloads: bool
    accepts: dict[str, list[str]]


def max_unavailable(text: str, workers: int) -> int:
    """Return how many workers may be drained at the same time.

    :param text: a number, or a share such as ``25%``, which is rounded down to at least one.
    :param workers: number of all workers.
    :raises ValueError: the text is not one, or leaves no worker for the pods.
    """
    most = max(1, workers - 1)
    allowed = f"allowed: 1 to {most}, or a share such as 25%, below 100%"
    found = re.fullmatch(r"(\d+)(%?)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is neither a number nor a share; {allowed}")
    number = int(found[1])
    if not number:
        raise ValueError(f"{text} would let no worker change; {allowed}")
    if found[2]:
        if number >= 100:
            raise ValueError(f"{text} leaves no worker for the pods of the others; {allowed}")
        return max(1, number * workers // 100)
    if number > most:
        raise ValueError(f"{text} leaves no worker for the pods of the others; {allowed}")
    return number


def rollout_problems(shape: Topology, values: t.Mapping[str, Settings]) -> list[str]:
    """Return what is wrong with ``worker_max_unavailable``, one sentence each.

    :param values: settings by host.
    """
    found: dict[str, list[str]] = {}
    for host in shape["workers"]:
        found.setdefault(str(values[host]["worker_max_unavailable"]), []).append(host)
    if len(found) > 1:
        named = "; ".join(f"{', '.join(hosts)}: {text}" for text, hosts in found.items())
        return [f"worker_max_unavailable differs ({named}); it holds for all workers: set it once, in group_vars/all"]
    try:
        for text in found:
            max_unavailable(text, len(shape["workers"]))
    except ValueError as error:
        return [f"worker_max_unavailable: {error}"]
    return []


def _minor(text: t.Any) -> tuple[int, int] | None:
    found = parsed_version(text)
    return found[:2] if found else None


def _wanted(spec: Spec, host: str, program: str) -> str:
    return str(spec["hosts"][host]["programs"].get(program, {}).get("version") or "")


def _in_turn(host: str, status: Status) -> bool:
    """Return whether a run cordoned the node and did not finish: the API's view, else the host's own."""
    node = status["nodes"].get(host) or status["hosts"][host].get("own_node") or {}
    return bool(node.get("cordoned_by_run"))


def _is_drained(host: str, spec: Spec, status: Status, settings: Settings) -> bool:
    reading: Reading = status["hosts"][host]
    if not reading or (status["nodes"] and host not in status["nodes"]):
        return False
    if _in_turn(host, status):
        return True
    if reading["units"].get("kubelet.service") != "active":
        return False
    found = reading["programs"]
    old, new = _minor(found.get("kubelet")), _minor(_wanted(spec, host, "kubelet"))
    if old and new and old != new:
        return True
    return bool(settings["worker_drain_on_runtime_change"]) and any(
        found.get(name) and found[name] != _wanted(spec, host, name) for name in _RUNTIME
    )


def batches(spec: Spec, status: Status, values: t.Mapping[str, Settings], runs: Chapters) -> list[list[str]]:
    """Return the workers of the run whose pods are moved away before they change, in batches.

    A worker whose kubelet changes by a patch release is not among them: its pods go on. Workers that an interrupted
    run left in the middle of their turn come first, since each of them is unavailable already.

    :param values: settings by host.
    :param runs: see :func:`releases.chapters`.
    """
    workers = spec["topology"]["workers"]
    if not status["exists"] or not runs("worker"):
        return []
    drained = [host for host in workers if _is_drained(host, spec, status, values[host])]
    drained.sort(key=lambda host: not _in_turn(host, status))
    if not drained:
        return []
    try:
        size = max_unavailable(str(values[drained[0]]["worker_max_unavailable"]), len(workers))
    except ValueError:
        size = 1  # A problem says so.
    return [drained[start : start + size] for start in range(0, len(drained), size)]


def _changing(program: str, spec: Spec, status: Status, runs: Chapters) -> dict[str, str]:
    """Return the found versions, by host, of a program that runs and that this run replaces."""
    part, unit, chapter = _SAVED_FOR[program]
    if not status["exists"] or not runs(chapter):
        return {}
    found = {}
    for host in spec["topology"][part]:
        reading = status["hosts"][host]
        old = reading["programs"].get(program) if reading and reading["units"].get(unit) == "active" else None
        if old and old != _wanted(spec, host, program):
            found[host] = str(old)
    return found


def _has_quorum(spec: Spec, status: Status) -> bool:
    """Return whether etcd can write, as far as its members were read; a member answers without a quorum too."""
    readings = [status["hosts"][host] for host in spec["topology"]["etcd"] if status["hosts"][host]]
    silent = [found for found in readings if not found["etcd"]["members"]]
    members = len(status["etcd"]["members"])
    return bool(readings) and (members - len(silent)) * 2 > members


def rollout(
    spec: Spec,
    status: Status,
    values: t.Mapping[str, Settings],
    drained: t.Sequence[t.Sequence[str]],
    runs: Chapters,
) -> Rollout:
    """Return what the run does besides the changes of components.

    :param values: settings by host.
    :param drained: see :func:`batches`.
    :param runs: see :func:`releases.chapters`.
    """
    servers = _changing("kube-apiserver", spec, status, runs)
    newer = any(_minor(found) != _minor(_wanted(spec, host, "kube-apiserver")) for host, found in servers.items())
    return {
        # Without a quorum nothing can be saved, and an interrupted upgrade, which began with a snapshot, has to go on.
        "backup": _has_quorum(spec, status) and bool(servers or _changing("etcd", spec, status, runs)),
        "workloads": bool(status["api_serves"] and status["exists"] and (drained or newer)),
        "accepts": {host: list(values[host]["worker_drain_accepts"]) for batch in drained for host in batch},
    }


def way_back(spec: Spec, status: Status, runs: Chapters) -> list[str]:
    """Return until when the minor releases that a run replaces can come back, one sentence each."""
    warnings = []
    for program, words in (
        (
            "etcd",
            "a member that does not become healthy is rolled back by itself until all members run the new release. "
            "Then etcd raises the version of its data, older members no longer start on it, and the way back is to "
            "restore the snapshot that this run saves first",
        ),
        (
            "kube-apiserver",
            "an API server that does not become healthy is rolled back by itself. Once one serves the new release, "
            "objects may be stored in versions that the old one does not know, and the way back is to restore the "
            "snapshot that this run saves first",
        ),
    ):
        changing = _changing(program, spec, status, runs)
        old = {found for host, found in changing.items() if _minor(found) != _minor(_wanted(spec, host, program))}
        if old:
            new = _wanted(spec, next(iter(changing)), program)
            warnings.append(f"{program} {', '.join(sorted(old))} -> {new}: {words} ({_DOCUMENT})")
    return warnings
