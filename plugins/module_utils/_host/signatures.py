# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the signatures of Kubernetes' programs with cosign, on the control node.

Kubernetes publishes ``NAME.sig`` and ``NAME.cert`` beside each program. The certificate names who signed.
"""

from __future__ import annotations

import pathlib
import shutil
import tempfile

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import Opener, download, mirrored

__all__ = ("Signatures",)

_SIGNED = "https://dl.k8s.io/"
_IDENTITY = "krel-staging@k8s-releng-prod.iam.gserviceaccount.com"
_ISSUER = "https://accounts.google.com"


class Signatures:
    """Verifies files with the program cosign.

    :param source: address of a mirror that has the signatures; empty for the publisher.
    :param run: runs cosign, and raises OSError where it cannot, or where cosign does not end.
    :raises DownloadError: cosign is not there.
    """

    def __init__(self, *, source: str, opener: Opener, run: Run) -> None:
        found = shutil.which("cosign")
        if found is None:
            raise DownloadError(
                "verify_signatures: the program cosign is not in the PATH of the control node. Nothing was downloaded. "
                "Install cosign 2 or newer, or leave verify_signatures off."
            )
        self._cosign = found
        self._source = source
        self._opener = opener
        self._run = run

    def verify(self, url: str, path: pathlib.Path) -> None:
        """Verify a download; one that Kubernetes does not publish has no signature to verify.

        :param url: upstream address of the file.
        :raises DownloadError: the signature cannot be read, or cosign does not accept it.
        """
        if not url.startswith(_SIGNED):
            return
        with tempfile.TemporaryDirectory() as directory:
            options = []
            for option, suffix in (("--signature", ".sig"), ("--certificate", ".cert")):
                file = str(pathlib.Path(directory) / f"program{suffix}")
                download(mirrored(url + suffix, self._source), file, opener=self._opener)
                options += [option, file]
            self._ask(url, [*options, str(path)])

    def _ask(self, url: str, arguments: list[str]) -> None:
        command = [self._cosign, "verify-blob", "--certificate-identity", _IDENTITY]
        command += ["--certificate-oidc-issuer", _ISSUER, *arguments]
        try:
            code, _stdout, stderr = self._run(command)
        except OSError as error:
            raise DownloadError(
                f"{url}: cosign could not verify its signature: {error}. Nothing was replaced. Run {self._cosign} "
                "version on the control node to see whether it works there."
            ) from error
        if code:
            raise DownloadError(
                f"{url}: cosign does not accept its signature as that of {_IDENTITY}: {stderr.strip()[-300:]}. "
                "Nothing was replaced."
            )
