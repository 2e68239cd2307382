# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the reasons why an existing pair does not fit. The consequences are decided elsewhere."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import is_authority, read
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.comparing import (
    constraint_differences,
    differences,
    is_altered,
    lifetime_difference,
    subject_differences,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import key_spec, signed_by
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import issuer_of
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import Present, Signer
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import Template
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import (
    RenewBefore,
    duration_text,
    iso_time,
)

if t.TYPE_CHECKING:
    from cryptography import x509

__all__ = (
    "MAY_NOT_SIGN",
    "Judgement",
    "age_reasons",
    "judge_authority",
    "judge_leaf",
    "pair_problems",
    "sentence",
)

MAY_NOT_SIGN = "it may not sign certificates (CA:FALSE, or key usage without 'cert sign')"


@dataclasses.dataclass
class Judgement:
    """Reasons to make a certificate again; none where it fits."""

    # Files that cannot be read, are missing, or are not a pair. Only authorities treat them differently.
    broken: list[str] = dataclasses.field(default_factory=list)
    # Differences that do not depend on time.
    unfit: list[str] = dataclasses.field(default_factory=list)
    # Reasons that depend on time alone.
    ageing: list[str] = dataclasses.field(default_factory=list)
    # Whether the key that is there cannot be kept.
    needs_key: bool = False

    @property
    def reasons(self) -> list[str]:
        """All of them."""
        return self.broken + self.unfit + self.ageing


def sentence(reasons: t.Sequence[str]) -> str:
    """Return reasons as one sentence."""
    return "; ".join(reasons) + "."


def pair_problems(present: Present, certificate_path: str, key_path: str) -> list[str]:
    """Return why a key and certificate are not a pair to sign with."""
    reasons = []
    if present.certificate_problem:
        reasons.append(present.certificate_problem)
    elif present.certificate is None:
        reasons.append(f"{certificate_path} is missing while {key_path} is there")
    if present.key_problem:
        reasons.append(present.key_problem)
    elif present.key is None:
        reasons.append(f"{key_path} is missing while {certificate_path} is there")
    if present.mismatched:
        reasons.append(f"{key_path} is not the key of {certificate_path}")
    elif present.certificate is not None and not present.key_problem and is_altered(present.certificate):
        reasons.append(f"{certificate_path} is damaged: it names itself as its issuer, and its signature is wrong")
    return reasons


def age_reasons(certificate: x509.Certificate, renew_before: RenewBefore, now: dt.datetime) -> list[str]:
    """Return a sentence when a certificate has expired, or is within the time before its end in which it is due."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end <= now:
        return [f"it expired on {iso_time(end)}"]
    window = renew_before.window(end - start)
    if end - now <= window:
        return [
            f"it expires on {iso_time(end)}, in {duration_text(end - now)}, "
            f"which is within the {duration_text(window)} of renew_before"
        ]
    return []


def judge_authority(
    present: Present, template: Template | None, broken: list[str], renew_before: RenewBefore, now: dt.datetime
) -> Judgement:
    """Judge a pair that signs itself.

    :param template: None when the pair is taken as it is.
    :param broken: what pair_problems found.
    """
    judgement = Judgement(broken=broken, needs_key=present.key is None)
    certificate = present.certificate
    if broken or certificate is None:
        return judgement
    if template:
        found, wanted = read(certificate), template.content
        ca = template.request.ca
        judgement.unfit = subject_differences(found.subject, wanted.subject)
        if not is_authority(certificate):
            judgement.unfit.append(MAY_NOT_SIGN)
        elif ca and ca.path_length is not None:
            judgement.unfit += constraint_differences(found, wanted)
        if found.key != template.key:
            judgement.unfit.append(f"its key is {found.key or 'of another kind'} instead of {template.key}")
            judgement.needs_key = True
        if ca and ca.expiry is not None:
            lifetime = lifetime_difference(certificate, template, ca_end=None)
            judgement.ageing += [lifetime] if lifetime else []
    judgement.ageing += age_reasons(certificate, renew_before, now)
    return judgement


def judge_leaf(
    present: Present,
    template: Template,
    signer: Signer,
    renew_before: RenewBefore,
    now: dt.datetime,
    *,
    names: tuple[str, str],
) -> Judgement:
    """Judge a pair that an authority signs.

    :param names: the file names of certificate and key.
    """
    if present.absent:
        return Judgement(unfit=["it does not exist yet"], needs_key=True)
    certificate_name, key_name = names
    reasons = _key_reasons(present, template, key_name)
    judgement = Judgement(unfit=reasons, needs_key=bool(reasons))
    certificate = present.certificate
    if certificate is None:
        reasons.append(present.certificate_problem or f"the certificate {certificate_name} is missing")
        return judgement
    if present.mismatched:
        reasons.append(f"the key {key_name} is not the key of {certificate_name}")
    reasons += differences(certificate, template)
    reasons += _issuer_differences(certificate, signer)
    reasons += _date_differences(certificate, template, signer, now)
    judgement.ageing = age_reasons(certificate, renew_before, now)
    return judgement


def _key_reasons(present: Present, template: Template, key_name: str) -> list[str]:
    """Return why the key of a leaf cannot be kept."""
    if present.key_problem:
        return [present.key_problem]
    if present.key is None:
        return [f"the key {key_name} is missing"]
    found = key_spec(present.key.public)
    return [] if found == template.key else [f"the key is {found or 'of another kind'} instead of {template.key}"]


def _issuer_differences(certificate: x509.Certificate, signer: Signer) -> list[str]:
    if signer.public is None:
        return [f"{signer.label} gets a new key"]
    if issuer_of(certificate) != signer.subject:
        return [f"it was issued by another authority than {signer.label}"]
    if not signed_by(certificate, signer.public):
        return [f"it was not signed with the key of {signer.label}"]
    identifier = read(certificate).authority_key_identifier
    if identifier and signer.key_identifier and identifier != signer.key_identifier:
        return [f"its authority key identifier is not that of {signer.label}"]
    return []


def _date_differences(certificate: x509.Certificate, template: Template, signer: Signer, now: dt.datetime) -> list[str]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    lifetime = lifetime_difference(certificate, template, ca_end=signer.end)
    reasons = [lifetime] if lifetime else []
    if end > signer.end:
        reasons.append(f"it ends on {iso_time(end)}, later than {signer.label} on {iso_time(signer.end)}")
    # A new one would begin earlier: the clock was wrong, unless the backdate is negative.
    if start > now and start > template.period(now)[0]:
        reasons.append(f"it is not valid before {iso_time(start)}")
    return reasons
