# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PKI directory is compared with the keys on the hosts, before anything is changed."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import identity as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    computed,
    empty,
    running,
)

DIRECTORY = "/srv/lab/.cluster/pki"
CA, ETCD, FRONT, ACCOUNT, OTHER = ("ca" * 32, "e7" * 32, "f0" * 32, "5a" * 32, "0b" * 32)
KEY1 = {"provider": "aescbc", "name": "key1", "sha256": "e1" * 32}
KEY2 = {"provider": "aescbc", "name": "key2", "sha256": "e2" * 32}
RECOVER = "ansible-playbook hardway.kubernetes.pki_recover takes back what hosts still have"
OWN: module.PkiIdentity = {
    "directory": DIRECTORY,
    "keys": {
        "ca.pem": [CA],
        "etcd-ca.pem": [ETCD],
        "front-proxy-ca.pem": [FRONT],
        "service-account.pem": [ACCOUNT],
        "service-account-key.pem": [ACCOUNT],
    },
    "encryption_keys": [KEY1],
    "retired_keys": [],
    "weave_password": None,
    "skipped": [],
}
EMPTY: module.PkiIdentity = {
    "directory": DIRECTORY,
    "keys": {},
    "encryption_keys": None,
    "retired_keys": [],
    "weave_password": None,
    "skipped": [],
}


def entry(key: str) -> list[dict[str, str]]:
    return [{"certificate": "00", "public_key": key, "key": "rsa 2048"}]


def hosts(**changes: str) -> dict[str, dict[str, t.Any]]:
    """Return the readings of a finished cluster with its keys; of single hosts another authority."""
    found = running()
    for host, reading in found.items():
        authority = changes.get(host, CA)
        if host in ("ctl01", "ctl02"):
            reading["identity"]["certificates"] = {
                "/etc/etcd/ca.pem": entry(ETCD),
                "/var/lib/kubernetes/ca.pem": entry(authority),
                "/var/lib/kubernetes/etcd-ca.pem": entry(ETCD),
                "/var/lib/kubernetes/front-proxy-ca.pem": entry(FRONT),
                "/var/lib/kubernetes/service-account.pem": entry(ACCOUNT),
            }
            reading["identity"]["encryption_keys"] = [KEY1]
        elif host in ("wrk01", "wrk02"):
            reading["identity"]["certificates"] = {"/var/lib/kubernetes/ca.pem": entry(authority)}
    return found


def directory(**changes: t.Any) -> module.PkiIdentity:
    """Return the cluster's own directory with other keys; a file whose keys are None is not there."""
    found = copy.deepcopy(OWN)
    for name, value in changes.items():
        if name in ("encryption_keys", "retired_keys", "skipped"):
            found[name] = value  # type: ignore[literal-required]
            continue
        file = name.replace("_", "-") + ".pem"
        if value is None:
            del found["keys"][file]
        else:
            found["keys"][file] = value
    return found


def problems(pki: module.PkiIdentity | None, readings: dict[str, dict[str, t.Any]] | None = None) -> list[str]:
    return computed(hosts() if readings is None else readings, pki=pki)["plan"]["problems"]


def another(file: str, what: str, key: str, owners: str = "ctl01, ctl02") -> list[str]:
    return [
        f"cluster_pki_directory {DIRECTORY}: {file} is another {what} than that of {owners} (SHA-256 of the public key "
        f"{OTHER[:16]}, on the hosts {key[:16]}), so that it belongs to another cluster; put this cluster's own "
        "directory there, from the machine that built it or from a backup. For a new cluster, take hosts that do not "
        "belong to one"
    ]


def missing(files: str, verb: str = "is", owners: str = "ctl01, ctl02") -> list[str]:
    them = "it" if verb == "is" else "them"
    return [
        f"cluster_pki_directory {DIRECTORY}: {files} {verb} missing there, and the cluster on {owners} has {them}; new "
        "ones would not fit. Bring the directory back, whole, from the machine that built the cluster or from a "
        f"backup; {RECOVER}. For a new cluster, take hosts that do not belong to one"
    ]


