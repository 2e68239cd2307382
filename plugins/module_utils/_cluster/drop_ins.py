# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drop-ins on hosts: those that take a role's command line away are problems, the others are warnings."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import argument_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("drop_in_problems", "drop_in_warnings")

# The units whose files are the roles': the group of their hosts, and what changes their command line instead.
_UNITS: t.Mapping[str, tuple[str, str]] = {
    "etcd.service": ("etcd", "put its flags into etcd_extra_flags"),
    "kube-apiserver.service": ("controllers", "put its flags into apiserver_extra_flags"),
    "kube-controller-manager.service": ("controllers", "put its flags into controller_manager_extra_flags"),
    "kube-scheduler.service": ("controllers", "put its flags into scheduler_extra_flags"),
    "containerd.service": ("workers", "leave the command line to the role worker"),
    "kubelet.service": ("workers", "put its settings into worker_kubelet_config"),
    "kube-proxy.service": ("workers", "put its settings into worker_kube_proxy_config"),
}


def _found(
    shape: Topology, readings: t.Mapping[str, Reading]
) -> t.Iterator[tuple[str, str, str, t.Mapping[str, t.Any]]]:
    """Return host, unit, what to do instead, and drop-in of each unit that a role runs on a host."""
    for unit, (part, instead) in _UNITS.items():
        for host in shape[part]:  # type: ignore[literal-required]
            for drop_in in readings.get(host, {}).get("drop_ins", {}).get(unit, []):
                yield host, unit, instead, drop_in


def drop_in_problems(shape: Topology, readings: t.Mapping[str, Reading]) -> list[str]:
    """Return the drop-ins that replace the command line of a unit, each once with its hosts."""
    problems: dict[str, list[str]] = {}
    for host, unit, instead, drop_in in _found(shape, readings):
        if "ExecStart" in drop_in["directives"]:
            problems.setdefault(host, []).append(
                f"{drop_in['path']} replaces ExecStart= of {unit}, so that the role's flags would not be used; remove "
                f"the file, and {instead}"
            )
    return argument_problems(problems)


def drop_in_warnings(shape: Topology, readings: t.Mapping[str, Reading]) -> list[str]:
    """Return the drop-ins that override something else of a unit, each once with its hosts."""
    warnings: dict[str, list[str]] = {}
    for host, unit, _instead, drop_in in _found(shape, readings):
        names = drop_in["directives"]
        if "ExecStart" not in names:
            warnings.setdefault(host, []).append(
                f"{drop_in['path']} sets {', '.join(names)} of {unit}, in addition to the role's unit file or in the "
                "place of its settings"
            )
    return argument_problems(warnings)
