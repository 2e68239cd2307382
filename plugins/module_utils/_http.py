# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP and HTTPS with client certificates, with the standard library alone.

Proxies are not used and redirects are not followed: these are addresses of the cluster's own hosts. Errors are those of
the standard library; the caller interprets them.
"""

from __future__ import annotations

import http.client
import ssl
import typing as t
from urllib.parse import urlsplit

__all__ = ("Answer", "connect", "exchange", "request", "tls_context")


class Answer(t.NamedTuple):
    """The answer of a server."""

    status: int
    body: bytes

    def text(self, characters: int = 400) -> str:
        """Return the beginning of the body as text for a message."""
        return self.body.decode("utf-8", "replace")[:characters].strip()


def tls_context(
    *, ca_cert: str | None = None, client_cert: str | None = None, client_key: str | None = None, verify: bool = True
) -> ssl.SSLContext:
    """Return a TLS context for a client.

    :param ca_cert: path of the authorities that the server's certificate is verified with; None is the system's.
    :param client_cert: path of the client certificate.
    :param client_key: path of its key, where the certificate's file has none.
    :param verify: accept no certificate that does not verify.
    :raises OSError: a file cannot be read, or is not a certificate or key (``ssl.SSLError`` is an OSError).
    """
    context = ssl.create_default_context(cafile=ca_cert)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client_cert:
        context.load_cert_chain(client_cert, client_key)
    return context


def connect(url: str, *, context: ssl.SSLContext | None = None, timeout: float) -> http.client.HTTPConnection:
    """Return a connection to the host of a URL, after the TLS handshake.

    :param context: for ``https:``; None verifies with the system's authorities.
    :param timeout: seconds for each step of the connection.
    :raises OSError: no connection, or no handshake. Nothing was sent.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: t.Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Answer:
    """Send one request over a connection and return the answer.

    :param limit: bytes of the answer that are read; None reads all of it.
    :raises OSError: the connection broke; the request may have been carried out.
    :raises http.client.HTTPException: the answer is not HTTP.
    """
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    return Answer(answer.status, answer.read() if limit is None else answer.read(limit))


def request(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: t.Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    timeout: float = 5.0,
    limit: int | None = None,
) -> Answer:
    """Send one request and return the answer, whatever its status.

    :raises OSError: no connection, no handshake, or the connection broke.
    :raises http.client.HTTPException: the answer is not HTTP.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = connect(url, context=context, timeout=timeout)
    try:
        return exchange(connection, method, path, body=body, headers=headers, limit=limit)
    finally:
        connection.close()
