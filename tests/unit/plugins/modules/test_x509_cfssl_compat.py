# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a whole, judged by openssl: what it makes, keeps, makes again, refuses."""

from __future__ import annotations

import copy
import datetime as dt
import fcntl
import json
import os
import pathlib
import signal
import ssl
import stat
import subprocess
import sys
import textwrap
import threading
import time
import types

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._files import atomic
from ansible_collections.hardway.kubernetes.plugins.modules import x509_cfssl_compat
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MODULE = "x509_cfssl_compat"
NAMES = [{"C": "US", "L": "Portland", "O": "Kubernetes", "OU": "CA", "ST": "Oregon"}]
CONFIG = {
    "signing": {
        "default": {"expiry": "8760h"},
        "profiles": {
            "kubernetes": {"usages": ["signing", "key encipherment", "server auth", "client auth"], "expiry": "8760h"},
            "short": {"usages": ["signing", "client auth"], "expiry": "24h"},
            "intermediate": {"usages": ["cert sign", "crl sign"], "expiry": "8760h", "ca_constraint": {"is_ca": True}},
        },
    }
}


def wanted(**changes):
    """Two authorities and two leaves, with ECDSA keys because they are quick to make."""
    params = {
        "config": copy.deepcopy(CONFIG),
        "authorities": [
            {"name": "ca", "csr": {"CN": "Kubernetes", "names": copy.deepcopy(NAMES)}},
            {"name": "front-proxy-ca", "csr": {"CN": "front-proxy"}},
        ],
        "certificates": [
            {
                "name": "wrk01",
                "ca": "ca",
                "profile": "kubernetes",
                "hosts": ["wrk01", "10.240.0.21"],
                "csr": {"CN": "system:node:wrk01", "names": [{"O": "system:nodes"}]},
            },
            {"name": "admin", "ca": "ca", "profile": "kubernetes", "csr": {"CN": "admin"}},
        ],
    }
    params.update(changes)
    return params


@pytest.fixture
def pki(tmp_path):
    return tmp_path / "pki"


@pytest.fixture
def issue(run_module, pki):
    def run(**params):
        run_options = {key: params.pop(key) for key in ("check", "diff") if key in params}
        return run_module(MODULE, directory=str(pki), **run_options, **params)

    return run


@pytest.fixture
def made(issue):
    outcome = issue(**wanted())
    assert not outcome.failed, outcome.message
    return outcome


@pytest.fixture
def verify(openssl, pki):
    """Let openssl follow a certificate to its authority."""

    def run(name, *options, ca="ca"):
        assert openssl("verify", *options, "-CAfile", f"{ca}.pem", f"{name}.pem", cwd=pki).endswith("OK\n")

    return run


@pytest.fixture
def foreign(openssl, pki):
    """Make an authority and leaves as openssl does, with keys that only their owner may read."""
    pki.mkdir()

    def authority(subject, usages, *more):
        openssl("req", "-x509", "-new", "-key", "ca-key.pem", "-subj", subject, "-days", "3650", "-out", "ca.pem",
                "-addext", f"keyUsage=critical,{usages}", *more, cwd=pki)  # fmt: skip

    def leaf(name, subject, extensions):
        (pki / "ext").write_text(extensions)
        openssl("genrsa", "-out", f"{name}-key.pem", "2048", cwd=pki)
        openssl("req", "-new", "-key", f"{name}-key.pem", "-subj", subject, "-out", f"{name}.csr", cwd=pki)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-days", "365",
                "-extfile", "ext", "-out", f"{name}.pem", cwd=pki)  # fmt: skip
        for key in pki.glob("*-key.pem"):
            key.chmod(0o600)

    return types.SimpleNamespace(authority=authority, leaf=leaf)


def snapshot(directory: pathlib.Path) -> dict[str, tuple]:
    return {
        entry.name: (entry.read_bytes(), entry.stat().st_ino, entry.stat().st_mtime_ns, entry.stat().st_mode)
        for entry in directory.iterdir()
    }


# --- making ----------------------------------------------------------------------------------------


def test_a_first_run_makes_pairs_that_openssl_accepts(made, openssl, pki, verify):
    assert made.data["changed"] is True
    assert set(made.statuses.values()) == {"issued"}
    for name in ("wrk01", "admin"):
        verify(name, "-x509_strict")
        public = openssl("pkey", "-in", f"{name}-key.pem", "-pubout", cwd=pki)
        assert public == openssl("x509", "-in", f"{name}.pem", "-noout", "-pubkey", cwd=pki)
        said = openssl("req", "-in", f"{name}.csr", "-noout", "-pubkey", "-verify", cwd=pki)
        assert public == said.replace("Certificate request self-signature verify OK\n", "")
    verify("wrk01", "-purpose", "sslserver")


def test_the_result_says_what_openssl_says(made, openssl):
    result = made.by_name["wrk01"]
    text = openssl("x509", "-in", result["certificate"], "-noout", "-serial", "-fingerprint", "-sha256", "-dates")
    assert f"serial={result['serial']}" in text
    assert result["fingerprint_sha256"] in text
    end = dt.datetime.strptime(result["not_after"], "%Y-%m-%dT%H:%M:%SZ")
    assert end.strftime("notAfter=%b %e %H:%M:%S %Y GMT") in text
    assert result["subject"] == "O=system:nodes, CN=system:node:wrk01"
    assert result["issuer"] == "C=US, ST=Oregon, L=Portland, O=Kubernetes, OU=CA, CN=Kubernetes"
    assert result["sans"] == ["DNS:wrk01", "IP:10.240.0.21"]
    assert result["days_left"] == 364
    assert made.data["summary"] == {"unchanged": 0, "issued": 4, "renewed": 0, "reissued": 0}


