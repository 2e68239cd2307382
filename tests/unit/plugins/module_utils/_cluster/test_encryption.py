# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The encryption configuration: refused where API servers would not start with it, without a key in a message."""

from __future__ import annotations

import base64

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.encryption import (
    encryption_problems,
    encryption_warnings,
)
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    settings,
)

PATH = "pki/encryption-config.yaml"


def key(length=32, name="key1"):
    return {"name": name, "secret": base64.b64encode(b"k" * length).decode()}


def document(*providers, **changes):
    entry = {"resources": ["secrets"], "providers": list(providers)}
    return yaml.safe_dump(
        {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": [entry], **changes}
    )


SETTINGS = settings(ca_encryption_provider="aescbc")
CBC = {"aescbc": {"keys": [key()]}}
IDENTITY = {"identity": {}}
AT = "resources[0].providers[0]"
BASE64 = "bytes, encoded (head -c 32 /dev/urandom | base64)"


@pytest.mark.parametrize(
    "text",
    [
        document(CBC, IDENTITY),
        document({"aesgcm": {"keys": [key(16), key(24, "key2")]}}, CBC),
        document({"secretbox": {"keys": [key()]}}),
        document({"kms": {"apiVersion": "v2", "name": "a", "endpoint": "unix:///run/kms.sock"}}, IDENTITY),
    ],
)
def test_a_configuration_that_api_servers_accept(text):
    assert encryption_problems(PATH, text) == []


def test_settings_that_the_file_does_not_have_are_a_warning():
    wanted = settings(ca_encryption_provider="secretbox", ca_encryption_resources=["secrets", "configmaps"])
    assert encryption_warnings(PATH, document(CBC, IDENTITY), wanted) == [
        f"{PATH} has aescbc, ca_encryption_provider of the inventory says secretbox; the file decides",
        f"{PATH} has secrets, ca_encryption_resources of the inventory says secrets, configmaps; the file decides",
    ]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: [b", ["it is not YAML at line 1"]),
        ("a\x00b", ["it is not YAML"]),
        ("", ["kind and apiVersion have to be EncryptionConfiguration and apiserver.config.k8s.io/v1"]),
        (
            document(CBC, kind="EncryptionConfig"),
            ["kind and apiVersion have to be EncryptionConfiguration and apiserver.config.k8s.io/v1"],
        ),
        (document(CBC, resources=[]), ["resources is missing or empty; it is a list with at least one entry"]),
        (
            document(CBC, resources=["secrets"]),
            [
                f"resources[0].{field} is missing or empty; it is a list with at least one entry"
                for field in ("resources", "providers")
            ],
        ),
        (
            document({**CBC, **IDENTITY}),
            [f"{AT} needs exactly one provider; known: aescbc, aesgcm, secretbox, kms, identity"],
        ),
        (
            document({"aescbz": {}}),
            [f"{AT}: the provider 'aescbz' is unknown; known: aescbc, aesgcm, secretbox, kms, identity"],
        ),
        (
            document({"aescbc": None}),
            [f"{AT}.aescbc.keys is missing or empty; it is a list with at least one entry"],
        ),
        (document({"aescbc": {"keys": [{"secret": "a"}]}}), [f"{AT}.aescbc.keys[0].name is missing, or is not text"]),
        (
            document({"aescbc": {"keys": [key(), key()]}}),
            [f"{AT}.aescbc.keys[1].name 'key1' is there twice; a value names the key that it was written with"],
        ),
        (
            document({"aescbc": {"keys": [{"name": "a", "secret": "not base64"}]}}),
            [f"{AT}.aescbc.keys[0].secret is not base64; allowed: 16 or 24 or 32 {BASE64}"],
        ),
        (
            document({"aesgcm": {"keys": [key(31)]}}),
            [f"{AT}.aesgcm.keys[0].secret has 31 bytes when decoded; allowed for aesgcm: 16 or 24 or 32"],
        ),
        (
            document({"aesgcm": {"keys": [{"name": "a"}]}}),
            [f"{AT}.aesgcm.keys[0].secret has 0 bytes when decoded; allowed for aesgcm: 16 or 24 or 32"],
        ),
        (
            document({"secretbox": {"keys": [key(16)]}}),
            [f"{AT}.secretbox.keys[0].secret has 16 bytes when decoded; allowed for secretbox: 32"],
        ),
        (document({"kms": {"name": "a"}}), [f"{AT}.kms.endpoint is missing"]),
    ],
)
def test_a_configuration_that_api_servers_refuse(text, problems):
    assert encryption_problems(PATH, text) == [f"{PATH}: {problem}" for problem in problems]
    assert encryption_warnings(PATH, text, SETTINGS) == []


def test_no_message_has_a_key_in_it():
    secret = key(31)["secret"]
    for text in (document({"aescbc": {"keys": [key(31)]}}), f"kind: [{secret}", f"secret: {secret}"):
        found = encryption_problems(PATH, text)
        assert found and not [message for message in found if secret in message]


def test_a_first_provider_that_does_not_encrypt_is_a_warning():
    text = document(IDENTITY, CBC)
    assert encryption_problems(PATH, text) == []
    assert encryption_warnings(PATH, text, SETTINGS) == [
        f"{PATH}: the first provider of secrets is identity, so that they are written to etcd unencrypted; the first "
        "provider writes, all of them read"
    ]
