# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's JSON gateway over mutual TLS, with the standard library alone.

Paths and fields are those of etcd's ``rpc.proto`` (``/v3/cluster/member/*``, ``/v3/maintenance/*``), which are
the same in etcd 3.4, 3.5, 3.6 and 3.7. 64-bit numbers are strings in JSON; fields with a zero value are left out.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import typing as t
from urllib.parse import urlsplit

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._http import connect, tls_context

__all__ = ("CONNECTION", "Client", "EtcdError", "Cause")

#: Options of a module that talks to etcd, as the documentation fragment ``_etcd`` has them; see :meth:`Client.of`.
CONNECTION: dict[str, dict[str, t.Any]] = {
    "endpoints": {"type": "list", "elements": "str", "required": True},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "request_timeout": {"type": "float", "default": 10},
}

# OpenSSL's X509_V_ERR_* of a server certificate that does not verify.
_EXPIRED = (9, 10)  # not yet valid, has expired
_WRONG_NAME = (62, 64)  # host name mismatch, IP address mismatch


class Cause:
    """Causes for which an endpoint could not be used; messages begin with them."""

    REFUSED = "connection refused"
    TIME_OUT = "time-out"
    UNREACHABLE = "not reachable"
    NOT_TRUSTED = "certificate not trusted"
    EXPIRED = "certificate expired"
    WRONG_NAME = "certificate of the wrong name"
    CLIENT_CERTIFICATE = "client certificate not accepted"
    NOT_TLS = "no TLS"
    FILES = "certificate files"
    NOT_LEADER = "not the leader"
    NO_QUORUM = "no quorum"
    UNHEALTHY = "unhealthy cluster"
    NOT_IN_SYNC = "learner not in sync"
    LEARNER = "is a learner"
    NOT_FOUND = "member not found"
    TOO_OLD = "version too old"
    ANSWER = "answer not understood"
    REJECTED = "rejected"


# Part of etcd's message -> cause. The first one that the message contains counts.
_MESSAGES = (
    ("not leader", Cause.NOT_LEADER),
    ("no leader", Cause.NO_QUORUM),
    ("leader changed", Cause.NOT_LEADER),
    ("leadership transfer", Cause.NOT_LEADER),
    ("request timed out", Cause.NO_QUORUM),
    ("unhealthy cluster", Cause.UNHEALTHY),
    ("not enough started members", Cause.UNHEALTHY),
    ("in sync with leader", Cause.NOT_IN_SYNC),
    ("not supported for learner", Cause.LEARNER),
    ("member not found", Cause.NOT_FOUND),
)
# Every other member would answer the same.
_FINAL = (Cause.REJECTED, Cause.NOT_IN_SYNC, Cause.UNHEALTHY, Cause.NOT_FOUND)
_HINTS = {
    Cause.REFUSED: "the port is closed; is etcd running on that host?",
    Cause.TIME_OUT: "nothing answered in time; is the host up, and does a firewall let the port through?",
    Cause.NOT_TRUSTED: "ca_cert did not issue the certificate that the endpoint shows",
    Cause.EXPIRED: "renew the endpoint's certificate, or set the clocks right",
    Cause.WRONG_NAME: "the endpoint's certificate does not name this address; use an address that it names",
    Cause.CLIENT_CERTIFICATE: "it must be valid now, and issued by the CA that the endpoint trusts",
    Cause.NOT_TLS: "the endpoint does not speak TLS; is it http://, or another port?",
    Cause.TOO_OLD: "etcd 3.4 or newer is needed, older ones have no /v3 gateway",
}


class EtcdError(HardwayError):
    """An endpoint could not be used, or refused the request.

    :param endpoint: URL that was asked.
    :param cause: one of :class:`Cause`.
    :param detail: what was found.
    :param maybe_done: the request was sent and no answer came: it may have been carried out.
    """

    def __init__(self, endpoint: str, cause: str, detail: str = "", *, maybe_done: bool = False) -> None:
        hint = _HINTS.get(cause, "")
        text = f"{endpoint}: {cause}" + (f" ({detail})" if detail else "") + (f": {hint}" if hint else "")
        super().__init__(text)
        # The actions of the caller before the failure; they are not undone.
        self.actions: list[str] = []
        self.endpoint = endpoint
        self.cause = cause
        self.detail = detail
        self.maybe_done = maybe_done


