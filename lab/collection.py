# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the collection of this clone importable, and the packages of the lab: the lab and the tests use them."""

from __future__ import annotations

import pathlib
import sys

__all__ = ("ROOT", "make_importable")

ROOT = pathlib.Path(__file__).resolve().parents[1]


def _collection_tree() -> pathlib.Path:
    """Return the directory that holds `ansible_collections`; in a clone, make the link in it."""
    here = pathlib.Path(__file__).absolute().parents[1]
    if here.parts[-3:] == ("ansible_collections", "hardway", "kubernetes"):
        return here.parents[2]  # ansible-test runs in such a tree
    tree = ROOT / ".collections"
    link = tree / "ansible_collections" / "hardway" / "kubernetes"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(pathlib.Path("..", "..", ".."), target_is_directory=True)
    return tree


def make_importable() -> None:
    """Put the collection, `lab` and `lab/mirror` in front of the module search path, each once."""
    for path in (ROOT / "lab" / "mirror", ROOT / "lab", _collection_tree()):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
