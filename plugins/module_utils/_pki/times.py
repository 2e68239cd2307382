# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as Go writes them, and moments as ISO 8601 does."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import shown

__all__ = ("RenewBefore", "duration_text", "iso_time", "parse_duration", "parse_time")

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([+-]?)((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_GO_DURATION = 2**63 / 1e9  # seconds


def parse_duration(text: t.Any, *, where: str) -> dt.timedelta:
    """Read a Go duration such as ``8760h``, ``1h30m`` or ``1.5h``.

    :param where: names the value in messages.
    :raises PkiError: it is not a duration for Go; ``365d`` is not one either, and the message says it in hours.
    """
    if not isinstance(text, str):
        raise PkiError(f"{where} is {shown(text)}: a duration is a string such as '8760h'.")
    if text in ("0", "+0", "-0"):
        return dt.timedelta(0)
    match = _DURATION.fullmatch(text)
    if not match:
        hint = ""
        days = re.fullmatch(r"([0-9]{1,6})\s*(d|days?|w|y|years?)", text)
        if days:
            factor = {"d": 24, "w": 168, "y": 8760}[days[2][0]]
            hint = f" cfssl does not know {days[2]!r}: write {int(days[1]) * factor}h."
        raise PkiError(
            f"{where} is {shown(text)}, which is not a duration."
            f"{hint} Allowed are numbers with the units h, m, s, ms, us, ns, as in '8760h' or '1h30m'."
        )
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(match[2]))
    if seconds > _LONGEST_GO_DURATION:
        raise PkiError(f"{where} is {shown(text)}: the longest duration is about 292 years (2562047h).")
    return dt.timedelta(seconds=-seconds if match[1] == "-" else seconds)


def duration_text(value: dt.timedelta) -> str:
    """Return a duration for people: days when that is exact enough, else hours, minutes, seconds."""
    seconds = int(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds >= 2 * 86400:
        return f"{sign}{seconds / 86400:.4g} days" if seconds < 10000 * 86400 else f"{sign}{seconds // 86400} days"
    if seconds >= 3600:
        return f"{sign}{seconds / 3600:.3g} hours"
    if seconds >= 60:
        return f"{sign}{seconds / 60:.3g} minutes"
    return f"{sign}{seconds} seconds"


def parse_time(text: str, *, where: str) -> dt.datetime:
    """Read an ISO 8601 time, in UTC where it names no other zone.

    :param where: names the value in messages.
    :raises PkiError: it is not such a time.
    """
    try:
        moment = dt.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError as error:
        raise PkiError(f"{where} is {shown(text)}: a time is written as '2026-01-31T12:00:00Z'.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)


def iso_time(moment: dt.datetime) -> str:
    """Return a moment in UTC as ``2026-01-31T12:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclasses.dataclass(frozen=True)
class RenewBefore:
    """How long before its end a certificate is made again: a duration, a share of its lifetime, or the default."""

    duration: dt.timedelta | None = None
    share: float | None = None
    text: str = ""

    @classmethod
    def parse(cls, value: str | None, *, where: str) -> RenewBefore:
        """Read a duration such as ``720h`` or ``30d``, or a share such as ``20%``; None stands for the default.

        :raises PkiError: it does not have one of these forms.
        """
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
        if days and len(days[1]) > 6:
            raise PkiError(f"{where} is {days[1][:12]}... days: that is out of range.")
        duration = dt.timedelta(days=int(days[1])) if days else parse_duration(text, where=where)
        if duration < dt.timedelta(0):
            raise PkiError(f"{where} is {text}: it must not be negative.")
        return cls(duration=duration, text=text)

    def check(self, lifetime: dt.timedelta, *, user: str) -> None:
        """Check that a new certificate would not have to be renewed at once.

        :raises PkiError: it would.
        """
        if self.duration is not None and self.duration >= lifetime:
            raise PkiError(
                f"{user}: renew_before {self.text} is not shorter than the lifetime {duration_text(lifetime)}: "
                "the certificate would be renewed in every run. Lower renew_before or raise the expiry."
            )

    def window(self, lifetime: dt.timedelta) -> dt.timedelta:
        """Return the time before its end in which a certificate with this lifetime is due."""
        if self.share is not None:
            return lifetime * self.share
        if self.duration is None:
            return min(dt.timedelta(days=30), lifetime / 3)
        return self.duration
