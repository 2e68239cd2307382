# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same input given to cfssl: with its key, serial number and dates, ours is the same certificate to the byte.

cfssl 1.6.5 and 1.4.1, the article's, are what `make oracles` builds into the cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.building import (
    Issuer,
    build_certificate,
    build_csr,
    new_serial,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import (
    load_certificate,
    read,
    read_extensions,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.comparing import differences, lifetime_difference
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import (
    EXTENDED_KEY_USAGES,
    KEY_USAGES,
    parse_config,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import KeySpec, parse_request
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import (
    PrivateKey,
    generate_key,
    key_spec,
    signed_by,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import issuer_of, subject_of
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import authority_template
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import leaf_template as template_of
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cache import cache_directory

CACHE = cache_directory()
VERSIONS = ("1.6.5", "1.4.1")
RSA = {"algo": "rsa", "size": 2048}
NAMES = [{"C": "US", "L": "Portland", "O": "Kubernetes", "OU": "CA", "ST": "Oregon"}]


class Case(t.NamedTuple):
    """A CSR, and for a leaf the profile and what -hostname gets."""

    csr: dict[str, t.Any]
    profile: dict[str, t.Any] | None = None
    hosts: list[str] | None = None
    # Whether the article's cfssl makes the same of it.
    in_141: bool = True


def leaf(csr, hosts=None, *, in_141=True, **profile):
    usages = ["signing", "key encipherment", "server auth", "client auth"]
    return Case(csr, {"usages": usages, "expiry": "8760h", **profile}, hosts, in_141)


def later(csr, hosts=None, **profile):
    """Properties that 1.4.1 does not support."""
    return leaf(csr, hosts, in_141=False, **profile)


def extension(**fields):
    return {"Id": [1, 2, 3, 4], "Value": "BQA=", **fields}


AUTHORITIES = {
    "article": Case({"CN": "Kubernetes", "names": NAMES, "key": RSA}),
    "default-key": Case({"CN": "x"}),
    "rsa-3072": Case({"CN": "x", "key": {"algo": "rsa", "size": 3072}}),
    "rsa-4096": Case({"CN": "x", "key": {"algo": "rsa", "size": 4096}}),
    "ecdsa-384": Case({"CN": "x", "key": {"algo": "ecdsa", "size": 384}}),
    "ecdsa-521": Case({"CN": "x", "key": {"algo": "ecdsa", "size": 521}}),
    "ed25519": Case({"CN": "x", "key": {"algo": "ed25519"}}, in_141=False),
    "pathlen": Case({"CN": "x", "key": RSA, "ca": {"pathlen": 2, "expiry": "10000h"}, "hosts": ["10.0.0.1"]}),
    "pathlenzero": Case({"CN": "x", "key": RSA, "ca": {"pathlenzero": True, "backdate": "1h"}}),
    "pathlen-zero-without-zero": Case({"CN": "x", "ca": {"pathlen": 0}}),
    "crl-url": Case({"CN": "x", "crl_url": "http://c"}, in_141=False),
    "fractional-expiry": Case({"CN": "x", "ca": {"expiry": "1000h30m1.5s"}}),
    "not-printable": Case({"names": [{"O": "ü*@&_"}], "key": RSA}),
    "hosts-left-out": Case({"CN": "x", "hosts": ["name.example", "10.0.0.1"]}),
    "serialnumber": Case({"CN": "x", "serialnumber": "42"}),
    "no-cn": Case({"names": [{"O": "only"}]}),
    "two-organizations": Case({"CN": "x", "names": [{"O": "b", "OU": "z"}, {"O": "a", "OU": "y"}]}),
}
LEAVES = {
    "article": leaf({"CN": "a", "names": NAMES, "key": RSA}),
    "article-with-hostname": leaf(
        {"CN": "kubernetes", "names": NAMES, "key": RSA},
        ["10.32.0.1", "10.240.0.11", "ctl01", "127.0.0.1", "localhost", "kubernetes.default"],
    ),
    "default-key": leaf({"CN": "x"}),
    "rsa-3072": leaf({"CN": "x", "key": {"algo": "rsa", "size": 3072}}),
    "ecdsa-384": leaf({"CN": "x", "key": {"algo": "ecdsa", "size": 384}}),
    "ecdsa-521": leaf({"CN": "x", "key": {"algo": "ecdsa", "size": 521}}),
    "ed25519": later({"CN": "x", "key": {"algo": "ed25519"}}),
    "everything-in-hosts": leaf(
        {
            "CN": "system:node:x",
            "names": [*NAMES, {"O": "two", "C": "DEU"}],
            "serialnumber": "5",
            "hosts": ["b.example", "10.0.0.1", "a@b.c", "https://x/y", "::1", "::ffff:1.2.3.4"],
            "key": RSA,
        }
    ),
    "odd-hosts": leaf({"CN": "x", "hosts": ["localhost:8080", "/foo", "*", "10.0.0.0/8", "a.", "10.0.0.256"]}),
    "wildcard-and-underscore": leaf(
        {"CN": "x", "hosts": ["*.example.com", "_sip.example", "UPPER.Example", "xn--bcher-kva"]}
    ),
    "ipv6-forms": leaf({"CN": "x", "hosts": ["2001:DB8::1", "fe80:0:0:0:0:0:0:1", "::", "1::"]}),
    "uris": leaf({"CN": "x", "hosts": ["spiffe://a/b", "urn:x:y", "https://[::1]:8/p?q=1"]}),
    "e-mails": leaf({"CN": "x", "hosts": ["a.b+c@d.example", "x@y"]}),
    "one-address": leaf({"CN": "x", "hosts": ["10.0.0.1"]}),
    "no-hosts": leaf({"CN": "x", "hosts": []}),
    "many-hosts": leaf({"CN": "x", "hosts": [f"h{number}.example" for number in range(60)]}),
    "many-addresses": leaf({"CN": "x", "hosts": [f"10.0.{number}.1" for number in range(60)]}),
    "hostname-replaces": leaf({"CN": "x", "hosts": ["b", "a", "1.1.1.1"]}, ["z", "a"]),
    "long-cn": leaf({"CN": "x" * 70}),
    "names-e": later({"CN": "x", "names": [{"E": "a@b.c"}]}),
    "names-oid": later({"names": [{"OID": {"1.2.3.4": "hello"}}]}, ["h1"]),
    "cn-system": leaf({"CN": "system:kube-controller-manager", "names": [{"O": "system:kube-controller-manager"}]}),
    "cn-utf8": leaf({"CN": "Müller & Söhne", "names": [{"L": "Zürich", "ST": "ZH", "C": "CH"}]}),
    "cn-quotes": leaf({"CN": "O'Brien (1), a+b=c/d:e?"}),
    "cn-star": leaf({"CN": "*.example.com"}),
    "subject-all-kinds": leaf(
        {"CN": "x", "serialnumber": "7", "names": [{"C": "US", "ST": "s", "L": "l", "O": "o", "OU": "u"}]}
    ),
    "country-of-three": leaf({"CN": "x", "names": [{"C": "DEU"}]}),
    "names-many": leaf({"CN": "x", "names": [{"O": "c"}, {"O": "a", "OU": "2"}, {"O": "b", "OU": "1"}]}),
    "serial-in-names": leaf({"CN": "x", "names": [{"SerialNumber": "9"}]}),
    "empty-subject": leaf({"hosts": ["only.san"]}),
    "fields-in-capitals": leaf({"cn": "x", "HOSTS": ["h"], "Names": [{"o": "y"}]}),
    "ocsp-url": leaf({"CN": "x"}, ocsp_url="http://o"),
    "crl-url": leaf({"CN": "x"}, crl_url="http://c"),
    "issuer-urls": leaf({"CN": "x"}, issuer_urls=["http://i", "http://j"]),
    "all-urls": leaf({"CN": "x"}, ocsp_url="http://o", crl_url="http://c", issuer_urls=["http://i"]),
    "policies": leaf(
        {"CN": "x"},
        policies=[
            {"ID": "1.2.3"},
            {
                "ID": "1.2.4",
                "Qualifiers": [
                    {"Type": "id-qt-cps", "Value": "http://cps"},
                    {"Type": "id-qt-unotice", "Value": "n"},
                ],
            },
        ],
    ),
    "ocsp-no-check": leaf({"CN": "x"}, ocsp_no_check=True, usages=["ocsp signing"]),
    "all-extended-usages": leaf({"CN": "x"}, usages=sorted(set(EXTENDED_KEY_USAGES) - {"s/mime"})),
    "all-key-usages": leaf({"CN": "x"}, usages=sorted(set(KEY_USAGES) - {"signing"})),
    "usages-reversed": leaf({"CN": "x"}, usages=["client auth", "server auth", "key encipherment", "signing"]),
    "usage-twice": leaf({"CN": "x"}, usages=["signing", "digital signature", "email protection", "s/mime"]),
    "encipher-only": leaf({"CN": "x"}, usages=["encipher only", "s/mime"]),
    "decipher-only": leaf({"CN": "x"}, usages=["decipher only"]),
    "key-agreement": leaf({"CN": "x"}, usages=["key agreement", "encipher only", "decipher only"]),
    "no-key-usage": leaf({"CN": "x"}, usages=["client auth"]),
    "unknown-usage": leaf({"CN": "x"}, usages=["client auth", "clent auth"]),
    "cert-sign-without-ca": leaf({"CN": "x"}, usages=["cert sign", "crl sign"]),
    "intermediate": leaf({"CN": "x"}, usages=["cert sign", "crl sign"], ca_constraint={"is_ca": True}),
    "intermediate-pathlen": leaf({"CN": "x"}, usages=["cert sign"], ca_constraint={"is_ca": True, "max_path_len": 3}),
    "intermediate-pathlenzero": leaf(
        {"CN": "x", "hosts": ["a.b", "1.2.3.4"]},
        usages=["cert sign", "crl sign"],
        ca_constraint={"is_ca": True, "max_path_len": 0, "max_path_len_zero": True},
    ),
    "copied-extension": later({"CN": "x", "extensions": [extension(Critical=True)]}, copy_extensions=True),
    "dropped-extension": later({"CN": "x", "extensions": [extension()]}, ["a.b"]),
    "delegation": later({"CN": "x", "delegation_enabled": True}),
    "dates": leaf({"CN": "x"}, not_before="2020-11-01T00:00:00Z", not_after="2029-03-01T00:00:00Z"),
    "dates-after-2050": leaf({"CN": "x"}, not_before="2020-11-01T00:00:00Z", not_after="2051-03-01T00:00:00Z"),
    "backdate": leaf({"CN": "x"}, backdate="72h"),
    "expiry-of-minutes": leaf({"CN": "x"}, expiry="90m"),
    "expiry-with-fraction": leaf({"CN": "x"}, expiry="1.5h30s500ms"),
    "whitelist-fits": leaf({"CN": "a.example", "hosts": ["b.example", "10.0.0.1"]}, name_whitelist="example$"),
}
# Refused by cfssl and by us, strict or not.
REFUSED = {
    "rsa-1024": leaf({"CN": "x", "key": {"algo": "rsa", "size": 1024}}),
    "rsa-16384": leaf({"CN": "x", "key": {"algo": "rsa", "size": 16384}}),
    "rsa-without-size": leaf({"CN": "x", "key": {"algo": "rsa"}}),
    "ecdsa-224": leaf({"CN": "x", "key": {"algo": "ecdsa", "size": 224}}),
    "dsa": leaf({"CN": "x", "key": {"algo": "dsa", "size": 2048}}),
    "cn-is-a-number": leaf({"CN": 5}),
    "hosts-is-a-string": leaf({"CN": "x", "hosts": "a"}),
    "names-is-a-map": leaf({"CN": "x", "names": {"O": "a"}}),
    "ca-section": leaf({"CN": "x", "ca": {"expiry": "1h"}}),
    "expiry-in-days": leaf({"CN": "x"}, expiry="365d"),
    "no-expiry": leaf({"CN": "x"}, expiry=""),
    "no-known-usage": leaf({"CN": "x"}, usages=["clent auth"]),
    "whitelist-misses-cn": leaf({"CN": "evil"}, name_whitelist="example$"),
    "whitelist-misses-host": leaf({"CN": "a.example", "hosts": ["evil"]}, name_whitelist="example$"),
    "whitelist-is-no-pattern": leaf({"CN": "x"}, name_whitelist="("),
}


class Cfssl:
    """One version of cfssl and its cfssljson."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._programs = CACHE / "cfssl" / version
        for program in ("cfssl", "cfssljson"):
            if not os.access(self._programs / program, os.X_OK):
                pytest.fail(f"{self._programs / program} is missing: `make oracles` builds it", pytrace=False)

    def gencert(self, directory, name, *arguments, check=True):
        made = subprocess.run(
            [self._programs / "cfssl", "gencert", *arguments], capture_output=True, cwd=directory, check=False
        )
        if check:
            assert made.returncode == 0, made.stderr.decode()
            command = [self._programs / "cfssljson", "-bare", name]
            subprocess.run(command, input=made.stdout, cwd=directory, check=True, capture_output=True)
        return made

    def issue(self, directory, case, *, check=True):
        """A leaf, by the authority that is in the directory."""
        config = {"signing": {"default": {"expiry": "1h"}, "profiles": {"p": case.profile}}}
        (directory / "csr.json").write_text(json.dumps(case.csr))
        (directory / "config.json").write_text(json.dumps(config))
        hostname = ["-hostname", ",".join(case.hosts)] if case.hosts else []
        options = ["-ca=ca.pem", "-ca-key=ca-key.pem", "-config=config.json", "-profile=p", *hostname, "csr.json"]
        return self.gencert(directory, "leaf", *options, check=check)


@pytest.fixture(scope="session", params=VERSIONS)
def cfssl(request):
    return Cfssl(request.param)


@pytest.fixture(scope="session")
def authority(cfssl, tmp_path_factory):
    """An RSA authority: its signatures are the same each time, so that every leaf can be compared to the byte."""
    directory = tmp_path_factory.mktemp("cfssl")
    (directory / "csr.json").write_text(json.dumps(AUTHORITIES["article"].csr))
    cfssl.gencert(directory, "ca", "-initca", "csr.json")
    return directory


def leaf_template(case, *, strict=False):
    notes = Notes(strict=strict)
    config = {"signing": {"default": {"expiry": "1h"}, "profiles": {"p": case.profile}}}
    parsed = parse_request(case.csr, where="csr", notes=notes)
    chosen = parse_config(config, where="config", notes=notes).profile("p", user="leaf", notes=notes)
    return template_of(parsed, chosen, case.hosts, where="leaf", notes=notes)


def fields(certificate):
    """Every field of a certificate under a name of its own, so that a difference says where it is."""
    # Not .extensions: it does not read "encipher only" without "key agreement", which cfssl writes.
    extensions, _added = read_extensions(certificate)
    found = {
        "version": certificate.version,
        "serial": certificate.serial_number,
        "signature algorithm": certificate.signature_algorithm_oid.dotted_string,
        "issuer": issuer_of(certificate).public_bytes(),
        "not before": certificate.not_valid_before_utc,
        "not after": certificate.not_valid_after_utc,
        "subject": subject_of(certificate).public_bytes(),
        "public key": certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "order of extensions": [entry.oid.dotted_string for entry in extensions],
    }
    for entry in extensions:
        found[entry.oid.dotted_string] = (entry.critical, entry.value.public_bytes())
    return found


def assert_same(directory, name, template, ca=None):
    def load(stem):
        key = PrivateKey.load((directory / f"{stem}-key.pem").read_bytes())
        return load_certificate((directory / f"{stem}.pem").read_bytes()), key.key

    theirs, key = load(name)
    issuer, signing_key = None, key
    if ca:
        authority, signing_key = load(ca)
        issuer = Issuer(subject_of(authority), read(authority).key_identifier)
    ours = build_certificate(
        template,
        key.public_key(),
        issuer,
        signing_key=signing_key,
        serial=theirs.serial_number,
        not_before=theirs.not_valid_before_utc,
        not_after=theirs.not_valid_after_utc,
    )
    assert fields(ours) == fields(theirs)
    assert ours.tbs_certificate_bytes == theirs.tbs_certificate_bytes
    if not isinstance(signing_key, ec.EllipticCurvePrivateKey):  # its signatures differ each time
        assert ours.public_bytes(Encoding.DER) == theirs.public_bytes(Encoding.DER)
    our_csr, their_csr = build_csr(template, key), (directory / f"{name}.csr").read_bytes()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        our_csr, their_csr = (x509.load_pem_x509_csr(csr).tbs_certrequest_bytes for csr in (our_csr, their_csr))
    assert our_csr == their_csr
    # Its own choices are the same as ours: key, serial number, dates.
    assert key_spec(key.public_key()) == template.key
    header = (directory / f"{name}-key.pem").read_bytes().splitlines()[0]
    if template.key.algo != "ed25519":  # nobody else reads cfssl's header for those
        assert generate_key(template.key).pem.splitlines()[0] == header
    assert 0 < theirs.serial_number < 1 << 159
    assert 0 < new_serial() < 1 << 159
    start, end = theirs.not_valid_before_utc, theirs.not_valid_after_utc
    expected = template.period(start + template.profile.backdate)
    assert expected == (start, end)
    # And what cfssl made is found to be in order.
    assert differences(theirs, template) == []
    assert lifetime_difference(theirs, template, ca_end=None) is None


def pairs(cases):
    """Each case for each version that knows it, so that nothing is left out unseen."""
    return [
        pytest.param(version, name, id=f"{version}-{name}")
        for version in VERSIONS
        for name, case in cases.items()
        if case.in_141 or version != "1.4.1"
    ]


def test_the_table_is_long_enough():
    assert len(AUTHORITIES) + len(LEAVES) >= 60
    assert sum(case.in_141 for case in [*AUTHORITIES.values(), *LEAVES.values()]) >= 60


@pytest.mark.parametrize(("cfssl", "name"), pairs(AUTHORITIES), indirect=["cfssl"], scope="session")
def test_authorities(cfssl, tmp_path, name):
    request = AUTHORITIES[name].csr
    (tmp_path / "csr.json").write_text(json.dumps(request))
    cfssl.gencert(tmp_path, "ca", "-initca", "csr.json")
    notes = Notes(strict=False)
    parsed = parse_request(request, where="csr", notes=notes)
    assert_same(tmp_path, "ca", authority_template(parsed, where="ca", notes=notes))


@pytest.mark.parametrize(("cfssl", "name"), pairs(LEAVES), indirect=["cfssl"], scope="session")
def test_leaves(cfssl, authority, tmp_path, name):
    shutil.copytree(authority, tmp_path, dirs_exist_ok=True)
    cfssl.issue(tmp_path, LEAVES[name])
    assert_same(tmp_path, "leaf", leaf_template(LEAVES[name]), ca="ca")


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(authority, cfssl, tmp_path, name):
    shutil.copytree(authority, tmp_path, dirs_exist_ok=True)
    made = cfssl.issue(tmp_path, REFUSED[name], check=False)
    assert made.returncode != 0 or b"BEGIN CERTIFICATE" not in made.stdout, made.stdout
    for strict in (True, False):
        with pytest.raises(PkiError):
            leaf_template(REFUSED[name], strict=strict)


@pytest.mark.parametrize("name", [name for name, case in LEAVES.items() if not case.in_141])
def test_what_the_old_one_does_not_know_is_really_unknown_to_it(tmp_path, name):
    """Otherwise the case belongs in the comparison with 1.4.1."""
    old = Cfssl("1.4.1")
    (tmp_path / "csr.json").write_text(json.dumps(AUTHORITIES["article"].csr))
    old.gencert(tmp_path, "ca", "-initca", "csr.json")
    if old.issue(tmp_path, LEAVES[name], check=False).returncode != 0:
        return
    old.issue(tmp_path, LEAVES[name])
    with pytest.raises(AssertionError):
        assert_same(tmp_path, "leaf", leaf_template(LEAVES[name]), ca="ca")


def test_a_name_given_twice_is_the_one_thing_that_we_make_otherwise(authority, cfssl, tmp_path):
    """cfssl writes a set with the same element twice, which is not DER; OpenSSL-based readers refuse it."""
    case = leaf({"CN": "x", "names": [{"O": "a"}, {"O": "a"}]})
    shutil.copytree(authority, tmp_path, dirs_exist_ok=True)
    cfssl.issue(tmp_path, case)
    with pytest.raises(ValueError, match="duplicate attributes"):
        load_certificate((tmp_path / "leaf.pem").read_bytes())
    with pytest.raises(PkiError, match="has the same O twice"):
        leaf_template(case, strict=True)
    assert [text for rdn in leaf_template(case).subject for _oid, text in rdn] == ["a", "x"]


@pytest.mark.parametrize("key", [{"algo": "ed25519"}, {"algo": "ecdsa", "size": 521}, None])
def test_keys_of_cfssl_are_read(tmp_path, key):
    (tmp_path / "csr.json").write_text(json.dumps({"CN": "x", **({"key": key} if key else {})}))
    Cfssl("1.6.5").gencert(tmp_path, "ca", "-initca", "csr.json")
    loaded = PrivateKey.load((tmp_path / "ca-key.pem").read_bytes())
    certificate = load_certificate((tmp_path / "ca.pem").read_bytes())
    assert signed_by(certificate, loaded.public)
    expected = KeySpec(key["algo"], key.get("size", 256)) if key else KeySpec()
    assert key_spec(loaded.public) == expected
