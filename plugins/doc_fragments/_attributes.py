# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that every changing module of the collection shares."""

from __future__ import annotations


class ModuleDocFragment:
    """Check mode, diff mode and idempotence."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Predicts what a run would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows what changes, without the content of keys.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: Systems it runs on.
    support: full
    platforms: posix
options: {}
"""
