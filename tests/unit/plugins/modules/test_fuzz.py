# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of damaged PEM, JSON and YAML files: each is read, or refused in words, and then nothing is written.

FUZZ_INPUTS says how many, FUZZ_SEED draws them: 1 unless it is set; `make test` sets it from the commit. Both are
printed.
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
import os
import pathlib
import random
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files import atomic as _atomic
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import load
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.finding import examine
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import Cluster, Context, User, Wanted
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import Sources
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import Order, Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.run import run

INPUTS = int(os.environ.get("FUZZ_INPUTS") or 2000)
SEED = int(os.environ.get("FUZZ_SEED") or 1)
NOW = dt.datetime.now(dt.timezone.utc)
# The whole module, with its arguments and its JSON, for one input in so many.
WHOLE_MODULE = 100

CONFIG = {
    "signing": {
        "default": {"expiry": "8760h"},
        "profiles": {
            "kubernetes": {
                "usages": ["signing", "key encipherment", "server auth", "client auth"],
                "expiry": "8760h",
                "backdate": "10m",
                "ocsp_url": "http://ocsp.example",
                "crl_url": "http://crl.example",
                "issuer_urls": ["http://ca.example"],
                "policies": [{"ID": "1.2.3", "Qualifiers": [{"Type": "id-qt-cps", "Value": "http://cps.example"}]}],
                "name_whitelist": ".",
                "copy_extensions": True,
            }
        },
    }
}
CSR = {
    "CN": "system:node:wrk01",
    "hosts": ["wrk01", "10.240.0.21", "a@b.example", "spiffe://a/b"],
    "key": {"algo": "ecdsa", "size": 256},
    "names": [{"C": "US", "L": "Portland", "O": "system:nodes", "OU": "x", "ST": "Oregon", "OID": {"1.2.3.4": "v"}}],
    "serialnumber": "7",
    "extensions": [{"Id": [1, 2, 3, 4], "Critical": False, "Value": "BQA="}],
}
CA_CSR = {"CN": "Kubernetes", "names": [{"O": "Kubernetes"}], "ca": {"expiry": "43800h", "pathlen": 1}}
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- cluster: {server: "https://blue:6443", certificate-authority-data: QQ==, extensions: [{name: a, extension: {n: 1}}]}
  name: blue
users:
- name: me
  user: {auth-provider: {name: oidc, config: {expiry: 2026-01-01T00:00:00Z, id-token: s3cr3t-of-oidc}}}