def _tls_error(endpoint: str, error: ssl.SSLError) -> EtcdError:
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = error.verify_message
        if error.verify_code in _EXPIRED:
            return EtcdError(endpoint, Cause.EXPIRED, detail)
        if error.verify_code in _WRONG_NAME:
            return EtcdError(endpoint, Cause.WRONG_NAME, detail.rstrip("."))
        return EtcdError(endpoint, Cause.NOT_TRUSTED, detail)
    reason = str(error.reason or error)
    # TLS alerts are the server's answer to our certificate.
    if "ALERT" in reason or "CERTIFICATE" in reason:
        return EtcdError(endpoint, Cause.CLIENT_CERTIFICATE, reason.lower().replace("_", " "))
    return EtcdError(endpoint, Cause.NOT_TLS, reason.lower().replace("_", " "))


class Client:
    """Endpoints of one cluster; the first that can be used answers.

    :param endpoints: client URLs, ``https://HOST:PORT``; with ``http://`` nothing is encrypted.
    :param timeout: seconds for one request. etcd itself cancels a request without a quorum after 7 s.
    :raises EtcdError: the certificate files cannot be read.
    """

    def __init__(
        self,
        *,
        endpoints: t.Sequence[str],
        ca_cert: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.endpoints = [endpoint.rstrip("/") for endpoint in endpoints]
        self.timeout = timeout
        self._context: ssl.SSLContext | None = None
        self._files = (ca_cert, client_cert, client_key)
        for endpoint in self.endpoints:
            self._check_url(endpoint)
        if any(endpoint.startswith("https:") for endpoint in self.endpoints) or ca_cert:
            self._context = self._tls()

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> Client:
        """Return a client from a module's options, as the documentation fragment ``_etcd`` has them.

        :raises EtcdError: the certificate files cannot be read, or an endpoint is not a client URL.
        """
        names = ("endpoints", "ca_cert", "client_cert", "client_key")
        return cls(**{name: options[name] for name in names}, timeout=options["request_timeout"])

    @staticmethod
    def _check_url(endpoint: str) -> None:
        parts = urlsplit(endpoint)
        try:
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not None
        except ValueError:
            valid = False
        if not valid or parts.path:
            raise EtcdError(
                endpoint, Cause.UNREACHABLE, "not a client URL; allowed: https://HOST:PORT or http://HOST:PORT"
            )

    def _tls(self) -> ssl.SSLContext:
        ca_cert, client_cert, client_key = self._files
        try:
            context = tls_context(ca_cert=ca_cert)
        except OSError as error:  # ssl.SSLError is one
            raise EtcdError(self.endpoints[0], Cause.FILES, f"ca_cert {ca_cert} cannot be used: {error}") from error
        if client_cert:
            try:
                context.load_cert_chain(client_cert, client_key)
            except OSError as error:
                raise EtcdError(
                    self.endpoints[0],
                    Cause.FILES,
                    f"client_cert {client_cert} with client_key {client_key} cannot be used: {error}",
                ) from error
        return context

    def ask(
        self, path: str, body: dict[str, t.Any] | None = None, *, endpoint: str, timeout: float | None = None
    ) -> dict[str, t.Any]:
        """Send one request to one endpoint and return the answer.

        :param path: such as ``/v3/cluster/member/list``.
        :raises EtcdError: it could not be used, or refused.
        """
        connection = self._connect(endpoint, self.timeout if timeout is None else timeout)
        with contextlib.closing(connection), self._named_errors(endpoint, path):
            answer = self._post(connection, path, body)
            content = answer.read()
        return self._parse(endpoint, path, answer.status, content)

    def stream(self, path: str, body: dict[str, t.Any] | None = None, *, endpoint: str) -> t.Iterator[dict[str, t.Any]]:
        """Send one request to one endpoint and yield the results of its answer, as they come.

        :param path: such as ``/v3/maintenance/snapshot``.
        :raises EtcdError: it could not be used, or refused, also in the middle.
        """
        connection = self._connect(endpoint, self.timeout)
        with contextlib.closing(connection), self._named_errors(endpoint, path):
            answer = self._post(connection, path, body)
            if answer.status != 200:
                self._parse(endpoint, path, answer.status, answer.read())
            # One JSON object a line: {"result": ...}, or {"error": ...} at the end.
            for line in answer:
                entry = self._parse(endpoint, path, 200, line)
                if "result" not in entry:
                    raise EtcdError(endpoint, Cause.REJECTED, str(entry.get("error", entry))[:300])
                yield entry["result"]

    @staticmethod
    def _post(
        connection: http.client.HTTPConnection, path: str, body: dict[str, t.Any] | None
    ) -> http.client.HTTPResponse:
        connection.request("POST", path, json.dumps(body or {}).encode(), {"Content-Type": "application/json"})
        return connection.getresponse()

    @contextlib.contextmanager
    def _named_errors(self, endpoint: str, path: str) -> t.Iterator[None]:
        """Turn a failure of a request that may have been sent into an error with its cause."""
        try:
            yield
        except socket.timeout as error:
            raise EtcdError(endpoint, Cause.TIME_OUT, f"no answer to {path}", maybe_done=True) from error
        except (ssl.SSLEOFError, ConnectionError) as error:
            raise self._closed(endpoint, error) from error
        except ssl.SSLError as error:
            raise _tls_error(endpoint, error) from error
        except http.client.HTTPException as error:
            raise EtcdError(endpoint, Cause.ANSWER, repr(error)) from error
        except OSError as error:
            raise EtcdError(endpoint, Cause.UNREACHABLE, str(error), maybe_done=True) from error

    def _closed(self, endpoint: str, error: OSError) -> EtcdError:
        """Find out why an endpoint closed the connection.

        With TLS 1.3 a server rejects our certificate after the handshake, and its alert is lost when we write at that
        moment. With TLS 1.2 it rejects the certificate in the handshake: one is made, and nothing is sent.
        """
        if not self._plain(endpoint):
            context = self._tls()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            try:
                self._connect(endpoint, self.timeout, context).close()
            except EtcdError as found:
                if found.cause == Cause.CLIENT_CERTIFICATE:
                    return found
        return EtcdError(endpoint, Cause.UNREACHABLE, f"it closed the connection: {error}", maybe_done=True)

    @staticmethod
    def _plain(endpoint: str) -> bool:
        return endpoint.startswith("http:")

    def _connect(
        self, endpoint: str, timeout: float, context: ssl.SSLContext | None = None
    ) -> http.client.HTTPConnection:
        try:
            return connect(endpoint, context=context or self._context, timeout=timeout)
        except ssl.SSLError as error:
            raise _tls_error(endpoint, error) from error
        except ConnectionRefusedError as error:
            raise EtcdError(endpoint, Cause.REFUSED) from error
        except socket.timeout as error:
            raise EtcdError(endpoint, Cause.TIME_OUT, f"no connection within {timeout:g} s") from error
        except OSError as error:
            raise EtcdError(endpoint, Cause.UNREACHABLE, error.strerror or str(error)) from error

    @staticmethod
    def _parse(endpoint: str, path: str, status: int, content: bytes) -> dict[str, t.Any]:
        text = content[:300].decode("utf-8", "replace").strip()
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        if isinstance(answer, dict) and (answer.get("message") or answer.get("error")):
            message = str(answer.get("message") or answer.get("error"))
            if message == "Not Found":
                raise EtcdError(endpoint, Cause.TOO_OLD, f"it has no {path}")
            cause = next((cause for words, cause in _MESSAGES if words in message), Cause.REJECTED)
            raise EtcdError(endpoint, cause, message)
        if status == 404:
            raise EtcdError(endpoint, Cause.TOO_OLD, f"it has no {path}")
        if status == 400 and "HTTPS server" in text:
            raise EtcdError(endpoint, Cause.ANSWER, "it wants https://")
        raise EtcdError(endpoint, Cause.ANSWER, f"{path} gives {status}: {text}")

    def first(
        self,
        path: str,
        body: dict[str, t.Any] | None = None,
        *,
        endpoints: t.Sequence[str] | None = None,
        write: bool = False,
    ) -> tuple[str, dict[str, t.Any]]:
        """Ask one endpoint after the other until one answers; return its URL and the answer.

        The next one is tried when an endpoint cannot be used or has no leader. A request that etcd refuses for
        its content is refused by every member, and is not repeated.

        :param write: the request changes something; it is not repeated where it may have been carried out.
        :raises EtcdError: none can be used; the message names each with its cause.
        """
        errors: list[EtcdError] = []
        for endpoint in endpoints or self.endpoints:
            try:
                return endpoint, self.ask(path, body, endpoint=endpoint)
            except EtcdError as error:
                if error.cause in _FINAL or (write and error.maybe_done):
                    raise
                errors.append(error)
        raise summary(errors)


def summary(errors: t.Sequence[EtcdError]) -> EtcdError:
    """Return one error for several endpoints; its cause is the first one's."""
    if len(errors) == 1:
        return errors[0]
    every = EtcdError(errors[0].endpoint, errors[0].cause)
    every.args = (f"none of {len(errors)} endpoints can be used: " + "; ".join(str(error) for error in errors),)
    return every
