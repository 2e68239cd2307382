# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificates into plain data."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import EXTENDED_KEY_USAGES, KEY_USAGES
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.hosts import San
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import key_spec
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import (
    attributes_of,
    issuer_of,
    subject_of,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import Content

with contextlib.suppress(ImportError):  # see requirements.py
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization

__all__ = (
    "Found",
    "certificate_pem",
    "fingerprint",
    "is_authority",
    "load_certificate",
    "load_certificates",
    "may_authenticate_clients",
    "read",
    "read_extensions",
)

# OID 2.5.29.15, perhaps critical, and an OCTET STRING around the BIT STRING: its unused bits, then the bits.
_KEY_USAGE_DER = re.compile(
    rb"(\x06\x03\x55\x1d\x0f(?:\x01\x01\xff)?(?:\x04\x04\x03\x02[\x00-\x07](?=.)|\x04\x05\x03\x03[\x00-\x07](?=..)))(.)",
    re.DOTALL,
)


@dataclasses.dataclass
class Found(Content):
    """The contents of an existing certificate."""

    key_identifier: bytes | None = None
    authority_key_identifier: bytes | None = None
    policies: x509.CertificatePolicies | None = None
    # All extensions as they stand, by OID, as (critical, DER), for what a CSR's own extensions are compared with.
    others: dict[str, tuple[bool, bytes]] = dataclasses.field(default_factory=dict)


def load_certificate(pem: bytes) -> x509.Certificate:
    """Return the first certificate of a PEM file, with every part readable that is looked at later.

    :raises ValueError: it cannot be read.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        read(certificate)
        attributes_of(issuer_of(certificate))
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
        x509.DuplicateExtension,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return certificate


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """Return all certificates of a PEM file, at least one.

    :raises ValueError: one cannot be read.
    """
    first = load_certificate(pem)
    try:
        return [first, *x509.load_pem_x509_certificates(pem)[1:]]
    except ValueError as error:
        raise ValueError(f"a later certificate in it: {error}") from error


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, as openssl prints it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


@functools.lru_cache(maxsize=4096)
def read(certificate: x509.Certificate) -> Found:
    """Return the contents of a certificate.

    :raises ValueError: it cannot be read; other errors of `cryptography` are possible, see load_certificate.
    """
    found = Found(attributes_of(subject_of(certificate)), key=key_spec(certificate.public_key()))
    extensions, agreement_added = read_extensions(certificate)
    for extension in extensions:
        value: x509.ExtensionType = extension.value
        if isinstance(value, x509.KeyUsage):
            bits = _usage_bits(value.public_bytes()[3:])
            found.key_usages = bits - {KEY_USAGES["key agreement"]} if agreement_added else bits
        elif isinstance(value, x509.ExtendedKeyUsage):
            found.extended_key_usages = [usage.dotted_string for usage in value]
        elif isinstance(value, x509.BasicConstraints):
            found.is_ca, found.path_length = value.ca, value.path_length
        elif isinstance(value, x509.SubjectKeyIdentifier):
            found.key_identifier = value.digest
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            found.authority_key_identifier = value.key_identifier
        elif isinstance(value, x509.CertificatePolicies):
            found.policies = value
        elif isinstance(value, x509.OCSPNoCheck):
            found.ocsp_no_check = True
        else:
            _read_locations(found, value)
        found.others[extension.oid.dotted_string] = (extension.critical, value.public_bytes())
    return found


def _read_locations(found: Found, value: x509.ExtensionType) -> None:
    """Read the extensions that consist of names and URLs."""
    if isinstance(value, x509.SubjectAlternativeName):
        found.sans = [_san(name) for name in value]
    elif isinstance(value, x509.AuthorityInformationAccess):
        found.access = [(entry.access_method.dotted_string, _san(entry.access_location)[1]) for entry in value]
    elif isinstance(value, x509.CRLDistributionPoints):
        found.crl_urls = [_san(name)[1] for point in value for name in point.full_name or ()]


def read_extensions(certificate: x509.Certificate) -> tuple[x509.Extensions, bool]:
    """Return the extensions, and whether 'key agreement' was added to read them.

    "encipher only" without "key agreement" is meaningless, but cfssl writes it, and `cryptography` then refuses to read
    any extension of the certificate. So they are read from a copy that has the bit.
    """
    try:
        return certificate.extensions, False
    except ValueError as error:
        if "key_agreement" not in str(error):
            raise
    der = certificate.public_bytes(serialization.Encoding.DER)
    readable = _KEY_USAGE_DER.sub(lambda found: found[1] + bytes((found[2][0] | 0x08,)), der, count=1)
    return x509.load_der_x509_certificate(readable).extensions, True


def _usage_bits(content: bytes) -> frozenset[int]:
    return frozenset(index * 8 + bit for index, byte in enumerate(content) for bit in range(8) if byte & (0x80 >> bit))


def _san(name: x509.GeneralName) -> San:
    kinds = {x509.DNSName: "DNS", x509.IPAddress: "IP", x509.RFC822Name: "email", x509.UniformResourceIdentifier: "URI"}
    return (kinds.get(type(name), type(name).__name__), str(name.value))


def is_authority(certificate: x509.Certificate) -> bool:
    """Return whether a certificate may sign others."""
    found = read(certificate)
    may_sign = found.key_usages is None or KEY_USAGES["cert sign"] in found.key_usages
    return found.is_ca and may_sign


def may_authenticate_clients(certificate: x509.Certificate) -> bool:
    """Return whether a client may show a certificate."""
    usages = read(certificate).extended_key_usages
    return not usages or bool({EXTENDED_KEY_USAGES["client auth"], EXTENDED_KEY_USAGES["any"]}.intersection(usages))