contexts:
- {name: blue, context: {cluster: blue, user: me, namespace: shop}}
current-context: blue
preferences: {colors: true}
"""


# --- damage ----------------------------------------------------------------------------------------


def flipped(chance: random.Random, content: bytes) -> bytes:
    """Some bytes are other ones."""
    damaged = bytearray(content)
    for _time in range(chance.choice((1, 1, 1, 2, 5, 20))):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


def truncated(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def spliced(chance: random.Random, content: bytes) -> bytes:
    """A piece is left out, doubled, or put elsewhere."""
    begin, end = sorted(chance.randrange(len(content) + 1) for _time in range(2))
    place = chance.randrange(len(content) + 1)
    piece, rest = content[begin:end], content[:begin] + content[end:]
    return chance.choice((rest, content[:place] + piece + content[place:], rest[:place] + piece + rest[place:]))


def noise(chance: random.Random, _content: bytes) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 10, 300)))


def text_damaged(chance: random.Random, content: bytes) -> bytes:
    return chance.choice((flipped, flipped, truncated, spliced, noise))(chance, content)


def pem_damaged(chance: random.Random, content: bytes) -> bytes:
    """Damage to the text, or to what it encodes: lengths, versions, algorithms, dates, and not base64 alone."""
    lines = content.strip().split(b"\n")
    if chance.random() < 0.4:
        return text_damaged(chance, content)
    der = base64.b64decode(b"".join(lines[1:-1]))
    der = chance.choice((flipped, flipped, flipped, flipped, truncated, spliced))(chance, der)
    begin = lines[0]
    if chance.random() < 0.1:
        begin = chance.choice((b"-----BEGIN CERTIFICATE-----", b"-----BEGIN PRIVATE KEY-----"))
    return b"\n".join((begin, base64.encodebytes(der).strip(), begin.replace(b"BEGIN", b"END"), b""))


ODD: tuple[t.Any, ...] = (
    None, True, False, 0, -1, 1, 7, 2**63, 2**200, 1.5, float("inf"), "", " ", "\x00", "\ud800", "ü", "\u202e", "٣",
    "x" * 300, "1.2.3", "2.5.29.17", "2.5.29.19", [1, 2, 3], [2, 5, 29, 15], [2, 5, 29, 17], [2, 5, 29, 35],
    "10.0.0.0/8", "::1%eth0", "fe80::1", "8760h", "-1h", "1ns", "999999h", "2562047h", "0001-01-01T00:00:00Z",
    "1900-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-31T12:00:00+23:59", "MAA=", "AA==", "=",
    "http://ü.example", "http://[", "rsa", "ed25519", "cert sign", "any", "id-qt-unotice", "(", "^$", "a@ü", "\n",
    [], {}, [None], [[]], [""], {"": ""}, {"1.2.3": ""}, {"Id": "1.2.3"},
)  # fmt: skip


def places(value: t.Any) -> t.Iterator[tuple[t.Any, t.Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


def json_damaged(chance: random.Random, content: bytes) -> bytes:
    """Damage to the text, or good JSON with something odd in some places."""
    if chance.random() < 0.4:
        return text_damaged(chance, content)
    whole = {"": json.loads(content)}
    for _time in range(chance.choice((1, 1, 1, 2, 3))):
        parent, key = chance.choice(list(places(whole)))
        value = copy.deepcopy(chance.choice((*ODD, whole[""])))
        if parent is not whole and chance.random() < 0.2:
            if isinstance(parent, dict):
                parent[chance.choice(("", "x", str(key).upper(), "ca", "remote", "ca_constraint", "crl_url"))] = value
            else:
                parent.append(value)
        else:
            parent[key] = value
    return json.dumps(whole[""]).encode()


# --- what the modules make of it -------------------------------------------------------------------


def orders() -> list[Order]:
    return [
        Order(name="ca", csr="ca-csr.json", authority=True),
        Order(name="wrk01", csr="csr.json", profile="kubernetes"),
    ]


def settings(directory: pathlib.Path, *, strict: bool) -> Settings:
    return Settings(
        directory=str(directory), config="config.json", renew_before=None, force=False, regenerate_key=False,
        strict=strict, certificate_attributes=_atomic.Attributes(mode=0o644), key_attributes=_atomic.Attributes(),
        now=NOW,
    )  # fmt: skip


def files(directory: pathlib.Path) -> dict[str, bytes]:
    found = {}
    for name in os.listdir(directory):
        with open(directory / name, "rb") as stream:
            found[name] = stream.read()
    return found


@pytest.fixture
def good(tmp_path, monkeypatch):
    """A directory in order, as name to content. Nothing is lost in a test when the power goes."""
    monkeypatch.setattr(_atomic.os, "fsync", lambda _descriptor: None)
    for name, document in (("config", CONFIG), ("csr", CSR), ("ca-csr", CA_CSR)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert run(settings(tmp_path, strict=True), orders(), write=True).changed
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    return files(tmp_path)


def decided(directory: pathlib.Path, *, strict: bool, write: bool) -> tuple[str, list[str]]:
    """The error, or what the result and the diff say and the files that are changed."""
    try:
        report = run(settings(directory, strict=strict), orders(), write=write)
    except HardwayError as error:
        assert str(error)
        return str(error), []
    results = report.results()
    assert "PRIVATE KEY" not in json.dumps([results, report.diffs(), report.warnings])
    statuses = " ".join(f"{entry['name']} {entry['status']}: {entry['reasons']}" for entry in results)
    return statuses, report.changed_files()


def certificates_hold(directory: pathlib.Path, before: dict[str, bytes], *, strict: bool) -> None:
    predicted = decided(directory, strict=strict, write=False)
    assert files(directory) == before, "a check run wrote something"
    outcome = decided(directory, strict=strict, write=True)
    assert outcome == predicted, "check mode predicts something else"
    after = files(directory)
    written = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert written == {os.path.basename(path) for path in outcome[1]}
    assert not {"ca.pem", "ca-key.pem", "ca.csr"} & written, "an authority is never made again automatically"
    if written:
        assert "PRIVATE KEY" in after["wrk01-key.pem"].decode("ascii")
        again = decided(directory, strict=strict, write=True)
        assert again[1] == [], f"not settled: {again}"


def kubeconfig_holds(directory: pathlib.Path, before: dict[str, bytes], *, merge: bool) -> None:
    wanted = Wanted(
        path=str(directory / "kubeconfig"),
        clusters=(Cluster("k", "https://h:6443", "ca.pem"),),
        users=(User("u", "wrk01.pem", "wrk01-key.pem"),),
        contexts=(Context("c", "k", "u"),),
        current_context="c",
        embed_certs=True,
        verify=True,
        attributes=_atomic.Attributes(),
        merge=merge,
    )
    try:
        finding = examine(wanted, Sources(str(directory), now=NOW), check_mode=False)
    except HardwayError as error:
        assert str(error)
        assert "s3cr3t" not in str(error)
    else:
        said = json.dumps([finding.reasons, finding.before, finding.after])
        assert finding.content is not None
        assert "PRIVATE KEY" not in said
        # Written files can be read, and are as wanted.
        kept = load(finding.content, where="written", advice="")
        assert kept["current-context"] == "c"
        assert {"k"} <= {entry["name"] for entry in kept["clusters"]}
    assert files(directory) == before


#: The damaged file, the kind of damage, and its weight.
TARGETS = {
    "ca.pem": (pem_damaged, 3),
    "ca-key.pem": (pem_damaged, 2),
    "wrk01.pem": (pem_damaged, 4),
    "wrk01-key.pem": (pem_damaged, 2),
    "config.json": (json_damaged, 4),
    "csr.json": (json_damaged, 4),
    "ca-csr.json": (json_damaged, 3),
    "kubeconfig": (text_damaged, 3),
}


def test_damaged_files_are_read_or_refused_in_words(good, tmp_path, run_module, capsys):
    with capsys.disabled():
        print(f"\nfuzz: FUZZ_SEED={SEED} FUZZ_INPUTS={INPUTS}")
    chance = random.Random(SEED)
    weights = [weight for _damage, weight in TARGETS.values()]
    for number in range(INPUTS):
        (target,) = chance.choices(list(TARGETS), weights)
        damaged = TARGETS[target][0](chance, good[target])
        before = {**good, target: damaged}
        for name, content in before.items():
            if name == target or dirty(tmp_path / name, content):
                (tmp_path / name).write_bytes(content)
        try:
            if not target.endswith(".json"):
                kubeconfig_holds(tmp_path, before, merge=chance.random() < 0.5)
            if number % WHOLE_MODULE == 0:
                outcome = run_module(
                    "x509_cfssl_compat", directory=str(tmp_path), config="config.json", check=True, diff=True,
                    authorities=[{"name": "ca", "csr": "ca-csr.json"}],
                    certificates=[{"name": "wrk01", "csr": "csr.json", "profile": "kubernetes"}],
                )  # fmt: skip
                assert outcome.failed == bool(outcome.message)
            if target != "kubeconfig":
                certificates_hold(tmp_path, before, strict=chance.random() < 0.7)
        except BaseException:
            with capsys.disabled():
                print(f"fuzz: input {number} of FUZZ_SEED={SEED}: {target} is {damaged!r}")
            raise


def dirty(path: pathlib.Path, content: bytes) -> bool:
    try:
        return path.read_bytes() != content
    except FileNotFoundError:
        return True
