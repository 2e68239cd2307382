# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `ansible_collections.hardway.kubernetes` importable, in a plain clone as well as under ansible-test."""

from __future__ import annotations

import pathlib
import sys

from hypothesis import settings

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _collection_tree() -> pathlib.Path:
    here = pathlib.Path(__file__).absolute().parents[2]
    if here.parts[-3:] == ("ansible_collections", "hardway", "kubernetes"):
        return here.parents[2]  # ansible-test runs in such a tree
    tree = ROOT / ".collections"
    link = tree / "ansible_collections" / "hardway" / "kubernetes"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(pathlib.Path("..", "..", ".."), target_is_directory=True)
    return tree


sys.path.insert(0, str(_collection_tree()))

# The same commit is tested with the same examples; the fuzz tests take others, by a seed that is printed.
settings.register_profile("same every time", derandomize=True)
settings.load_profile("same every time")
