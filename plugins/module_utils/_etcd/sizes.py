# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of databases: in words, and near their quota."""

from __future__ import annotations

__all__ = ("RAISE_QUOTA", "nearly_full", "size_text")

#: The way out where the data in use needs the space.
RAISE_QUOTA = "raise the quota (etcd_extra_flags: quota-backend-bytes) and run site.yml"
# Part of the quota, in percent, from which on a database is worth a warning.
_NEARLY_FULL = 80


def nearly_full(size: int, quota: int) -> bool:
    """Return whether a database is near its quota, both in bytes. A quota of 0 is not known."""
    return bool(quota) and size * 100 >= quota * _NEARLY_FULL


def size_text(size: int) -> str:
    """Return a number of bytes for people, in MiB or GiB."""
    mib = size / (1 << 20)
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.1f} MiB"
