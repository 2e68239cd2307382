# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health endpoints: of a unit, and of the other members of its cluster."""

from __future__ import annotations

import http.client
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils import _http
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import UnitError

__all__ = ("Health", "wait_for_peers")

_POLL_SECONDS = 0.2


class Health:
    """A health endpoint, asked over HTTP or HTTPS.

    :param url: address that answers 200 when the program is healthy.
    :param ca_cert: CA file that the server certificate is verified with; without one an HTTPS
        answer is accepted from loopback only, where components serve self-signed certificates.
    :raises UnitError: an unverified HTTPS address that is not loopback.
    """

    def __init__(
        self,
        *,
        url: str,
        ca_cert: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
    ) -> None:
        self.url = url
        self._ca_cert = ca_cert
        self._client_cert = client_cert
        self._client_key = client_key
        host = url.split("://", 1)[-1]
        loopback = host.startswith(("127.", "localhost", "[::1]"))
        if url.startswith("https:") and not ca_cert and not loopback:
            raise UnitError(f"{url}: only an address on loopback may be asked without ca_cert")

    def problem(self) -> str | None:
        """Return why the endpoint is not healthy, or None when it is."""
        try:
            context = None
            if self.url.startswith("https:"):
                context = _http.tls_context(
                    ca_cert=self._ca_cert,
                    client_cert=self._client_cert,
                    client_key=self._client_key,
                    verify=bool(self._ca_cert),
                )
            answer = _http.request(self.url, context=context, timeout=5, limit=400)
        except (OSError, http.client.HTTPException) as error:
            return f"{self.url}: {error}"
        if answer.status == 200:
            return None
        text = answer.text()
        return f"{self.url} answers {answer.status}" + (f": {text}" if text else "")


def wait_for_peers(name: str, peers: t.Iterable[Health], *, timeout: float) -> None:
    """Wait until every other member of the component's cluster is healthy, so that this one may restart.

    :param timeout: seconds for all of them.
    :raises UnitError: one is not healthy in time; nothing was restarted.
    """
    begun = time.monotonic()
    for peer in peers:
        problem = peer.problem()
        while problem is not None:
            if time.monotonic() - begun > timeout:
                raise UnitError(
                    f"{name} was not restarted: on another host it is not healthy after {timeout:.0f} s ({problem}), "
                    "and with both of them away the cluster may stand still. Bring that host back first (where it "
                    "waits for the same change: with --limit to it), then run this again"
                )
            time.sleep(_POLL_SECONDS)
            problem = peer.problem()
