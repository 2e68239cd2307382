# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check who is to reach etcd."""

from __future__ import annotations

import ipaddress

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings

__all__ = ("firewall_problems",)


def firewall_problems(settings: Settings) -> list[str]:
    """Return what is wrong with the further clients of etcd, one sentence each."""
    problems = []
    for client in settings["etcd_firewall_clients"]:
        try:
            ipaddress.ip_network(client)
        except ValueError as error:
            problems.append(
                f"etcd_firewall_clients: {client!r} is neither an IP address nor a network ({error}); allowed are, "
                "for example, 10.0.0.9, 10.0.8.0/24 and fd00:8::/64"
            )
    return problems
