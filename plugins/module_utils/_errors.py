# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of errors: what the collection's own code raises for its users.

Each message names the host, file or field, what was found, what is allowed, and the next step. A module turns any of
them into one ``fail_json``.
"""

from __future__ import annotations

__all__ = (
    "CatalogueError",
    "ChecksumError",
    "DownloadError",
    "FileError",
    "HardwayError",
    "ImageError",
    "KubeconfigError",
    "MissingSourceError",
    "PkiError",
    "ProgramError",
    "RefusedError",
    "SnapshotError",
    "UnitError",
)


class HardwayError(Exception):
    """Base of every error that is meant to be read by a user."""


class CatalogueError(HardwayError, ValueError):
    """The release catalogue has no such release, program, image or architecture."""


class DownloadError(HardwayError):
    """A published file cannot be read, or does not have its publisher's checksum."""


class ChecksumError(DownloadError):
    """A published file was downloaded whole, and does not have its publisher's checksum."""


class FileError(HardwayError):
    """A path cannot be read, written or brought into the wanted state."""


class ImageError(HardwayError):
    """An image archive could not be read, verified or imported."""


class KubeconfigError(HardwayError):
    """A kubeconfig cannot be written as described."""


class MissingSourceError(KubeconfigError):
    """A file that a kubeconfig is made from does not exist. Check mode expects an earlier task to make it."""


class PkiError(HardwayError):
    """A key or certificate cannot be made or kept as described."""


class ProgramError(HardwayError):
    """A program could not be downloaded, verified or installed."""


class RefusedError(HardwayError):
    """A change would harm the etcd cluster, or is not possible.

    :ivar actions: the actions before the failure; they are not undone.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.actions: list[str] = []


class SnapshotError(HardwayError):
    """A snapshot of etcd could not be saved, is damaged, or cannot be restored."""


class UnitError(HardwayError):
    """A systemd unit cannot be brought into the wanted state."""