def lacks(name: str, digest: str, owners: str = "ctl01, ctl02") -> list[str]:
    return [
        f"cluster_pki_directory {DIRECTORY}: encryption-config.yaml lacks the encryption key {name} (SHA-256 of the "
        f"secret {digest[:16]}) of {owners}; what was written with it could not be read any more. Put this cluster's "
        "own file there, from a backup or from /var/lib/kubernetes of these hosts; further keys may stand beside it"
    ]


ALL = "ctl01, ctl02, wrk01, wrk02"
CASES: list[tuple[str, module.PkiIdentity, list[str]]] = [
    ("its own", OWN, []),
    ("another authority", directory(ca=[OTHER]), another("ca.pem", "authority", CA, ALL)),
    ("another authority of etcd", directory(etcd_ca=[OTHER]), another("etcd-ca.pem", "authority of etcd", ETCD)),
    ("no authority of etcd", directory(etcd_ca=None), missing("etcd-ca.pem")),
    (
        "another front proxy authority",
        directory(front_proxy_ca=[OTHER]),
        another("front-proxy-ca.pem", "front proxy authority", FRONT),
    ),
    (
        "another key of the service account",
        directory(service_account_key=[OTHER]),
        another("service-account-key.pem", "service account's key", ACCOUNT),
    ),
    # Its certificate is issued again.
    ("another certificate of the service account", directory(service_account=[OTHER]), []),
    ("no certificate of the service account", directory(service_account=None), []),
    ("no authority", directory(ca=None), missing("ca.pem", owners=ALL)),
    ("no front proxy authority", directory(front_proxy_ca=None), missing("front-proxy-ca.pem")),
    ("no key of the service account", directory(service_account_key=None), missing("service-account-key.pem")),
    ("no encryption key", directory(encryption_keys=None), missing("encryption-config.yaml")),
    (
        "nothing",
        EMPTY,
        missing("ca.pem, etcd-ca.pem, front-proxy-ca.pem, service-account-key.pem, encryption-config.yaml", "are", ALL),
    ),
    (
        "another encryption key of that name",
        directory(encryption_keys=[{**KEY1, "sha256": "ee" * 32}]),
        lacks("aescbc key1", "e1" * 32),
    ),
    (
        "an encryption key under another name",
        directory(encryption_keys=[{**KEY1, "name": "x"}]),
        lacks("aescbc key1", "e1" * 32),
    ),
    (
        "an encryption key of another provider",
        directory(encryption_keys=[{**KEY1, "provider": "aesgcm"}]),
        lacks("aescbc key1", "e1" * 32),
    ),
    ("no key in the encryption configuration", directory(encryption_keys=[]), lacks("aescbc key1", "e1" * 32)),
    ("a second encryption key", directory(encryption_keys=[KEY1, KEY2]), []),
    ("a new first encryption key", directory(encryption_keys=[KEY2, KEY1]), []),
    ("a bundle with the authority", directory(ca=[OTHER, CA]), []),
    ("files in a vault", {**EMPTY, "skipped": list(module.FILES)}, []),
]


