# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the differences between an existing certificate and the wanted one, in sentences."""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.building import build_policies
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import read
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import Attribute
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.describing import (
    extended_usage_names,
    usage_names,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import signed_by
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import issuer_of, subject_of, subject_text
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import (
    ACCESS_ISSUERS,
    ACCESS_OCSP,
    Content,
    Template,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import duration_text, iso_time

with contextlib.suppress(ImportError):  # see requirements.py
    from cryptography.exceptions import UnsupportedAlgorithm

if t.TYPE_CHECKING:
    from cryptography import x509

__all__ = ("constraint_differences", "differences", "is_altered", "lifetime_difference", "subject_differences")


def is_altered(certificate: x509.Certificate) -> bool:
    """Return whether a self-signed certificate is not what its own key has signed."""
    self_signed = issuer_of(certificate) == subject_of(certificate)
    return self_signed and not signed_by(certificate, certificate.public_key())


def differences(certificate: x509.Certificate, template: Template) -> list[str]:
    """Return sentences about everything but key, issuer and dates in which a certificate does not fit."""
    found, wanted = read(certificate), template.content
    reasons = subject_differences(found.subject, wanted.subject)
    reasons += _missing_and_extra("SAN", _san_words(found), _san_words(wanted))
    reasons += _missing_and_extra("key usage", usage_names(found.key_usages), usage_names(wanted.key_usages))
    reasons += _missing_and_extra(
        "extended key usage",
        extended_usage_names(found.extended_key_usages),
        extended_usage_names(wanted.extended_key_usages),
    )
    reasons += constraint_differences(found, wanted)
    reasons += _missing_and_extra("access location", _access_words(found), _access_words(wanted))
    reasons += _missing_and_extra("CRL URL", found.crl_urls, wanted.crl_urls)
    if found.policies != (build_policies(template.policies) if template.policies else None):
        reasons.append("the certificate policies are not those of the profile")
    if found.ocsp_no_check != wanted.ocsp_no_check:
        reasons.append(f"OCSP no-check is {'missing' if wanted.ocsp_no_check else 'present and not wanted'}")
    reasons += [
        f"extension {entry.oid} is missing or different"
        for entry in template.extensions
        if found.others.get(entry.oid) != (entry.critical, entry.value)
    ]
    return reasons + _weak_hash(certificate)


def _san_words(content: Content) -> list[str]:
    return [f"{kind}:{value}" for kind, value in content.sans]


def _access_words(content: Content) -> list[str]:
    labels = {ACCESS_OCSP: "OCSP", ACCESS_ISSUERS: "CA issuers"}
    return [f"{labels.get(oid, oid)} {url}" for oid, url in content.access]


def _missing_and_extra(what: str, found: t.Sequence[str], wanted: t.Sequence[str]) -> list[str]:
    missing = [f"{what} {entry} is missing" for entry in dict.fromkeys(wanted) if entry not in found]
    return missing + [
        f"{what} {entry} is present and not wanted" for entry in dict.fromkeys(found) if entry not in wanted
    ]


def _weak_hash(certificate: x509.Certificate) -> list[str]:
    with contextlib.suppress(UnsupportedAlgorithm):
        algorithm = certificate.signature_hash_algorithm
        if algorithm is not None and algorithm.name in ("md5", "sha1"):
            return [f"it is signed with {algorithm.name.upper()}, which is no longer accepted"]
    return []


def subject_differences(found: list[Attribute], wanted: list[Attribute]) -> list[str]:
    """Return a sentence when two subjects are not the same names; other tools write them in another order."""
    if sorted(found) == sorted(wanted):
        return []
    return [f"the subject is {subject_text(found)} instead of {subject_text(wanted)}"]


def constraint_differences(found: Content, wanted: Content) -> list[str]:
    """Return a sentence when one may sign others and the other may not, or to another depth."""
    if found.is_ca != wanted.is_ca:
        return ["it is an authority and must not be" if found.is_ca else "it is not an authority and must be"]
    if found.path_length != wanted.path_length:
        lengths = ["unlimited" if entry.path_length is None else entry.path_length for entry in (found, wanted)]
        return [f"the path length is {lengths[0]} instead of {lengths[1]}"]
    return []


def lifetime_difference(certificate: x509.Certificate, template: Template, *, ca_end: dt.datetime | None) -> str | None:
    """Return a sentence when a certificate was not made for about the lifetime of its profile.

    :param ca_end: the end of the authority, to which a certificate may have been cut.
    """
    profile = template.profile
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if profile.not_before and start != profile.not_before:
        return f"it is valid from {iso_time(start)} instead of {iso_time(profile.not_before)}"
    if profile.not_after:
        wanted = min(profile.not_after, ca_end) if ca_end else profile.not_after
        return None if end == wanted else f"it ends on {iso_time(end)} instead of {iso_time(wanted)}"
    lifetime = end - start
    slack = max(profile.expiry / 10, dt.timedelta(minutes=10))
    if abs(lifetime - profile.expiry) <= slack:
        return None
    if lifetime < profile.expiry and ca_end and end == ca_end:
        return None  # cut to the end of its authority, which is still the same
    return f"it was made for {duration_text(lifetime)}, the profile has {duration_text(profile.expiry)}"
