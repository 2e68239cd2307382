# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download published files, and verify them with the SHA-256 sum that their publisher gives."""

from __future__ import annotations

import hashlib
import os
import re
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import ChecksumError, DownloadError

__all__ = ("Opener", "download", "expected_sum", "fetch", "find_checksum", "mirrored", "url_opener")

_CHUNK = 1024 * 1024
# Seconds before the second and the third attempt.
_PAUSES = (2.0, 5.0)
_Found = t.TypeVar("_Found")

# Opens an address and returns a readable binary stream; raises an exception with a readable message.
Opener = t.Callable[[str], t.Any]


def url_opener(*, timeout: float) -> Opener:
    """Return an opener with Ansible's handling of proxies, redirects and authorities.

    :param timeout: seconds without an answer.
    """

    def open_address(url: str) -> t.Any:
        # Imported late: it takes a quarter of the start of a module that has nothing to download.
        from ansible.module_utils.urls import open_url

        return open_url(url, timeout=timeout, follow_redirects="safe")

    return open_address


class _EndedEarly(OSError):
    """A download has fewer bytes than the server announced."""


def _passes(error: Exception) -> bool:
    """Return whether an error may be gone in a few seconds: a busy server, a connection that broke, no answer in time.

    A file that does not exist, a refused connection and an unknown name stay as they are.
    """
    # Imported late, as above.
    import http.client
    import urllib.error

    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code in (408, 429)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(
        reason, (TimeoutError, ConnectionResetError, ConnectionAbortedError, http.client.IncompleteRead, _EndedEarly)
    )


def _attempts(action: t.Callable[[], _Found]) -> _Found:
    """Return what an action returns, at the third attempt at last where its errors may pass."""
    said: list[str] = []
    for pause in (*_PAUSES, None):
        try:
            return action()
        except Exception as error:  # every opener has its own errors
            said += [str(error)] if str(error) not in said else []
            if pause is not None and _passes(error):
                time.sleep(pause)
            elif len(said) == 1:
                raise
            else:
                raise OSError("; then ".join(said)) from error
    raise AssertionError  # the last attempt returns or raises


def mirrored(url: str, mirror: str) -> str:
    """Return the address of a file in a mirror of the upstream layout.

    ``https://HOST/PATH`` is ``MIRROR/HOST/PATH``. An empty mirror changes nothing.
    """
    if not mirror:
        return url
    return mirror.rstrip("/") + "/" + url.split("://", 1)[1]


def find_checksum(text: str, name: str) -> str | None:
    """Return the SHA-256 sum for a file name from a publisher's checksum file.

    Both forms in use are read: a bare sum, and lines of ``SUM  NAME`` (GNU coreutils).
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for fields in lines:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", fields[0]):
            continue
        if len(fields) == 1 and len(lines) == 1:
            return fields[0].lower()
        if len(fields) >= 2 and os.path.basename(fields[1].lstrip("*")) == name:
            return fields[0].lower()
    return None


def expected_sum(url: str, *, checksum_url: str, name: str, opener: Opener) -> str:
    """Return the SHA-256 sum that a publisher's checksum file gives for a download.

    :param url: address of the download, for messages.
    :param checksum_url: address of the checksum file.
    :param name: file name of the download, as the publisher's file has it.
    :raises DownloadError: the file cannot be read, or has no sum for the name.
    """

    def read() -> str:
        with opener(checksum_url) as stream:
            return str(stream.read(_CHUNK).decode("utf-8", "replace"))

    try:
        text = _attempts(read)
    except Exception as error:  # every opener has its own errors
        raise DownloadError(f"{url}: its checksum file {checksum_url} cannot be read ({error})") from error
    found = find_checksum(text, name)
    if found is None:
        raise DownloadError(f"{url}: {checksum_url} has no SHA-256 sum for {name}")
    return found


def _announced_size(response: t.Any) -> int | None:
    """Return the length that a server announced, in bytes; None without one, or when the content is compressed."""
    headers = getattr(response, "headers", {})
    size = headers.get("Content-Length", "")
    return int(size) if size.isdigit() and not headers.get("Content-Encoding") else None


def download(url: str, path: str, *, opener: Opener) -> str:
    """Download an address into a file, and return its SHA-256 sum.

    A server that is busy or whose connection breaks is asked three times.

    :raises DownloadError: the address does not answer, or ends early; or the file cannot be written.
    """
    try:
        return _attempts(lambda: _download(url, path, opener))
    except Exception as error:  # every opener has its own errors
        raise DownloadError(f"{url}: the download failed ({error})") from error


def _download(url: str, path: str, opener: Opener) -> str:
    digest = hashlib.sha256()
    with opener(url) as source, open(path, "wb") as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
        announced = _announced_size(source)
        if announced is not None and target.tell() < announced:
            raise _EndedEarly(f"it ended after {target.tell()} of {announced} bytes")
    return digest.hexdigest()


def fetch(url: str, path: str, *, expected: str, opener: Opener) -> None:
    """Download an address into a file, and verify it.

    :param expected: SHA-256 sum, in hexadecimal.
    :raises DownloadError: as :func:`download`.
    :raises ChecksumError: the sum is another one. The file is left, for the caller to remove.
    """
    found = download(url, path, opener=opener)
    if found != expected.lower():
        raise ChecksumError(f"{url}: the SHA-256 sum of the download is {found}, expected {expected.lower()}")
