# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cfssl's signing config JSON, read into plain data."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.fields import Fields, parse_oid, path_length
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes, did_you_mean, shown
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import duration_text, parse_time

__all__ = (
    "Config",
    "DEFAULT_BACKDATE",
    "EXTENDED_KEY_USAGES",
    "KEY_USAGES",
    "Policy",
    "Profile",
    "check_expiry",
    "parse_config",
)

LEAF_DEFAULT_EXPIRY = dt.timedelta(hours=8760)
DEFAULT_BACKDATE = dt.timedelta(minutes=5)
LONGEST_SANE_EXPIRY = dt.timedelta(days=100 * 366)

# The bit numbers are those of RFC 5280, 4.2.1.3.
KEY_USAGES: dict[str, int] = {
    "signing": 0,
    "digital signature": 0,
    "content commitment": 1,
    "key encipherment": 2,
    "data encipherment": 3,
    "key agreement": 4,
    "cert sign": 5,
    "crl sign": 6,
    "encipher only": 7,
    "decipher only": 8,
}
EXTENDED_KEY_USAGES: dict[str, str] = {
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}
_PROFILE_FIELDS = (
    "usages", "issuer_urls", "ocsp_url", "crl_url", "ca_constraint", "ocsp_no_check", "expiry", "backdate",
    "copy_extensions", "not_before", "not_after", "name_whitelist", "allowed_extensions", "Policies",
)  # fmt: skip
_UNSUPPORTED_FIELDS = (
    "auth_key", "prev_auth_key", "remote", "auth_remote", "ct_log_servers", "cert_store", "lint_error_level",
    "ignored_lints", "ignored_lint_sources", "CSRWhitelist", "ClientProvidesSerialNumbers",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Policy:
    """A certificate policy, with qualifiers as (type, value)."""

    oid: str
    qualifiers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Profile:
    """A signing profile, with what it inherits from the default profile filled in."""

    name: str
    key_usages: frozenset[int] = frozenset()
    extended_key_usages: tuple[str, ...] = ()
    expiry: dt.timedelta = LEAF_DEFAULT_EXPIRY
    backdate: dt.timedelta = DEFAULT_BACKDATE
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None
    is_ca: bool = False
    path_length: int | None = None
    copy_extensions: bool = False
    name_whitelist: re.Pattern[str] | None = None
    ocsp_url: str = ""
    crl_url: str = ""
    issuer_urls: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    ocsp_no_check: bool = False
    # Fields that need a remote signer or a CT log: an error as soon as the profile is used.
    unsupported: tuple[str, ...] = ()


# cfssl's own config, which it uses when none is given.
DEFAULT_PROFILE = Profile(
    name="default",
    key_usages=frozenset((KEY_USAGES["signing"], KEY_USAGES["key encipherment"])),
    extended_key_usages=(EXTENDED_KEY_USAGES["server auth"], EXTENDED_KEY_USAGES["client auth"]),
)


@dataclasses.dataclass(frozen=True)
class Config:
    """A signing config."""

    default: Profile
    profiles: dict[str, Profile]
    source: str = "config"

    def profile(self, name: str | None, *, user: str, notes: Notes) -> Profile:
        """Return the profile of that name; that cfssl would take the default instead is a mishap.

        :param user: names the certificate in messages.
        :raises PkiError: there is no such profile, or nothing can be signed with it.
        """
        if not name or name == "default":
            profile = self.profiles.get("default", self.default)
        elif name in self.profiles:
            profile = self.profiles[name]
        else:
            known = ", ".join(sorted(self.profiles)) or "none but default"
            hint = did_you_mean(name, self.profiles)
            notes.mishap(
                f"{user}: profile {name!r} is not in {self.source}{hint}. Profiles there: {known}.",
                otherwise="the default profile is used",
            )
            profile = self.default
        if profile.unsupported:
            raise PkiError(
                f"{user}: profile {profile.name!r} in {self.source} sets {', '.join(profile.unsupported)}, "
                "which this module cannot honour: it signs on this machine only. "
                "Remove the field or use cfssl itself for this certificate."
            )
        if not profile.key_usages and not profile.extended_key_usages:
            raise PkiError(
                f"{user}: profile {profile.name!r} in {self.source} has no usages, so nothing can be signed with it. "
                "Name a profile with usages, or add them."
            )
        return profile


def parse_config(value: t.Any, *, where: str, notes: Notes) -> Config:
    """Read a cfssl signing config; None stands for cfssl's built-in one.

    :param where: names the config in messages.
    :raises PkiError: cfssl would refuse it, or would silently do something else and notes are strict.
    """
    if value is None:
        return Config(default=DEFAULT_PROFILE, profiles={}, source="the built-in config")
    # auth_keys, remotes and ocsp serve other commands; a profile that refers to them is refused when it is used.
    top = Fields(value, where, ("signing", "auth_keys", "remotes", "ocsp"), notes)
    if not top.has("signing"):
        raise PkiError(f"{where} has no 'signing' section.")
    signing = Fields(top.values["signing"], f"{where}.signing", ("default", "profiles"), notes)
    default = DEFAULT_PROFILE
    if signing.has("default"):
        default = _profile(signing.values["default"], "default", f"{where}.signing.default", None, notes)
    return Config(
        default=default,
        profiles={
            str(name): _profile(entry, str(name), f"{where}.signing.profiles.{name}", default, notes)
            for name, entry in signing.mapping("profiles").items()
        },
        source=where,
    )


def _profile(value: t.Any, name: str, where: str, default: Profile | None, notes: Notes) -> Profile:
    fields = Fields(value, where, _PROFILE_FIELDS + _UNSUPPORTED_FIELDS, notes)
    # Only URLs are inherited.
    inherited = default or Profile("none")
    key_usages, extended = _usages(fields, is_default=default is None)
    not_before, not_after = _time(fields, "not_before"), _time(fields, "not_after")
    expiry = _expiry(fields)
    if not_before and not_after and not_after <= not_before:
        raise PkiError(f"{where}: not_after ({not_after:%Y-%m-%dT%H:%M:%SZ}) is not later than not_before.")
    backdate = fields.backdate()
    constraint = Fields(
        fields.values.get("ca_constraint", {}),
        f"{where}.ca_constraint",
        ("is_ca", "max_path_len", "max_path_len_zero"),
        notes,
    )
    for index, oid in enumerate(fields.items("allowed_extensions")):
        parse_oid(oid, f"{where}.allowed_extensions[{index}]")
    policies = [
        _policy(entry, f"{where}.policies[{index}]", notes) for index, entry in enumerate(fields.items("Policies"))
    ]
    return Profile(
        name=name,
        key_usages=key_usages,
        extended_key_usages=extended,
        expiry=expiry,
        # Zero is Go's "not set".
        backdate=backdate or DEFAULT_BACKDATE,
        not_before=not_before,
        not_after=not_after,
        is_ca=constraint.flag("is_ca"),
        path_length=path_length(constraint, "max_path_len", "max_path_len_zero"),
        copy_extensions=fields.flag("copy_extensions"),
        name_whitelist=_pattern(fields, "name_whitelist"),
        ocsp_url=fields.url("ocsp_url") or inherited.ocsp_url,
        crl_url=fields.url("crl_url") or inherited.crl_url,
        issuer_urls=tuple(fields.urls("issuer_urls")) if fields.has("issuer_urls") else inherited.issuer_urls,
        policies=tuple(policies),
        ocsp_no_check=fields.flag("ocsp_no_check"),
        unsupported=_unsupported(fields),
    )


def _unsupported(fields: Fields) -> tuple[str, ...]:
    return tuple(field for field in _UNSUPPORTED_FIELDS if fields.values.get(field))


def _expiry(fields: Fields) -> dt.timedelta:
    expiry = fields.duration("expiry")
    if expiry is None:
        if not _unsupported(fields):
            raise PkiError(f"{fields.where}.expiry is missing: how long certificates are valid, such as '8760h'.")
        expiry = LEAF_DEFAULT_EXPIRY
    check_expiry(expiry, where=f"{fields.where}.expiry", notes=fields.notes)
    return expiry


def check_expiry(expiry: dt.timedelta, *, where: str, notes: Notes) -> None:
    """Check that a lifetime is positive and, as far as notes are strict, shorter than a hundred years.

    :raises PkiError: it is not.
    """
    if expiry <= dt.timedelta(0):
        raise PkiError(f"{where} is {duration_text(expiry)}: it must be positive.")
    if expiry > LONGEST_SANE_EXPIRY:
        notes.mishap(
            f"{where} is {duration_text(expiry)}: more than a hundred years.", otherwise="it is taken as it is"
        )


def _usages(fields: Fields, *, is_default: bool) -> tuple[frozenset[int], tuple[str, ...]]:
    usages = fields.texts("usages")
    bits: set[int] = set()
    extended: list[str] = []
    for usage in usages:
        if usage in KEY_USAGES:
            bits.add(KEY_USAGES[usage])
        elif usage in EXTENDED_KEY_USAGES:
            extended.append(EXTENDED_KEY_USAGES[usage])
        else:
            known = (*KEY_USAGES, *EXTENDED_KEY_USAGES)
            fields.notes.mishap(
                f"{fields.where}.usages has an unknown usage {usage!r}{did_you_mean(usage, known)}. "
                f"Known are: {', '.join(known)}.",
                otherwise="it is left out",
            )
    if usages and not bits and not extended:
        raise PkiError(f"{fields.where}.usages has no usage that cfssl knows: {', '.join(usages)}.")
    if not usages and not is_default and not _unsupported(fields):
        raise PkiError(f"{fields.where}.usages is missing: for example ['signing', 'key encipherment', 'server auth'].")
    return frozenset(bits), tuple(extended)


def _time(fields: Fields, name: str) -> dt.datetime | None:
    value = fields.values.get(name)
    if value is None:
        return None
    if isinstance(value, dt.datetime):  # YAML reads a time stamp without quotes as one
        moment = value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)
    else:
        moment = parse_time(fields.text(name), where=f"{fields.where}.{name}")
    moment = moment.astimezone(dt.timezone.utc).replace(microsecond=0)
    return None if moment.year == 1 else moment  # Go's zero time stands for "not set"


def _pattern(fields: Fields, name: str) -> re.Pattern[str] | None:
    text = fields.text(name)
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise PkiError(f"{fields.where}.{name} is not a regular expression: {error}.") from error


def _policy(value: t.Any, where: str, notes: Notes) -> Policy:
    fields = Fields(value, where, ("ID", "Qualifiers"), notes)
    if not fields.has("ID"):
        raise PkiError(f"{where}.ID is missing: the policy's object identifier, such as '1.2.3.4'.")
    qualifiers = []
    for index, entry in enumerate(fields.items("Qualifiers")):
        qualifier = Fields(entry, f"{where}.Qualifiers[{index}]", ("Type", "Value"), notes)
        kind = qualifier.text("Type")
        if kind not in ("id-qt-cps", "id-qt-unotice"):
            raise PkiError(f"{qualifier.where}.Type is {shown(kind)}: allowed are id-qt-cps and id-qt-unotice.")
        qualifiers.append((kind, qualifier.text("Value")))
    return Policy(parse_oid(fields.values["ID"], f"{where}.ID"), tuple(qualifiers))
