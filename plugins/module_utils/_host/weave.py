# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the API with which password Weave Net runs. The password itself is not returned."""

from __future__ import annotations

import base64
import hashlib
import json
import typing as t

__all__ = ("Weave", "password_hash", "weave")

# Lists, which are empty and not an error where the object does not exist.
_NAMED = "?fieldSelector=metadata.name%3Dweave-net"
_SECRETS = f"/api/v1/namespaces/kube-system/secrets{_NAMED}"
_DAEMON_SETS = f"/apis/apps/v1/namespaces/kube-system/daemonsets{_NAMED}"
_SALT, _ROUNDS = b"weave-net", 100_000


class Weave(t.TypedDict):
    """The Weave Net of a cluster."""

    #: Its password, see :func:`password_hash`; empty without one.
    password: str
    #: Whether it runs, and sends in the clear.
    in_clear: bool


def password_hash(password: bytes) -> str:
    """Return PBKDF2-HMAC-SHA256 of a password, hexadecimal.

    A password of the user's own may be short, and a plain hash of it quick to guess.
    """
    return hashlib.pbkdf2_hmac("sha256", password, _SALT, _ROUNDS).hex()


def weave(get: t.Callable[[str], str]) -> Weave | None:
    """Return the Weave Net of the cluster; None where the API does not say.

    :param get: returns the API's answer for a path as JSON, empty where it does not answer.
    """
    try:
        secrets = json.loads(get(_SECRETS))["items"]
        passwords = [found["data"]["password"] for found in secrets if (found.get("data") or {}).get("password")]
        if passwords:
            return {"password": password_hash(base64.b64decode(passwords[0])), "in_clear": False}
        daemon_sets = json.loads(get(_DAEMON_SETS))["items"]
        containers = [one for found in daemon_sets for one in found["spec"]["template"]["spec"]["containers"]]
    except (ValueError, KeyError, TypeError):
        return None
    variables = [variable.get("name") for container in containers for variable in container.get("env") or []]
    return {"password": "", "in_clear": bool(containers) and "WEAVE_PASSWORD" not in variables}