@pytest.mark.parametrize(("pki", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_directory(pki, expected):
    assert problems(pki) == expected


def test_several_problems_at_once():
    assert problems(directory(ca=[OTHER], encryption_keys=None)) == [
        *another("ca.pem", "authority", CA, ALL),
        *missing("encryption-config.yaml"),
    ]


def test_nothing_is_compared_with_a_directory_that_is_not_known():
    assert problems(None) == []


def test_a_first_build_on_fresh_hosts():
    assert problems(EMPTY, empty()) == problems(OWN, empty()) == []


def test_files_that_a_stopped_build_left_on_hosts():
    """Nothing runs and there is no data: the hosts do not belong to a cluster."""
    readings = hosts()
    for reading in readings.values():
        reading["units"] = dict.fromkeys(reading["units"], "inactive")
        reading["etcd"] |= {"data": None, "members": [], "was_healthy": False}
    assert problems(EMPTY, readings) == []
    readings["ctl02"]["etcd"]["data"] = {"cluster_id": "c1", "member_id": "b2"}
    assert [text.split(" missing")[0].split(": ")[1] for text in problems(EMPTY, readings)] == [
        "ca.pem, etcd-ca.pem, front-proxy-ca.pem, service-account-key.pem, encryption-config.yaml are"
    ]


def test_a_controller_counts_while_its_own_programs_are_stopped():
    readings = hosts()
    readings["ctl01"]["units"] = dict.fromkeys(readings["ctl01"]["units"], "inactive")
    readings["ctl01"]["etcd"]["data"] = None
    readings["ctl02"]["identity"]["encryption_keys"] = [KEY1, KEY2]
    expected = lacks("aescbc key1", KEY1["sha256"])
    assert expected[0] in problems(directory(encryption_keys=[KEY2]), readings)


def test_hosts_of_two_clusters():
    assert problems(OWN, hosts(wrk02=OTHER)) == [
        f"hosts have different keys of the authority (SHA-256 ctl01, ctl02, wrk01: {CA[:16]}; wrk02: {OTHER[:16]}), so "
        "that they belong to different clusters. wrk02 would get other keys; take the hosts of the other cluster out "
        "of the inventory, or wipe them"
    ]


def test_etcd_has_an_authority_of_its_own():
    readings = hosts()
    readings["ctl02"]["identity"]["certificates"]["/etc/etcd/ca.pem"] = entry(CA)
    (problem,) = problems(directory(etcd_ca=None), readings)
    assert problem.startswith("ctl02: etcd trusts the authority of the API's clients")
    assert problem.endswith("Build a new cluster, and apply your manifests there")


def test_hosts_in_the_middle_of_a_rotation_are_of_one_cluster():
    readings = hosts(wrk02=OTHER)
    readings["wrk01"]["identity"]["certificates"]["/var/lib/kubernetes/ca.pem"] = entry(CA) + entry(OTHER)
    assert problems(directory(ca=[OTHER, CA]), readings) == []


NEW = "9e" * 32
ON_HOST = {
    "ca": "/var/lib/kubernetes/ca.pem",
    "etcd-ca": "/etc/etcd/ca.pem",
    "front-proxy-ca": "/var/lib/kubernetes/front-proxy-ca.pem",
}
OLD = {"ca": CA, "etcd-ca": ETCD, "front-proxy-ca": FRONT}


def trusting(name: str, *keys: str) -> dict[str, dict[str, t.Any]]:
    """Return the readings of a cluster of which the first controller trusts these authorities in this order."""
    readings = hosts()
    found = readings["ctl01"]["identity"]["certificates"]
    for path in (ON_HOST[name], f"/var/lib/kubernetes/{name}.pem"):
        found[path] = [one for key in keys for one in entry(key)]
    return readings


def rotated(name: str, **keys: list[str]) -> module.PkiIdentity:
    """Return the cluster's directory during a rotation: keys by ``next``, ``own`` and ``previous``."""
    return directory(**{name if part == "own" else f"{name}_{part}": value for part, value in keys.items()})


@pytest.mark.parametrize("name", list(ON_HOST))
def test_every_phase_of_a_rotation_is_of_one_cluster(name):
    old = OLD[name]
    coming = rotated(name, next=[NEW], own=[old])
    switched = rotated(name, own=[NEW], previous=[old])
    finished = rotated(name, own=[NEW])
    for pki, trusted in (
        (coming, [old]),
        (coming, [NEW, old]),
        (switched, [NEW, old]),
        # A host that was not reached by the first phase.
        (switched, [old]),
        (finished, [NEW, old]),
    ):
        assert problems(pki, trusting(name, *trusted)) == [], (pki, trusted)


@pytest.mark.parametrize("name", list(ON_HOST))
def test_a_directory_from_before_a_rotation_does_not_turn_it_back(name):
    (problem,) = problems(rotated(name, own=[OLD[name]]), trusting(name, NEW, OLD[name]))
    assert problem.startswith(f"cluster_pki_directory {DIRECTORY}: {name}.pem is older than the ")
    assert f"that ctl01 also trust (SHA-256 of the public key {NEW[:16]})" in problem


@pytest.mark.parametrize("name", list(ON_HOST))
def test_a_foreign_authority_is_refused_during_a_rotation_too(name):
    pki = rotated(name, next=[NEW], own=[OTHER])
    assert [problem for problem in problems(pki) if f"{name}.pem is another" in problem]


@pytest.mark.parametrize("host", ["ctl01", "wrk01"])
def test_a_run_of_one_host(host):
    """Another checkout must not give one worker other keys either."""
    readings = {host: hosts()[host]}
    assert problems(OWN, readings) == []
    assert problems(directory(ca=[OTHER]), readings) == another("ca.pem", "authority", CA, host)


# --- rotations ------------------------------------------------------------------------------------

NEXT, PREVIOUS = "service_account_next", "service_account_previous"
NEW = "9e" * 32


def signing(key: str, *controllers: str) -> dict[str, dict[str, t.Any]]:
    """Return the readings of a cluster, controllers of which sign with another key."""
    readings = hosts()
    for host in controllers:
        readings[host]["identity"]["certificates"]["/var/lib/kubernetes/service-account.pem"] = entry(key)
    return readings


SWITCHED = directory(service_account_key=[NEW], service_account_previous=[ACCOUNT])


@pytest.mark.parametrize(
    ("pki", "readings"),
    [
        (directory(service_account_next=[NEW]), hosts()),
        (SWITCHED, hosts()),
        (SWITCHED, signing(NEW, "ctl01")),
        (SWITCHED, signing(NEW, "ctl01", "ctl02")),
        (directory(service_account_key=[NEW]), signing(NEW, "ctl01", "ctl02")),
        (directory(encryption_keys=[KEY2], retired_keys=[KEY2, KEY1]), hosts()),
    ],
    ids=["next", "switched", "one signs", "both sign", "over", "an encryption key removed"],
)
def test_every_phase_of_a_rotation(pki, readings):
    assert problems(pki, readings) == []


@pytest.mark.parametrize(
    ("pki", "signs"),
    [
        # A copy of the directory from before the rotation: it would turn the cluster back.
        (OWN, ("ctl01", "ctl02")),
        (directory(service_account_next=[OTHER]), ("ctl01",)),
        (directory(service_account_key=[OTHER], service_account_previous=[ACCOUNT]), ("ctl01",)),
    ],
    ids=["from before", "another next key", "another key that signs"],
)
def test_a_rotation_does_not_let_another_key_in(pki, signs):
    (problem,) = problems(pki, signing(NEW, *signs))
    assert "service account's key" in problem
    assert "another cluster" in problem or "different clusters" in problem


def test_a_key_that_no_rotation_removed_is_not_lost():
    pki = directory(encryption_keys=[KEY2], retired_keys=[{**KEY1, "sha256": "ee" * 32}])
    assert problems(pki) == lacks("aescbc key1", "e1" * 32)


# --- the directory itself -------------------------------------------------------------------------

VAULTED = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"


def test_the_identity_of_a_directory():
    config = "providers:\n- aescbc:\n    keys:\n    - name: key1\n      secret: MDAw\n"
    found = module.pki_identity(
        DIRECTORY,
        {
            "service-account-key.pem": "KEY",
            "ca.pem": VAULTED,
            "front-proxy-ca.pem": None,
            "encryption-config.yaml": config,
        },
        service_account=ACCOUNT,
    )
    assert found["keys"] == {"service-account-key.pem": [ACCOUNT]}
    assert [key["name"] for key in found["encryption_keys"] or []] == ["key1"]
    assert found["skipped"] == ["ca.pem", "front-proxy-ca.pem"]
    assert "MDAw" not in str(found)


def test_files_that_are_encrypted_are_not_missing():
    found = module.pki_identity(DIRECTORY, dict.fromkeys(module.FILES, VAULTED))
    assert found == {**EMPTY, "skipped": list(module.FILES)}


def test_an_empty_directory():
    assert module.pki_identity(DIRECTORY, {}) == EMPTY


@pytest.mark.parametrize("own", [directory(front_proxy_ca=[OTHER]), directory(front_proxy_ca=None)])
def test_a_new_authority_of_the_front_proxy_may_be_asked_for(own):
    plan = computed(hosts(), pki=own, play={"ca_new_front_proxy_authority": True})["plan"]
    assert plan["problems"] == []


def test_asking_for_it_excuses_no_other_file():
    own = directory(front_proxy_ca=None, ca=[OTHER])
    plan = computed(hosts(), pki=own, play={"ca_new_front_proxy_authority": True})["plan"]
    assert plan["problems"] == another("ca.pem", "authority", CA, ALL)
