# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cfssl's JSON: what is read, what is refused, and that nothing at all makes a traceback."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
import re

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import parse_config
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import KeySpec, Request, parse_request
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.fields import load_document
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.hosts import classify_hosts
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import parse_duration
from hypothesis import given, settings
from hypothesis import strategies as st

STRICT = Notes(strict=True)


def request(value, strict=True):
    return parse_request(value, where="csr", notes=Notes(strict=strict))


def hosts(*names, strict=True):
    return classify_hosts(names, where="x", notes=Notes(strict=strict))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8760h", 8760 * 3600), ("1h30m", 5400), ("1.5h", 5400), (".5m", 30), ("90s", 90), ("1500ms", 1.5),
     ("-1h", -3600), ("+2m", 120), ("0", 0), ("1h0m0s", 3600), ("3us", 3e-6)],
)  # fmt: skip
def test_go_durations(text, seconds):
    assert parse_duration(text, where="x").total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "x is ") for text in ("", "1", "h", "1 h", "1h1", "1e3h", "--1h", "9999999999h", None, 5, "١h")),
        ("365d", r"write 8760h\."),
        ("1y", r"write 8760h\."),
        ("2y", r"write 17520h\."),
    ],
)
def test_what_is_not_a_duration(text, message):
    with pytest.raises(PkiError, match=message):
        parse_duration(text, where="x")


@pytest.mark.parametrize(
    ("host", "kind", "value"),
    [
        ("wrk01", "DNS", "wrk01"),
        ("*.example.com", "DNS", "*.example.com"),
        ("kubernetes.default.svc", "DNS", "kubernetes.default.svc"),
        ("_etcd-server._tcp.x", "DNS", "_etcd-server._tcp.x"),
        ("10.32.0.1", "IP", "10.32.0.1"),
        ("::1", "IP", "::1"),
        ("2001:DB8:0::1", "IP", "2001:db8::1"),
        ("::ffff:1.2.3.4", "IP", "1.2.3.4"),
        ("a@b.example", "email", "a@b.example"),
        ("spiffe://cluster/ns/default", "URI", "spiffe://cluster/ns/default"),
    ],
)
def test_hosts_are_sorted_into_kinds(host, kind, value):
    assert hosts(host) == ((kind, value),)


@pytest.mark.parametrize(
    ("host", "lenient"),
    [
        ("localhost:8080", ("URI", "localhost:8080")),
        ("/foo", ("URI", "/foo")),
        ("*", ("URI", "*")),
        ("", ("DNS", "")),
        (" a", ("DNS", " a")),
        ("10.0.0.0/8", ("DNS", "10.0.0.0/8")),
        ("10.0.0.256", ("DNS", "10.0.0.256")),
        ("-a", ("DNS", "-a")),
        ("a..b", ("DNS", "a..b")),
        ("a.", ("DNS", "a.")),
        ("x" * 64, ("DNS", "x" * 64)),
        ("Joe <joe@x.y>", ("email", "joe@x.y")),
    ],
)
def test_hosts_that_cfssl_takes_in_silence(host, lenient):
    with pytest.raises(PkiError, match=r"^x: host " + ("'' is empty: leave it out" if not host else "")):
        hosts(host)
    assert hosts(host, strict=False) == (lenient,)


@pytest.mark.parametrize("host", ["bücher.example", "a\x00b", "fe80::1%eth0\n"])
def test_hosts_that_are_never_taken(host):
    for strict in (True, False):
        with pytest.raises(PkiError):
            hosts(host, strict=strict)


def test_the_order_of_the_extension_and_no_doubles():
    assert [kind for kind, _value in hosts("https://x/", "1.1.1.1", "b", "c@d.e", "a", "b")] == [
        "DNS", "DNS", "email", "IP", "URI",
    ]  # fmt: skip


def test_the_subject_is_in_the_order_of_cfssl():
    parsed = request(
        {
            "CN": "x",
            "serialnumber": "5",
            "names": [{"OU": "u", "O": "o", "C": "US", "E": "a@b.c", "OID": {"1.2.3.4": "v"}}, {"O": "p", "ST": "s"}],
        }
    )
    names = ["/".join(value for _oid, value in rdn) for rdn in parsed.subject]
    assert names == ["US", "s", "o/p", "u", "x", "5", "v", "a@b.c"]


def test_field_names_are_case_insensitive_and_null_is_absent():
    assert request({"cn": "x", "KEY": {"Algo": "rsa", "SIZE": 2048}, "hosts": None}).key == KeySpec("rsa", 2048)


@pytest.mark.parametrize(
    ("csr", "message"),
    [
        ({"hots": 1}, r"csr has an unknown field 'hots' \(did you mean 'hosts'\?\)\."),
        ({"Names ": 1}, "csr has an unknown field 'Names '"),
        ({"ca": {"expire": "1h"}}, r"csr\.ca has an unknown field 'expire' \(did you mean 'expiry'\?\)"),
        # As CSRs are posted: the hint leads to the right place, not to the most similar name.
        ({"exipry": 1}, "csr has an unknown field 'exipry'"),
        ({"expiry": "87600h"}, "'expiry': an authority's lifetime is 'expiry' in the section 'ca', a certificate's is"),
        ({"Expiry": "87600h"}, "'Expiry': an authority's lifetime is"),
        ({"names": [{"CN": "x"}]}, r"csr\.names\[0\] has an unknown field 'CN': the common name is 'CN' at the top"),
        ({"names": [{"hosts": []}]}, "hosts stand at the top of the CSR"),
        ({"O": "x"}, "'O': it belongs in an entry of 'names'"),
        ({"C": "US"}, "'C': it belongs in an entry of 'names'"),
        ({"usages": []}, "'usages': usages belong to a profile of the signing config"),
        ({"profile": "x"}, "'profile': the profile is an option of its own"),
    ],
)
def test_unknown_fields(csr, message):
    with pytest.raises(PkiError, match=message):
        request(csr)
    notes = Notes(strict=False)
    parse_request(csr, where="csr", notes=notes)
    (warning,) = notes.warnings
    assert re.search(message, warning) and "it is ignored" in warning


