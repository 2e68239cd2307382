# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distinguished names: built to the byte as Go builds them, and read."""

from __future__ import annotations

import contextlib
import re
import typing as t
import warnings

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import SHORT_NAMES, Attribute, Subject

with contextlib.suppress(ImportError):  # see requirements.py
    import cryptography
    from cryptography import x509

__all__ = ("attributes_of", "build_name", "issuer_of", "name_text", "subject_of", "subject_text")

# Go's PrintableString, without the asterisk and ampersand that it reads but does not write.
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")


@contextlib.contextmanager
def _any_length() -> t.Iterator[None]:
    """Keep `cryptography` from warning about names that RFC 5280 calls too long.

    cfssl lets a country of three letters or a long CN through, and so do we; openssl reads them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)
        yield


def build_name(subject: Subject) -> x509.Name:
    """Return a name in the string types that Go gives it.

    :raises PkiError: this release of cryptography cannot build it.
    """
    with _any_length():
        return x509.Name(x509.RelativeDistinguishedName(_attribute(oid, text) for oid, text in rdn) for rdn in subject)


def _attribute(oid: str, text: str) -> x509.NameAttribute[str]:
    """Return an attribute of a name, of any length. The only place that uses private names of `cryptography`."""
    try:
        from cryptography.x509.name import _ASN1Type

        kind = _ASN1Type.PrintableString if _PRINTABLE.fullmatch(text) else _ASN1Type.UTF8String
        return x509.NameAttribute(x509.ObjectIdentifier(oid), text, kind, _validate=False)
    except (AttributeError, ImportError, TypeError) as error:
        raise PkiError(
            f"cryptography {cryptography.__version__} does not let the string type of a name be chosen ({error}), "
            "and without it a certificate would not be the one that cfssl makes. Install an earlier release, 42.0.0 or "
            "newer."
        ) from error


def subject_of(certificate: x509.Certificate) -> x509.Name:
    """Return a certificate's subject, of any length.

    :raises ValueError: it cannot be read.
    """
    with _any_length():
        return certificate.subject


def issuer_of(certificate: x509.Certificate) -> x509.Name:
    """Return the subject of a certificate's authority, of any length.

    :raises ValueError: it cannot be read.
    """
    with _any_length():
        return certificate.issuer


def attributes_of(name: x509.Name) -> list[Attribute]:
    """Return the (OID, value) of a name in its order, a value that is not text in hexadecimal."""
    return [
        (entry.oid.dotted_string, entry.value if isinstance(entry.value, str) else entry.value.hex()) for entry in name
    ]


def subject_text(attributes: t.Iterable[Attribute]) -> str:
    """Return attributes for people, as in ``O=system:nodes, CN=system:node:wrk01``."""
    return ", ".join(f"{SHORT_NAMES.get(oid, oid)}={text}" for oid, text in attributes) or "(empty)"


def name_text(name: x509.Name) -> str:
    """Return a name for people."""
    return subject_text(attributes_of(name))
