# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the certificates that were decided on."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import (
    NewFile,
    attribute_problems,
    fix_attributes,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.building import (
    Issuer,
    build_certificate,
    build_csr,
    new_serial,
    subject_key_identifier,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import certificate_pem
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import KeySpec
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import PrivateKey, generate_key, signed_by
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import (
    Decision,
    Issued,
    Making,
    Order,
    Settings,
    Signer,
    Store,
)

__all__ = ("issue", "rehearse")


def rehearse(decisions: t.Iterable[Decision]) -> None:
    """Build the certificates with a temporary key, so that errors are found before anything is made.

    :raises PkiError: it cannot be built.
    """
    key: PrivateKey | None = None
    for decision in decisions:
        if decision.making:
            key = key or generate_key(KeySpec())
            issuer = Issuer(decision.signer.subject, decision.signer.key_identifier) if decision.signer else None
            _build(decision.order, decision.making, key, issuer, signing_key=key, serial=1)


def issue(decisions: t.Sequence[Decision], settings: Settings, store: Store) -> None:
    """Make keys on all cores, certificates as soon as they have one, then put all files in place at once.

    :raises PkiError: something cannot be made; no file has been changed then.
    """
    for decision, making, key in _with_keys(_signers_first(decisions)):
        decision.issued = _sign(decision, making, key)
    files = []
    for decision in decisions:
        if decision.making and decision.issued:
            issued = decision.issued
            contents = (
                certificate_pem(issued.certificate),
                issued.key.pem if decision.making.new_key else None,
                issued.csr,
            )
            files += [
                NewFile(name, content, attributes)
                for name, content, attributes in zip(decision.names, contents, settings.attributes)
                if content is not None
            ]
    store.files.commit(files)
    for decision in decisions:
        # A kept key of a renewed certificate has its attributes looked after as well.
        for name, attributes in zip(decision.names, settings.attributes):
            if attribute_problems(store.path(name), attributes):
                fix_attributes(store.path(name), attributes)


def _signers_first(decisions: t.Iterable[Decision]) -> list[tuple[Decision, Making]]:
    """Return what is made, each after the one that signs it."""

    def depth(decision: Decision) -> int:
        above = decision.signer.decision if decision.signer else None
        return 1 + depth(above) if above else 0

    making = [(decision, decision.making) for decision in decisions if decision.making]
    return sorted(making, key=lambda entry: depth(entry[0]))


def _cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Only Linux has it.
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _with_keys(making: t.Sequence[tuple[Decision, Making]]) -> t.Iterator[tuple[Decision, Making, PrivateKey]]:
    """Give each of them its key, in their order, while the keys of the following ones are being made."""
    # `cryptography` releases the interpreter lock while OpenSSL searches for primes.
    pool = concurrent.futures.ThreadPoolExecutor(_cores())
    try:
        pending = [
            (decision, wanted, wanted.kept_key or pool.submit(generate_key, wanted.template.key))
            for decision, wanted in making
        ]
        for decision, wanted, key in pending:
            yield decision, wanted, key if isinstance(key, PrivateKey) else key.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _sign(decision: Decision, making: Making, key: PrivateKey) -> Issued:
    signer = decision.signer
    issuer, signing_key = None, key
    if signer:
        signing_key = _signing_key(signer)
        # That of an authority that was made just now is known only now.
        identifier = subject_key_identifier(signing_key.public) if signer.decision else signer.key_identifier
        issuer = Issuer(signer.subject, identifier)
    issued = _build(decision.order, making, key, issuer, signing_key=signing_key, serial=new_serial())
    if not signed_by(issued.certificate, signing_key.public):
        # RSA keys are read without checking their parts against each other, so a signature has to be checked.
        label = signer.label if signer else decision.order.label
        raise PkiError(
            f"{decision.order.label}: the key of {label} is damaged: what it signs does not verify. "
            "Nothing was changed. Put the key back from a backup."
        )
    return issued


def _signing_key(signer: Signer) -> PrivateKey:
    if signer.key:
        return signer.key
    if signer.decision and signer.decision.issued:
        return signer.decision.issued.key
    raise PkiError(f"{signer.label}: its key is not made yet.")


def _build(
    order: Order, making: Making, key: PrivateKey, issuer: Issuer | None, *, signing_key: PrivateKey, serial: int
) -> Issued:
    with _building(order):
        certificate = build_certificate(
            making.template,
            key.public,
            issuer,
            signing_key=signing_key.key,
            serial=serial,
            not_before=making.not_before,
            not_after=making.not_after,
        )
        return Issued(certificate, key, build_csr(making.template, key.key))


@contextlib.contextmanager
def _building(order: Order) -> t.Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, PkiError) as error:
        reason = str(error).rstrip(".")
        raise PkiError(f"{order.label}: it cannot be made: {reason}. Nothing was changed.") from error
