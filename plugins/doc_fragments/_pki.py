# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules which write keys and certificates share."""

from __future__ import annotations


class ModuleDocFragment:
    """Requirements, and the promise about files."""

    DOCUMENTATION = r"""
requirements:
  - cryptography >= 42.0.0
attributes:
  safe_file_operations:
    description: Files are replaced whole and with their final owner and mode; a reader never sees a part of one.
    support: full
options: {}
"""
