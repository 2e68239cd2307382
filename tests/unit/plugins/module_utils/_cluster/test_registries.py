# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``worker_registries``: what is refused before a file is written, without a word of a credential."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.registries import registry_files
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.value import cluster
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    CATALOGUE,
    KNOWN,
    MADE,
    PARTS,
    computed,
    empty,
)

SECRET = "correct-horse"
HOST = {"host": "registry.example.com"}
ALLOWED_HOST = (
    "allowed: the part of images' names before the first slash, such as registry.example.com:5000, or _default"
)
ALLOWED_URL = "allowed: https://HOST[:PORT][/PATH], or http://... for a registry without TLS"


def problems(*registries, files=None):
    """Return the problems of the workers' registries, without the hosts, which are both of them."""
    found = cluster(
        known=KNOWN,
        values={**MADE, "cluster_hosts": PARTS},
        host_variables={
            host: {"node_address": address, "worker_registries": list(registries)}
            for host, address in ADDRESSES.items()
        },
        readings=empty(),
        catalogue=CATALOGUE,
        registry_files=files or {},
    )["plan"]["problems"]
    for problem in found:
        assert SECRET not in problem
    return [problem.removeprefix("wrk01, wrk02: ") for problem in found]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Certificate and key of two names, made by openssl."""
    place = tmp_path_factory.mktemp("registry")
    for name in ("one", "two"):
        made = f"-subj /CN={name} -keyout {name}-key.pem -out {name}.pem"
        subprocess.run(
            f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes {made}".split(),
            cwd=place,
            check=True,
            capture_output=True,
        )
    return {path.name: path.read_text() for path in place.iterdir()}


def test_what_is_right(pairs):
    assert (
        problems(
            {"host": "_default", "server": "https://mirror.example.com/path", "username": "u", "password": SECRET},
            {"host": "registry.example.com:5000", "authority": "one.pem", "token": SECRET},
            {"host": "registry.example.com:5001"},
            {"host": "docker.io", "mirrors": [{"url": "http://10.0.0.9:5000"}, {"url": "https://b", "token": SECRET}]},
            {"host": "registry:5000", "client_certificate": "one.pem", "client_key": "one-key.pem"},
            {"host": "[fd00::9]:5000"},
            files=pairs,
        )
        == []
    )


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("", f"is empty; {ALLOWED_HOST}"),
        ("https://registry.example.com", f"'https://registry.example.com' is not a registry; {ALLOWED_HOST}"),
        ("registry.example.com/library", f"'registry.example.com/library' is not a registry; {ALLOWED_HOST}"),
        ("../../tmp", f"'../../tmp' is not a registry; {ALLOWED_HOST}"),
        ("..", f"'..' is not a registry; {ALLOWED_HOST}"),
        (
            "registry",
            "'registry' is not a registry to containerd, for which images' names begin with a registry only if it has "
            f"a dot or a port; {ALLOWED_HOST}",
        ),
    ],
)
def test_what_is_not_a_registry(host, why):
    assert problems({"host": host}) == [f"worker_registries[0].host: {why}"]


@pytest.mark.parametrize(
    "url",
    [
        "registry.example.com",
        "ftp://a.example.com",
        "https://",
        "https://a b",
        "https://a:port",
        "https://a/?x",
        'https://a"',
    ],
)
def test_what_is_not_the_url_of_a_registry(url):
    why = f"{url!r} is not the URL of a registry; {ALLOWED_URL}"
    assert problems({**HOST, "server": url, "mirrors": [{"url": url}]}) == [
        f"worker_registries[0].server: {why}",
        f"worker_registries[0].mirrors[0].url: {why}",
    ]


def test_a_user_in_a_url():
    [problem] = problems({**HOST, "server": f"https://robot:{SECRET}@registry.example.com"})
    assert problem.startswith("worker_registries[0].server: has a user in it; give username and password beside it.")


def test_what_is_there_twice():
    mirror = {"url": "https://a.example.com"}
    assert problems({**HOST, "mirrors": [mirror, mirror]}, HOST) == [
        "worker_registries[0].mirrors[1].url: https://a.example.com is there twice; each mirror may be there once",
        "worker_registries[1].host: registry.example.com is there twice; put its mirrors into one entry",
    ]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"username": "u"}, "has a username without a password; give both, or a token, or none of them"),
        (
            {"username": "u", "password": ""},
            "has a username without a password; give both, or a token, or none of them",
        ),
        ({"password": SECRET}, "has a password without a username; give both, or a token, or none of them"),
        (
            {"username": "u", "password": SECRET, "token": SECRET},
            "has a token and a user's name or password; give one of the two",
        ),
        (
            {"username": "u:v", "password": SECRET},
            "has a username with a colon, which ends the name in a request; use another user",
        ),
        (
            {"username": "u", "password": f"{SECRET}\n"},
            "has a password with a line break or another character that cannot be printed; it is one line of text",
        ),
        (
            {"token": f"Bearer {SECRET}"},
            "has a token with a blank in it; give the token alone, without a word such as Bearer",
        ),
    ],
)
def test_credentials_that_are_not_whole(given, why):
    assert problems({**HOST, **given, "mirrors": [{"url": "https://a.example.com", **given}]}) == [
        f"worker_registries[0]: {why}",
        f"worker_registries[0].mirrors[0]: {why}",
    ]


def test_credentials_for_everybody():
    [problem] = problems({"host": "_default", "username": "u", "password": SECRET})
    assert problem.startswith("worker_registries[0]: _default without a server would show its credentials to every")


def test_nothing_secret_goes_the_open_way(pairs):
    given = {"username": "u", "password": SECRET, "authority": "one.pem"}
    assert problems({**HOST, "server": "http://registry.example.com", **given}, files=pairs) == [
        "worker_registries[0]: has credentials, which others on the way could read over http://; use https://",
        "worker_registries[0]: has certificates, which http:// does not use; use https://, or leave them out",
    ]


def test_files_that_are_not_there_or_are_something_else(pairs):
    files = {**pairs, "gone.pem": None, "text.pem": "no certificate"}
    assert problems({**HOST, "authority": "gone.pem"}, files=files) == [
        "worker_registries[0]: authority gone.pem cannot be read on the control node; name a file with PEM text"
    ]
    assert problems({**HOST, "authority": "text.pem"}, files=files) == [
        "worker_registries[0]: authority text.pem is not a certificate; name a file with PEM text"
    ]
    assert problems({**HOST, "client_certificate": "one.pem"}, files=files) == [
        "worker_registries[0]: has a client_certificate without a client_key; give both or none"
    ]
    assert problems({**HOST, "client_certificate": "one.pem", "client_key": "two-key.pem"}, files=files) == [
        "worker_registries[0]: client_key two-key.pem is not the private key of one.pem; name its key, without a "
        "passphrase"
    ]


def test_capabilities():
    [problem] = problems({**HOST, "mirrors": [{"url": "https://a.example.com", "capabilities": []}]})
    assert problem == "worker_registries[0].mirrors[0].capabilities: is empty; allowed: pull, resolve, or both"


@pytest.mark.parametrize(
    "value",
    [
        {"host": "registry.example.com", "password": SECRET},
        f"host=registry.example.com password={SECRET}",
        f'[{{"host": "registry.example.com", "password": "{SECRET}"}}]',
        [{"host": "registry.example.com", "password": SECRET, "mirrors": SECRET}],
        [{"host": "registry.example.com", "password": SECRET, "mirrors": [f"password={SECRET}"]}],
        [{"host": "registry.example.com", "password": SECRET, "passwort": SECRET}],
    ],
)
def test_a_value_of_a_wrong_type_is_not_shown(value):
    found = computed(empty(), worker_registries=value)["plan"]["problems"]
    assert any("worker_registries" in problem for problem in found)
    assert SECRET not in str(found)


def test_the_value_has_no_credentials(pairs):
    found = computed(empty(), worker_registries=[{**HOST, "username": "u", "password": SECRET}])
    assert found["spec"]
    assert SECRET not in str(found)


def test_the_files_that_are_read():
    entry = {**HOST, "authority": "a.pem", "mirrors": [{"url": "https://a", "client_key": "k.pem"}]}
    wrong = {"worker_registries": [{"host": "x", "mirrors": ["text"]}]}
    assert registry_files(KNOWN, [{"worker_registries": [entry]}, {}, wrong]) == ["a.pem", "k.pem"]
