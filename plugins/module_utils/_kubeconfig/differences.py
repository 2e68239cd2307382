# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs compared, and shown in diffs without the secrets in them."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import LISTS, Document, named
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import fingerprint, load_certificate
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import name_text
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import iso_time

__all__ = ("compare", "masked", "same")

HIDDEN = "(hidden)"
HIDDEN_NEW = "(hidden, changed)"
#: Fields that may be shown. Every other field could be a secret, also in a file of another program.
OPEN_FIELDS = frozenset(
    (
        "apiVersion", "kind", "current-context", "name", "server", "tls-server-name", "insecure-skip-tls-verify",
        "cluster", "user", "namespace", "certificate-authority", "client-certificate", "client-key", "tokenFile",
        "command", "installHint", "interactiveMode", "provideClusterInfo",
    )
)  # fmt: skip


def same(one: Document, other: Document) -> bool:
    """Return whether kubectl reads both alike."""
    return _normal(one) == _normal(other)


def _normal(value: Document) -> Document:
    result = {key: entry for key, entry in value.items() if not _is_nothing(entry)}
    for name in LISTS:
        result[name] = {key: _without_nothing(body) for key, body in named(value, name).items()}
    return result


def _is_nothing(value: t.Any) -> bool:
    return value in (None, {}, [], "")


def _without_nothing(body: t.Any) -> t.Any:
    if not isinstance(body, dict):
        return body
    return {key: _without_nothing(entry) for key, entry in body.items() if not _is_nothing(entry)}


def compare(found: Document, wanted: Document) -> list[str]:
    """Return a sentence for each difference. Values of secrets are not in them."""
    reasons = []
    have, want = _normal(found), _normal(wanted)
    for name, field in LISTS.items():
        for entry in want[name]:
            if entry not in have[name]:
                reasons.append(f"{field} {entry} is missing")
            else:
                reasons += _compare_fields(f"{field} {entry}: ", have[name][entry], want[name][entry])
        reasons += [f"{field} {entry} is not wanted" for entry in have[name] if entry not in want[name]]
    for lists in (have, want):
        for name in LISTS:
            del lists[name]
    return reasons + _compare_fields("", have, want)


def _compare_fields(label: str, have: Document, want: Document) -> list[str]:
    reasons = []
    for key in sorted({*have, *want}, key=str):
        if have.get(key) == want.get(key):
            continue
        if key not in want:
            reasons.append(f"{label}{key} is not wanted")
        elif key not in have:
            reasons.append(f"{label}{key} is missing")
        elif key in OPEN_FIELDS:
            reasons.append(f"{label}{key} is {have[key]} instead of {want[key]}")
        else:
            reasons.append(f"{label}{key} differs")
    return reasons


def masked(value: Document, *, before: Document | None = None) -> Document:
    """Return a copy for diffs: without secrets, and with certificates in words.

    :param before: the file as it was, so that a changed secret can be distinguished from an unchanged one.
    """
    return _mask_fields(value, before, fresh=before is None)


def _mask(key: str, value: t.Any, before: t.Any, *, fresh: bool) -> t.Any:
    if key in ("certificate-authority-data", "client-certificate-data"):
        return _certificate_words(value)
    if key == "proxy-url":
        return re.sub(r"//[^/@]*@", "//(hidden)@", str(value))
    if isinstance(value, dict) and key not in ("auth-provider", "extensions"):
        return _mask_fields(value, before, fresh=fresh)
    if isinstance(value, list) and key in LISTS:
        return [
            _mask_fields(entry, _namesake(entry, before), fresh=fresh) if isinstance(entry, dict) else HIDDEN
            for entry in value
        ]
    if (key in OPEN_FIELDS and not isinstance(value, (dict, list))) or value in (None, {}, []):
        return value
    return HIDDEN if fresh or value == before else HIDDEN_NEW


def _mask_fields(value: Document, before: t.Any, *, fresh: bool) -> Document:
    other = before if isinstance(before, dict) else {}
    return {name: _mask(str(name), entry, other.get(name), fresh=fresh) for name, entry in value.items()}


def _namesake(entry: Document, before: t.Any) -> t.Any:
    for other in before if isinstance(before, list) else ():
        if isinstance(other, dict) and other.get("name") == entry.get("name"):
            return other
    return None


def _certificate_words(data: t.Any) -> str:
    try:
        certificate = load_certificate(base64.b64decode(str(data), validate=True))
    except (ValueError, binascii.Error):
        return "(not a certificate that can be read)"
    return (
        f"({name_text(certificate.subject)}, until {iso_time(certificate.not_valid_after_utc)}, "
        f"SHA-256 {fingerprint(certificate)})"
    )
