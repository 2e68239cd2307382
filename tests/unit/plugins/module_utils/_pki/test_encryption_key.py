# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of an encryption key's rotation, each killed at every step and continued."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError, PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.identity import encryption_keys
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki import encryption, encryption_file

OLD, NEW = "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG9sZCE=", "bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyE="
IDENTITY = {"identity": {}}


def provider(kind, *names, secret=OLD):
    return {kind: {"keys": [{"name": name, "secret": NEW if name == "key2" else secret} for name in names]}}


def entry(*providers, resources=("secrets",)):
    return {"resources": list(resources), "providers": list(providers)}


def document(*entries):
    return {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": list(entries)}


def add(found, kind="secretbox", wanted=("secrets",)):
    return encryption.add(found, provider=kind, wanted=wanted, secret=NEW)


SETTLED = document(entry(provider("secretbox", "key1"), IDENTITY))


def test_a_new_key_of_the_same_provider():
    added = add(SETTLED)
    assert added == document(entry(provider("secretbox", "key1", "key2"), IDENTITY))
    first = encryption.first(added)
    assert first == document(entry(provider("secretbox", "key2", "key1"), IDENTITY))
    assert encryption.remove(first, wanted=["secrets"]) == document(entry(provider("secretbox", "key2"), IDENTITY))


def test_another_provider():
    added = add(document(entry(provider("aescbc", "key1"), IDENTITY)))
    assert added == document(entry(provider("aescbc", "key1"), provider("secretbox", "key2"), IDENTITY))
    first = encryption.first(added)
    assert first == document(entry(provider("secretbox", "key2"), provider("aescbc", "key1"), IDENTITY))
    assert encryption.remove(first, wanted=["secrets"]) == document(entry(provider("secretbox", "key2"), IDENTITY))


def test_a_cluster_that_was_not_encrypted():
    added = add(document(entry(IDENTITY)))
    assert added == document(entry(IDENTITY, provider("secretbox", "key1", secret=NEW)))
    first = encryption.first(added)
    assert first == document(entry(provider("secretbox", "key1", secret=NEW), IDENTITY))
    assert encryption.phase(first) == "settled"


def test_resources_that_were_not_encrypted_are_read_with_the_new_key_before_it_writes_them():
    wanted = ["secrets", "configmaps"]
    added = add(SETTLED, wanted=wanted)
    assert added["resources"][1] == entry(IDENTITY, provider("secretbox", "key2"), resources=["configmaps"])
    first = encryption.first(added)
    assert first["resources"][1] == entry(provider("secretbox", "key2"), IDENTITY, resources=["configmaps"])
    assert encryption.remove(first, wanted=wanted) == document(
        entry(provider("secretbox", "key2"), IDENTITY, resources=wanted)
    )


def test_a_wildcard_includes_what_was_encrypted():
    found = encryption.remove(encryption.first(add(SETTLED, wanted=["*.*"])), wanted=["*.*"])
    assert found == document(entry(provider("secretbox", "key2"), IDENTITY, resources=["*.*"]))


@pytest.mark.parametrize(
    ("wanted", "name", "included"),
    [
        (["secrets"], "secrets", True),
        (["secrets"], "configmaps", False),
        (["*.*"], "widgets.example.com", True),
        (["*.apps"], "deployments.apps", True),
        (["*.apps"], "secrets", False),
        (["*."], "secrets", True),
        (["*."], "deployments.apps", False),
        (["secrets"], "*.*", False),
    ],
)
def test_resources_and_wildcards(wanted, name, included):
    assert encryption.covers(wanted, name) == included


def test_entries_of_several_resources_get_the_same_key():
    found = document(
        entry(provider("secretbox", "key1")), entry(provider("aescbc", "key3"), IDENTITY, resources=["configmaps"])
    )
    assert encryption.phase(found) == "settled"
    added = add(found, wanted=["secrets", "configmaps"])
    assert [key["name"] for key in encryption_keys(yaml.safe_dump(added))] == ["key1", "key4", "key3"]
    assert encryption.phase(added) == "added"
    assert encryption.phase(encryption.first(added)) == "first"


def test_a_rotation_goes_on_with_its_key():
    added = add(SETTLED)
    assert add(added) == added
    more = add(added, wanted=["secrets", "configmaps"])
    assert more["resources"] == [
        *added["resources"],
        entry(IDENTITY, provider("secretbox", "key2"), resources=["configmaps"]),
    ]


def test_keys_without_ordinals():
    """Of keys that an administrator named, the one that writes is the newest."""
    found = document(entry(provider("aescbc", "b", "a"), IDENTITY))
    assert encryption.newest(found) == encryption.Key("aescbc", "b", OLD)
    assert encryption.phase(found) == "first"
    assert encryption.newest(add(encryption.remove(found, wanted=["secrets"]))).name == "key1"


def test_what_is_encrypted_stays_so():
    with pytest.raises(PkiError, match=r"^secrets: encrypted, and not in ca_encryption_resources \(configmaps\)"):
        add(SETTLED, wanted=["configmaps"])


def test_keys_that_are_kept_elsewhere():
    with pytest.raises(PkiError, match="the provider kms of secrets keeps its keys elsewhere"):
        encryption.phase(document(entry({"kms": {"name": "a", "endpoint": "unix:///x"}})))


def test_steps_out_of_order():
    with pytest.raises(PkiError, match="has to be added"):
        encryption.first(document(entry(provider("secretbox", "key1")), entry(provider("secretbox", "key2"))))
    with pytest.raises(PkiError, match="has to write"):
        encryption.remove(add(SETTLED), wanted=["secrets"])


def test_no_secret_in_a_text():
    assert OLD not in repr(encryption.newest(SETTLED))


# --- the file -------------------------------------------------------------------------------------


@pytest.fixture
def pki(tmp_path):
    (tmp_path / "encryption-config.yaml").write_text(yaml.safe_dump(SETTLED))
    return tmp_path


def step(pki, name, *, write=True, **options):
    options = {"provider": "secretbox", "wanted": ["secrets"], **options}
    return encryption_file.run(str(pki), name, write=write, **options)


def names(pki, file="encryption-config.yaml"):
    return [key["name"] for key in encryption_keys((pki / file).read_text())]


def test_a_rotation_of_the_file(pki):
    assert not step(pki, "add").changed, "it is not begun"
    assert names(pki) == ["key1"]
    state = step(pki, "add", begin=True)
    assert (state.changed, state.phase, state.provider, state.key) == (True, "added", "secretbox", "key2")
    assert names(pki) == ["key1", "key2"]
    assert not step(pki, "add", begin=True).changed, "it goes on with the key that it has"
    assert not step(pki, "remove").changed
    state = step(pki, "first")
    assert (state.changed, state.phase, state.key) == (True, "first", "key2")
    assert names(pki) == ["key2", "key1"]
    assert not step(pki, "first").changed
    assert not step(pki, "add", begin=True).changed
    before = (pki / "encryption-config.yaml").read_text()
    state = step(pki, "remove")
    assert (state.changed, state.phase, state.key) == (True, "settled", "key2")
    assert names(pki) == ["key2"]
    assert (pki / "encryption-config-previous.yaml").read_text() == before
    assert not step(pki, "remove").changed
    assert {path.stat().st_mode & 0o777 for path in pki.iterdir()} == {0o600}
    assert sorted(path.name for path in pki.iterdir()) == ["encryption-config-previous.yaml", "encryption-config.yaml"]


def test_each_new_key_is_another(pki):
    step(pki, "add", begin=True)
    secrets = {key["sha256"] for key in encryption_keys((pki / "encryption-config.yaml").read_text())}
    assert len(secrets) == 2


def test_check_mode_predicts(pki):
    before = (pki / "encryption-config.yaml").read_bytes()
    state = step(pki, "add", begin=True, write=False)
    assert (state.changed, state.phase, state.key) == (True, "settled", "key1")
    assert (pki / "encryption-config.yaml").read_bytes() == before
    assert len(list(pki.iterdir())) == 1


def test_a_kill_between_the_two_files_of_the_removal(pki, monkeypatch):
    step(pki, "add", begin=True)
    step(pki, "first")
    before = (pki / "encryption-config.yaml").read_text()
    real = os.replace
    with monkeypatch.context() as patched:

        def killed(source, target):
            if str(target).endswith("/encryption-config.yaml"):
                raise KeyboardInterrupt
            real(source, target)

        patched.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            step(pki, "remove")
    assert (pki / "encryption-config.yaml").read_text() == before
    assert (pki / "encryption-config-previous.yaml").read_text() == before, "the removed key is known first"
    assert step(pki, "remove").changed
    assert names(pki) == ["key2"]
    assert names(pki, "encryption-config-previous.yaml") == ["key2", "key1"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (None, FileError, "cannot be read"),
        ("$ANSIBLE_VAULT;1.1;AES256\n00", PkiError, "ansible-vault decrypt"),
        ("resources: [{providers: [{aescbc: {keys: [{secret: b2xk}]}}]", PkiError, "is not an EncryptionConfiguration"),
        ("resources: 5", PkiError, "is not an EncryptionConfiguration"),
        ("", PkiError, "is not an EncryptionConfiguration"),
    ],
)
def test_a_file_that_cannot_be_rotated(pki, text, error, words):
    path = pki / "encryption-config.yaml"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(error, match=words) as caught:
        step(pki, "read")
    assert OLD not in str(caught.value)
