# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and cfssl's durations as numbers, for filters."""

from __future__ import annotations

import datetime as dt
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki import cert as cert
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.spec import PkiError, parse_duration

__all__ = ("days_until_expiry", "duration_seconds")


def days_until_expiry(pem: str, *, at: str | None = None) -> int:
    """Return whole days until the first of the certificates in a PEM text ends; negative when one has ended.

    :param at: the moment to count from, as an ISO 8601 time; now unless given.
    :raises ValueError: the text holds no certificate that can be read, or ``at`` is no time.
    """
    if cert.CRYPTOGRAPHY_ERROR is not None:
        raise ValueError(f"days_until_expiry needs cryptography 42.0.0 or newer: {cert.CRYPTOGRAPHY_ERROR}")
    if not isinstance(pem, str):
        raise ValueError(f"days_until_expiry takes the text of a PEM file, not {type(pem).__name__}.")
    try:
        certificates = cert.load_certificates(pem.encode("utf-8"))
        end: dt.datetime = min(certificate.not_valid_after_utc for certificate in certificates)
    except ValueError as error:
        raise ValueError(f"days_until_expiry: this is no certificate in PEM form: {error}") from error
    return (end - _moment(at)) // dt.timedelta(days=1)


def _moment(text: str | None) -> dt.datetime:
    if text is None:
        return dt.datetime.now(dt.timezone.utc)
    try:
        moment = dt.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", str(text)))
    except ValueError:
        raise ValueError(f"days_until_expiry: at is {text!r}: a time is written as '2026-01-31T12:00:00Z'.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)


def duration_seconds(duration: t.Any) -> int | float:
    """Return the seconds of a duration as cfssl's JSON has it, such as ``8760h``; whole where they are whole.

    :raises ValueError: it is no duration; ``365d`` is none for cfssl either.
    """
    try:
        seconds = parse_duration(duration, where="the duration").total_seconds()
    except PkiError as error:
        raise ValueError(str(error)) from error
    return int(seconds) if seconds.is_integer() else seconds
