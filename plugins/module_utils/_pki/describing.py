# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe certificates in results and diffs."""

from __future__ import annotations

import datetime as dt
import hashlib
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import fingerprint, read
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import EXTENDED_KEY_USAGES, KEY_USAGES
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import public_bytes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import issuer_of, name_text, subject_text
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import (
    ACCESS_ISSUERS,
    ACCESS_OCSP,
    Content,
    Template,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import iso_time

if t.TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = (
    "certificate_facts",
    "certificate_text",
    "extended_usage_names",
    "template_facts",
    "template_text",
    "usage_names",
)

_USAGE_NAMES = {bit: name for name, bit in KEY_USAGES.items()}
_EXTENDED_USAGE_NAMES = {oid: name for name, oid in reversed(EXTENDED_KEY_USAGES.items())}


def usage_names(bits: t.Iterable[int] | None) -> list[str]:
    """Return cfssl's names of key usages."""
    return [_USAGE_NAMES.get(bit, str(bit)) for bit in sorted(bits or ())]


def extended_usage_names(oids: t.Iterable[str]) -> list[str]:
    """Return cfssl's names of extended key usages, as far as it has one."""
    return [_EXTENDED_USAGE_NAMES.get(oid, oid) for oid in oids]


def certificate_facts(certificate: x509.Certificate, *, now: dt.datetime) -> dict[str, t.Any]:
    """Return the fields of the module's result for a certificate."""
    facts = _facts(read(certificate), certificate.not_valid_before_utc, certificate.not_valid_after_utc, now)
    return {
        **facts,
        "issuer": name_text(issuer_of(certificate)),
        "serial": _serial_text(certificate.serial_number),
        "fingerprint_sha256": fingerprint(certificate),
    }


def template_facts(
    template: Template, *, issuer: x509.Name | None, period: tuple[dt.datetime, dt.datetime], now: dt.datetime
) -> dict[str, t.Any]:
    """Return the known fields of a certificate that is not made yet. Serial number and fingerprint are not known.

    :param issuer: None for a certificate that signs itself.
    """
    facts = _facts(template.content, *period, now)
    return {
        **facts,
        "issuer": name_text(issuer) if issuer is not None else facts["subject"],
        "serial": None,
        "fingerprint_sha256": None,
    }


def _facts(content: Content, start: dt.datetime, end: dt.datetime, now: dt.datetime) -> dict[str, t.Any]:
    return {
        "subject": subject_text(content.subject),
        "not_before": iso_time(start),
        "not_after": iso_time(end),
        "days_left": (end - now) // dt.timedelta(days=1),
        "sans": [f"{kind}:{value}" for kind, value in content.sans],
    }


def _serial_text(serial: int) -> str:
    """Return a serial number as ``openssl x509 -serial`` prints it."""
    text = f"{serial:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def certificate_text(certificate: x509.Certificate) -> str:
    """Return a certificate for people, one field a line; for diffs."""
    return _text(
        read(certificate),
        issuer=name_text(issuer_of(certificate)),
        serial=_serial_text(certificate.serial_number),
        period=(certificate.not_valid_before_utc, certificate.not_valid_after_utc),
        public=certificate.public_key(),
    )


def template_text(
    template: Template,
    *,
    issuer: x509.Name | None,
    public: PublicKeyTypes | None,
    period: tuple[dt.datetime, dt.datetime],
) -> str:
    """Return the same text for a certificate that check mode does not make.

    :param issuer: None for a certificate that signs itself.
    :param public: the certificate's key; None when it is going to be made.
    """
    content = template.content
    issuer_text = name_text(issuer) if issuer is not None else subject_text(content.subject)
    return _text(content, issuer=issuer_text, serial="(a new one)", period=period, public=public)


def _text(
    content: Content,
    *,
    issuer: str,
    serial: str,
    period: tuple[dt.datetime, dt.datetime],
    public: PublicKeyTypes | None,
) -> str:
    start, end = period
    length = "" if content.path_length is None else f", path length {content.path_length}"
    lines = [
        f"subject: {subject_text(content.subject)}",
        f"issuer: {issuer}",
        f"serial: {serial}",
        f"not before: {iso_time(start)}",
        f"not after: {iso_time(end)}",
        f"key: {content.key or 'of another kind'}",
        f"key usages: {', '.join(usage_names(content.key_usages)) or 'none'}",
        f"extended key usages: {', '.join(extended_usage_names(content.extended_key_usages)) or 'none'}",
        f"authority: {'yes' if content.is_ca else 'no'}{length}",
    ]
    lines += [f"SAN: {kind}:{value}" for kind, value in content.sans]
    lines += [f"OCSP: {url}" for oid, url in content.access if oid == ACCESS_OCSP]
    lines += [f"CA issuers: {url}" for oid, url in content.access if oid == ACCESS_ISSUERS]
    lines += [f"CRL: {url}" for url in content.crl_urls]
    lines.append(f"public key SHA-256: {hashlib.sha256(public_bytes(public)).hexdigest() if public else '(a new key)'}")
    return "".join(f"{line}\n" for line in lines)
