# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie in a mirror: the upstream layout, and one directory of image archives."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import image_archive
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import mirrored

from .errors import MirrorError

IMAGES_DIRECTORY = "images"


def mirror_path(url: str) -> PurePosixPath:
    """https://HOST/PATH lies at HOST/PATH in the mirror."""
    parts = urlsplit(url)
    path = PurePosixPath(mirrored(parts._replace(query="", fragment="").geturl(), ".") if parts.scheme else url)
    if parts.scheme not in ("http", "https") or not parts.netloc or ".." in path.parts or parts.path in ("", "/"):
        raise MirrorError(f"{url!r} has no place in a mirror: it must be http(s)://HOST/PATH without '..'")
    return path


def image_archive_path(reference: str) -> PurePosixPath:
    """The image's place in the mirror."""
    return PurePosixPath(IMAGES_DIRECTORY) / image_archive(reference)
