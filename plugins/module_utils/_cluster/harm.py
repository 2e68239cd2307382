# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects of an upgrade on the workloads of a cluster, from a reading of its API."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.releases import parsed_version

__all__ = ("LOSSES", "harm")

#: Losses that ``worker_drain_accepts`` may have.
LOSSES = ("local_data", "unmanaged_pods")
# A message is read by people: of more names only the number is given.
_MOST = 10


def _named(names: t.Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def _removed(deprecated: t.Iterable[t.Mapping[str, str]], release: str) -> list[str]:
    new = parsed_version(release)
    return sorted(
        f"{found['resource']} in {found['group'] or 'core'}/{found['version']} (until {found['removed_release']})"
        for found in deprecated
        if (removed := parsed_version(found["removed_release"])) and new and removed[:2] <= new[:2]
    )


def _pods(reading: t.Mapping[str, t.Any], nodes: t.Mapping[str, t.Collection[str]], loss: str) -> dict[bool, list[str]]:
    """Return the pods with a loss: by whether it is accepted on their node."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for pod in reading["pods"]:
        if (not pod["managed"]) if loss == "unmanaged_pods" else pod["local_data"]:
            found[loss in nodes.get(pod["node"], ())].append(f"{pod['name']} on {pod['node']}")
    return found


_WORDS = {
    "local_data": "lose the content of their emptyDir volumes when their worker is drained",
    "unmanaged_pods": "do not have a controller, and are gone for good when their worker is drained",
}


def harm(
    reading: t.Mapping[str, t.Any], nodes: t.Mapping[str, t.Collection[str]], release: str
) -> tuple[list[str], list[str]]:
    """Return warnings, and problems that stop the run, one sentence each.

    :param reading: as :func:`workloads.read_workloads` returns it.
    :param nodes: accepted losses by node that is drained, see :data:`LOSSES`.
    :param release: the wanted minor release.
    """
    warnings: list[str] = []
    problems: list[str] = []
    removed = _removed(reading["deprecated"], release)
    if removed:
        warnings.append(
            f"clients use APIs that Kubernetes {release} does not serve: {_named(removed)}; move them to newer "
            "versions first (the API server counts since its last start; its audit log has the clients)"
        )
    if not nodes:
        return warnings, problems
    for loss in LOSSES:
        pods = _pods(reading, nodes, loss)
        if pods[True]:
            warnings.append(f"pods {_named(pods[True])} {_WORDS[loss]}")
        if pods[False]:
            problems.append(
                f"pods {_named(pods[False])} {_WORDS[loss]}; delete or move them, or accept the loss: add {loss} to "
                "worker_drain_accepts"
            )
    if reading["single"]:
        warnings.append(
            f"{_named(reading['single'])}: one replica, which does not serve while it moves to another worker; two "
            "replicas with a PodDisruptionBudget go on serving"
        )
    if reading["budgets"]:
        warnings.append(
            f"PodDisruptionBudget {_named(reading['budgets'])}: allows no disruption now; a drain waits for it, until "
            "worker_drain_timeout"
        )
    return warnings, problems
