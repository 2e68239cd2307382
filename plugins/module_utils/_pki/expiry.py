# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and cfssl's durations as numbers, for filters."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import load_certificates
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.requirements import (
    CRYPTOGRAPHY,
    CRYPTOGRAPHY_ERROR,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import parse_duration, parse_time

__all__ = ("days_until_expiry", "duration_seconds")


def days_until_expiry(pem: str, *, at: str | None = None) -> int:
    """Return whole days until the first of the certificates in a PEM text ends; negative when one has ended.

    :param at: the moment to count from, as an ISO 8601 time; now unless given.
    :raises ValueError: the text holds no certificate that can be read, or ``at`` is not a time.
    """
    if CRYPTOGRAPHY_ERROR is not None:
        raise ValueError(f"days_until_expiry needs {CRYPTOGRAPHY}: {CRYPTOGRAPHY_ERROR}")
    if not isinstance(pem, str):
        raise ValueError(f"days_until_expiry takes the text of a PEM file, not {type(pem).__name__}.")
    try:
        certificates = load_certificates(pem.encode("utf-8"))
    except ValueError as error:
        raise ValueError(f"days_until_expiry: this is not a certificate in PEM form: {error}") from error
    end = min(certificate.not_valid_after_utc for certificate in certificates)
    try:
        start = (
            parse_time(str(at), where="days_until_expiry: at") if at is not None else dt.datetime.now(dt.timezone.utc)
        )
    except PkiError as error:
        raise ValueError(str(error)) from error
    return (end - start) // dt.timedelta(days=1)


def duration_seconds(duration: t.Any) -> int | float:
    """Return the seconds of a duration as cfssl's JSON has it, such as ``8760h``; whole where they are whole.

    :raises ValueError: it is not one; ``365d`` is not one for cfssl either.
    """
    try:
        seconds = parse_duration(duration, where="the duration").total_seconds()
    except PkiError as error:
        raise ValueError(str(error)) from error
    return int(seconds) if seconds.is_integer() else seconds
