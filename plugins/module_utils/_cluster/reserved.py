# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources that a node keeps for its system and its programs, checked as the kubelet checks it when it starts."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings, argument_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("RESERVED", "quantity", "reserved_problems")

#: The settings, each a dictionary of quantities by resource.
RESERVED = ("worker_kube_reserved", "worker_system_reserved")
_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pid")
_QUANTITY = re.compile(r"\+?(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][-+]?\d+)?")
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
# The kubelet's own threshold for evictions, in MiB.
_EVICTION = 100
_MIB = 2**20


def quantity(text: str) -> float:
    """Return the number that a Kubernetes quantity stands for.

    :raises ValueError: it is not a quantity, or negative.
    """
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a quantity; allowed: for example 100m, 0.5, 128Mi or 1Gi")
    number, unit = float(found[1]), found[2] or ""
    if unit in _BINARY:
        return number * 1024.0 ** (_BINARY.index(unit) + 1)
    if unit in _DECIMAL:
        return number * 10.0 ** _DECIMAL[unit]
    return float(f"{found[1]}{unit}")


def _wrong(settings: Settings) -> list[str]:
    problems = []
    for name in RESERVED:
        for resource, value in (settings.get(name) or {}).items():
            if resource not in _RESOURCES:
                problems.append(f"{name}: {resource!r} cannot be reserved; allowed: {', '.join(_RESOURCES)}")
                continue
            try:
                quantity(str(value))
            except ValueError as error:
                problems.append(f"{name}.{resource}: {error}")
    return problems


def _too_much(settings: Settings, memory: int) -> list[str]:
    """Return why nothing would be left for pods, where a host has so many MiB of memory."""
    given = {name: str((settings.get(name) or {}).get("memory", 0)) for name in RESERVED}
    if sum(map(quantity, given.values())) / _MIB + _EVICTION < memory:
        return []
    found = " and ".join(f"{name}.memory {value}" for name, value in given.items())
    return [f"{found} leave nothing of its {memory} MiB of memory for pods; reserve less, or give the host more"]


def reserved_problems(
    shape: Topology, readings: t.Mapping[str, Reading], values: t.Mapping[str, Settings]
) -> list[str]:
    """Return which reservations a kubelet would refuse, each problem once with the workers that have it.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param values: all settings, by host.
    """
    found: dict[str, list[str]] = {}
    for host in shape["workers"]:
        found[host] = _wrong(values[host])
        reading = readings.get(host)
        if reading and not found[host]:
            found[host] = _too_much(values[host], reading["memory_mib"])
    return argument_problems(found)
