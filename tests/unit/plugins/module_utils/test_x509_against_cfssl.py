# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same input given to cfssl: with its key, serial number and dates, ours is the same certificate to the byte.

Needs cfssl and cfssljson 1.6.5 in PATH; `go install github.com/cloudflare/cfssl/cmd/...@v1.6.5` makes them.
"""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils import _x509_cert as cert
from ansible_collections.hardway.kubernetes.plugins.module_utils import _x509_spec as spec
from cryptography.hazmat.primitives.serialization import Encoding

pytestmark = [
    pytest.mark.skipif(shutil.which("cfssl") is None or shutil.which("cfssljson") is None, reason="cfssl is missing"),
    pytest.mark.filterwarnings("ignore:Attribute's length must be"),
]

KEY = {"algo": "rsa", "size": 2048}  # RSA signatures are the same each time
NAMES = [{"C": "US", "L": "Portland", "O": "Kubernetes", "OU": "CA", "ST": "Oregon"}]


def profile(**changes):
    usages = ["signing", "key encipherment", "server auth", "client auth"]
    return {"usages": usages, "expiry": "8760h", **changes}


AUTHORITIES = {
    "article": {"CN": "Kubernetes", "names": NAMES},
    "pathlen": {"CN": "x", "ca": {"pathlen": 2, "expiry": "10000h"}, "hosts": ["10.0.0.1"]},
    "pathlenzero": {"CN": "x", "ca": {"pathlenzero": True, "backdate": "1h"}, "crl_url": "http://c"},
    "not-printable": {"names": [{"O": "ü*@&_"}], "key": {"algo": "rsa", "size": 3072}},
    "hosts-left-out": {"CN": "x", "hosts": ["name.example", "10.0.0.1"]},
}
LEAVES = {
    "article": ({"CN": "a", "names": NAMES}, profile(), None),
    "everything-in-hosts": (
        {
            "CN": "system:node:x",
            "names": [*NAMES, {"O": "two", "C": "DEU"}],
            "serialnumber": "5",
            "hosts": ["b.example", "10.0.0.1", "a@b.c", "https://x/y", "::1", "::ffff:1.2.3.4"],
        },
        profile(),
        None,
    ),
    "odd-hosts": (
        {"CN": "x", "hosts": ["localhost:8080", "/foo", "*", "10.0.0.0/8", "a.", "10.0.0.256"]},
        profile(),
        None,
    ),
    "long-cn": ({"CN": "x" * 70, "names": [{"E": "a@b.c"}]}, profile(), None),
    "urls": (
        {"CN": "x"},
        profile(ocsp_url="http://o", crl_url="http://c", issuer_urls=["http://i", "http://j"]),
        None,
    ),
    "policies": (
        {"names": [{"OID": {"1.2.3.4": "hello"}}]},
        profile(
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
            ocsp_no_check=True,
        ),
        ["h1", "1.2.3.4"],
    ),
    "empty-subject": ({"hosts": ["only.san"]}, profile(), None),
    "all-extended-usages": ({"CN": "x"}, profile(usages=sorted(set(spec.EXTENDED_KEY_USAGES) - {"s/mime"})), None),
    "all-key-usages": ({"CN": "x"}, profile(usages=sorted(set(spec.KEY_USAGES) - {"signing"})), None),
    "encipher-only": ({"CN": "x"}, profile(usages=["encipher only", "s/mime"]), None),
    "decipher-only": ({"CN": "x"}, profile(usages=["decipher only"]), None),
    "no-key-usage": ({"CN": "x"}, profile(usages=["client auth"]), None),
    "unknown-usage": ({"CN": "x"}, profile(usages=["client auth", "clent auth"]), None),
    "intermediate": (
        {"CN": "x", "hosts": ["a.b", "1.2.3.4"]},
        profile(
            usages=["cert sign", "crl sign"],
            ca_constraint={"is_ca": True, "max_path_len": 0, "max_path_len_zero": True},
        ),
        None,
    ),
    "copied-extension": (
        {"CN": "x", "extensions": [{"Id": [1, 2, 3, 4], "Critical": True, "Value": "BQA="}]},
        profile(copy_extensions=True),
        None,
    ),
    "dropped-extension": (
        {"CN": "x", "extensions": [{"Id": [1, 2, 3, 4], "Value": "BQA="}]},
        profile(),
        ["a.b"],
    ),
    "delegation-and-dates": (
        {"CN": "x", "delegation_enabled": True},
        profile(not_before="2020-11-01T00:00:00Z", not_after="2051-03-01T00:00:00Z"),
        ["a.b"],
    ),
    "hostname-replaces": ({"CN": "x", "hosts": ["b", "a", "1.1.1.1"]}, profile(), ["z", "a"]),
}


def cfssl(directory, name, *arguments):
    made = subprocess.run(["cfssl", "gencert", *arguments], capture_output=True, cwd=directory, check=False)
    assert made.returncode == 0, made.stderr.decode()
    subprocess.run(["cfssljson", "-bare", name], input=made.stdout, cwd=directory, check=True, capture_output=True)


def assert_same(directory, name, template, ca=None):
    def load(stem):
        key = cert.PrivateKey.load((directory / f"{stem}-key.pem").read_bytes())
        return cert.load_certificate((directory / f"{stem}.pem").read_bytes()), key.key

    theirs, key = load(name)
    issuer, signing_key = None, key
    if ca:
        authority, signing_key = load(ca)
        issuer = cert.Issuer(authority.subject, cert.own_key_identifier(authority))
    ours = cert.build_certificate(
        template,
        key.public_key(),
        issuer,
        signing_key=signing_key,
        serial=theirs.serial_number,
        not_before=theirs.not_valid_before_utc,
        not_after=theirs.not_valid_after_utc,
    )
    assert ours.public_bytes(Encoding.DER) == theirs.public_bytes(Encoding.DER)
    assert cert.build_csr(template, key) == (directory / f"{name}.csr").read_bytes()
    # And what cfssl made is found to be in order.
    assert cert.differences(theirs, template) == []
    assert cert.lifetime_difference(theirs, template, ca_end=None) is None


@pytest.mark.parametrize("case", AUTHORITIES)
def test_authorities(tmp_path, case):
    request = {"key": KEY, **AUTHORITIES[case]}
    (tmp_path / "csr.json").write_text(json.dumps(request))
    cfssl(tmp_path, "ca", "-initca", "csr.json")
    notes = spec.Notes(strict=False)
    parsed = spec.parse_request(request, where="csr", notes=notes)
    assert_same(tmp_path, "ca", cert.authority_template(parsed, where="ca", notes=notes))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cfssl")
    (directory / "csr.json").write_text(json.dumps({"CN": "Kubernetes", "names": NAMES, "key": KEY}))
    cfssl(directory, "ca", "-initca", "csr.json")
    return directory


@pytest.mark.parametrize("case", LEAVES)
def test_leaves(tmp_path, authority, case):
    request, wanted, hosts = LEAVES[case]
    request = {"key": KEY, **request}
    config = {"signing": {"default": {"expiry": "1h"}, "profiles": {"p": wanted}}}
    shutil.copytree(authority, tmp_path, dirs_exist_ok=True)
    (tmp_path / "csr.json").write_text(json.dumps(request))
    (tmp_path / "config.json").write_text(json.dumps(config))
    hostname = ["-hostname", ",".join(hosts)] if hosts else []
    cfssl(
        tmp_path, "leaf", "-ca=ca.pem", "-ca-key=ca-key.pem", "-config=config.json", "-profile=p", *hostname, "csr.json"
    )
    notes = spec.Notes(strict=False)
    parsed = spec.parse_request(request, where="csr", notes=notes)
    chosen = spec.parse_config(config, where="config", notes=notes).profile("p", user="leaf", notes=notes)
    assert_same(tmp_path, "leaf", cert.leaf_template(parsed, chosen, hosts, where="leaf", notes=notes), ca="ca")


@pytest.mark.parametrize("key", [{"algo": "ed25519"}, {"algo": "ecdsa", "size": 521}, None])
def test_keys_of_cfssl_are_read(tmp_path, key):
    (tmp_path / "csr.json").write_text(json.dumps({"CN": "x", **({"key": key} if key else {})}))
    cfssl(tmp_path, "ca", "-initca", "csr.json")
    loaded = cert.PrivateKey.load((tmp_path / "ca-key.pem").read_bytes())
    certificate = cert.load_certificate((tmp_path / "ca.pem").read_bytes())
    assert cert.signed_by(certificate, loaded.public)
    expected = spec.KeySpec(key["algo"], key.get("size", 256)) if key else spec.KeySpec()
    assert cert.key_spec(loaded.public) == expected
