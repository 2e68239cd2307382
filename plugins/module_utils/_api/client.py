# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to an API server with the credentials of a kubeconfig, with the standard library alone.

Only the kubeconfigs that this collection writes are read: one cluster and one user, whose certificates are in the file.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import ssl
import tempfile
import time
import typing as t
from urllib.parse import urlencode

from ansible_collections.hardway.kubernetes.plugins.module_utils import _http
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError

__all__ = ("ApiError", "Client", "Object")

#: An object of the API, as JSON has it.
Object = dict[str, t.Any]
_PAGE = 250
#: Seconds between two questions whether the API server is ready.
_PERIOD = 0.5


class ApiError(HardwayError):
    """A request failed.

    :ivar status: of HTTP; 0 without an answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def _field(text: str, name: str) -> str:
    found = re.search(rf"^\s*(?:- )?[\"']?{name}[\"']?:\s*[\"']?([^\"'\s,]+)", text, re.MULTILINE)
    return found.group(1) if found else ""


def _context(text: str) -> ssl.SSLContext:
    """Return a TLS context of the certificates in a kubeconfig.

    :raises OSError: they cannot be used.
    :raises ValueError: they are not base64.
    """
    parts = {
        name: base64.b64decode(_field(text, f"{name}-data"), validate=True)
        for name in ("certificate-authority", "client-certificate", "client-key")
    }
    context = ssl.create_default_context(cadata=parts["certificate-authority"].decode("ascii"))
    # Python takes a client certificate from a file only. Only its owner can read it, and it is gone at once.
    descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(parts["client-certificate"] + b"\n" + parts["client-key"])
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
    return context


class Client:
    """One API server, over one connection that is opened again when it breaks.

    :param kubeconfig: path.
    :param timeout: seconds for one request.
    :raises ApiError: the kubeconfig cannot be read or used.
    """

    def __init__(self, kubeconfig: str, *, timeout: float = 30.0) -> None:
        try:
            with open(kubeconfig, encoding="utf-8") as stream:
                text = stream.read()
            self._context = _context(text)
        except OSError as error:
            raise ApiError(f"{kubeconfig} cannot be used: {error.strerror or error}. Run site.yml first.") from error
        except ValueError as error:
            raise ApiError(
                f"{kubeconfig} has no usable certificates in it ({error}). Write it again with site.yml."
            ) from error
        self.server = _field(text, "server").rstrip("/")
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    @classmethod
    def when_ready(cls, kubeconfig: str, *, seconds: float = 60.0) -> Client:
        """Return a client of an API server that is ready. A run that was killed may have left it starting.

        :param kubeconfig: path.
        :param seconds: time that the server has.
        :raises ApiError: the kubeconfig cannot be used, or the server does not become ready.
        """
        client = cls(kubeconfig)
        end = time.monotonic() + seconds
        while True:
            found = client._readiness()
            if not found:
                return client
            if time.monotonic() >= end:
                raise ApiError(
                    f"{client.server}: the API server is not ready within {seconds:g} s ({found}). "
                    "Look at `journalctl --unit=kube-apiserver` of the host; run site.yml, then this again."
                )
            time.sleep(_PERIOD)

    def _readiness(self) -> str:
        """Return why the API server is not ready; empty if it is."""
        try:
            answer = self._exchange("GET", "/readyz", None)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return str(error)
        return "" if answer.status == 200 else f"HTTP {answer.status}"

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def request(self, method: str, path: str, body: Object | None = None) -> Object:
        """Send a request and return the answer. A request whose connection broke is sent once more.

        :param path: such as ``/api/v1/secrets?limit=1``.
        :raises ApiError: no answer, or one that is an error.
        """
        for last in (False, True):
            try:
                return self._send(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if last:
                    raise ApiError(f"{self.server}: {method} {path.partition('?')[0]}: {error}") from error
        raise AssertionError

    def _exchange(self, method: str, path: str, body: Object | None) -> _http.Answer:
        if self._connection is None:
            self._connection = _http.connect(self.server, context=self._context, timeout=self._timeout)
        return _http.exchange(
            self._connection,
            method,
            path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json"},
        )

    def _send(self, method: str, path: str, body: Object | None) -> Object:
        answer = self._exchange(method, path, body)
        with contextlib.suppress(ValueError):
            found = json.loads(answer.body)
            if isinstance(found, dict) and answer.status < 300:
                return found
        # The body is a Status, which repeats what was refused; an object of a user may be in it.
        raise ApiError(f"{self.server}: {method} {path.partition('?')[0]}: HTTP {answer.status}", answer.status)

    def pages(self, path: str, **parameters: str) -> t.Iterator[list[Object]]:
        """Yield the objects of a list in pages. A list whose history was compacted begins again.

        :raises ApiError: see `request`.
        """
        again = True
        position = ""
        while True:
            query = {"limit": str(_PAGE), **parameters, **({"continue": position} if position else {})}
            try:
                found = self.request("GET", f"{path}?{urlencode(query)}")
            except ApiError as error:
                if error.status != 410 or not again:
                    raise
                again, position = False, ""
                continue
            yield found.get("items") or []
            position = found.get("metadata", {}).get("continue", "")
            if not position:
                return
