# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and requests, built as cfssl builds them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import ipaddress
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import Policy
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.hosts import San
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import signature_hash
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import build_name
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import Content, Template

with contextlib.suppress(ImportError):  # see requirements.py
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

if t.TYPE_CHECKING:
    from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import SigningKey, SigningPublicKey

__all__ = ("Issuer", "build_certificate", "build_csr", "build_policies", "new_serial", "subject_key_identifier")


@dataclasses.dataclass(frozen=True)
class Issuer:
    """The signer of a certificate that does not sign itself."""

    subject: x509.Name
    key_identifier: bytes | None


def new_serial() -> int:
    """Return 20 random bytes with the top bit clear, as a number."""
    raw = os.urandom(20)
    return int.from_bytes(bytes((raw[0] & 0x7F,)) + raw[1:], "big") or 1


def subject_key_identifier(public: SigningPublicKey) -> bytes:
    """Return the key identifier of a public key: its SHA-1, as RFC 5280, 4.2.1.2, has it."""
    return x509.SubjectKeyIdentifier.from_public_key(public).digest


def build_certificate(
    template: Template,
    public: SigningPublicKey,
    issuer: Issuer | None,
    *,
    signing_key: SigningKey,
    serial: int,
    not_before: dt.datetime,
    not_after: dt.datetime,
) -> x509.Certificate:
    """Return the certificate, its extensions in cfssl's order.

    :param public: the certificate's own key.
    :param issuer: None for a certificate that signs itself.
    :raises ValueError: `cryptography` does not build it.
    """
    subject = build_name(template.subject)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject if issuer else subject,
        subject_name=subject,
        public_key=public,
        serial_number=serial,
        not_valid_before=not_before.replace(tzinfo=None),
        not_valid_after=not_after.replace(tzinfo=None),
    )
    content = template.content
    if content.key_usages:
        builder = builder.add_extension(_key_usage(content.key_usages), critical=True)
    if content.extended_key_usages:
        usages = [ObjectIdentifier(oid) for oid in content.extended_key_usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(content.is_ca, content.path_length), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier(subject_key_identifier(public)), critical=False)
    if issuer and issuer.key_identifier and issuer.subject != subject:
        authority = x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None)
        builder = builder.add_extension(authority, critical=False)
    for extension, critical in _optional_extensions(template, content):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signing_key, signature_hash(signing_key.public_key()))


def _optional_extensions(template: Template, content: Content) -> t.Iterator[tuple[x509.ExtensionType, bool]]:
    if content.access:
        yield (
            x509.AuthorityInformationAccess(
                x509.AccessDescription(ObjectIdentifier(oid), x509.UniformResourceIdentifier(url))
                for oid, url in content.access
            ),
            False,
        )
    if content.sans:
        yield _san_extension(content.sans), not content.subject
    for url in content.crl_urls:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
        yield x509.CRLDistributionPoints([point]), False
    for entry in template.extensions:
        yield x509.UnrecognizedExtension(ObjectIdentifier(entry.oid), entry.value), entry.critical
    if template.policies:
        yield build_policies(template.policies), False
    if content.ocsp_no_check:
        yield x509.OCSPNoCheck(), False


def build_csr(template: Template, key: SigningKey) -> bytes:
    """Return the PKCS#10 request that cfssl leaves beside the certificate, in PEM.

    :raises PkiError: the key is damaged.
    :raises ValueError: `cryptography` does not build it.
    """
    request = template.request
    builder = x509.CertificateSigningRequestBuilder(subject_name=build_name(request.subject))
    if template.request_sans:
        builder = builder.add_extension(_san_extension(template.request_sans), critical=False)
    if request.ca:
        builder = builder.add_extension(x509.BasicConstraints(True, request.ca.path_length), critical=True)
    for entry in request.extensions:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier(entry.oid), entry.value), critical=entry.critical
        )
    csr = builder.sign(key, signature_hash(key.public_key()))
    if not csr.is_signature_valid:
        raise PkiError("the private key is damaged: what it signs does not verify.")
    return csr.public_bytes(serialization.Encoding.PEM)


def _san_extension(sans: t.Iterable[San]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(kind, value) for kind, value in sans])


def _general_name(kind: str, value: str) -> x509.GeneralName:
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(value))
    if kind == "DNS":
        return x509.DNSName(value)
    return x509.RFC822Name(value) if kind == "email" else x509.UniformResourceIdentifier(value)


def _key_usage(bits: frozenset[int]) -> x509.ExtensionType:
    flags = [bit in bits for bit in range(9)]
    if (flags[7] or flags[8]) and not flags[4]:
        # Meaningless without key agreement, and `cryptography` refuses it, but cfssl writes it.
        number = sum(1 << (15 - bit) for bit in bits)
        content = number.to_bytes(2, "big").rstrip(b"\x00")
        unused = 7 - (max(bits) % 8)
        return x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, bytes((3, len(content) + 1, unused)) + content)
    # In the order of RFC 5280: digital signature to decipher only.
    return x509.KeyUsage(*flags)


def build_policies(policies: t.Iterable[Policy]) -> x509.CertificatePolicies:
    """Return the extension with these policies."""
    return x509.CertificatePolicies(
        [
            x509.PolicyInformation(
                ObjectIdentifier(policy.oid),
                [text if kind == "id-qt-cps" else x509.UserNotice(None, text) for kind, text in policy.qualifiers]
                or None,
            )
            for policy in policies
        ]
    )
