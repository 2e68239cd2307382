# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotate a key pair of a PKI directory: the service account's key, or an authority.

The files of the directory are the state, so that a run that was killed is continued by the next one:

- ``NAME.pem`` and ``NAME-key.pem`` sign.
- ``NAME-next.pem`` and ``NAME-next-key.pem`` are trusted and do not sign yet. The module ``x509_cfssl_compat`` makes
  them, as any other pair of this name.
- ``NAME-previous.pem`` is trusted and signed before. Its key is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError, PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes, NewFile
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.beside import next_name, previous_name
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import public_bytes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import FileNames, Present, Store

__all__ = ("Phase", "Rotation", "finish", "rotation", "run", "switch")

#: ``none``: no rotation is under way. ``next``: a new pair exists and does not sign yet. ``previous``: it signs.
Phase = t.Literal["none", "next", "previous"]


@dataclasses.dataclass(frozen=True)
class Rotation:
    """How far the rotation of a pair is."""

    name: str
    phase: Phase
    #: When the new pair became the signing one in the directory, in seconds since 1970; None before.
    switched_at: float | None = None
    #: Whether a killed run left files that the next call of `switch` or `finish` moves or removes.
    interrupted: bool = False


def _load(store: Store, name: str) -> Present:
    present = store.load(name, None)
    for problem in (present.certificate_problem, present.key_problem):
        if problem:
            raise PkiError(f"{problem}. Put the file back from a backup, then run again. Nothing was changed.")
    return present


def _complete(store: Store, name: str) -> Present:
    """Return a pair.

    :raises PkiError: a file of it is missing, cannot be read, or belongs to another pair.
    """
    present, names = _load(store, name), FileNames.of(name)
    for found, file in ((present.certificate, names.certificate), (present.key, names.key)):
        if found is None:
            raise PkiError(
                f"{store.path(file)} is missing, and a rotation needs the whole pair {name}. Put the file back from a "
                "backup, then run again. Nothing was changed."
            )
    if present.mismatched:
        raise PkiError(
            f"{store.path(names.certificate)} and {store.path(names.key)} are not a pair. Put the right files back "
            "from a backup, then run again. Nothing was changed."
        )
    return present


def _public(present: Present) -> bytes:
    return public_bytes(present.certificate.public_key()) if present.certificate else b""


def _written(store: Store, file: str) -> float | None:
    """Return when a file was written, also one that a killed run left in the journal."""
    for path in (os.path.join(store.files.journal, file), store.path(file)):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return os.stat(path).st_mtime
    return None


def rotation(directory: str, name: str) -> Rotation:
    """Return how far the rotation of a pair is. Nothing is changed.

    :param directory: the PKI directory.
    :param name: of the pair, such as ``service-account``.
    :raises PkiError: the files cannot be the result of a rotation; the message names them.
    """
    store = Store(directory)
    switched_at = _written(store, FileNames.of(previous_name(name)).certificate)
    waiting = _load(store, next_name(name))
    interrupted = bool(store.files.pending())
    if waiting.absent:
        return Rotation(name, "none" if switched_at is None else "previous", switched_at, interrupted)
    current = _complete(store, name)
    if switched_at is None:
        same = _public(_complete(store, next_name(name))) == _public(current)
        if same:
            raise PkiError(
                f"{store.path(next_name(name))}.pem and {store.path(name)}.pem have the same key, so that there is "
                f"nothing to rotate. Remove the files of {next_name(name)}, then run again. Nothing was changed."
            )
        return Rotation(name, "next", interrupted=interrupted)
    # A killed run leaves the new pair under both names.
    left = {public_bytes(waiting.key.public)} if waiting.key else set()
    left |= {_public(waiting)} if waiting.certificate else set()
    if left != {_public(current)}:
        raise PkiError(
            f"{store.path(next_name(name))}.pem waits for a rotation while {store.path(previous_name(name))}.pem "
            f"says that the one before is not over. Remove the files of {next_name(name)} to finish that one first; "
            "hosts trust the new pair only once a rotation has begun with it. Nothing was changed."
        )
    return Rotation(name, "previous", switched_at, interrupted=True)


def _remove(store: Store, name: str) -> list[str]:
    """Remove the files of a pair, and return their paths. The certificate is the last: it says that there is a pair."""
    names = FileNames.of(name)
    removed = []
    for file in (names.key, names.csr, names.certificate):
        path = store.path(file)
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FileError(f"{path} cannot be removed: {error.strerror}. Remove it, then run again.") from error
        removed.append(path)
    return removed


def switch(directory: str, name: str) -> bool:
    """Let the new pair sign, and keep the certificate of the old one as the previous. Return whether that was to do.

    The previous certificate, the key and the certificate are replaced together; then the files of the new pair go. A
    call after one that was killed in between does what is left.

    :raises PkiError: there is no new pair, or see :func:`rotation`.
    :raises FileError: a file cannot be written or removed.
    """
    store = Store(directory)
    with store.files.locked():
        store.files.recover()
        found = rotation(directory, name)
        if found.phase == "none":
            raise PkiError(
                f"{store.path(next_name(name))}.pem does not exist, so that there is no new pair to sign with. Make it "
                "first. Nothing was changed."
            )
        if found.phase == "next":
            store.files.commit(_switched(store, name))
        removed = _remove(store, next_name(name))
    return found.phase == "next" or bool(removed)


def _switched(store: Store, name: str) -> list[NewFile]:
    """Return the files of the switch, in the order in which they are moved to their places."""
    old, new, previous = (FileNames.of(entry) for entry in (name, next_name(name), previous_name(name)))
    moves = (
        (old.certificate, previous.certificate, 0o644),
        (new.key, old.key, 0o600),
        (new.certificate, old.certificate, 0o644),
        (new.csr, old.csr, 0o644),
    )
    found = [(target, store.files.read(source), mode) for source, target, mode in moves]
    return [NewFile(target, content, Attributes(mode=mode)) for target, content, mode in found if content is not None]


def finish(directory: str, name: str) -> bool:
    """Remove the certificate of the previous pair, which nothing trusts any more. Return whether that was to do.

    :raises PkiError: the new pair does not sign yet, or see :func:`rotation`.
    :raises FileError: a file cannot be removed.
    """
    store = Store(directory)
    with store.files.locked():
        store.files.recover()
        found = rotation(directory, name)
        if found.phase == "next":
            raise PkiError(
                f"{store.path(next_name(name))}.pem does not sign yet, so that the rotation cannot be finished. "
                "Nothing was changed."
            )
        removed = _remove(store, next_name(name)) if found.phase == "previous" else []
        return bool(removed + _remove(store, previous_name(name)))


def run(directory: str, name: str, step: str, *, write: bool) -> tuple[bool, Phase]:
    """Do a step; return whether something changes, and the phase at the end.

    :param step: ``read``, ``switch`` or ``finish``.
    :param write: false to predict only; the phase is that of now then.
    :raises PkiError: the step is not possible in this phase, see `switch` and `finish`.
    :raises FileError: a file cannot be written or removed.
    """
    found = rotation(directory, name)
    if step == "read":
        return False, found.phase
    if not write:
        # Where a killed run left files, either step has something to do.
        return found.interrupted or found.phase == ("next" if step == "switch" else "previous"), found.phase
    changed = switch(directory, name) if step == "switch" else finish(directory, name)
    return changed, rotation(directory, name).phase
