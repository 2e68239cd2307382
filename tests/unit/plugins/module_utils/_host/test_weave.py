# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weave Net as an API server knows it."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import weave as module

PASSWORD = "a-word-that-nobody-may-read"
# openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:a-word-that-nobody-may-read -kdfopt salt:weave-net
#   -kdfopt iter:100000 PBKDF2
HASH = "f33f85c8e64113e3ab14e5dc82f00f49dba89c10df4c4baa2f486d038492c909"


def secrets(*passwords: str | None) -> str:
    data = (
        {} if word is None else {"data": {"password": base64.b64encode(word.encode()).decode()}} for word in passwords
    )
    return json.dumps({"kind": "SecretList", "items": [{"metadata": {"name": "weave-net"}, **found} for found in data]})


def daemon_sets(*variables: str) -> str:
    containers = [{"name": "weave", "env": [{"name": name} for name in variables]}, {"name": "weave-npc"}]
    return json.dumps({"items": [{"spec": {"template": {"spec": {"containers": containers}}}}]})


NONE = json.dumps({"items": []})


@pytest.mark.parametrize(
    ("secret", "daemon_set", "found"),
    [
        (secrets(PASSWORD), None, {"password": HASH, "in_clear": False}),
        # The role leaves an empty Secret where a password was withdrawn.
        (secrets(None), daemon_sets("HOSTNAME"), {"password": "", "in_clear": True}),
        (secrets(), daemon_sets("HOSTNAME"), {"password": "", "in_clear": True}),
        (secrets(), daemon_sets("WEAVE_PASSWORD"), {"password": "", "in_clear": False}),
        (secrets(), NONE, {"password": "", "in_clear": False}),
        ('{"items": [{"data": null}]}', NONE, {"password": "", "in_clear": False}),
        # The API does not answer, or says something else: that is not the same as no password.
        ("", "", None),
        (secrets(), "", None),
        ("Unable to connect to the server", None, None),
        ('{"kind": "Status", "code": 403}', None, None),
        ("[]", None, None),
    ],
)
def test_what_the_api_says(secret: str, daemon_set: str | None, found: dict[str, t.Any] | None) -> None:
    asked = []

    def get(path: str) -> str:
        asked.append(path.rpartition("/")[2])
        answer = secret if "/secrets?" in path else daemon_set
        assert answer is not None
        return answer

    assert module.weave(get) == found
    assert asked[0] == "secrets?fieldSelector=metadata.name%3Dweave-net"
    assert asked[1:] == (
        [] if daemon_set is None or not secret else ["daemonsets?fieldSelector=metadata.name%3Dweave-net"]
    )


def test_the_password_itself_is_not_returned() -> None:
    found = json.dumps(module.weave(lambda _path: secrets(PASSWORD)))
    assert PASSWORD not in found
    assert base64.b64encode(PASSWORD.encode()).decode() not in found
