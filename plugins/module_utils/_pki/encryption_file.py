# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The encryption configuration in a PKI directory, taken through a rotation. No key is returned or in a message."""

from __future__ import annotations

import base64
import os
import secrets
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError, PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes, write_file
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki import encryption

__all__ = ("NAME", "PREVIOUS", "State", "run")

NAME = "encryption-config.yaml"
#: The configuration from before the last removal: with it, backups of etcd from that time can be read.
PREVIOUS = "encryption-config-previous.yaml"
_SECRET_BYTES = 32


class State(t.NamedTuple):
    """A configuration after a step, without its keys."""

    changed: bool
    phase: encryption.Phase
    #: The newest key, or empty texts where nothing is encrypted.
    provider: str
    key: str
    resources: list[str]


def _read(path: str) -> tuple[str, dict[str, t.Any]]:
    # Needed on the control node alone, where Ansible has it.
    import yaml

    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}. Run site.yml first.") from error
    if text.startswith("$ANSIBLE_VAULT"):
        raise PkiError(
            f"{path} is encrypted with ansible-vault, and a rotation writes it. Decrypt it with: ansible-vault decrypt "
            f"{path}, and encrypt it again after the rotation. Nothing was changed."
        )
    try:
        document = yaml.safe_load(text)
        encryption.phase(document)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, IndexError):
        # The cause may quote a key.
        raise PkiError(
            f"{path} is not an EncryptionConfiguration. plan.yml says what is wrong with it. Nothing was changed."
        ) from None
    return text, t.cast("dict[str, t.Any]", document)


def _text(document: t.Mapping[str, t.Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(document), sort_keys=False))


def _next(
    document: dict[str, t.Any], step: str, *, begin: bool, provider: str, wanted: t.Sequence[str]
) -> dict[str, t.Any]:
    """Return the document after a step. A step that is not the next one of its rotation leaves it as it is."""
    phase = encryption.phase(document)
    if step == "add" and (begin if phase == "settled" else phase == "added"):
        secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")
        return encryption.add(document, provider=provider, wanted=wanted, secret=secret)
    if step == "first" and phase == "added":
        return encryption.first(document)
    if step == "remove" and phase == "first":
        return encryption.remove(document, wanted=wanted)
    return document


def run(
    directory: str, step: str, *, begin: bool = False, provider: str = "", wanted: t.Sequence[str] = (), write: bool
) -> State:
    """Do a step of a rotation, where it is the next one. A file that is written is on the disk when this returns.

    :param step: ``read``, ``add``, ``first`` or ``remove``.
    :param begin: whether ``add`` begins a rotation where none is under way.
    :param provider: of a new key.
    :param wanted: resources that are encrypted in the end.
    :param write: false to predict only; phase and key are those of now then.
    :raises PkiError: the step is not possible.
    :raises FileError: a file cannot be read or written.
    """
    path = os.path.join(directory, NAME)
    text, document = _read(path)
    after = _next(document, step, begin=begin, provider=provider, wanted=wanted)
    changed = after != document
    if changed and write:
        if step == "remove":
            write_file(os.path.join(directory, PREVIOUS), text.encode(), Attributes(mode=0o600))
        write_file(path, _text(after).encode(), Attributes(mode=0o600))
    found = after if write else document
    key = encryption.newest(found) or encryption.Key("")
    return State(changed, encryption.phase(found), key.provider, key.name, encryption.resources(found))
