# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Debian packages a host has."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run

__all__ = ("missing",)


def missing(names: t.Sequence[str], run: Run) -> list[str]:
    """Return those of the packages that are not installed.

    :param names: as apt takes them; ``NAME=VERSION`` is installed when that version is.
    """
    if not names:
        return []
    lines = "${Package} ${db:Status-Status}\n${Package}=${Version} ${db:Status-Status}\n"
    # It says with 1 that one of them is unknown, and prints the others.
    query = ["dpkg-query", "--show", "--showformat", lines, *(name.partition("=")[0] for name in names)]
    found = {line.split()[0] for line in run(query)[1].splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in found]