def test_extensions_are_those_of_cfssl_and_in_its_order(made, pki, openssl):
    text = openssl("x509", "-in", pki / "wrk01.pem", "-noout", "-text")
    shown = [line.strip() for line in text.splitlines() if line.strip().startswith("X509v3 ")]
    assert shown == [
        "X509v3 extensions:",
        "X509v3 Key Usage: critical",
        "X509v3 Extended Key Usage:",
        "X509v3 Basic Constraints: critical",
        "X509v3 Subject Key Identifier:",
        "X509v3 Authority Key Identifier:",
        "X509v3 Subject Alternative Name:",
    ]
    assert "Digital Signature, Key Encipherment" in text
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    authority = openssl("x509", "-in", pki / "ca.pem", "-noout", "-text")
    assert "Certificate Sign, CRL Sign" in authority
    assert "CA:TRUE\n" in authority
    assert "Authority Key Identifier" not in authority


@pytest.mark.parametrize(
    ("key", "header", "signature"),
    [
        ({"algo": "rsa", "size": 2048}, "RSA PRIVATE KEY", "sha256WithRSAEncryption"),
        ({"algo": "rsa", "size": 3072}, "RSA PRIVATE KEY", "sha384WithRSAEncryption"),
        ({"algo": "ecdsa", "size": 256}, "EC PRIVATE KEY", "ecdsa-with-SHA256"),
        ({"algo": "ecdsa", "size": 384}, "EC PRIVATE KEY", "ecdsa-with-SHA384"),
        ({"algo": "ecdsa", "size": 521}, "EC PRIVATE KEY", "ecdsa-with-SHA512"),
        ({"algo": "ed25519"}, "PRIVATE KEY", "ED25519"),
    ],
)
def test_key_forms_and_signature_hashes(issue, pki, key, header, signature, openssl):
    outcome = issue(authorities=[{"name": "ca", "csr": {"CN": "x", "key": key}}])
    assert not outcome.failed, outcome.message
    assert (pki / "ca-key.pem").read_text().startswith(f"-----BEGIN {header}-----")
    assert f"Signature Algorithm: {signature}" in openssl("x509", "-in", pki / "ca.pem", "-noout", "-text")
    openssl("pkey", "-in", pki / "ca-key.pem", "-check", "-noout")
    assert issue(authorities=[{"name": "ca", "csr": {"CN": "x", "key": key}}]).data["changed"] is False


def test_dates_are_rounded_and_backdated(made):
    start = dt.datetime.strptime(made.by_name["wrk01"]["not_before"], "%Y-%m-%dT%H:%M:%SZ")
    assert start.second == 0
    age = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None) - start
    assert dt.timedelta(minutes=4, seconds=25) < age < dt.timedelta(minutes=6)
    end = dt.datetime.strptime(made.by_name["wrk01"]["not_after"], "%Y-%m-%dT%H:%M:%SZ")
    assert end - start == dt.timedelta(hours=8760)
    authority = made.by_name["ca"]
    start, end = (dt.datetime.strptime(authority[key], "%Y-%m-%dT%H:%M:%SZ") for key in ("not_before", "not_after"))
    assert end - start == dt.timedelta(hours=43800)


def test_files_of_a_cfssl_user(issue, made, pki, verify):
    (pki / "ca-config.json").write_text(json.dumps(CONFIG))
    (pki / "kubernetes-csr.json").write_text(json.dumps({"cn": "kubernetes", "hosts": ["ignored"]}))
    leaf = {"name": "kubernetes", "csr": "kubernetes-csr.json", "profile": "kubernetes"}
    outcome = issue(config="ca-config.json", certificates=[{**leaf, "hosts": ["10.32.0.1", "localhost"]}])
    assert not outcome.failed, outcome.message
    assert outcome.by_name["kubernetes"]["sans"] == ["DNS:localhost", "IP:10.32.0.1"]
    verify("kubernetes")


def test_an_intermediate_signs_what_names_it(issue, verify):
    params = wanted(
        certificates=[
            {"name": "leaf", "ca": "middle", "profile": "kubernetes", "csr": {"CN": "leaf"}},
            {"name": "middle", "ca": "ca", "profile": "intermediate", "csr": {"CN": "middle"}},
        ]
    )
    assert not issue(**params).failed
    verify("leaf", "-untrusted", "middle.pem")
    assert issue(**params).data["changed"] is False
    params["certificates"][1]["csr"]["CN"] = "center"
    outcome = issue(**params)
    assert outcome.failed and "never made again automatically" in outcome.message


# --- keeping ---------------------------------------------------------------------------------------


def test_a_second_run_touches_nothing(issue, made, pki):
    before = snapshot(pki)
    outcome = issue(**wanted())
    assert outcome.data["changed"] is False
    assert snapshot(pki) == before
    assert {name: entry["serial"] for name, entry in outcome.by_name.items()} == {
        name: entry["serial"] for name, entry in made.by_name.items()
    }


