# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Days until an expiry, as openssl counts them, and cfssl's durations."""

from __future__ import annotations

import datetime as dt

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.expiry import days_until_expiry, duration_seconds


@pytest.fixture
def made(openssl, tmp_path):
    """A certificate of openssl's for so many days from now, and its end as openssl says it."""

    def make(name, days):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                "-days", days, "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=tmp_path)  # fmt: skip
        said = openssl("x509", "-noout", "-enddate", "-in", f"{name}.pem", cwd=tmp_path)
        end = dt.datetime.strptime(said.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=dt.timezone.utc)
        return (tmp_path / f"{name}.pem").read_text(), end

    return make


def test_days_until_expiry(made):
    pem, end = made("a", 90)
    assert days_until_expiry(pem) == 89  # and some hours
    for before, days in ((0, 0), (1, 0), (86399, 0), (86400, 1), (-1, -1), (-86400, -1), (-86401, -2)):
        moment = end - dt.timedelta(seconds=before)
        assert days_until_expiry(pem, at=moment.isoformat()) == days
        assert days_until_expiry(pem, at=f"{moment:%Y-%m-%dT%H:%M:%SZ}") == days
    assert days_until_expiry(pem, at=f"{end - dt.timedelta(days=7):%Y-%m-%dT%H:%M:%S}") == 7


def test_the_first_of_several_to_expire_counts(made):
    long, short = made("long", 900)[0], made("short", 9)[0]
    assert days_until_expiry(f"The chain:\n{long}\n{short}") == 8


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 5, None])
def test_what_is_no_certificate(text):
    with pytest.raises(ValueError, match=r"^days_until_expiry"):
        days_until_expiry(text)


def test_what_is_no_time(made):
    pem, _end = made("a", 9)
    with pytest.raises(ValueError, match="at is 'soon': a time is written as"):
        days_until_expiry(pem, at="soon")


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("8760h", 31536000), ("1h30m", 5400), ("1.5h", 5400), ("100ms", 0.1), ("-1m", -60), ("0", 0)],
)
def test_duration_seconds(duration, seconds):
    found = duration_seconds(duration)
    assert found == seconds
    assert type(found) is type(seconds)


@pytest.mark.parametrize(("duration", "words"), [("365d", "write 8760h"), ("", "not a duration"), (5, "a string")])
def test_what_is_no_duration(duration, words):
    with pytest.raises(ValueError, match=words):
        duration_seconds(duration)
