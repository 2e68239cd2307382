# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of every CSR and every config: the certificate matches it, it is made once, and an edit is noticed."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import pathlib
import tempfile

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._files import atomic
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import read_extensions
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import EXTENDED_KEY_USAGES, KEY_USAGES
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import subject_of
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import Order, Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.run import run
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# cfssl takes names of any length, so that nothing may warn about them.
pytestmark = pytest.mark.filterwarnings("error")
PROPERTY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOW = dt.datetime.now(dt.timezone.utc)

# --- CSRs and configs that cfssl takes -------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=30)
OID = st.lists(st.integers(0, 2**20), min_size=1, max_size=5).map(lambda parts: ".".join(map(str, (1, 2, *parts))))
LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DNS_NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
ADDRESS = st.ip_addresses().filter(lambda address: not getattr(address, "scope_id", None)).map(str)
URL = DNS_NAME.map(lambda name: f"http://{name}/x")
HOSTS = st.lists(
    DNS_NAME | ADDRESS | DNS_NAME.map(lambda name: f"*.{name}") | DNS_NAME.map(lambda name: f"a@{name}") | URL,
    max_size=6,
    unique=True,
)
NAME = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(("C", "ST", "L", "O", "OU"), TEXT), "OID": st.dictionaries(OID, TEXT, max_size=1)}
)
HOURS = st.integers(1, 200_000).map(lambda hours: f"{hours}h")
CSR = st.fixed_dictionaries(
    {"CN": TEXT, "hosts": HOSTS, "names": st.lists(NAME, max_size=1)}, optional={"serialnumber": TEXT}
)
USAGES = st.lists(st.sampled_from((*KEY_USAGES, *EXTENDED_KEY_USAGES)), min_size=1, max_size=6, unique=True)
PROFILE = st.fixed_dictionaries(
    {"usages": USAGES, "expiry": HOURS},
    optional={
        "backdate": st.integers(1, 50).map(lambda minutes: f"{minutes}m"),
        "ocsp_url": URL,
        "crl_url": URL,
        "issuer_urls": st.lists(URL, min_size=1, max_size=2, unique=True),
        "ocsp_no_check": st.booleans(),
        "policies": st.lists(OID.map(lambda oid: {"ID": oid}), min_size=1, max_size=2, unique_by=lambda one: one["ID"]),
    },
)


class Directory:
    """A PKI with one authority and one leaf."""

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(path)

    def run(self, csr, profile, *, write=True):
        where = Settings(
            directory=str(self.path), config={"signing": {"default": {"expiry": "1h"}, "profiles": {"p": profile}}},
            renew_before="1%", force=False, regenerate_key=False, strict=True,
            certificate_attributes=atomic.Attributes(mode=0o644), key_attributes=atomic.Attributes(), now=NOW,
        )  # fmt: skip
        orders = [
            Order(name="ca", csr={"CN": "ca", "ca": {"expiry": "400000h"}}, authority=True),
            Order(name="leaf", csr=csr, profile="p"),
        ]
        report = run(where, orders, write=write)
        _authority, leaf = report.results()
        for unpredictable in ("serial", "fingerprint_sha256"):
            del leaf[unpredictable]
        return leaf, report.changed

    def read(self):
        return x509.load_pem_x509_certificate((self.path / "leaf.pem").read_bytes())

    def key(self):
        return (self.path / "leaf-key.pem").read_bytes()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(atomic.os, "fsync", lambda _descriptor: None)
    # A fresh directory for each example, in memory where there is a place for it.
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@PROPERTY
@given(csr=CSR, profile=PROFILE)
def test_the_certificate_says_what_was_asked_and_is_made_once(quick, openssl, csr, profile):
    with tempfile.TemporaryDirectory(dir=quick) as path:
        pki = Directory(path)
        predicted, _changed = pki.run(csr, profile, write=False)
        assert list(pki.path.iterdir()) == []
        made, _changed = pki.run(csr, profile)
        assert made == predicted
        certificate = pki.read()
        again, changed = pki.run(csr, profile)
        assert not changed, again["reasons"]
        assert again["status"] == "unchanged"
        assert pki.read() == certificate
        # openssl reads it and follows it to the authority.
        assert openssl("verify", "-CAfile", "ca.pem", "leaf.pem", cwd=path) == "leaf.pem: OK\n"
    values = [attribute.value for attribute in subject_of(certificate)]
    (name,) = csr["names"] or [{}]
    asked = [csr["CN"], *(value for key, value in name.items() if key != "OID"), *name.get("OID", {}).values()]
    asked += [csr["serialnumber"]] if "serialnumber" in csr else []
    assert sorted(values) == sorted(asked)
    assert sans(certificate) == {_canonical(host) for host in csr["hosts"]}
    end = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert end == dt.timedelta(hours=int(profile["expiry"][:-1]))


def _canonical(host):
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(getattr(address, "ipv4_mapped", None) or address)


def sans(certificate):
    # "encipher only" without "key agreement" keeps `cryptography` from reading extensions.
    for extension in read_extensions(certificate)[0]:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return {str(name.value) for name in extension.value}
    return set()


#: Each an edit of CSR and profile, and a word of the reason; None where the edit is none.
EDITS = {
    "another host": lambda csr, profile: ({**csr, "hosts": [*csr["hosts"], "added.example"]}, profile, "added.example"),
    "no hosts": lambda csr, profile: ({**csr, "hosts": []}, profile, "SAN" if csr["hosts"] else None),
    "hosts in another order": lambda csr, profile: ({**csr, "hosts": csr["hosts"][::-1]}, profile, None),
    "another CN": lambda csr, profile: ({**csr, "CN": csr["CN"] + "x"}, profile, "subject"),
    "usages in another order": lambda csr, profile: (csr, {**profile, "usages": profile["usages"][::-1]}, None),
    "twice the lifetime": lambda csr, profile: (
        csr, {**profile, "expiry": f"{int(profile['expiry'][:-1]) * 2}h"}, "made for",
    ),
    "another OCSP URL": lambda csr, profile: (csr, {**profile, "ocsp_url": "http://added.example"}, "OCSP"),
    "another policy": lambda csr, profile: (csr, {**profile, "policies": [{"ID": "1.9.9.9.9"}]}, "policies"),
    "another authority": lambda csr, profile: (csr, profile, "Authority ca gets"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
@settings(PROPERTY, max_examples=6)
@given(csr=CSR, profile=PROFILE)
def test_an_edit_is_noticed_and_made_with_the_key_that_is_there(quick, csr, profile, edit):
    edited_csr, edited_profile, word = EDITS[edit](csr, profile)
    with tempfile.TemporaryDirectory(dir=quick) as path:
        pki = Directory(path)
        pki.run(csr, profile)
        before = (pki.read(), pki.key())
        if edit == "another authority":
            for name in ("ca.pem", "ca-key.pem"):
                (pki.path / name).unlink()
        predicted, _changed = pki.run(edited_csr, edited_profile, write=False)
        assert (pki.read(), pki.key()) == before
        outcome, changed = pki.run(edited_csr, edited_profile)
        assert outcome == predicted
        assert changed is (word is not None), outcome["reasons"]
        assert pki.key() == before[1]
        if word:
            assert outcome["status"] == "reissued"
            assert word in " ".join(outcome["reasons"])
        else:
            assert pki.read() == before[0]
        assert pki.run(edited_csr, edited_profile)[1] is False