def test_modes_are_set_and_kept(issue, made, pki):
    assert stat.S_IMODE((pki / "wrk01-key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((pki / "wrk01.pem").stat().st_mode) == 0o644
    (pki / "wrk01-key.pem").chmod(0o644)
    predicted = issue(**wanted(), check=True)
    assert predicted.by_name["wrk01"]["reasons"] == ["Mode of wrk01-key.pem is 0644 instead of 0600"]
    assert stat.S_IMODE((pki / "wrk01-key.pem").stat().st_mode) == 0o644
    outcome = issue(**wanted())
    assert outcome.data["changed"] is True
    assert outcome.statuses["wrk01"] == "unchanged"
    assert stat.S_IMODE((pki / "wrk01-key.pem").stat().st_mode) == 0o600


RSA = {"algo": "rsa", "size": 2048}


def test_a_pair_that_openssl_made_is_adopted(issue, foreign, openssl, pki):
    # With EC PARAMETERS before the key.
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", "ca-key.pem", cwd=pki)
    foreign.authority("/CN=Kubernetes", "keyCertSign,cRLSign")
    foreign.leaf(
        "leaf",
        "/O=system:nodes/CN=leaf",
        "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth,serverAuth\n"
        "basicConstraints=CA:FALSE\nsubjectAltName=IP:10.0.0.1,DNS:leaf\n",
    )
    before = snapshot(pki)
    csr = {"CN": "leaf", "names": [{"O": "system:nodes"}], "key": RSA}
    outcome = issue(
        config=CONFIG,
        authorities=[{"name": "ca", "csr": {"CN": "Kubernetes"}}],
        certificates=[{"name": "leaf", "profile": "kubernetes", "hosts": ["leaf", "10.0.0.1"], "csr": csr}],
    )
    assert outcome.data["changed"] is False, outcome.data
    assert snapshot(pki) == before


def test_what_kubeadm_made_is_adopted(issue, foreign, openssl, pki, verify):
    """Its authority names itself in a SAN and may sign more than certificates; its leaves have no key identifier."""
    openssl("genrsa", "-out", "ca-key.pem", "2048", cwd=pki)
    usages = "digitalSignature,keyEncipherment"
    foreign.authority("/CN=kubernetes", f"{usages},keyCertSign", "-addext", "subjectAltName=DNS:kubernetes")
    foreign.leaf(
        "admin",
        "/O=kubeadm:cluster-admins/CN=kubernetes-admin",
        f"keyUsage=critical,{usages}\nextendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n"
        "subjectKeyIdentifier=none\nauthorityKeyIdentifier=keyid\n",
    )
    before = snapshot(pki)
    config = copy.deepcopy(CONFIG)
    config["signing"]["profiles"]["kubeadm"] = {
        "usages": ["signing", "key encipherment", "client auth"], "expiry": "8760h",
    }  # fmt: skip
    admin = {"CN": "kubernetes-admin", "names": [{"O": "kubeadm:cluster-admins"}], "key": RSA}
    outcome = issue(
        config=config,
        authorities=[{"name": "ca", "csr": {"CN": "kubernetes", "key": RSA}}],
        certificates=[{"name": "admin", "profile": "kubeadm", "csr": admin}],
    )
    assert outcome.data["changed"] is False, outcome.data
    assert snapshot(pki) == before
    # Its key goes on to sign.
    new = {"name": "new", "profile": "kubeadm", "csr": {"CN": "new", "key": RSA}}
    assert issue(config=config, certificates=[new]).statuses == {"new": "issued"}
    verify("new", "-x509_strict")


# --- drift -----------------------------------------------------------------------------------------


def _with(leaf_changes=None, csr_changes=None, config_changes=None):
    params = wanted()
    params["certificates"][0]["csr"].update(csr_changes or {})
    params["certificates"][0].update(leaf_changes or {})
    params["config"]["signing"]["profiles"]["kubernetes"].update(config_changes or {})
    return params


COPY = {"copy_extensions": True}
NODE = "O=system:nodes, CN=system:node"
USAGES_TOO_MANY = ("Key usage key encipherment", "Extended key usage client auth")
# The edit, the reasons, and whether the key is another one.
DRIFTS = [
    (_with({"hosts": ["wrk01", "10.240.0.21", "10.0.0.7"]}), ["SAN IP:10.0.0.7 is missing"], False),
    (_with({"hosts": ["wrk01"]}), ["SAN IP:10.240.0.21 is present and not wanted"], False),
    (
        _with(csr_changes={"CN": "system:node:wrk02"}),
        [f"The subject is {NODE}:wrk01 instead of {NODE}:wrk02"],
        False,
    ),
    (_with(csr_changes={"key": {"algo": "ecdsa", "size": 384}}), ["The key is ecdsa 256 instead of ecdsa 384"], True),
    (
        _with(config_changes={"usages": ["signing", "server auth"]}),
        [
            f"{what} is present and not wanted"
            for what in ("Key usage key encipherment", "Extended key usage client auth")
        ],
        False,
    ),
    (_with(config_changes={"expiry": "2160h"}), ["It was made for 365 days, the profile has 90 days"], False),
    (_with(config_changes={"ocsp_url": "http://ocsp"}), ["Access location OCSP http://ocsp is missing"], False),
    (_with(config_changes={"crl_url": "http://crl"}), ["CRL URL http://crl is missing"], False),
    (
        _with(config_changes={"policies": [{"ID": "1.2.3.4"}]}),
        ["The certificate policies are not those of the profile"],
        False,
    ),
    (_with(config_changes={"ocsp_no_check": True}), ["OCSP no-check is missing"], False),
    (_with({"ca": "front-proxy-ca"}), ["It was issued by another authority than authority front-proxy-ca"], False),
]


@pytest.mark.parametrize(("params", "reasons", "new_key"), DRIFTS, ids=[entry[1][0][:30] for entry in DRIFTS])
def test_drift_is_repaired_with_reasons_as_check_mode_predicted(issue, made, pki, params, reasons, new_key, verify):
    before = snapshot(pki)
    predicted = issue(**params, check=True)
    assert snapshot(pki) == before
    # A profile belongs to all.
    assert predicted.statuses["admin"] == ("unchanged" if params["config"] == CONFIG else "reissued")
    outcome = issue(**params)
    result = outcome.by_name["wrk01"]
    assert result["status"] == "reissued"
    assert result["reasons"] == reasons
    assert result["new_key"] is new_key
    assert ((pki / "wrk01-key.pem").read_bytes() != before["wrk01-key.pem"][0]) is new_key
    for key in ("status", "reasons", "changed", "new_key", "subject", "issuer", "sans"):
        assert predicted.by_name["wrk01"][key] == result[key], key
    for key in ("not_before", "not_after"):
        # By the minute, which may be over between the two calls.
        times = [dt.datetime.fromisoformat(text.rstrip("Z")) for text in (predicted.by_name["wrk01"][key], result[key])]
        assert dt.timedelta(0) <= times[1] - times[0] <= dt.timedelta(minutes=1), key
    assert result["serial"] != made.by_name["wrk01"]["serial"]
    assert issue(**params).data["changed"] is False
    verify("wrk01", ca=params["certificates"][0]["ca"])


def test_a_lost_or_foreign_key_is_made_again(issue, made, pki):
    (pki / "wrk01-key.pem").unlink()
    outcome = issue(**wanted())
    assert outcome.by_name["wrk01"]["reasons"] == ["The key wrk01-key.pem is missing"]
    (pki / "wrk01-key.pem").write_bytes((pki / "admin-key.pem").read_bytes())
    outcome = issue(**wanted())
    assert outcome.by_name["wrk01"]["reasons"] == ["The key wrk01-key.pem is not the key of wrk01.pem"]
    assert outcome.by_name["wrk01"]["new_key"] is False


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "version", "issuer"],
)
def test_a_damaged_leaf_is_made_again(issue, made, pki, content, verify):
    if isinstance(content, str):
        der = bytearray(ssl.PEM_cert_to_DER_cert((pki / "wrk01.pem").read_text()))
        if content == "version":
            der[der.index(b"\xa0\x03\x02\x01\x02") + 4] = 7
        else:
            der[der.index(b"Kubernetes") - 2] = 0xAE  # no kind of string
        content = ssl.DER_cert_to_PEM_cert(bytes(der)).encode()
    (pki / "wrk01.pem").write_bytes(content)
    outcome = issue(**wanted())
    assert outcome.statuses["wrk01"] == "reissued"
    assert "is not a certificate that can be read" in outcome.by_name["wrk01"]["reasons"][0]
    verify("wrk01")


