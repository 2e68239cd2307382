# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download from the publishers, verified by their own checksum files."""

from __future__ import annotations

import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import find_checksum

from . import checksums
from .errors import MirrorError

CONNECT_SECONDS = 6.0
CHUNK = 1 << 20


# The registry that serves a reference's first part.
REGISTRY_HOSTS = {"docker.io": "registry-1.docker.io"}


class NotThereError(Exception):
    """Upstream cannot give this file; the text says why. Not an error: it may still be built."""


class WrongSumError(MirrorError):
    """The publisher's file is not what the publisher says it is."""


def host_of(address: str) -> str:
    """The host of an address, or of an image reference."""
    if "://" in address:
        return urlsplit(address).netloc
    host = address.split("/", 1)[0]
    return REGISTRY_HOSTS.get(host, host)


class Upstream:
    """The publishers' sites. A host that did not answer once is not asked again in this run."""

    def __init__(self, timeout: float = CONNECT_SECONDS) -> None:
        self._timeout = timeout
        self._silent: dict[str, str] = {}

    def fetch(self, url: str, checksum_url: str, destination: Path) -> None:
        """`url` into `destination`, or NotThereError; a sum that differs is an error."""
        name = url.rsplit("/", 1)[1]
        listing = destination.with_name(destination.name + ".sum")
        try:
            self._get(checksum_url, listing)
            expected = find_checksum(listing.read_text(encoding="utf-8", errors="replace"), name)
        finally:
            listing.unlink(missing_ok=True)
        if expected is None:
            raise NotThereError(f"{checksum_url} names no sum for {name}")
        self._get(url, destination)
        found = checksums.file_sum(destination)
        if found != expected:
            destination.unlink()
            raise WrongSumError(
                f"{url}: sha256 is {found}, but {checksum_url} says {expected}; nothing was kept. "
                "Run again; if it stays, something between here and the publisher changes files."
            )

    def expect_answer(self, address: str) -> None:
        """Raise NotThereError when the host of this address or image reference is known not to answer."""
        if host_of(address) in self._silent:
            raise NotThereError(self._silent[host_of(address)])

    def expect_registry(self, reference: str) -> None:
        """Raise NotThereError unless the image's registry answers; a request for a login is an answer."""
        url = f"https://{host_of(reference)}/v2/"
        try:
            self._open(url).close()
        except urllib.error.HTTPError as error:
            if error.code != http.client.UNAUTHORIZED:
                raise NotThereError(f"{url} answers {error.code} {error.reason}") from error

    def _open(self, url: str) -> http.client.HTTPResponse:
        self.expect_answer(url)
        host = host_of(url)
        try:
            response: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=self._timeout)
        except urllib.error.HTTPError:
            raise
        except OSError as error:  # URLError, time-outs, TLS and proxy refusals
            self._silent[host] = f"{host} cannot be reached ({getattr(error, 'reason', error)})"
            raise NotThereError(self._silent[host]) from error
        return response

    def _get(self, url: str, destination: Path) -> None:
        try:
            with self._open(url) as response, destination.open("wb") as stream:
                shutil.copyfileobj(response, stream, CHUNK)
        except urllib.error.HTTPError as error:
            raise NotThereError(f"{url} answers {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise NotThereError(f"{url} broke off ({error})") from error
