# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a rotation is, from the PKI directory and the hosts."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import identity
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.rotations import longest_token
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    computed,
    running,
    settings,
)

OLD, NEW = "01" * 32, "02" * 32
HOUR = 3600
NAMES = ("service-account", "service-account-next", "service-account-previous")
READ_AT = 1_700_000_000.0


def pki(current: str, coming: str = "", previous: str = "") -> identity.PkiIdentity:
    keys = {f"{name}.pem": [key] for name, key in zip(NAMES, (current, coming, previous), strict=True) if key}
    return {
        "directory": "/pki",
        "keys": {**keys, "service-account-key.pem": [current]},
        "encryption_keys": None,
        "retired_keys": [],
        "weave_password": None,
        "skipped": [],
    }


def hosts(*keys: str, since: float | None = READ_AT - HOUR, only: str = "") -> dict[str, dict[str, t.Any]]:
    """Return the readings of a cluster whose controllers, or only one, have these keys."""
    found = running()
    for host in ("ctl01", "ctl02"):
        given = keys if host == only or not only else (OLD,)
        found[host]["read_at"] = READ_AT
        found[host]["identity"]["signing_since"] = since
        found[host]["identity"]["certificates"] = {
            f"/var/lib/kubernetes/{name}.pem": [{"certificate": "00", "public_key": key, "key": "rsa 2048"}]
            for name, key in zip(NAMES, given, strict=False)
            if key
        }
    return found


def found(own: identity.PkiIdentity, readings: dict[str, dict[str, t.Any]], **values: t.Any) -> dict[str, t.Any]:
    return computed(readings, pki=own, **values)["status"]["rotations"]["service_account"]


@pytest.mark.parametrize(
    ("own", "readings", "phase", "behind"),
    [
        (pki(OLD), hosts(OLD), "none", []),
        (pki(OLD, NEW), hosts(OLD), "next", ["ctl01", "ctl02"]),
        (pki(OLD, NEW), hosts(OLD, NEW, only="ctl01"), "next", ["ctl02"]),
        (pki(OLD, NEW), hosts(OLD, NEW), "next", []),
        (pki(NEW, "", OLD), hosts(OLD, NEW), "previous", ["ctl01", "ctl02"]),
        (pki(NEW, "", OLD), hosts(NEW, "", OLD), "previous", []),
        (pki(NEW), hosts(NEW, "", OLD), "none", ["ctl01", "ctl02"]),
        (pki(NEW), hosts(NEW), "none", []),
    ],
)
def test_phases(own, readings, phase, behind):
    state = found(own, readings)
    assert (state["phase"], state["behind"]) == (phase, behind)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (pki(OLD), None),
        (pki(OLD, NEW), "the new one is accepted, and does not sign yet"),
        (pki(NEW, "", OLD), "the new one signs, and the old one is still accepted"),
    ],
)
def test_a_rotation_that_is_under_way_is_named(own, words):
    warnings = [text for text in computed(hosts(OLD), pki=own)["plan"]["warnings"] if "is being rotated" in text]
    expected = f"the key of service account tokens is being rotated: {words}; playbooks/rotate_service_account_key.yml"
    assert warnings == ([f"{expected} continues"] if words else [])


def test_keys_that_are_accepted():
    assert computed(hosts(OLD), pki=pki(OLD))["spec"]["service_account_keys"] == ["service-account.pem"]
    assert computed(hosts(OLD), pki=pki(OLD, NEW))["spec"]["service_account_keys"] == [
        "service-account.pem",
        "service-account-next.pem",
    ]
    assert computed(hosts(OLD), pki=pki(NEW, "", OLD))["spec"]["service_account_keys"] == [
        "service-account.pem",
        "service-account-previous.pem",
    ]
    assert computed(hosts(OLD))["spec"]["service_account_keys"] == ["service-account.pem"]


@pytest.mark.parametrize(
    ("readings", "wait"),
    [
        (hosts(NEW, "", OLD), 23 * HOUR + 600),
        (hosts(NEW, "", OLD, since=READ_AT - 24 * HOUR), 600),
        (hosts(NEW, "", OLD, since=READ_AT - 24 * HOUR - 600), 0),
        (hosts(NEW, "", OLD, since=None), None),
        # One API server still signs with the old key.
        (hosts(NEW, "", OLD, since=READ_AT - 50 * HOUR, only="ctl02"), None),
    ],
)
def test_the_end_of_the_last_token(readings, wait):
    assert found(pki(NEW, "", OLD), readings)["wait"] == wait


def test_the_last_api_server_to_sign_decides():
    readings = hosts(NEW, "", OLD, since=READ_AT - 50 * HOUR)
    readings["ctl02"]["identity"]["signing_since"] = READ_AT - HOUR
    assert found(pki(NEW, "", OLD), readings)["wait"] == 23 * HOUR + 600


def test_there_is_nothing_to_wait_for_before_the_new_key_signs():
    assert found(pki(OLD, NEW), hosts(OLD, NEW))["wait"] is None


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ([{}], 24 * HOUR),
        ([{"apiserver_max_token_expiration": "2h"}, {"apiserver_max_token_expiration": "3h"}], 3 * HOUR),
        ([{"apiserver_extra_flags": {"service-account-max-token-expiration": "48h"}}], 48 * HOUR),
        ([{"apiserver_extra_flags": {"service-account-max-token-expiration": None}}], None),
        ([{"apiserver_extra_flags": {"service-account-max-token-expiration": "0s"}}], None),
        ([{"apiserver_extra_flags": {"service-account-extend-token-expiration": True}}], 365 * 24 * HOUR),
        ([{"apiserver_extra_flags": {"service-account-extend-token-expiration": "false"}}], 24 * HOUR),
    ],
)
def test_the_longest_token(changes, seconds):
    assert longest_token([settings(**change) for change in changes]) == seconds


def test_a_key_is_rotated_on_all_controllers():
    def problems(readings):
        return computed(readings, pki=pki(OLD))["status"]["rotations"]["problems"]

    assert problems(hosts(OLD)) == []
    readings = hosts(OLD)
    readings["ctl01"] = {}
    readings["ctl02"]["units"]["kube-apiserver.service"] = "failed"
    assert problems(readings) == [
        "ctl01: it is not part of this run, or cannot be reached; a key is rotated on all controllers: run without "
        "--limit",
        "ctl02: its API server does not run (failed); run site.yml first",
    ]
