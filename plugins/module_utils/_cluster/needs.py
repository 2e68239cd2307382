# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide how much a run reads of a host: readings that take time are left out where nothing uses them."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.host_problems import PORTS

__all__ = ("needs",)


def needs(parts: t.Any, host: str, in_run: t.Collection[str]) -> dict[str, t.Any]:
    """Return the options ``ports`` and ``ask_api`` of the module ``host_facts``, see there.

    :param parts: hosts by part, as ``cluster_hosts`` has them. Where it does not, which is a problem that the action
        ``cluster`` reports, everything is read.
    :param host: the host that is read.
    :param in_run: the hosts of the run.
    """
    if not isinstance(parts, t.Mapping) or not all(isinstance(hosts, list) for hosts in parts.values()):
        return {}
    # releases.py asks the kubelets' API server where it cannot ask a controller for its program.
    found: dict[str, t.Any] = {"ask_api": not set(parts.get("controllers", [])) <= set(in_run)}
    if host not in parts.get("load_balancers", []):
        found["ports"] = sorted(port for part, ports in PORTS.items() if host in parts.get(part, []) for port in ports)
    return found