def test_force_and_regenerate_key(issue, made, pki):
    key = (pki / "wrk01-key.pem").read_bytes()
    outcome = issue(**wanted(force=True))
    assert set(outcome.statuses.values()) == {"unchanged", "reissued"}
    assert outcome.statuses["ca"] == "unchanged"  # force never reaches an authority
    assert (pki / "wrk01-key.pem").read_bytes() == key
    issue(**wanted(force=True, regenerate_key=True))
    assert (pki / "wrk01-key.pem").read_bytes() != key
    assert issue(**wanted(regenerate_key=True)).data["changed"] is False


# --- time ------------------------------------------------------------------------------------------


@pytest.fixture
def later(monkeypatch):
    """Lets the module live at another time."""

    def go(**difference):
        monkeypatch.setattr(
            x509_cfssl_compat, "_now", lambda: dt.datetime.now(dt.timezone.utc) + dt.timedelta(**difference)
        )

    return go


def test_a_leaf_is_renewed_with_its_key_a_month_before_its_end(issue, made, pki, later):
    key = (pki / "wrk01-key.pem").read_bytes()
    later(days=334)
    assert issue(**wanted()).data["changed"] is False
    later(days=336)
    outcome = issue(**wanted())
    assert outcome.statuses == dict.fromkeys(("ca", "front-proxy-ca"), "unchanged") | dict.fromkeys(
        ("wrk01", "admin"), "renewed"
    )
    assert "within the 30 days of renew_before" in outcome.by_name["wrk01"]["reasons"][0]
    assert (pki / "wrk01-key.pem").read_bytes() == key
    assert issue(**wanted()).data["changed"] is False


@pytest.mark.parametrize(
    ("profile", "renew_before", "passed", "status"),
    [
        ("kubernetes", "90d", {"days": 270}, "unchanged"),
        ("kubernetes", "90d", {"days": 276}, "renewed"),
        ("kubernetes", "2160h", {"days": 276}, "renewed"),
        ("kubernetes", "50%", {"days": 180}, "unchanged"),
        ("kubernetes", "50%", {"days": 184}, "renewed"),
        ("kubernetes", "0", {"days": 364}, "unchanged"),
        # A third of a short lifetime at most.
        ("short", None, {"hours": 15}, "unchanged"),
        ("short", None, {"hours": 17}, "renewed"),
    ],
)
def test_renew_before_as_duration_and_share(issue, later, profile, renew_before, passed, status):
    leaf = {"name": "leaf", "ca": "ca", "profile": profile, "csr": {"CN": "x"}}
    params = wanted(certificates=[leaf], renew_before=renew_before)
    issue(**params)
    later(**passed)
    assert issue(**params).statuses["leaf"] == status


