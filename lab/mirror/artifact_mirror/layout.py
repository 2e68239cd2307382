# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie in a mirror: the upstream layout, and one directory of image archives."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from .errors import MirrorError

IMAGES_DIRECTORY = "images"


def mirror_path(url: str) -> PurePosixPath:
    """https://HOST/PATH lies at HOST/PATH in the mirror."""
    parts = urlsplit(url)
    path = PurePosixPath(parts.netloc + parts.path)
    if parts.scheme not in ("http", "https") or not parts.netloc or ".." in path.parts or parts.path in ("", "/"):
        raise MirrorError(f"{url!r} has no place in a mirror: it must be http(s)://HOST/PATH without '..'")
    return path


def image_archive_name(reference: str) -> str:
    """registry.k8s.io/pause:3.10.2 is kept as registry.k8s.io_pause_3.10.2.tar."""
    return re.sub(r"[/:@]", "_", reference) + ".tar"


def image_archive_path(reference: str) -> PurePosixPath:
    """The image's place in the mirror."""
    return PurePosixPath(IMAGES_DIRECTORY) / image_archive_name(reference)


def cache_directory() -> Path:
    """The one cache of the project; it is safe to delete."""
    own = os.environ.get("HARDWAY_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hardway.kubernetes"


def default_mirror() -> Path:
    return cache_directory() / "mirror"
