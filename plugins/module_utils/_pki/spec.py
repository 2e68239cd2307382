# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cfssl's CSR and signing config JSON, read strictly into plain data.

Only the standard library is used, and nothing here looks at keys or certificates.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import difflib
import ipaddress
import json
import os
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError

__all__ = (
    "CaSection",
    "Config",
    "KeySpec",
    "Notes",
    "Policy",
    "Profile",
    "RawExtension",
    "RenewBefore",
    "Request",
    "classify_hosts",
    "duration_text",
    "load_document",
    "parse_config",
    "parse_duration",
    "parse_request",
)

LEAF_DEFAULT_EXPIRY = dt.timedelta(hours=8760)
CA_DEFAULT_EXPIRY = dt.timedelta(hours=43800)
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
# cfssl writes the subject in this order, whatever the order in the JSON.
SUBJECT_ORDER: tuple[tuple[str, str], ...] = (
    ("C", "2.5.4.6"),
    ("ST", "2.5.4.8"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
)
OID_COMMON_NAME = "2.5.4.3"
OID_SERIAL_NUMBER = "2.5.4.5"
OID_EMAIL = "1.2.840.113549.1.9.1"
DELEGATION_USAGE = "1.3.6.1.4.1.44363.44"

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_DNS_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_URI_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EMAIL = re.compile(r"[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+")
_NAMED_EMAIL = re.compile(r"[^<>]*<([^<>@\s]+@[^<>@\s]+)>\s*")


class Notes:
    """Collects warnings, and turns cfssl's silent mishaps into errors when strict."""

    def __init__(self, *, strict: bool = True) -> None:
        self.strict = strict
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def mishap(self, message: str, *, otherwise: str) -> None:
        """An error when strict; else a warning that adds what happens instead, as with cfssl."""
        if self.strict:
            raise PkiError(message)
        self.warn(f"{message} Because strict is false, {otherwise}.")


@dataclasses.dataclass(frozen=True)
class KeySpec:
    algo: str = "ecdsa"
    size: int = 256

    def __str__(self) -> str:
        return self.algo if self.algo == "ed25519" else f"{self.algo} {self.size}"


@dataclasses.dataclass(frozen=True)
class RawExtension:
    oid: str
    critical: bool
    value: bytes


@dataclasses.dataclass(frozen=True)
class CaSection:
    """The C(ca) section of a CSR."""

    path_length: int | None = None
    expiry: dt.timedelta | None = None
    backdate: dt.timedelta | None = None


@dataclasses.dataclass(frozen=True)
class Request:
    """A cfssl CSR. The subject is a list of RDNs, each a list of (OID, value)."""

    subject: tuple[tuple[tuple[str, str], ...], ...]
    hosts: tuple[str, ...]
    key: KeySpec
    ca: CaSection | None = None
    crl_url: str = ""
    extensions: tuple[RawExtension, ...] = ()


@dataclasses.dataclass(frozen=True)
class Policy:
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
    # What a remote signer or a CT log would have to do: an error as soon as the profile is used.
    unsupported: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Config:
    default: Profile
    profiles: dict[str, Profile]
    source: str = "config"

    def profile(self, name: str | None, *, user: str, notes: Notes) -> Profile:
        """The profile of that name; cfssl's habit of taking the default is an error when strict."""
        if not name or name == "default":
            profile = self.profiles.get("default", self.default)
        elif name in self.profiles:
            profile = self.profiles[name]
        else:
            nearest = _nearest(name, self.profiles)
            known = ", ".join(sorted(self.profiles)) or "none but default"
            notes.mishap(
                f"{user}: profile {name!r} is not in {self.source}{nearest}. Profiles there: {known}.",
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


@dataclasses.dataclass(frozen=True)
class RenewBefore:
    """How long before its end a certificate is made again."""

    duration: dt.timedelta | None = None
    share: float | None = None
    text: str = ""

    @classmethod
    def parse(cls, value: str | None, *, where: str) -> RenewBefore:
        if value is None or value == "":
            return cls()
        text = str(value).strip()
        share = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%", text)
        if share:
            number = float(share[1]) / 100
            if not 0 < number < 1:
                raise PkiError(f"{where} is {text}: a share of the lifetime must lie between 0% and 100%.")
            return cls(share=number, text=text)
        days = re.fullmatch(r"([0-9]+)d", text)
        duration = dt.timedelta(days=_small(days[1], where)) if days else parse_duration(text, where=where)
        if duration < dt.timedelta(0):
            raise PkiError(f"{where} is {text}: it must not be negative.")
        return cls(duration=duration, text=text)

    def check(self, lifetime: dt.timedelta, *, user: str) -> None:
        if self.duration is not None and self.duration >= lifetime:
            raise PkiError(
                f"{user}: renew_before {self.text} is not shorter than the lifetime {duration_text(lifetime)}: "
                "the certificate would be renewed in every run. Lower renew_before or raise the expiry."
            )

    def window(self, lifetime: dt.timedelta) -> dt.timedelta:
        if self.share is not None:
            return lifetime * self.share
        if self.duration is None:
            return min(dt.timedelta(days=30), lifetime / 3)
        return self.duration


# --- durations -------------------------------------------------------------------------------------

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([+-]?)((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_GO_DURATION = 2**63 / 1e9


def _small(digits: str, where: str) -> int:
    if len(digits) > 6:
        raise PkiError(f"{where} is {digits[:12]}... days: that is out of range.")
    return int(digits)


def parse_duration(text: t.Any, *, where: str) -> dt.timedelta:
    """A Go duration such as C(8760h), C(1h30m) or C(1.5h)."""
    if not isinstance(text, str):
        raise PkiError(f"{where} is {_shown(text)}: a duration is a string such as '8760h'.")
    if text in ("0", "+0", "-0"):
        return dt.timedelta(0)
    match = _DURATION.fullmatch(text)
    if not match:
        hint = ""
        days = re.fullmatch(r"([0-9]{1,6})\s*(d|days?|w|y|years?)", text)
        if days:
            factor = {"d": 24, "w": 168, "y": 8760}[days[2][0]]
            hint = f" cfssl knows no {days[2]!r}: write {int(days[1]) * factor}h."
        raise PkiError(
            f"{where} is {_shown(text)}, which is no duration."
            f"{hint} Allowed are numbers with the units h, m, s, ms, us, ns, as in '8760h' or '1h30m'."
        )
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(match[2]))
    if seconds > _LONGEST_GO_DURATION:
        raise PkiError(f"{where} is {_shown(text)}: the longest duration is about 292 years (2562047h).")
    return dt.timedelta(seconds=-seconds if match[1] == "-" else seconds)


def duration_text(value: dt.timedelta) -> str:
    """A duration for people: days when that is exact enough, else hours, minutes, seconds."""
    seconds = int(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds >= 2 * 86400:
        return f"{sign}{seconds / 86400:.4g} days" if seconds < 10000 * 86400 else f"{sign}{seconds // 86400} days"
    if seconds >= 3600:
        return f"{sign}{seconds / 3600:.3g} hours"
    if seconds >= 60:
        return f"{sign}{seconds / 60:.3g} minutes"
    return f"{sign}{seconds} seconds"


# --- JSON documents --------------------------------------------------------------------------------


def load_document(value: t.Any, *, directory: str, where: str, notes: Notes) -> tuple[dict[str, t.Any], str]:
    """Returns a mapping and the words that name it: given as such, or as the path of a JSON file."""
    if isinstance(value, dict):
        return value, where
    if not isinstance(value, (str, os.PathLike)):
        raise PkiError(f"{where} is {_shown(value)}: it must be a mapping or the path of a JSON file.")
    path = os.path.join(directory, os.path.expanduser(os.fspath(value)))
    shown = f"{where} ({path})"

    def pairs(items: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        document = dict(items)
        if len(document) < len(items):
            names = [name for name, dummy in items]
            twice = sorted({name for name in names if names.count(name) > 1})
            notes.mishap(f"{shown}: {', '.join(twice)} is there twice.", otherwise="the last one counts")
        return document

    try:
        with open(path, "rb") as stream:
            document = json.loads(stream.read().decode("utf-8"), object_pairs_hook=pairs)
    except OSError as error:
        raise PkiError(f"{shown} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise PkiError(f"{shown} is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise PkiError(f"{shown} must hold a JSON object, not {_kind(document)}.")
    return document, shown


def _kind(value: t.Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def _shown(value: t.Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _nearest(name: str, known: t.Iterable[str]) -> str:
    folded = {entry.lower(): entry for entry in known}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""


class _Fields:
    """Typed access to a JSON object, with the place of each field in every message.

    Names are case-insensitive, as they are for Go. null means absent, also as for Go.
    """

    def __init__(self, value: t.Any, where: str, known: t.Iterable[str], notes: Notes) -> None:
        if not isinstance(value, dict):
            raise PkiError(f"{where} must be an object, not {_kind(value)}.")
        self.where = where
        names = {name.lower(): name for name in known}
        self.values: dict[str, t.Any] = {}
        for key, entry in value.items():
            name = names.get(str(key).lower())
            if name is None:
                notes.mishap(
                    f"{where} has an unknown field {str(key)!r}{_nearest(str(key), names.values())}.",
                    otherwise="it is ignored",
                )
            elif entry is not None:
                self.values[name] = entry

    def _typed(self, name: str, kind: type, words: str, default: t.Any) -> t.Any:
        value = self.values.get(name, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise PkiError(f"{self.where}.{name} must be {words}, not {_kind(value)} ({_shown(value)}).")
        # Ansible tags strings; plain ones keep messages, JSON and `cryptography` out of trouble.
        return str(value) if kind is str else value

    def text(self, name: str) -> str:
        return self._typed(name, str, "a string", "")

    def number(self, name: str) -> int:
        return self._typed(name, int, "a whole number", 0)

    def flag(self, name: str) -> bool:
        return self._typed(name, bool, "true or false", False)

    def items(self, name: str) -> list[t.Any]:
        return self._typed(name, list, "a list", [])

    def texts(self, name: str) -> list[str]:
        result = []
        for index, entry in enumerate(self.items(name)):
            if not isinstance(entry, str):
                raise PkiError(f"{self.where}.{name}[{index}] must be a string, not {_kind(entry)} ({_shown(entry)}).")
            result.append(str(entry))
        return result

    def url(self, name: str) -> str:
        return self._ascii(self.text(name), name)

    def urls(self, name: str) -> list[str]:
        return [self._ascii(text, f"{name}[{index}]") for index, text in enumerate(self.texts(name))]

    def _ascii(self, text: str, name: str) -> str:
        if not text.isascii() or not text.isprintable():
            raise PkiError(f"{self.where}.{name} is {_shown(text)}: a URL is ASCII; encode other characters as %XX.")
        return text

    def has(self, name: str) -> bool:
        return name in self.values

    def duration(self, name: str) -> dt.timedelta | None:
        text = self.text(name)
        return parse_duration(text, where=f"{self.where}.{name}") if text else None

    def backdate(self, notes: Notes) -> dt.timedelta | None:
        backdate = self.duration("backdate")
        if backdate is not None and backdate < dt.timedelta(0):
            notes.mishap(
                f"{self.where}.backdate is {duration_text(backdate)}: what is made would not be valid yet.",
                otherwise="it is taken as it is",
            )
        return backdate


def _oid(value: t.Any, where: str) -> str:
    if isinstance(value, list) and all(isinstance(part, int) and not isinstance(part, bool) for part in value):
        value = ".".join(str(part) for part in value)
    text = str(value) if isinstance(value, str) else ""
    parts = text.split(".")
    if not _OID.fullmatch(text) or len(text) > 200 or (parts[0] in "01" and int(parts[1]) > 39):
        raise PkiError(f"{where} is {_shown(value)}, which is no object identifier such as '1.2.3.4'.")
    return text


# --- CSR -------------------------------------------------------------------------------------------

_REQUEST_FIELDS = (
    "CN", "names", "hosts", "key", "ca", "serialnumber", "delegation_enabled", "extensions", "crl_url",
)  # fmt: skip
_NAME_FIELDS = ("C", "ST", "L", "O", "OU", "E", "SerialNumber", "OID")


def parse_request(value: t.Any, *, where: str, notes: Notes) -> Request:
    """A cfssl CSR JSON object."""
    fields = _Fields(value, where, _REQUEST_FIELDS, notes)
    extensions = [
        _extension(entry, f"{where}.extensions[{index}]", notes)
        for index, entry in enumerate(fields.items("extensions"))
    ]
    if fields.flag("delegation_enabled"):
        extensions.insert(0, RawExtension(DELEGATION_USAGE, False, b"\x05\x00"))
    return Request(
        subject=_subject(fields, notes),
        hosts=tuple(fields.texts("hosts")),
        key=_key(fields.values["key"], f"{where}.key", notes) if fields.has("key") else KeySpec(),
        ca=_ca_section(fields.values["ca"], f"{where}.ca", notes) if fields.has("ca") else None,
        crl_url=fields.url("crl_url"),
        extensions=tuple(extensions),
    )


def _subject(fields: _Fields, notes: Notes) -> tuple[tuple[tuple[str, str], ...], ...]:
    where = fields.where
    values: dict[str, list[str]] = {}
    extra: list[tuple[tuple[str, str], ...]] = []
    for index, entry in enumerate(fields.items("names")):
        place = f"{where}.names[{index}]"
        name = _Fields(entry, place, _NAME_FIELDS, notes)
        if name.text("SerialNumber"):
            notes.mishap(
                f"{place}.SerialNumber has no effect in cfssl. Use the CSR's own 'serialnumber'.",
                otherwise="it is ignored",
            )
        for field, oid in SUBJECT_ORDER:
            if name.text(field):
                values.setdefault(oid, []).append(name.text(field))
        oids = name.values.get("OID", {})
        if not isinstance(oids, dict):
            raise PkiError(f"{place}.OID must be an object, not {_kind(oids)}.")
        for key, text in oids.items():
            if not isinstance(text, str):
                raise PkiError(f"{place}.OID.{key} must be a string, not {_kind(text)}.")
            extra.append(((_oid(key, f"{place}.OID"), str(text)),))
        if name.text("E"):
            extra.append(((OID_EMAIL, name.text("E")),))
    rdns: list[tuple[tuple[str, str], ...]] = []
    for field, oid in SUBJECT_ORDER:
        several = values.get(oid, [])
        unique = list(dict.fromkeys(several))
        if len(unique) < len(several):
            notes.mishap(f"{where}.names has the same {field} twice.", otherwise="it is taken once")
        if unique:
            rdns.append(tuple((oid, text) for text in unique))
    for field, oid in (("CN", OID_COMMON_NAME), ("serialnumber", OID_SERIAL_NUMBER)):
        if fields.text(field):
            rdns.append(((oid, fields.text(field)),))
    subject = (*rdns, *extra)
    for rdn in subject:
        for _oid_text, text in rdn:
            if "\x00" in text or not text.isprintable():
                raise PkiError(f"{where}: the subject has a control character in {_shown(text)}.")
    return subject


def _key(value: t.Any, where: str, notes: Notes) -> KeySpec:
    fields = _Fields(value, where, ("algo", "size"), notes)
    algo, size = fields.text("algo"), fields.number("size")
    if algo == "rsa":
        if not 2048 <= size <= 8192:
            found = f"{size}" if fields.has("size") else "missing (cfssl has no default for it)"
            raise PkiError(f"{where}.size is {found}: an rsa key has 2048 to 8192 bits.")
    elif algo == "ecdsa":
        if size not in (256, 384, 521):
            found = f"{size}" if fields.has("size") else "missing"
            raise PkiError(f"{where}.size is {found}: an ecdsa key has 256, 384 or 521 bits.")
    elif algo == "ed25519":
        size = 256
    else:
        nearest = _nearest(algo, ("rsa", "ecdsa", "ed25519"))
        raise PkiError(f"{where}.algo is {_shown(algo)}{nearest}: allowed are rsa, ecdsa, ed25519.")
    return KeySpec(algo, size)


def _ca_section(value: t.Any, where: str, notes: Notes) -> CaSection:
    fields = _Fields(value, where, ("pathlen", "pathlenzero", "expiry", "backdate"), notes)
    return CaSection(
        path_length=_path_length(fields, "pathlen", "pathlenzero", notes),
        expiry=fields.duration("expiry"),
        backdate=fields.backdate(notes),
    )


def _path_length(fields: _Fields, name: str, zero: str, notes: Notes) -> int | None:
    length = fields.number(name)
    if length < 0:
        raise PkiError(f"{fields.where}.{name} is {length}: it must be 0 or more; leave it out for no limit.")
    if length and fields.flag(zero):
        notes.mishap(
            f"{fields.where}: {name} is {length} and {zero} is true; only one of them can hold.",
            otherwise=f"{zero} is ignored",
        )
    if length:
        return length
    if fields.flag(zero):
        return 0
    if fields.has(name) and notes.strict:
        raise PkiError(f"{fields.where}.{name} 0 means 'no limit' to cfssl unless {zero} is true as well: say which.")
    return None


def _extension(value: t.Any, where: str, notes: Notes) -> RawExtension:
    fields = _Fields(value, where, ("Id", "Critical", "Value"), notes)
    if not fields.has("Id"):
        raise PkiError(f"{where}.Id is missing: the extension's object identifier, such as [1, 2, 3, 4].")
    try:
        content = base64.b64decode(fields.text("Value"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PkiError(f"{where}.Value is not base64: {error}.") from error
    return RawExtension(_oid(fields.values["Id"], f"{where}.Id"), fields.flag("Critical"), content)


# --- config ----------------------------------------------------------------------------------------

_PROFILE_FIELDS = (
    "usages", "issuer_urls", "ocsp_url", "crl_url", "ca_constraint", "ocsp_no_check", "expiry", "backdate",
    "copy_extensions", "not_before", "not_after", "name_whitelist", "allowed_extensions", "Policies",
)  # fmt: skip
_UNSUPPORTED_FIELDS = (
    "auth_key", "prev_auth_key", "remote", "auth_remote", "ct_log_servers", "cert_store", "lint_error_level",
    "ignored_lints", "ignored_lint_sources", "CSRWhitelist", "ClientProvidesSerialNumbers",
)  # fmt: skip

# What cfssl takes when it is given no config at all.
DEFAULT_PROFILE = Profile(
    name="default",
    key_usages=frozenset((0, 2)),
    extended_key_usages=(EXTENDED_KEY_USAGES["server auth"], EXTENDED_KEY_USAGES["client auth"]),
)


def parse_config(value: t.Any, *, where: str, notes: Notes) -> Config:
    """A cfssl signing config; None stands for cfssl's built-in one."""
    if value is None:
        return Config(default=DEFAULT_PROFILE, profiles={}, source="the built-in config")
    # auth_keys, remotes and ocsp serve other commands; a profile that refers to them is refused when it is used.
    top = _Fields(value, where, ("signing", "auth_keys", "remotes", "ocsp"), notes)
    if not top.has("signing"):
        raise PkiError(f"{where} has no 'signing' section.")
    signing = _Fields(top.values["signing"], f"{where}.signing", ("default", "profiles"), notes)
    if signing.has("default"):
        default = _profile(signing.values["default"], "default", f"{where}.signing.default", None, notes)
    else:
        default = DEFAULT_PROFILE
    profiles = signing.values.get("profiles", {})
    if not isinstance(profiles, dict):
        raise PkiError(f"{where}.signing.profiles must be an object, not {_kind(profiles)}.")
    return Config(
        default=default,
        profiles={
            str(name): _profile(entry, str(name), f"{where}.signing.profiles.{name}", default, notes)
            for name, entry in profiles.items()
        },
        source=where,
    )


def _profile(value: t.Any, name: str, where: str, default: Profile | None, notes: Notes) -> Profile:
    fields = _Fields(value, where, _PROFILE_FIELDS + _UNSUPPORTED_FIELDS, notes)
    key_usages, extended = _usages(fields, default is None, notes)
    unsupported = tuple(field for field in _UNSUPPORTED_FIELDS if fields.values.get(field))
    expiry = fields.duration("expiry")
    not_before, not_after = _time(fields, "not_before"), _time(fields, "not_after")
    if expiry is None:
        if not unsupported:
            raise PkiError(f"{where}.expiry is missing: how long certificates are valid, such as '8760h'.")
        expiry = LEAF_DEFAULT_EXPIRY
    check_expiry(expiry, where=f"{where}.expiry", notes=notes)
    if not_before and not_after and not_after <= not_before:
        raise PkiError(f"{where}: not_after ({not_after:%Y-%m-%dT%H:%M:%SZ}) is not later than not_before.")
    backdate = fields.backdate(notes)
    constraint = _Fields(
        fields.values.get("ca_constraint", {}),
        f"{where}.ca_constraint",
        ("is_ca", "max_path_len", "max_path_len_zero"),
        notes,
    )
    for index, oid in enumerate(fields.items("allowed_extensions")):
        _oid(oid, f"{where}.allowed_extensions[{index}]")
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
        path_length=_path_length(constraint, "max_path_len", "max_path_len_zero", notes),
        copy_extensions=fields.flag("copy_extensions"),
        name_whitelist=_pattern(fields, "name_whitelist"),
        ocsp_url=fields.url("ocsp_url") or (default.ocsp_url if default else ""),
        crl_url=fields.url("crl_url") or (default.crl_url if default else ""),
        issuer_urls=tuple(
            fields.urls("issuer_urls") if fields.has("issuer_urls") else default.issuer_urls if default else ()
        ),
        policies=tuple(
            _policy(entry, f"{where}.policies[{index}]", notes) for index, entry in enumerate(fields.items("Policies"))
        ),
        ocsp_no_check=fields.flag("ocsp_no_check"),
        unsupported=unsupported,
    )


def check_expiry(expiry: dt.timedelta, *, where: str, notes: Notes) -> None:
    if expiry <= dt.timedelta(0):
        raise PkiError(f"{where} is {duration_text(expiry)}: it must be positive.")
    if expiry > LONGEST_SANE_EXPIRY:
        notes.mishap(
            f"{where} is {duration_text(expiry)}: more than a hundred years.", otherwise="it is taken as it is"
        )


def _usages(fields: _Fields, is_default: bool, notes: Notes) -> tuple[frozenset[int], tuple[str, ...]]:
    usages = fields.texts("usages")
    bits: set[int] = set()
    extended: list[str] = []
    for usage in usages:
        if usage in KEY_USAGES:
            bits.add(KEY_USAGES[usage])
        elif usage in EXTENDED_KEY_USAGES:
            extended.append(EXTENDED_KEY_USAGES[usage])
        else:
            nearest = _nearest(usage, (*KEY_USAGES, *EXTENDED_KEY_USAGES))
            notes.mishap(
                f"{fields.where}.usages has an unknown usage {usage!r}{nearest}. "
                f"Known are: {', '.join((*KEY_USAGES, *EXTENDED_KEY_USAGES))}.",
                otherwise="it is left out",
            )
    if usages and not bits and not extended:
        raise PkiError(f"{fields.where}.usages has no usage that cfssl knows: {', '.join(usages)}.")
    if not usages and not is_default and not any(fields.values.get(name) for name in _UNSUPPORTED_FIELDS):
        raise PkiError(f"{fields.where}.usages is missing: for example ['signing', 'key encipherment', 'server auth'].")
    return frozenset(bits), tuple(extended)


def _time(fields: _Fields, name: str) -> dt.datetime | None:
    value = fields.values.get(name)
    if value is None:
        return None
    if isinstance(value, dt.datetime):  # YAML reads a time stamp without quotes as one
        moment = value
    else:
        text = fields.text(name)
        try:
            moment = dt.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        except ValueError as error:
            raise PkiError(
                f"{fields.where}.{name} is {_shown(text)}: a time is written as '2026-01-31T12:00:00Z'."
            ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    moment = moment.astimezone(dt.timezone.utc).replace(microsecond=0)
    return None if moment.year == 1 else moment  # Go's zero time stands for "not set"


def _pattern(fields: _Fields, name: str) -> re.Pattern[str] | None:
    text = fields.text(name)
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise PkiError(f"{fields.where}.{name} is no regular expression: {error}.") from error


def _policy(value: t.Any, where: str, notes: Notes) -> Policy:
    fields = _Fields(value, where, ("ID", "Qualifiers"), notes)
    if not fields.has("ID"):
        raise PkiError(f"{where}.ID is missing: the policy's object identifier, such as '1.2.3.4'.")
    qualifiers = []
    for index, entry in enumerate(fields.items("Qualifiers")):
        qualifier = _Fields(entry, f"{where}.Qualifiers[{index}]", ("Type", "Value"), notes)
        kind = qualifier.text("Type")
        if kind not in ("id-qt-cps", "id-qt-unotice"):
            raise PkiError(f"{qualifier.where}.Type is {_shown(kind)}: allowed are id-qt-cps and id-qt-unotice.")
        qualifiers.append((kind, qualifier.text("Value")))
    return Policy(_oid(fields.values["ID"], f"{where}.ID"), tuple(qualifiers))


# --- hosts -----------------------------------------------------------------------------------------


def classify_hosts(hosts: t.Iterable[str], *, where: str, notes: Notes) -> tuple[tuple[str, str], ...]:
    """Sorts hosts into (kind, value) in the order of the extension: DNS, email, IP, URI."""
    found = dict.fromkeys(_classify(host, where, notes) for host in hosts)
    order = ("DNS", "email", "IP", "URI")
    return tuple(sorted(found, key=lambda san: order.index(san[0])))


def _classify(host: str, where: str, notes: Notes) -> tuple[str, str]:
    shown = f"{where}: host {_shown(host)}"
    if not host.isascii():
        raise PkiError(f"{shown} is not ASCII: write an international name in its xn-- form.")
    if any(character < " " or character == "\x7f" for character in host):
        raise PkiError(f"{shown} has a control character in it.")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is not None and "%" not in host:
        mapped = getattr(address, "ipv4_mapped", None)
        return ("IP", str(mapped or address))
    if _EMAIL.fullmatch(host):
        return ("email", host)
    named = _NAMED_EMAIL.fullmatch(host)
    if named:
        notes.mishap(f"{shown} has a name around its e-mail address.", otherwise=f"it becomes {named[1]}")
        return ("email", named[1])
    if host == "*" or host.startswith("/") or _URI_SCHEME.match(host):
        if "://" not in host:
            notes.mishap(
                f"{shown} would become a URI in the certificate, and no client would match it. "
                "Give a host name or an address alone, without port or path.",
                otherwise="it becomes a URI",
            )
        return ("URI", host)
    problem = _dns_problem(host)
    if problem:
        notes.mishap(f"{shown} {problem}", otherwise="it becomes a DNS name as it stands")
    return ("DNS", host)


def _dns_problem(host: str) -> str | None:
    if not host:
        return "is empty: leave it out."
    if host != host.strip():
        return "has blanks around it: cfssl would keep them in the certificate."
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError:
        pass
    else:
        return "is a network: a certificate names single addresses."
    labels = host.split(".")
    if labels[0] == "*" and len(labels) > 1:
        labels = labels[1:]
    if len(host) > 253 or not all(_DNS_LABEL.fullmatch(label) for label in labels):
        return "is neither a host name nor an address."
    if labels[-1].isdigit():
        return "is neither a host name nor an address: a host name does not end in a number alone."
    return None
