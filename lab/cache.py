# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say where the project keeps what it downloaded, built and measured.

usage: cache.py [NAME]    print the cache directory, or the path of NAME in it

The only place that knows the rule; it is safe to delete the directory. Needs nothing but Python's standard library,
because the Makefile asks before there is a virtual environment.
"""

from __future__ import annotations

import os
import pathlib
import sys

__all__ = ("cache_directory", "mirror_directory")


def cache_directory() -> pathlib.Path:
    """Return `$HARDWAY_CACHE`, else `hardway.kubernetes` in `$XDG_CACHE_HOME` or in `~/.cache`."""
    own = os.environ.get("HARDWAY_CACHE")
    if own:
        return pathlib.Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(base) if base else pathlib.Path.home() / ".cache") / "hardway.kubernetes"


def mirror_directory() -> pathlib.Path:
    """Return the directory of the lab's artifact mirror: `$HARDWAY_MIRROR`, else `mirror` in the cache."""
    own = os.environ.get("HARDWAY_MIRROR")
    return pathlib.Path(own) if own else cache_directory() / "mirror"


if __name__ == "__main__":
    print(cache_directory().joinpath(*sys.argv[1:]))
