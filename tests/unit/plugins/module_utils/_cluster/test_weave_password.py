# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Weave Net's password comes from, and which password is refused on an existing cluster."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import identity
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.weave import password_hash
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    MADE,
    computed,
    empty,
    running,
)

DIRECTORY = MADE["cluster_pki_directory"]
FILE = f"cluster_pki_directory {DIRECTORY}: weave-password"
OWN, OTHER = password_hash(b"own"), password_hash(b"other")
ENCRYPTED = {"password": OWN, "in_clear": False}
IN_CLEAR = {"password": "", "in_clear": True}
NOT_YET = {"password": "", "in_clear": False}
OFF = {"pod_network_weave_encryption": False}
GIVEN = {"pod_network_weave_password": "given"}


def hosts(found: dict[str, t.Any] | None) -> dict[str, dict[str, t.Any]]:
    """Return the readings of a cluster whose second API server says this of Weave Net; the first does not answer."""
    readings = running()
    for name, reading in readings.items():
        reading["cni_configurations"] = []
        reading["identity"] |= {"certificates": {}, "encryption_keys": None}
        reading["identity"]["weave"] = found if name == "ctl02" else None
    return readings


def directory(password: str | None, **changes: t.Any) -> identity.PkiIdentity:
    found = identity.pki_identity(DIRECTORY, {} if password is None else {"weave-password": password})
    found.update(**changes)  # type: ignore[typeddict-item]
    return found


def plan(
    pki: identity.PkiIdentity | None,
    found: dict[str, t.Any] | None = None,
    *,
    readings: dict[str, dict[str, t.Any]] | None = None,
    **everywhere: t.Any,
) -> dict[str, t.Any]:
    settings = {"cluster_pod_network": "weave", **everywhere}
    return computed(hosts(found) if readings is None else readings, pki=pki, **settings)


def problems(*arguments: t.Any, **options: t.Any) -> list[str]:
    return t.cast("list[str]", plan(*arguments, **options)["plan"]["problems"])


@pytest.mark.parametrize(
    ("settings", "encrypted", "file"),
    [
        ({}, True, f"{DIRECTORY}/weave-password"),
        (GIVEN, True, ""),
        (OFF, False, ""),
        ({"cluster_pod_network": "flannel"}, False, ""),
        ({"cluster_pod_network": "flannel", **GIVEN}, False, ""),
    ],
)
def test_where_the_password_comes_from(settings, encrypted, file):
    spec = plan(directory(None), readings=empty(), **settings)["spec"]
    assert spec["weave"] == {"encrypted": encrypted, "password_file": file}
    assert "given" not in str(spec)


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ("own", ENCRYPTED),
        ("own\n", ENCRYPTED),  # as an editor leaves it
        (None, NOT_YET),  # the pod network comes later than the API
        ("own", NOT_YET),  # a run was interrupted
        ("own", None),  # the role compares it when the API answers
    ],
)
def test_the_password_is_the_cluster_s_or_new(own, found):
    assert problems(directory(own), found) == []


def test_a_first_build_creates_one():
    assert problems(directory(None), readings=empty()) == []


def test_a_password_that_is_missing_is_refused():
    assert problems(directory(None), ENCRYPTED) == [
        f"{FILE} is missing there, and the cluster on ctl02 has it; new ones would not fit. Bring the directory back, "
        "whole, from the machine that built the cluster or from a backup; ansible-playbook "
        "hardway.kubernetes.pki_recover takes back what hosts still have. For a new cluster, take hosts that do not "
        "belong to one"
    ]


def test_another_password_is_refused():
    (problem,) = problems(directory("other"), ENCRYPTED)
    assert problem.startswith(f"{FILE} has another password than the Secret weave-net of the cluster;")
    assert "hardway.kubernetes.pki_recover" in problem
    assert problem.endswith("To change the password, give it as pod_network_weave_password")


def test_what_runs_in_the_clear_is_not_encrypted_in_silence():
    for own in (None, "own"):
        (problem,) = problems(directory(own), IN_CLEAR)
        assert problem.startswith(
            "Weave Net of this cluster sends in the clear, and pod_network_weave_encryption is true"
        )
        assert "Set it to false" in problem
        assert "pod_network_weave_password" in problem


@pytest.mark.parametrize("readings", [None, {"wrk01"}])
def test_an_api_that_says_nothing_is_not_one_without_a_password(readings):
    found = hosts(None)
    found = found if readings is None else {host: found[host] for host in readings}
    (problem,) = problems(directory(None), readings=found)
    assert problem.startswith(f"{FILE} is missing there, and no API server of this run says which password")


@pytest.mark.parametrize("settings", [OFF, GIVEN, {"cluster_pod_network": "flannel"}])
@pytest.mark.parametrize("own", [None, "other"])
@pytest.mark.parametrize("found", [ENCRYPTED, IN_CLEAR, None])
def test_nothing_is_compared_where_the_directory_s_password_is_not_used(settings, own, found):
    assert problems(directory(own), found, **settings) == []


def test_a_password_beside_encryption_that_is_off_is_refused():
    (problem,) = problems(directory(None), ENCRYPTED, **OFF, **GIVEN)
    assert problem.startswith("pod_network_weave_password is given and pod_network_weave_encryption is false;")


def test_an_empty_file_is_refused():
    for text in ("", "\n"):
        (problem,) = problems(directory(text), readings=empty())
        assert problem.startswith(f"{FILE} is empty;")


def test_a_file_that_cannot_be_read_is_not_missing():
    unread = identity.pki_identity(DIRECTORY, {"weave-password": None})
    assert problems(unread, ENCRYPTED) == problems(unread, None) == []
    assert problems(unread, IN_CLEAR) != []


def test_a_directory_that_is_not_known():
    assert problems(None, ENCRYPTED) == []
