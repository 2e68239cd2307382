# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of a certificate, and those that a CSR describes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import (
    DEFAULT_BACKDATE,
    KEY_USAGES,
    Policy,
    Profile,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import (
    DELEGATION_USAGE,
    OID_COMMON_NAME,
    Attribute,
    KeySpec,
    RawExtension,
    Request,
    Subject,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.hosts import San, classify_hosts
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes

__all__ = ("ACCESS_ISSUERS", "ACCESS_OCSP", "Content", "Template", "authority_template", "leaf_template")

CA_DEFAULT_EXPIRY = dt.timedelta(hours=43800)
# The access methods of RFC 5280, 4.2.2.1.
ACCESS_OCSP = "1.3.6.1.5.5.7.48.1"
ACCESS_ISSUERS = "1.3.6.1.5.5.7.48.2"


@dataclasses.dataclass
class Content:
    """The actual or wanted contents of a certificate, beside keys, identifiers, issuer and dates."""

    subject: list[Attribute]
    sans: list[San] = dataclasses.field(default_factory=list)
    # None for a kind of key that cfssl does not make.
    key: KeySpec | None = None
    # None without the extension.
    key_usages: frozenset[int] | None = None
    extended_key_usages: list[str] = dataclasses.field(default_factory=list)
    is_ca: bool = False
    path_length: int | None = None
    # (OID of the method, URL)
    access: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    crl_urls: list[str] = dataclasses.field(default_factory=list)
    ocsp_no_check: bool = False


@dataclasses.dataclass(frozen=True)
class Template:
    """Everything about a certificate but its keys, serial number, issuer and dates."""

    request: Request
    profile: Profile
    sans: tuple[San, ...]
    # Those of the PKCS#10 request, which cfssl does not cut for authorities.
    request_sans: tuple[San, ...]
    extensions: tuple[RawExtension, ...] = ()

    @property
    def subject(self) -> Subject:
        """The subject as the request has it."""
        return self.request.subject

    @property
    def key(self) -> KeySpec:
        """The kind of the request's key."""
        return self.request.key

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The certificate policies of the profile."""
        return self.profile.policies

    @functools.cached_property
    def content(self) -> Content:
        """The wanted contents of the certificate."""
        profile = self.profile
        access = [(ACCESS_OCSP, profile.ocsp_url)] if profile.ocsp_url else []
        return Content(
            subject=[attribute for rdn in self.subject for attribute in rdn],
            sans=list(self.sans),
            key=self.key,
            key_usages=profile.key_usages,
            extended_key_usages=list(profile.extended_key_usages),
            is_ca=profile.is_ca,
            path_length=profile.path_length if profile.is_ca else None,
            access=access + [(ACCESS_ISSUERS, url) for url in profile.issuer_urls],
            crl_urls=[profile.crl_url] if profile.crl_url else [],
            ocsp_no_check=profile.ocsp_no_check,
        )

    def period(self, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        """Return notBefore and notAfter of a certificate made now, before any cut to the authority's end."""
        profile = self.profile
        rounded = (now + dt.timedelta(seconds=30)).replace(second=0, microsecond=0)
        start = profile.not_before or rounded - profile.backdate
        try:
            end = profile.not_after or start + profile.expiry
        except OverflowError:
            end = dt.datetime.max.replace(tzinfo=dt.timezone.utc)
        return start.replace(microsecond=0), end.replace(microsecond=0)


def authority_template(request: Request, *, where: str, notes: Notes) -> Template:
    """Return the contents that ``cfssl gencert -initca`` makes of a CSR.

    :param where: names the authority in messages.
    :raises PkiError: cfssl would refuse it, or would silently make something else and notes are strict.
    """
    if not request.subject:
        raise PkiError(f"{where}: the subject is empty. An authority needs a CN or names.")
    sans = classify_hosts(request.hosts, where=where, notes=notes)
    others = [f"{kind}:{value}" for kind, value in sans if kind != "IP"]
    if others:
        notes.mishap(
            f"{where}: cfssl puts only addresses into an authority's certificate, not {', '.join(others)}. "
            "Remove them from hosts.",
            otherwise="they are left out",
        )
    if request.extensions:
        notes.mishap(
            f"{where}: cfssl does not copy the CSR's extensions into an authority's certificate. Remove them.",
            otherwise="they are in the CSR only",
        )
    ca = request.ca
    profile = Profile(
        name="authority",
        key_usages=frozenset((KEY_USAGES["cert sign"], KEY_USAGES["crl sign"])),
        is_ca=True,
        path_length=ca.path_length if ca else None,
        expiry=ca.expiry if ca and ca.expiry is not None else CA_DEFAULT_EXPIRY,
        backdate=(ca.backdate if ca else None) or DEFAULT_BACKDATE,
        crl_url=request.crl_url,
    )
    return Template(request, profile, sans=_addresses(sans), request_sans=sans)


def leaf_template(
    request: Request, profile: Profile, hosts: t.Sequence[str] | None, *, where: str, notes: Notes
) -> Template:
    """Return what ``cfssl gencert -ca ... -profile ... [-hostname ...]`` makes of a CSR.

    :param hosts: what ``-hostname`` would be given, in the place of the CSR's hosts.
    :param where: names the certificate in messages.
    :raises PkiError: cfssl would refuse it, or would silently make something else and notes are strict.
    """
    if request.ca and not profile.is_ca:
        raise PkiError(
            f"{where}: the CSR has a 'ca' section, but profile {profile.name!r} makes no authorities. "
            "Remove the section, or name a profile with ca_constraint.is_ca."
        )
    # cfssl's -hostname replaces the hosts in the request as well.
    request_sans = classify_hosts(request.hosts if hosts is None else hosts, where=where, notes=notes)
    sans = _addresses(request_sans) if profile.is_ca else request_sans
    if not request.subject and not sans:
        raise PkiError(
            f"{where}: the subject is empty and there are no hosts: the certificate would not name anything."
        )
    _check_whitelist(request, profile, sans, where)
    extensions = _copied_extensions(request, profile, where, notes)
    return Template(request, profile, sans=sans, request_sans=request_sans, extensions=extensions)


def _addresses(sans: t.Iterable[San]) -> tuple[San, ...]:
    return tuple(san for san in sans if san[0] == "IP")


def _copied_extensions(request: Request, profile: Profile, where: str, notes: Notes) -> tuple[RawExtension, ...]:
    if profile.copy_extensions:
        return request.extensions
    left_out = [entry.oid for entry in request.extensions if entry.oid != DELEGATION_USAGE]
    if left_out:
        notes.mishap(
            f"{where}: the CSR has extensions ({', '.join(left_out)}), "
            f"but profile {profile.name!r} does not set copy_extensions.",
            otherwise="they are in the CSR only",
        )
    return tuple(entry for entry in request.extensions if entry.oid == DELEGATION_USAGE)


def _check_whitelist(request: Request, profile: Profile, sans: t.Iterable[San], where: str) -> None:
    if profile.name_whitelist is None:
        return
    names = [text for rdn in request.subject for oid, text in rdn if oid == OID_COMMON_NAME]
    names += [value for kind, value in sans if kind != "IP"]
    for name in names:
        if not profile.name_whitelist.search(name):
            raise PkiError(
                f"{where}: {name!r} does not match name_whitelist {profile.name_whitelist.pattern!r} "
                f"of profile {profile.name!r}."
            )
