# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the pairs that a rotation has beside the one that signs."""

from __future__ import annotations

__all__ = ("next_name", "previous_name")


def next_name(name: str) -> str:
    """Return the name of the pair that is going to sign."""
    return f"{name}-next"


def previous_name(name: str) -> str:
    """Return the name of the pair that signed before."""
    return f"{name}-previous"
