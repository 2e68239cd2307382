# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line flags of the programs that run as units."""

from __future__ import annotations

import typing as t

__all__ = ("command_flags",)


def _word(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def command_flags(flags: t.Mapping[str, t.Any]) -> list[str]:
    """Return flags as a command line takes them, sorted by name.

    :param flags: values by name without dashes. A list repeats the flag, booleans become ``true`` and ``false``,
        None leaves the flag out.
    :raises ValueError: the input is not a dictionary, or a value is one.
    """
    if not isinstance(flags, t.Mapping):
        raise ValueError(f"flags are a dictionary of values by name, found {type(flags).__name__}")
    rendered = []
    for name, value in sorted(flags.items()):
        for single in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(single, (t.Mapping, list, tuple)):
                raise ValueError(f"flag {name}: a value is a string, number, boolean, null or a list of them")
            if single is not None:
                rendered.append(f"--{name}={_word(single)}")
    return rendered