def test_an_expired_leaf_is_renewed(issue, made, later):
    later(days=400)
    outcome = issue(**wanted())
    assert outcome.statuses["wrk01"] == "renewed"
    assert outcome.by_name["wrk01"]["reasons"][0].startswith("It expired on ")


def test_a_leaf_ends_with_its_authority_and_the_next_run_agrees(issue, made, later, verify):
    later(days=1825 - 100)
    outcome = issue(**wanted())
    assert outcome.by_name["wrk01"]["not_after"] == outcome.by_name["ca"]["not_after"]
    assert "no certificate outlives its authority" in outcome.warnings
    assert issue(**wanted()).data["changed"] is False
    later(days=1825 - 20)  # within renew_before, but a new one would not last longer
    assert issue(**wanted()).data["changed"] is False
    params = wanted()
    params["authorities"][0]["renew"] = True
    outcome = issue(**params)
    assert outcome.statuses["ca"] == "renewed"
    assert outcome.by_name["ca"]["new_key"] is False
    assert outcome.statuses["wrk01"] == "reissued"  # it may live its whole time again
    assert issue(**params).data["changed"] is False
    verify("wrk01", "-no_check_time")


# --- authorities -----------------------------------------------------------------------------------


def _altered(path):
    """It can be read, but it is no longer what its key signed."""
    der = bytearray(ssl.PEM_cert_to_DER_cert(path.read_text()))
    der[der.rindex(b"\x17\x0d") + 3] ^= 1  # the last digit of the year in which it ends
    return ssl.DER_cert_to_PEM_cert(bytes(der))


NO_KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
VAULT = "$ANSIBLE_VAULT;1.1;AES256\n36\n"
# How an authority is damaged, what is said, and which way is offered; None for none at all.
DAMAGES = {
    "unreadable": ({"ca.pem": "nonsense"}, "ca.pem is not a certificate that can be read", "renew"),
    "key lost": ({"ca-key.pem": None}, "ca-key.pem is missing while", "force"),
    "certificate lost": ({"ca.pem": None}, "ca.pem is missing while", "renew"),
    "key damaged": ({"ca-key.pem": NO_KEY}, "ca-key.pem: it is not a private key that can be read", "force"),
    "key of another": ({"ca-key.pem": "front-proxy-ca-key.pem"}, "ca-key.pem is not the key of", "renew"),
    "altered": ({"ca.pem": _altered}, "its signature is wrong", "renew"),
    "key in a vault": ({"ca-key.pem": VAULT}, "ansible-vault decrypt /", None),
    "certificate in a vault": ({"ca.pem": VAULT}, "ansible-vault decrypt /", None),
}


@pytest.mark.parametrize("what", DAMAGES)
@pytest.mark.parametrize("check", [False, True])
def test_a_broken_authority_is_never_replaced_unasked(issue, made, pki, what, check):
    damage, message, way = DAMAGES[what]
    for name, content in damage.items():
        if content is None:
            (pki / name).unlink()
        elif callable(content):
            (pki / name).write_text(content(pki / name))
        else:
            (pki / name).write_text((pki / content).read_text() if content.endswith(".pem") else content)
    before = snapshot(pki)
    outcome = issue(**wanted(force=True), check=check)
    assert outcome.failed
    assert message in outcome.message
    if way:
        assert outcome.message.startswith("authority ca: ") and f"{way}: true" in outcome.message
    else:
        assert "true" not in outcome.message, "it is whole: nothing is to be made again"
    assert snapshot(pki) == before


def test_an_expired_authority_is_an_error_until_it_may_be_renewed(issue, made, pki, later):
    key = (pki / "ca-key.pem").read_bytes()
    later(days=1830)
    outcome = issue(**wanted())
    assert outcome.failed and "it expired on" in outcome.message and "renew: true" in outcome.message
    params = wanted()
    for entry in params["authorities"]:
        entry["renew"] = True
    outcome = issue(**params)
    assert outcome.statuses["ca"] == "renewed"
    assert (pki / "ca-key.pem").read_bytes() == key


def test_an_ageing_authority_is_a_warning(issue, made, later):
    later(days=1820)
    outcome = issue(**wanted())
    assert not outcome.failed
    assert outcome.statuses["ca"] == "unchanged"
    assert "authority ca: it expires on" in outcome.warnings and "renew: true" in outcome.warnings


def test_an_authority_with_another_subject_is_refused_or_taken_as_it_is(issue, made):
    params = wanted()
    params["authorities"][0]["csr"]["CN"] = "Other"
    outcome = issue(**params)
    assert outcome.failed and "the subject is" in outcome.message
    del params["authorities"][0]["csr"]
    assert issue(**params).data["changed"] is False


def test_renew_refuses_to_change_a_key_and_force_does_it(issue, made, verify):
    params = wanted()
    params["authorities"][0]["csr"]["key"] = {"algo": "ecdsa", "size": 384}
    params["authorities"][0]["renew"] = True
    outcome = issue(**params)
    assert outcome.failed and "A renewal keeps the key" in outcome.message
    params["authorities"][0]["force"] = True
    predicted = issue(**params, check=True)
    outcome = issue(**params)
    assert predicted.statuses == outcome.statuses
    assert outcome.by_name["ca"]["new_key"] is True
    assert outcome.by_name["wrk01"]["reasons"] == ["Authority ca gets a new key"]
    assert outcome.by_name["wrk01"]["new_key"] is False
    assert outcome.statuses["front-proxy-ca"] == "unchanged"
    verify("wrk01")


