# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a directory with the programs of a release, laid out as their publishers have them.

``https://HOST/PATH`` is ``DIRECTORY/HOST/PATH``. Each publisher's checksum file lies beside it, as the
publisher wrote it. A file counts as present when it has the sum that this checksum file gives. It is put in place after
it was verified, and before its checksum file, so that an interrupted run does not leave a damaged file that counts as
present.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import tempfile
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import Catalogue, programs
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.supply import is_open
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import (
    Opener,
    download,
    fetch,
    find_checksum,
    mirrored,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.signatures import Signatures

__all__ = ("Artifact", "Mirror", "artifacts")


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One download of a release for one architecture."""

    name: str
    version: str
    architecture: str
    url: str
    checksum_url: str
    #: SHA-256 sum that is used instead of the publisher's checksum file.
    sha256: str | None = None

    @property
    def label(self) -> str:
        return f"{self.name} {self.version} {self.architecture}"


def artifacts(
    catalogue: Catalogue,
    *,
    release: str,
    architectures: t.Iterable[str],
    names: t.Iterable[str] | None = None,
    versions: t.Mapping[str, str] | None = None,
    checksums: t.Mapping[str, str] | None = None,
    published: bool = True,
) -> list[Artifact]:
    """Return the contents of a mirror of a release.

    :param names: which programs; all of the catalogue unless given.
    :param versions: versions that replace the catalogue's, by component.
    :param checksums: SHA-256 sums (hexadecimal) by address, used instead of the catalogue's and the publishers' files.
    :param published: whether the source has the publishers' own files, so that the catalogue's sums hold for them.
    :raises CatalogueError: unknown release, architecture, program or component.
    """
    chosen = None if names is None else list(names)
    return [
        Artifact(name, program["version"], architecture, program["url"], program["checksum_url"], program["sha256"])
        for architecture in architectures
        for name, program in programs(
            catalogue,
            chosen,
            release=release,
            architecture=architecture,
            versions=versions,
            checksums=checksums,
            published=published,
        ).items()
    ]


class Mirror:
    """A directory in the upstream layout.

    :param source: address of another mirror to download from; empty for the publishers.
    :param signatures: verifies what is downloaded, beyond its sum.
    """

    def __init__(self, directory: str, *, source: str, opener: Opener, signatures: Signatures | None = None) -> None:
        self._directory = directory
        self._source = source
        self._opener = opener
        self._signatures = signatures

    def path(self, url: str) -> pathlib.Path:
        """Return where the file of an upstream address lies."""
        return pathlib.Path(mirrored(url, self._directory))

    def reason(self, artifact: Artifact) -> str | None:
        """Return why an artifact has to be downloaded, or None when it is present."""
        path, listing = self.path(artifact.url), self.path(artifact.checksum_url)
        if not path.is_file():
            return f"{path} is missing"
        expected = artifact.sha256
        if expected is None:
            if not listing.is_file():
                return f"{listing} is missing"
            expected = find_checksum(listing.read_text(encoding="utf-8", errors="replace"), path.name)
        if expected is None:
            return f"{listing} has no SHA-256 sum for {path.name}"
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected.lower():
            return f"{path} has the SHA-256 sum {found}, expected {expected.lower()}"
        return None

    def fill(self, artifact: Artifact) -> None:
        """Download an artifact, verify it, and put it in place together with its checksum file.

        :raises DownloadError: an address does not answer, a sum is missing or wrong, or the directory cannot be
            written. The previous files are still there.
        """
        path, listing = self.path(artifact.url), self.path(artifact.checksum_url)
        url = mirrored(artifact.url, self._source)
        try:
            with _beside(path) as new, _beside(listing) as new_listing:
                expected = artifact.sha256 or self._published_sum(artifact, url, new_listing)
                fetch(url, str(new), expected=expected, opener=self._opener)
                if self._signatures:
                    self._signatures.verify(artifact.url, new)
                listed = artifact.sha256 is None or self._has_listing(artifact, artifact.sha256, new_listing)
                new.chmod(0o644)
                new.replace(path)
                if listed:
                    new_listing.chmod(0o644)
                    new_listing.replace(listing)
        except OSError as error:
            raise DownloadError(
                f"{url}: {error.filename or path} cannot be written ({error.strerror}). Nothing was replaced. Look at "
                "the directory's owner and free space."
            ) from error

    def _has_listing(self, artifact: Artifact, expected: str, listing: pathlib.Path) -> bool:
        """Download the checksum file of a program whose sum is known, and return whether it says the same.

        Hosts that know the sum do not need it. One that cannot be read, or that others can change, is left out.
        """
        checksum_url = mirrored(artifact.checksum_url, self._source)
        if is_open(checksum_url):
            return False
        try:
            download(checksum_url, str(listing), opener=self._opener)
        except DownloadError:
            return False
        text = listing.read_text(encoding="utf-8", errors="replace")
        return find_checksum(text, self.path(artifact.url).name) == expected.lower()

    def _published_sum(self, artifact: Artifact, url: str, listing: pathlib.Path) -> str:
        if is_open(url):
            raise DownloadError(
                f"{url}: over plain HTTP others on the way can change the file and its sum. Nothing was downloaded. "
                f"Use https://, a directory, or give the sum in checksums, under {artifact.url}."
            )
        checksum_url = mirrored(artifact.checksum_url, self._source)
        download(checksum_url, str(listing), opener=self._opener)
        name = self.path(artifact.url).name
        found = find_checksum(listing.read_text(encoding="utf-8", errors="replace"), name)
        if found is None:
            raise DownloadError(f"{url}: {checksum_url} has no SHA-256 sum for {name}. Nothing was replaced.")
        return found


@contextlib.contextmanager
def _beside(path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Make a temporary file in the directory of a path, and remove it at the end unless it was moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
