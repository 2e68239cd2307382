# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the addresses of a host's interfaces, and the virtual addresses that its keepalived is configured for."""

from __future__ import annotations

import re
import typing as t

__all__ = ("keepalived", "networks")

# The name that the role lb gives to its instance: another configuration is not the role's.
_INSTANCE = "vrrp_instance kubernetes_api {"


def networks(shown: str) -> dict[str, dict[str, t.Any]]:
    """Return ``interface`` and ``prefix_length`` (bits) of each address.

    :param shown: output of ``ip -oneline address show``.
    """
    found = re.findall(r"^\d+:\s+([^\s@]+)\S*\s+inet6?\s+([0-9a-fA-F.:]+)/(\d+)", shown, re.MULTILINE)
    return {address: {"interface": name, "prefix_length": int(length)} for name, address, length in found}


def keepalived(text: str) -> dict[str, t.Any]:
    """Return ``addresses``, the virtual addresses of the role's configuration, and ``foreign``.

    :param text: ``/etc/keepalived/keepalived.conf``; empty without one.
    """
    ours = _INSTANCE in text
    block = re.search(r"virtual_ipaddress \{([^}]*)\}", text) if ours else None
    addresses = re.findall(r"^\s*([0-9a-fA-F.:]+)/", block.group(1), re.MULTILINE) if block else []
    return {"addresses": addresses, "foreign": bool(text.strip()) and not ours}