def test_a_remade_authority_with_the_same_name_is_noticed(issue, made, pki):
    for name in ("ca.pem", "ca-key.pem"):
        (pki / name).unlink()
    outcome = issue(**wanted())
    assert outcome.statuses["ca"] == "issued"
    assert outcome.by_name["wrk01"]["reasons"] == ["Authority ca gets a new key"]
    other = issue(**wanted())
    assert other.data["changed"] is False


def test_an_authority_key_with_a_passphrase(issue, made, pki, verify):
    key = serialization.load_pem_private_key((pki / "ca-key.pem").read_bytes(), None)
    (pki / "ca-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
    )
    params = wanted(force=True)
    outcome = issue(**params)
    assert outcome.failed and "protected by a passphrase" in outcome.message
    params["authorities"][0]["passphrase"] = "wrong"
    outcome = issue(**params)
    assert outcome.failed and "the passphrase does not open it" in outcome.message
    params["authorities"][0]["passphrase"] = "open sesame"
    outcome = issue(**params)
    assert outcome.statuses["wrk01"] == "reissued"
    assert "open sesame" not in outcome.output
    verify("wrk01")


def test_an_rsa_key_that_openssl_protected_in_its_old_form(issue, pki, openssl, verify):
    pki.mkdir()
    openssl(
        "genrsa", "-traditional", "-aes256", "-passout", "pass:open sesame", "-out", pki / "ca-key.pem", "2048"
    )  # fmt: skip
    assert "Proc-Type: 4,ENCRYPTED" in (pki / "ca-key.pem").read_text()
    openssl(
        "req", "-x509", "-new", "-key", pki / "ca-key.pem", "-passin", "pass:open sesame", "-subj", "/CN=Kubernetes",
        "-days", "3650", "-out", pki / "ca.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    authority = {"name": "ca", "passphrase": "open sesame"}
    outcome = issue(**wanted(authorities=[authority]))
    assert outcome.statuses == {"ca": "unchanged", "wrk01": "issued", "admin": "issued"}
    assert "open sesame" not in outcome.output
    verify("wrk01")


def test_a_damaged_rsa_authority_key_is_found_before_anything_is_written(issue, pki):
    params = wanted(authorities=[{"name": "ca", "csr": {"CN": "x", "key": {"algo": "rsa", "size": 2048}}}])
    issue(**params)
    key = serialization.load_pem_private_key((pki / "ca-key.pem").read_bytes(), None).private_numbers()
    numbers = rsa.RSAPrivateNumbers(key.p, key.q, key.d ^ 4, key.dmp1 ^ 4, key.dmq1 ^ 4, key.iqmp, key.public_numbers)
    broken = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    (pki / "ca-key.pem").write_bytes(
        broken.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    before = snapshot(pki)
    outcome = issue(**{**params, "force": True})
    assert outcome.failed and "damaged" in outcome.message
    assert snapshot(pki) == before


# --- check mode, diff, secrets ---------------------------------------------------------------------


def test_check_mode_on_an_empty_host_predicts_and_writes_nothing(issue, pki):
    predicted = issue(**wanted(), check=True, diff=True)
    assert not pki.exists()
    assert set(predicted.statuses.values()) == {"issued"}
    outcome = issue(**wanted(), diff=True)
    for name, entry in outcome.by_name.items():
        for key in ("status", "reasons", "subject", "issuer", "sans", "not_after"):
            assert predicted.by_name[name][key] == entry[key]
    assert [entry["after_header"] for entry in predicted.data["diff"]] == [
        entry["after_header"] for entry in outcome.data["diff"]
    ]


def test_diffs_show_certificates_and_no_keys(issue, made, pki):
    outcome = issue(**_with({"hosts": ["wrk01", "wrk01.example"]}), diff=True)
    (diff,) = outcome.data["diff"]
    assert "SAN: IP:10.240.0.21" in diff["before"] and "SAN: DNS:wrk01.example" in diff["after"]
    for key in pki.glob("*-key.pem"):
        for line in key.read_text().splitlines()[1:-1]:
            assert line not in outcome.output


def test_inspected_reports_and_writes_nothing(issue, made, pki):
    before = snapshot(pki)
    outcome = issue(**_with({"hosts": ["other"]}), state="inspected")
    assert outcome.data["changed"] is False
    assert outcome.statuses["wrk01"] == "reissued"
    assert snapshot(pki) == before


# --- refusals --------------------------------------------------------------------------------------

REFUSALS = [
    (_with({"profile": "kubernets"}), "did you mean 'kubernetes'?"),
    (_with({"hosts": ["localhost:8080"]}), "'localhost:8080' would become a URI"),
    (_with({"hosts": ["10.0.0.0/8"]}), "is a network"),
    (_with({"hosts": [""]}), "is empty"),
    (_with({"hosts": ["10.0.0.256"]}), "neither a host name nor an address"),
    (_with({"hosts": ["bücher.example"]}), "xn--"),
    (_with(csr_changes={"hots": []}), "did you mean 'hosts'?"),
    (_with(csr_changes={"CN": 5}), "csr.CN must be a string, not a number (5)"),
    (_with(csr_changes={"key": {"algo": "rsa"}}), "an rsa key has 2048 to 8192 bits"),
    (_with(csr_changes={"key": {"algo": "ecdsa", "size": 255}}), "256, 384 or 521"),
    (_with(csr_changes={"key": {"algo": "dsa", "size": 256}}), "allowed are rsa, ecdsa, ed25519"),
    (_with(csr_changes={"ca": {"expiry": "1h"}}), "makes no authorities"),
    (_with(config_changes={"expiry": "365d"}), "write 8760h"),
    (_with(config_changes={"expiry": "-1h"}), "must be positive"),
    (_with(config_changes={"backdate": "-1h"}), "profiles.kubernetes.backdate is -1 hours: the certificates would not"),
    (_with(config_changes={"expiry": "3m"}), "over when it is made"),
    (_with(config_changes={"expiry": "2000000h"}), "more than a hundred years"),
    (_with(config_changes={"usages": ["signing", "server-auth"]}), "did you mean 'server auth'?"),
    (_with(config_changes={"usages": []}), "usages is missing"),
    (_with(config_changes={"remote": "ca.example"}), "sets remote, which this module cannot honour"),
    (_with(config_changes={"auth_key": "x"}), "sets auth_key"),
    (_with(config_changes={"ct_log_servers": ["x"]}), "sets ct_log_servers"),
    (_with(config_changes={"name_whitelist": "^nothing$"}), "does not match name_whitelist"),
    (_with({"ca": "other"}), "ca 'other' is not among the authorities"),
    (_with({"ca": "admin"}), "makes no authority"),
    (_with({"name": "../x"}), "cannot be a file name"),
    (_with({"name": "admin"}), "occurs twice"),
    (_with({"name": "admin-key"}), "both need the file admin-key.pem"),
    (_with({"csr": "missing.json"}), "missing.json) cannot be read: No such file"),
    (wanted(renew_before="9000h"), "renewed in every run"),
    (wanted(renew_before="soon"), "renew_before is 'soon'"),
    (wanted(renew_before="150%"), "between 0% and 100%"),
    (wanted(config={"signing": {}}), "has no usages"),
    (wanted(config={}), "no 'signing' section"),
    (wanted(mode="rwx"), "octal"),
    (wanted(owner="no-such-user"), "owner 'no-such-user' does not exist"),
]


@pytest.mark.parametrize(("params", "message"), REFUSALS, ids=[entry[1][:30] for entry in REFUSALS])
def test_refusals_say_what_is_wrong_and_write_nothing(issue, pki, params, message):
    params = copy.deepcopy(params)
    if params["config"] == {"signing": {}}:
        # cfssl's built-in default applies, so that only a profile by name is unknown.
        message = "profile 'kubernetes' is not in config"
    outcome = issue(**params)
    assert outcome.failed
    assert message in outcome.message
    assert not pki.exists()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (_with(config_changes={"crl_url": "http://crl.example/ü"}), "profiles.kubernetes.crl_url is 'http://crl.exam"),
        (_with(config_changes={"issuer_urls": ["http://a", "//ü"]}), "issuer_urls[1] is '//ü': a URL is ASCII"),
        # An extension that the certificate has already cannot be added.
        (
            _with(csr_changes={"extensions": [{"Id": [2, 5, 29, 17], "Value": "MAA="}]}, config_changes=COPY),
            "it cannot be made",
        ),
    ],
)
def test_what_cannot_be_made_is_known_in_check_mode_too(issue, pki, params, message):
    predicted = issue(**params, check=True)
    outcome = issue(**params)
    assert outcome.failed
    assert message in outcome.message
    assert predicted.message == outcome.message
    assert not pki.exists()


