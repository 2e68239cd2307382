# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key signed the tokens in Secrets of service accounts. They do not expire."""

from __future__ import annotations

import base64
import json

from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import Client, Object

__all__ = ("key_of_token", "legacy_tokens")

_TYPE = "kubernetes.io/service-account-token"


def key_of_token(token: str) -> str:
    """Return the SHA-256 of the public key that verifies a token, hexadecimal; empty where it is not a token.

    An API server and a controller manager put it into the token's header as ``kid``.
    """
    try:
        header = token.split(".", 1)[0]
        key = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
        return base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)).hex()
    except (ValueError, KeyError, TypeError):
        return ""


def _entry(secret: Object) -> dict[str, str]:
    metadata = secret.get("metadata", {})
    try:
        token = base64.b64decode(secret.get("data", {}).get("token") or "").decode("ascii")
    except ValueError:
        token = ""
    return {
        "namespace": str(metadata.get("namespace", "")),
        "name": str(metadata.get("name", "")),
        "key": key_of_token(token),
    }


def legacy_tokens(client: Client) -> list[dict[str, str]]:
    """Return ``namespace``, ``name`` and ``key`` of each Secret with a service account's token. No token is returned.

    :raises ApiError: the API server does not answer.
    """
    pages = client.pages("/api/v1/secrets", fieldSelector=f"type={_TYPE}")
    found = [_entry(secret) for page in pages for secret in page]
    return [entry for entry in found if entry["key"]]
