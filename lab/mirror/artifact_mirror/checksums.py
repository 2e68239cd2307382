# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SHA-256 sums: of a file, and written into a checksum file in the publisher's format."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_SUM = re.compile(r"[0-9a-fA-F]{64}")


def file_sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_bare(checksum_url: str) -> bool:
    """Whether the publisher's file holds the sum alone, or lines of "SUM  NAME"."""
    return checksum_url.endswith(".sha256") and ("//dl.k8s.io/" in checksum_url or "/cri-tools/" in checksum_url)


def _lines(text: str) -> dict[str, str]:
    """NAME -> sum of every "SUM  NAME" line; a bare sum has the name ''.

    A name may carry the mark of binary mode ("*") or a leading "./".
    """
    sums: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        if not words or not _SUM.fullmatch(words[0]):
            continue
        name = words[1].strip().removeprefix("*").removeprefix("./") if len(words) == 2 else ""
        sums[name] = words[0].lower()
    return sums


def render(previous: str, name: str, digest: str, bare: bool) -> str:
    """The checksum file with this sum in it; lines of other files are kept."""
    if bare:
        return digest + "\n"
    sums = {key: value for key, value in _lines(previous).items() if key}
    sums[name] = digest
    return "".join(f"{value}  {key}\n" for key, value in sorted(sums.items()))