def test_json_that_is_none(issue, pki):
    pki.mkdir()
    for text, message in (("{", "is not valid JSON"), ("[]", "must hold a JSON object, not a list"), ("\xff", "JSON")):
        (pki / "x.json").write_text(text, encoding="latin-1")
        outcome = issue(**_with({"csr": "x.json"}))
        assert outcome.failed and message in outcome.message
        assert [entry.name for entry in pki.iterdir()] == ["x.json"]


def test_not_strict_does_as_cfssl_does_with_warnings(issue):
    params = _with(
        {"hosts": ["localhost:8080", "10.0.0.0/8"]}, {"hots": []}, {"usages": ["signing", "x", "client auth"]}
    )
    outcome = issue(**params, strict=False)
    assert not outcome.failed, outcome.message
    assert outcome.by_name["wrk01"]["sans"] == ["DNS:10.0.0.0/8", "URI:localhost:8080"]
    for words in ("localhost:8080", "network", "unknown field 'hots'", "unknown usage 'x'"):
        assert words in outcome.warnings
    assert issue(**params, strict=False).data["changed"] is False


def test_a_negative_backdate_is_settled_by_one_run(issue):
    params = _with(config_changes={"backdate": "-1h"})
    assert "not be valid yet" in issue(**params, strict=False).warnings
    assert issue(**params, strict=False).data["changed"] is False


def test_a_certificate_of_a_fast_clock_is_made_again(issue, made, later):
    later(days=-2)  # what was made is not valid for two days
    outcome = issue(**wanted())
    assert outcome.by_name["wrk01"]["reasons"][0].startswith("It is not valid before ")
    assert issue(**wanted()).data["changed"] is False