def test_path_length():
    assert request({"ca": {}}).ca.path_length is None
    assert request({"ca": {"pathlen": 2}}).ca.path_length == 2
    assert request({"ca": {"pathlen": 0, "pathlenzero": True}}).ca.path_length == 0
    for wrong in ({"pathlen": 0}, {"pathlen": -1}, {"pathlen": 1, "pathlenzero": True}, {"pathlen": True}):
        with pytest.raises(PkiError):
            request({"ca": wrong})


def test_profiles_inherit_urls_as_in_cfssl():
    config = parse_config(
        {
            "signing": {
                "default": {"expiry": "1h", "ocsp_url": "http://o", "crl_url": "http://c", "issuer_urls": ["http://i"]},
                "profiles": {"a": {"usages": ["signing"], "expiry": "2h"},
                             "b": {"usages": ["signing"], "expiry": "2h", "issuer_urls": [], "crl_url": "http://d"}},
            }
        },
        where="config",
        notes=STRICT,
    )  # fmt: skip
    assert (config.profiles["a"].ocsp_url, config.profiles["a"].issuer_urls) == ("http://o", ("http://i",))
    assert (config.profiles["b"].crl_url, config.profiles["b"].issuer_urls) == ("http://d", ())


def test_unsupported_fields_matter_only_where_they_are_used():
    config = parse_config(
        {
            "auth_keys": {"k": {"type": "standard", "key": "x"}},
            "signing": {
                "default": {"expiry": "1h"},
                "profiles": {"far": {"auth_remote": {"remote": "r", "auth_key": "k"}},
                             "near": {"usages": ["signing"], "expiry": "1h"}},
            },
        },
        where="config",
        notes=STRICT,
    )  # fmt: skip
    assert config.profile("near", user="x", notes=STRICT).name == "near"
    with pytest.raises(PkiError, match="sets auth_remote, which this module cannot honour"):
        config.profile("far", user="x", notes=STRICT)


def test_a_key_that_is_there_twice(tmp_path):
    (tmp_path / "x.json").write_text('{"CN": "a", "CN": "b"}')
    with pytest.raises(PkiError, match="CN occurs twice"):
        load_document("x.json", directory=str(tmp_path), where="csr", notes=STRICT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GOOD_REQUEST = {
    "CN": "x", "hosts": ["a", "10.0.0.1"], "names": [{"C": "US", "OID": {"1.2.3": "v"}, "E": "a@b"}],
    "key": {"algo": "rsa", "size": 2048}, "ca": {"expiry": "1h", "pathlen": 1, "backdate": "1m"},
    "extensions": [{"Id": [1, 2, 3], "Critical": True, "Value": "AA=="}], "serialnumber": "1", "crl_url": "http://c",
}  # fmt: skip
GOOD_CONFIG = {
    "signing": {
        "default": {"expiry": "1h"},
        "profiles": {
            "p": {
                "usages": ["signing"], "expiry": "1h", "backdate": "1m", "not_before": "2026-01-01T00:00:00Z",
                "ca_constraint": {"is_ca": True, "max_path_len": 1}, "name_whitelist": "^x$",
                "policies": [{"ID": "1.2.3", "Qualifiers": [{"Type": "id-qt-cps", "Value": "x"}]}],
                "allowed_extensions": ["1.2.3"], "issuer_urls": ["http://i"],
            }
        },
    }
}  # fmt: skip


def _places(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from _places(value[key], (*path, key))


def _replaced(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


@settings(max_examples=2000, deadline=None)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused_in_words(data):
    document, parse = data.draw(st.sampled_from([(GOOD_REQUEST, parse_request), (GOOD_CONFIG, parse_config)]))
    wrong = _replaced(document, data.draw(st.sampled_from(list(_places(document)))), data.draw(JSON))
    for strict in (True, False):
        notes = Notes(strict=strict)
        try:
            parsed = parse(wrong, where="x", notes=notes)
            if isinstance(parsed, Request):
                classify_hosts(parsed.hosts, where="x", notes=notes)
        except PkiError as error:
            assert str(error).startswith(("x", "the "))


@settings(max_examples=1000, deadline=None)
@given(text=st.text(max_size=40) | st.from_regex(r"[0-9.+-]{0,6}[hmsdun]{0,3}"), cut=st.integers(0, 200))
def test_any_text_as_json_or_duration(tmp_path_factory, text, cut):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    for content in (text, json.dumps(GOOD_REQUEST)[:cut], json.dumps(GOOD_REQUEST)[:cut] + text):
        path.write_text(content, encoding="utf-8", errors="surrogatepass")
        try:
            document, where = load_document(str(path), directory="/", where="x", notes=STRICT)
            parse_request(document, where=where, notes=STRICT)
        except PkiError as error:
            assert str(error).startswith("x")
    with contextlib.suppress(PkiError):
        assert isinstance(parse_duration(text, where="x"), dt.timedelta)
