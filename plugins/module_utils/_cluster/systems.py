# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems of hosts that the roles are made for, and what the roles take from them.

This is the one place that names a system or its packages. Properties that do not follow from the system are read from
the host: systemd-resolved, the version of cgroups, the backend of iptables, kernel modules, swap.
"""

from __future__ import annotations

import typing as t

__all__ = ("PACKAGES", "SYSTEMS", "System")

Proof = t.Literal["tested", "expected"]


class System(t.NamedTuple):
    """A release of a distribution.

    :ivar codename: as its package sources have it.
    :ivar proof: ``tested`` where a cluster is built on such hosts by the project's tests, ``expected`` where the
        packages, programs and defaults are known to be there, and nothing more.
    """

    codename: str
    proof: Proof


#: By ``ID VERSION_ID`` of ``/etc/os-release``.
SYSTEMS: t.Mapping[str, System] = {
    "debian 12": System("bookworm", "tested"),
    "debian 13": System("trixie", "tested"),
    "ubuntu 22.04": System("jammy", "expected"),
    "ubuntu 24.04": System("noble", "expected"),
}

#: Packages that roles install, by purpose. They have the same names on all of these systems.
PACKAGES: t.Mapping[str, t.Sequence[str]] = {
    "load_balancer": ("nginx", "libnginx-mod-stream"),
    "virtual_address": ("keepalived", "curl"),
    "health_proxy": ("nginx",),
    "nftables": ("nftables",),
}
