# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How shared code runs programs: the module or plugin that calls it says so."""

from __future__ import annotations

import typing as t

__all__ = ("Run",)

#: Runs a command and returns (return code, stdout, stderr). It raises OSError where the host lacks the program.
Run = t.Callable[["list[str]"], "tuple[int, str, str]"]
