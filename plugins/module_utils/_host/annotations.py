# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotations that the collection gives to objects of the API, and looks for on them."""

from __future__ import annotations

__all__ = ("FROM_INVENTORY",)

#: In it a node remembers labels and taints of the inventory: a JSON object with lists ``labels`` and ``taints``.
FROM_INVENTORY = "hardway.kubernetes/from-inventory"
