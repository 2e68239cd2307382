# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download from the publishers, verified with the release catalogue's sums, else with their own checksum files."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import ChecksumError, DownloadError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import expected_sum, fetch

from .errors import MirrorError

CONNECT_SECONDS = 6.0


# The registry that serves a reference's first part.
REGISTRY_HOSTS = {"docker.io": "registry-1.docker.io"}


class NotThereError(Exception):
    """Upstream cannot give this file; the text says why. Not an error: it may still be built."""


class WrongSumError(MirrorError):
    """The publisher's file is not what the catalogue or the publisher says it is."""


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

    def fetch(self, url: str, checksum_url: str, destination: Path, *, sha256: str | None = None) -> None:
        """Download a file and verify it.

        :param sha256: the release catalogue's sum, which holds before the publisher's checksum file.
        :raises NotThereError: the publisher does not have the file, or no sum for it.
        :raises WrongSumError: the file has another sum; it is removed.
        """
        name = url.rsplit("/", 1)[1]
        try:
            expected = sha256 or expected_sum(url, checksum_url=checksum_url, name=name, opener=self._open)
            fetch(url, str(destination), expected=expected, opener=self._open)
        except ChecksumError as error:
            destination.unlink()
            raise WrongSumError(
                f"{error}, as {'the release catalogue' if sha256 else checksum_url} says. Nothing was kept. "
                "Run again; if it stays, something between here and the publisher changes files."
            ) from error
        except DownloadError as error:
            raise NotThereError(str(error)) from error

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
