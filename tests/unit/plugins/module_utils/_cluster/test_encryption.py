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
    setting_differences,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.identity import encryption_keys
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    computed,
    empty,
    running,
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
SECRETBOX2 = {"secretbox": {"keys": [key(name="key2")]}}
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


WANTED = settings(ca_encryption_provider="secretbox", ca_encryption_resources=["secrets", "configmaps"])


def test_settings_that_the_file_does_not_have():
    assert setting_differences(PATH, document(CBC, IDENTITY), WANTED, exists=False) == [
        f"{PATH} has secrets, ca_encryption_resources of the inventory says secrets, configmaps; the file decides",
        f"{PATH} has aescbc, ca_encryption_provider of the inventory says secretbox; the file decides",
    ]
    way = "to change that on a running cluster, run playbooks/rotate_encryption_key.yml; to keep it, set"
    assert setting_differences(PATH, document(CBC, IDENTITY), WANTED, exists=True) == [
        f"{PATH} has secrets, ca_encryption_resources of the inventory says secrets, configmaps; {way} "
        "ca_encryption_resources: [secrets]",
        f"{PATH} has aescbc, ca_encryption_provider of the inventory says secretbox; {way} "
        "ca_encryption_provider: aescbc",
    ]


@pytest.mark.parametrize("providers", [[CBC, SECRETBOX2, IDENTITY], [SECRETBOX2, CBC, IDENTITY], [SECRETBOX2]])
def test_a_rotation_to_what_the_settings_say_is_not_refused(providers):
    assert setting_differences(PATH, document(*providers), settings(), exists=True) == []


def test_a_cluster_refuses_them_and_a_new_one_warns():
    text = document(CBC, IDENTITY)
    for readings, kind in ((running(), "problems"), (empty(), "warnings")):
        plan = computed(readings, encryption=(PATH, text))["plan"]
        for other in ("problems", "warnings"):
            assert any(PATH in entry for entry in plan[other]) == (other == kind)


def test_a_problem_that_a_rotation_solves_is_named():
    found = computed(running(), encryption=(PATH, document(CBC, IDENTITY)))
    differences = found["status"]["rotations"]["encryption"]["differences"]
    assert differences
    assert set(differences) <= set(found["plan"]["problems"])


@pytest.mark.parametrize(
    ("providers", "phase", "name"),
    [
        ([CBC, IDENTITY], "settled", "aescbc key1"),
        ([CBC, SECRETBOX2, IDENTITY], "added", "secretbox key2"),
        ([SECRETBOX2, CBC, IDENTITY], "first", "secretbox key2"),
        ([IDENTITY], "settled", ""),
        ([{"kms": {"apiVersion": "v2", "name": "a", "endpoint": "unix:///run/kms.sock"}}], "settled", ""),
    ],
)
def test_how_far_a_rotation_is(providers, phase, name):
    text = document(*providers)
    readings = running()
    for host in ("ctl01", "ctl02"):
        readings[host]["identity"]["encryption_keys"] = encryption_keys(text)
    cluster = computed(readings, encryption=(PATH, text))
    found = cluster["status"]["rotations"]["encryption"]
    assert (found["phase"], found["key"], found["behind"]) == (phase, name, [])
    named = any("the encryption key is being rotated" in warning for warning in cluster["plan"]["warnings"])
    assert named == (phase != "settled")


def test_controllers_that_do_not_have_the_keys_yet():
    readings = running()
    readings["ctl01"]["identity"]["encryption_keys"] = encryption_keys(document(SECRETBOX2, CBC))
    readings["ctl02"]["identity"]["encryption_keys"] = encryption_keys(document(CBC, SECRETBOX2))
    found = computed(readings, encryption=(PATH, document(SECRETBOX2, CBC)))
    assert found["status"]["rotations"]["encryption"]["behind"] == ["ctl02"], "the first key writes"


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
    assert encryption_warnings(PATH, text) == []


def test_no_message_has_a_key_in_it():
    secret = key(31)["secret"]
    for text in (document({"aescbc": {"keys": [key(31)]}}), f"kind: [{secret}", f"secret: {secret}"):
        found = encryption_problems(PATH, text)
        assert found and not [message for message in found if secret in message]


def test_a_first_provider_that_does_not_encrypt_is_a_warning():
    text = document(IDENTITY, CBC)
    assert encryption_problems(PATH, text) == []
    assert encryption_warnings(PATH, text) == [
        f"{PATH}: the first provider of secrets is identity, so that they are written to etcd unencrypted; the first "
        "provider writes, all of them read"
    ]
