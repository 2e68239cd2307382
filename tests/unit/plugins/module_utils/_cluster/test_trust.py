# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts trust while an authority is rotated, and how far the rotation is."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import trust as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    computed,
    running,
    topology,
)

PKI = "/srv/lab/.cluster/pki"
OLD, NEW, OTHER = "0a" * 32, "9e" * 32, "0b" * 32
HOSTS = {
    "ca": ["ctl01", "ctl02", "wrk01", "wrk02"],
    "etcd-ca": ["ctl01", "ctl02"],
    "front-proxy-ca": ["ctl01", "ctl02"],
}


def keys(name: str, **files: str) -> dict[str, list[str]]:
    """Return the keys of the directory: of the rotated authority by ``next``, ``own`` and ``previous``."""
    others = {f"{other}.pem": [OTHER] for other in module.AUTHORITIES if other != name}
    return others | {f"{name}.pem" if part == "own" else f"{name}-{part}.pem": [key] for part, key in files.items()}


def trusting(name: str, *trusted: str, **single: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
    """Return the readings of hosts that trust these authorities; of single hosts others."""
    readings = running()
    for host, reading in readings.items():
        found = reading["identity"]["certificates"] = {}
        for authority, paths in module.ON_HOSTS.items():
            own = single.get(host, trusted) if authority == name else [OTHER]
            for path in paths:
                found[path] = [{"certificate": "00", "public_key": key, "key": "rsa 2048"} for key in own]
    return readings


def found(name: str, readings: dict[str, dict[str, t.Any]], **files: str) -> dict[str, t.Any]:
    result = module.authorities(topology(), readings, keys(name, **files))
    others = {other: {"phase": "none", "behind": []} for other in module.AUTHORITIES if other != name}
    assert {other: result[other] for other in others} == others
    return result[name]


@pytest.mark.parametrize("name", module.AUTHORITIES)
def test_a_bundle_has_the_newest_first(name):
    own, coming, previous = (f"{PKI}/{name}{part}.pem" for part in ("", "-next", "-previous"))

    def trusted(*files: str) -> list[str]:
        return module.trust(PKI, [file.rsplit("/", 1)[-1] for file in files])[name]

    assert trusted() == trusted(own) == [own]
    assert trusted(own, coming) == [coming, own]
    assert trusted(own, previous) == [own, previous]
    # A killed switch leaves the new pair under both names.
    assert trusted(previous, own, coming) == [coming, own, previous]
    assert module.trust(PKI, [f"{name}-next.pem"]).keys() == set(module.AUTHORITIES)


def test_other_authorities_are_not_trusted():
    found = module.trust(PKI, ["etcd-ca-next.pem", "front-proxy-ca-previous.pem", "foreign-ca-next.pem"])
    assert found["ca"] == [f"{PKI}/ca.pem"]


def test_the_specification_has_the_bundles():
    pki = {
        "directory": PKI,
        "keys": {"ca-next.pem": [NEW]},
        "encryption_keys": None,
        "retired_keys": [],
        "weave_password": None,
        "skipped": ["etcd-ca-next.pem"],
    }
    spec = computed(trusting("ca"), pki=pki, made=["front-proxy-ca-next.pem", "ca.csr"])["spec"]
    assert spec["trust"] == {
        name: [f"{PKI}/{name}-next.pem", f"{PKI}/{name}.pem"] for name in ("ca", "etcd-ca", "front-proxy-ca")
    }
    assert {(entry["certificate_authority"], *entry["further_authorities"]) for entry in spec["kubeconfigs"]} == {
        ("ca-next.pem", "ca.pem")
    }


def test_without_a_rotation_a_kubeconfig_has_one_authority():
    spec = computed(trusting("ca"), pki=None)["spec"]
    assert spec["trust"] == {name: [f"{PKI}/{name}.pem"] for name in module.AUTHORITIES}
    assert not any("further_authorities" in entry for entry in spec["kubeconfigs"])


@pytest.mark.parametrize("name", module.AUTHORITIES)
def test_the_phases_of_a_rotation(name):
    old, both, new = (trusting(name, *trusted) for trusted in ([OLD], [NEW, OLD], [NEW]))
    hosts = HOSTS[name]
    assert found(name, old, own=OLD) == {"phase": "none", "behind": []}
    assert found(name, old, next=NEW, own=OLD) == {"phase": "next", "behind": hosts}
    assert found(name, both, next=NEW, own=OLD) == {"phase": "next", "behind": []}
    assert found(name, both, own=NEW, previous=OLD) == {"phase": "previous", "behind": []}
    assert found(name, both, own=NEW) == {"phase": "finishing", "behind": hosts}
    assert found(name, new, own=NEW) == {"phase": "none", "behind": []}
    # A killed switch has moved some of the files.
    assert found(name, both, next=NEW, own=OLD, previous=OLD) == {"phase": "previous", "behind": []}
    assert found(name, both, next=NEW, own=NEW, previous=OLD) == {"phase": "previous", "behind": []}


@pytest.mark.parametrize("name", module.AUTHORITIES)
def test_a_single_host_is_behind(name):
    readings = trusting(name, NEW, OLD, ctl02=[OLD])
    assert found(name, readings, next=NEW, own=OLD) == {"phase": "next", "behind": ["ctl02"]}
    readings = trusting(name, NEW, ctl02=[NEW, OLD])
    assert found(name, readings, own=NEW) == {"phase": "finishing", "behind": ["ctl02"]}


def test_both_bundles_of_a_controller_count():
    readings = trusting("etcd-ca", NEW, OLD)
    path = "/var/lib/kubernetes/etcd-ca.pem"
    certificates = readings["ctl01"]["identity"]["certificates"]
    certificates[path] = certificates[path][1:]
    assert found("etcd-ca", readings, next=NEW, own=OLD)["behind"] == ["ctl01"]


def test_a_host_that_was_not_read_is_behind():
    readings = {**trusting("ca", NEW, OLD), "wrk01": {}}
    assert module.authorities(topology(), readings, keys("ca", next=NEW, own=OLD))["ca"]["behind"] == ["wrk01"]


def test_a_foreign_authority_is_not_the_end_of_a_rotation():
    assert found("ca", trusting("ca", OTHER), own=OLD) == {"phase": "none", "behind": HOSTS["ca"]}


def test_hosts_of_a_first_build_are_not_in_a_rotation():
    readings = trusting("ca")
    assert module.authorities(topology(), readings, {})["ca"]["phase"] == "none"


def test_the_plan_names_a_rotation_that_is_not_over():
    def warnings(**files: str) -> list[str]:
        pki = {
            "directory": PKI,
            "keys": keys("etcd-ca", **files),
            "encryption_keys": None,
            "retired_keys": [],
            "weave_password": None,
            "skipped": [],
        }
        found = computed(trusting("etcd-ca", OLD), pki=pki)["plan"]["warnings"]
        return [text for text in found if "rotation" in text]

    assert warnings(own=OLD) == []
    (coming,), (previous,) = warnings(next=NEW, own=OLD), warnings(own=NEW, previous=OLD)
    assert coming.startswith("the rotation of etcd-ca is not over: the new authority does not sign yet. ")
    assert previous.startswith("the rotation of etcd-ca is not over: the old authority is still trusted. ")
    assert coming.endswith("hardway.kubernetes.rotate_authorities -e rotate_authorities_name=etcd-ca")
