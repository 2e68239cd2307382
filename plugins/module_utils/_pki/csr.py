# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cfssl's CSR JSON, read into plain data."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.fields import Fields, parse_oid, path_length
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes, did_you_mean, kind_of, shown

__all__ = (
    "Attribute",
    "CaSection",
    "DELEGATION_USAGE",
    "KeySpec",
    "OID_COMMON_NAME",
    "RawExtension",
    "Request",
    "SHORT_NAMES",
    "Subject",
    "parse_request",
)

# An (OID, value) of a name; and a subject as a sequence of RDNs, each of one or more of them.
Attribute = tuple[str, str]
Subject = tuple[tuple[Attribute, ...], ...]

OID_COMMON_NAME = "2.5.4.3"
OID_SERIAL_NUMBER = "2.5.4.5"
OID_EMAIL = "1.2.840.113549.1.9.1"
# cfssl writes the subject in this order, whatever the order in the JSON.
SUBJECT_ORDER: tuple[Attribute, ...] = (
    ("C", "2.5.4.6"),
    ("ST", "2.5.4.8"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
)
SHORT_NAMES: dict[str, str] = {
    OID_COMMON_NAME: "CN",
    OID_SERIAL_NUMBER: "serialNumber",
    OID_EMAIL: "emailAddress",
    **{oid: field for field, oid in SUBJECT_ORDER},
}
DELEGATION_USAGE = "1.3.6.1.4.1.44363.44"

_REQUEST_FIELDS = (
    "CN", "names", "hosts", "key", "ca", "serialnumber", "delegation_enabled", "extensions", "crl_url",
)  # fmt: skip
_NAME_FIELDS = ("C", "ST", "L", "O", "OU", "E", "SerialNumber", "OID")
# Fields that published CSRs have in places where cfssl ignores them.
_NOT_IN_REQUEST = {
    "expiry": "an authority's lifetime is 'expiry' in the section 'ca', a certificate's is that of its profile in the "
    "signing config.",
    "usages": "usages belong to a profile of the signing config.",
    "profile": "the profile is an option of its own, beside the CSR.",
    **dict.fromkeys(("c", "st", "l", "o", "ou"), "it belongs in an entry of 'names'."),
}
_NOT_IN_NAMES = {
    "cn": "the common name is 'CN' at the top of the CSR, beside 'names'.",
    "hosts": "hosts stand at the top of the CSR, beside 'names'.",
}


@dataclasses.dataclass(frozen=True)
class KeySpec:
    """The kind of a key. The default is cfssl's."""

    algo: str = "ecdsa"
    size: int = 256  # bits

    def __str__(self) -> str:
        return self.algo if self.algo == "ed25519" else f"{self.algo} {self.size}"


@dataclasses.dataclass(frozen=True)
class RawExtension:
    """An X.509 extension as the CSR gives it, its value in DER."""

    oid: str
    critical: bool
    value: bytes


@dataclasses.dataclass(frozen=True)
class CaSection:
    """The section ``ca`` of a CSR."""

    path_length: int | None = None
    expiry: dt.timedelta | None = None
    backdate: dt.timedelta | None = None


@dataclasses.dataclass(frozen=True)
class Request:
    """A cfssl CSR."""

    subject: Subject
    hosts: tuple[str, ...]
    key: KeySpec
    ca: CaSection | None = None
    crl_url: str = ""
    extensions: tuple[RawExtension, ...] = ()


def parse_request(value: t.Any, *, where: str, notes: Notes) -> Request:
    """Read a cfssl CSR.

    :param where: names the CSR in messages.
    :raises PkiError: cfssl would refuse it, or would silently do something else and notes are strict.
    """
    fields = Fields(value, where, _REQUEST_FIELDS, notes, elsewhere=_NOT_IN_REQUEST)
    extensions = [
        _extension(entry, f"{where}.extensions[{index}]", notes)
        for index, entry in enumerate(fields.items("extensions"))
    ]
    if fields.flag("delegation_enabled"):
        extensions.insert(0, RawExtension(DELEGATION_USAGE, False, b"\x05\x00"))
    return Request(
        subject=_subject(fields),
        hosts=tuple(fields.texts("hosts")),
        key=_key(fields.values["key"], f"{where}.key", notes) if fields.has("key") else KeySpec(),
        ca=_ca_section(fields.values["ca"], f"{where}.ca", notes) if fields.has("ca") else None,
        crl_url=fields.url("crl_url"),
        extensions=tuple(extensions),
    )


def _subject(fields: Fields) -> Subject:
    names = [
        Fields(entry, f"{fields.where}.names[{index}]", _NAME_FIELDS, fields.notes, elsewhere=_NOT_IN_NAMES)
        for index, entry in enumerate(fields.items("names"))
    ]
    rdns: list[tuple[Attribute, ...]] = []
    for field, oid in SUBJECT_ORDER:
        texts = [name.text(field) for name in names if name.text(field)]
        unique = dict.fromkeys(texts)
        if len(unique) < len(texts):
            fields.notes.mishap(f"{fields.where}.names has the same {field} twice.", otherwise="it is taken once")
        if unique:
            rdns.append(tuple((oid, text) for text in unique))
    for field, oid in (("CN", OID_COMMON_NAME), ("serialnumber", OID_SERIAL_NUMBER)):
        if fields.text(field):
            rdns.append(((oid, fields.text(field)),))
    subject = (*rdns, *((attribute,) for name in names for attribute in _other_attributes(name)))
    _check_printable(subject, fields.where)
    return subject


def _check_printable(subject: Subject, where: str) -> None:
    for _oid, text in (attribute for rdn in subject for attribute in rdn):
        if not text.isprintable():
            raise PkiError(f"{where}: the subject has a control character in {shown(text)}.")


def _other_attributes(name: Fields) -> list[Attribute]:
    """Return what an entry of ``names`` has beside the usual attributes."""
    if name.text("SerialNumber"):
        name.notes.mishap(
            f"{name.where}.SerialNumber has no effect in cfssl. Use the CSR's own 'serialnumber'.",
            otherwise="it is ignored",
        )
    found = []
    for key, text in name.mapping("OID").items():
        if not isinstance(text, str):
            raise PkiError(f"{name.where}.OID.{key} must be a string, not {kind_of(text)}.")
        found.append((parse_oid(key, f"{name.where}.OID"), str(text)))
    return found + ([(OID_EMAIL, name.text("E"))] if name.text("E") else [])


def _key(value: t.Any, where: str, notes: Notes) -> KeySpec:
    fields = Fields(value, where, ("algo", "size"), notes)
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
        hint = did_you_mean(algo, ("rsa", "ecdsa", "ed25519"))
        raise PkiError(f"{where}.algo is {shown(algo)}{hint}: allowed are rsa, ecdsa, ed25519.")
    return KeySpec(algo, size)


def _ca_section(value: t.Any, where: str, notes: Notes) -> CaSection:
    fields = Fields(value, where, ("pathlen", "pathlenzero", "expiry", "backdate"), notes)
    return CaSection(
        path_length=path_length(fields, "pathlen", "pathlenzero"),
        expiry=fields.duration("expiry"),
        backdate=fields.backdate(),
    )


def _extension(value: t.Any, where: str, notes: Notes) -> RawExtension:
    fields = Fields(value, where, ("Id", "Critical", "Value"), notes)
    if not fields.has("Id"):
        raise PkiError(f"{where}.Id is missing: the extension's object identifier, such as [1, 2, 3, 4].")
    try:
        content = base64.b64decode(fields.text("Value"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PkiError(f"{where}.Value is not base64: {error}.") from error
    return RawExtension(parse_oid(fields.values["Id"], f"{where}.Id"), fields.flag("Critical"), content)
