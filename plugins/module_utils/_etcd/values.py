# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the values of keys in etcd are encrypted. Only the beginning of a value is looked at, and nothing is kept."""

from __future__ import annotations

import base64
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client

__all__ = ("PLAIN", "encryptions")

#: In the place of provider and key, of a value that is not encrypted.
PLAIN = "not encrypted"
_PAGE = 100
_MARK = "k8s:enc:"
# Characters of base64, a multiple of four, that hold the mark, the provider and the name of the key.
_HEAD = 400


def _encoded(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _encryption(value: str) -> str:
    """Return provider and key of a value, ``secretbox key1``."""
    # k8s:enc:PROVIDER:v1:KEY: and the encrypted value.
    head = base64.b64decode(value[:_HEAD]).decode("latin-1")
    if not head.startswith(_MARK):
        return PLAIN
    provider, _version, name = [*head[len(_MARK) :].split(":", 3), "", "", ""][:3]
    return f"{provider} {name}"


def encryptions(client: Client, prefix: str) -> t.Iterator[tuple[str, str]]:
    """Yield each key that begins with a prefix, and provider and key of its value, or :data:`PLAIN`.

    :raises EtcdError: no endpoint can be used, or there is no quorum.
    """
    start = prefix.encode()
    end = start[:-1] + bytes((start[-1] + 1,))
    while True:
        body = {"key": _encoded(start), "range_end": _encoded(end), "limit": _PAGE}
        answer = client.first("/v3/kv/range", body)[1]
        key = b""
        for entry in answer.get("kvs", ()):
            key = base64.b64decode(entry["key"])
            yield key.decode("utf-8", "replace"), _encryption(entry.get("value", ""))
        if not answer.get("more") or not key:
            return
        start = key + b"\0"
