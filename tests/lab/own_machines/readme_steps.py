# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands for machines of one's own, as README.md has them."""

from __future__ import annotations

import re

_SECTION = re.compile(r"^## On machines of your own\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"\s{2,}#\s.*$")


def steps(readme: str) -> list[str]:
    """Return the commands of the section's first block, without the remarks behind them.

    :param readme: text of README.md.
    :raises ValueError: there is no such section, or no block in it.
    """
    section = _SECTION.search(readme)
    if not section:
        raise ValueError("README.md has no section 'On machines of your own'")
    block = re.search(r"(?:^ {4}\S.*\n)+", section["text"], re.MULTILINE)
    if not block:
        raise ValueError("README.md, 'On machines of your own': there is no block of commands")
    return [_REMARK.sub("", line).strip() for line in block[0].splitlines()]
