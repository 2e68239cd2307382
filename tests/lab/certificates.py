# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the PKI directory: their subjects, whether they were issued again, and worse ones in their place."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


def _load(pki: pathlib.Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki / f"{name}.pem").read_bytes())


def serial(pki: pathlib.Path, name: str) -> int:
    """Return the serial number of a certificate."""
    return _load(pki, name).serial_number


def serials(pki: pathlib.Path) -> dict[str, int]:
    """Return the serial number of every certificate, by its name in the PKI directory."""
    names = (path.stem for path in pki.glob("*.pem") if not path.stem.endswith("-key"))
    return {name: serial(pki, name) for name in names}


def reissued(pki: pathlib.Path, before: t.Mapping[str, int]) -> set[str]:
    """Return the names of the certificates that are not those of before."""
    now = serials(pki)
    return {name for name in now.keys() | before.keys() if now.get(name) != before.get(name)}


def names_of(pki: pathlib.Path, name: str) -> list[str]:
    """Return the subject alternative names of a certificate."""
    found = _load(pki, name).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(str(entry.value) for entry in found)


def put_worse(pki: pathlib.Path, name: str, *, days: int | None = None, addresses: bool = True) -> None:
    """Replace a certificate by one for the same key from the same authority.

    :param days: how long it is still valid; as long as the old one unless given.
    :param addresses: whether it names the old one's addresses.
    """
    old = _load(pki, name)
    authority = serialization.load_pem_private_key((pki / "ca-key.pem").read_bytes(), None)
    now = datetime.datetime.now(datetime.timezone.utc)
    ends = old.not_valid_after_utc if days is None else now + datetime.timedelta(days=days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc if days is None else ends - datetime.timedelta(days=365))
        .not_valid_after(ends)
    )
    for extension in old.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName) and not addresses:
            value = x509.SubjectAlternativeName([entry for entry in value if not isinstance(entry, x509.IPAddress)])
        builder = builder.add_extension(value, extension.critical)
    made = builder.sign(authority, hashes.SHA256())  # type: ignore[arg-type]
    (pki / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