def test_a_directory_that_is_a_file(issue, pki):
    pki.write_text("")
    outcome = issue(**wanted())
    assert outcome.failed and "is not a directory" in outcome.message


# Without what opens everything to root. Another user might not get at the interpreter's own files.
WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
UNPRIVILEGED = """
    import json, sys
    sys.path[:0] = json.loads(sys.argv[1])
    from ansible.module_utils.testing import patch_module_args
    from ansible_collections.hardway.kubernetes.plugins.modules import x509_cfssl_compat as module
    with patch_module_args(json.loads(sys.argv[2])):
        module.main()
"""


@pytest.mark.parametrize("what", ["directory", "parent", "key"])
def test_what_this_user_may_not_do_is_said(issue, made, pki, what):
    for key in pki.glob("*-key.pem"):
        key.chmod(0o755)
    params = wanted(force=True, key_mode="0755") if what != "parent" else wanted()
    directory = pki / "below" / "below" if what == "parent" else pki
    if what == "key":
        (pki / "ca-key.pem").chmod(0)
    pki.chmod(0o555)
    before = snapshot(pki)
    done = subprocess.run(
        [*(WITHOUT_PRIVILEGES if os.geteuid() == 0 else ()),
         sys.executable, "-c", textwrap.dedent(UNPRIVILEGED), json.dumps(sys.path),
         json.dumps({**params, "directory": str(directory)})],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    words = {
        "directory": f"directory {pki} is not writable by this user. Nothing was changed.",
        "parent": f"directory {directory} cannot be made: Permission denied.",
        "key": f"{pki / 'ca-key.pem'} cannot be read: Permission denied.",
    }
    assert said["msg"] == words[what]
    assert snapshot(pki) == before


def test_a_second_run_at_the_same_time_waits(issue, made, pki, monkeypatch):
    descriptor = os.open(pki, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        threading.Timer(0.3, os.close, (descriptor,)).start()
        begun = time.monotonic()
        assert issue(**wanted()).data["changed"] is False
        assert time.monotonic() - begun > 0.25
        other = os.open(pki, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_EX)
        monkeypatch.setattr(atomic.time, "monotonic", lambda real=time.monotonic: real() * 1000)
        outcome = issue(**wanted())
        assert outcome.failed and "another run has been working in" in outcome.message
    finally:
        os.close(other)


# --- together or not at all ------------------------------------------------------------------------


def test_a_full_disk_changes_nothing(issue, made, pki, monkeypatch):
    real, count = os.fsync, []

    def fsync(descriptor):
        count.append(descriptor)
        if len(count) == 4:
            raise OSError(28, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    before = snapshot(pki)
    outcome = issue(**wanted(force=True, regenerate_key=True))
    assert outcome.failed
    assert "No space left on device. Nothing was changed. Make room there, then run again." in outcome.message
    assert snapshot(pki) == before


KILLED = """
    import os, signal, sys, json
    sys.path[:0] = json.loads(sys.argv[1])
    from ansible.module_utils.testing import patch_module_args
    from ansible_collections.hardway.kubernetes.plugins.module_utils._files import atomic
    from ansible_collections.hardway.kubernetes.plugins.modules import x509_cfssl_compat as module
    left = int(sys.argv[3])
    def counted(real):
        def call(*arguments, **options):
            global left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        return call
    for name in ("open", "rename", "replace", "rmdir"):
        setattr(atomic.os, name, counted(getattr(os, name)))
    with patch_module_args(json.loads(sys.argv[2])):
        module.main()
"""


# The batch makes 17 calls that leave a trace on the disk.
@pytest.mark.parametrize("survives", [*range(17), 1000])
def test_killed_anywhere_the_next_run_finds_whole_pairs(issue, made, pki, survives):
    params = {"directory": str(pki), **wanted(force=True, regenerate_key=True)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), json.dumps(sys.path), json.dumps(params), str(survives)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == (0 if survives == 1000 else -signal.SIGKILL), done.stderr
    predicted = issue(**wanted(), check=True)
    outcome = issue(**wanted())
    assert not outcome.failed
    assert set(outcome.statuses.values()) == {"unchanged"}, outcome.data
    assert predicted.data["changed"] == outcome.data["changed"]
    assert not [entry.name for entry in pki.iterdir() if entry.name.startswith(".")]
    for name in ("wrk01", "admin"):
        certificate = x509.load_pem_x509_certificate((pki / f"{name}.pem").read_bytes())
        key = serialization.load_pem_private_key((pki / f"{name}-key.pem").read_bytes(), None)
        assert certificate.public_key() == key.public_key()
    assert issue(**wanted()).data["changed"] is False


# --- what copies have to know ----------------------------------------------------------------------


def test_changed_files_are_the_same_in_check_mode(issue, made, pki):
    assert sorted(pathlib.Path(path).name for path in made.data["changed_files"]) == sorted(os.listdir(pki))
    (pki / "admin.pem").chmod(0o600)  # a copy is not concerned
    changed = wanted()
    changed["certificates"][0]["hosts"].append("10.240.0.99")
    predicted = issue(check=True, **changed).data["changed_files"]
    assert predicted == [str(pki / "wrk01.pem"), str(pki / "wrk01.csr")]
    before = {path.name: path.read_bytes() for path in pki.iterdir()}
    assert issue(**changed).data["changed_files"] == predicted
    after = {path.name: path.read_bytes() for path in pki.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"wrk01.pem", "wrk01.csr"}
    assert issue(check=True, **changed).data["changed_files"] == []
