# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of registries: what containerd reads in them, who may read them, and what goes with a registry."""

from __future__ import annotations

import base64
import os
import re

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import hosts_toml, registries
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.registries import Registries

SECRET = 's3cret-\\-"word'
BASIC = f"Basic {base64.b64encode(f'robot:{SECRET}'.encode()).decode()}"
PRIVATE = {
    "host": "registry.example.com:5000",
    "authority": "ca.pem",
    "username": "robot",
    "password": SECRET,
    "mirrors": [
        {"url": "https://near.example.com", "token": "t0ken", "override_path": True},
        {
            "url": "https://far.example.com",
            "capabilities": ["pull"],
            "client_certificate": "me.pem",
            "client_key": "me-key.pem",
        },
    ],
}
CONTENTS = {"ca.pem": b"authority\n", "me.pem": b"certificate\n", "me-key.pem": b"key\n"}


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "certs.d"


@pytest.fixture
def converge(directory):
    def run(*wanted, contents=None, check=False):
        return Registries(wanted, CONTENTS if contents is None else contents, str(directory)).converge(check=check)

    return run


def parsed(text):
    tomllib = pytest.importorskip("tomllib", reason="the oldest Python of hosts cannot read TOML")
    return tomllib.loads(text)


def tree(directory):
    return {
        str(path.relative_to(directory)): path.stat().st_mode & 0o777
        for path in directory.rglob("*.*")
        if path.is_file()
    }


def test_what_containerd_reads(directory, converge):
    converge(PRIVATE)
    place = directory / "registry.example.com_5000_"
    assert parsed((place / "hosts.toml").read_text()) == {
        "ca": f"{place}/server-ca.pem",
        "header": {"Authorization": BASIC},
        "host": {
            "https://near.example.com": {
                "capabilities": ["pull", "resolve"],
                "override_path": True,
                "header": {"Authorization": "Bearer t0ken"},
            },
            "https://far.example.com": {
                "capabilities": ["pull"],
                "client": [[f"{place}/mirror-2-client.pem", f"{place}/mirror-2-client-key.pem"]],
            },
        },
    }
    # containerd asks the mirrors in the order of their tables.
    assert re.findall(r'^\[host\."([^"]+)"]', (place / "hosts.toml").read_text(), re.MULTILINE) == [
        "https://near.example.com",
        "https://far.example.com",
    ]
    assert (place / "server-ca.pem").read_bytes() == b"authority\n"


def test_the_server_in_place_of_the_registry(directory, converge):
    converge({"host": "_default", "server": "https://mirror.example.com"})
    assert parsed((directory / "_default" / "hosts.toml").read_text()) == {"server": "https://mirror.example.com"}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("docker.io", "docker.io"),
        ("localhost:5000", "localhost_5000_"),
        ("[fd00::5]:5000", "[fd00::5]_5000_"),
        ("_default", "_default"),
    ],
)
def test_the_directory_that_containerd_looks_for_first(host, name):
    assert hosts_toml.directory_name(host) == name


def test_only_root_reads_keys_and_credentials(directory, converge):
    converge(PRIVATE)
    place = "registry.example.com_5000_"
    assert tree(directory) == {
        f"{place}/hosts.toml": 0o600,
        f"{place}/server-ca.pem": 0o644,
        f"{place}/mirror-2-client.pem": 0o644,
        f"{place}/mirror-2-client-key.pem": 0o600,
    }


def test_no_secret_is_in_a_difference(converge):
    shown = str(converge(PRIVATE))
    shown += str(converge({**PRIVATE, "password": "another"}))
    # Without credentials: what was there before must not be shown either.
    shown += str(converge({"host": PRIVATE["host"]}))
    assert "hosts.toml" in shown
    for secret in (SECRET, BASIC, BASIC.split()[1], "t0ken", "key\\n", base64.b64encode(b"robot:another").decode()):
        assert secret not in shown


def test_a_difference_without_secrets_is_shown(converge):
    converge({"host": "docker.io", "server": "https://one.example.com"})
    [outcome] = converge({"host": "docker.io", "server": "https://two.example.com"})
    assert 'server = "https://one.example.com"' in outcome.diff["before"]
    assert 'server = "https://two.example.com"' in outcome.diff["after"]


def test_another_s_file_is_not_shown(directory, converge):
    place = directory / "docker.io"
    place.mkdir(parents=True)
    (place / "hosts.toml").write_text('[header]\nx-key = "of-another"\n')
    assert "of-another" not in str(converge({"host": "docker.io"}))


def test_a_second_run_changes_nothing(converge):
    assert converge(PRIVATE)
    assert converge(PRIVATE) == []


def test_check_mode_predicts_and_writes_nothing(directory, converge):
    predicted = [outcome.step for outcome in converge(PRIVATE, check=True)]
    assert not directory.exists()
    assert predicted == [outcome.step for outcome in converge(PRIVATE)]
    predicted = [outcome.step for outcome in converge(check=True)]
    assert tree(directory)
    assert predicted == [outcome.step for outcome in converge()]


def test_what_nothing_names_goes(directory, converge):
    converge(PRIVATE, {"host": "docker.io", "authority": "ca.pem"})
    converge({**PRIVATE, "mirrors": []})
    assert set(tree(directory)) == {f"registry.example.com_5000_/{name}" for name in ("hosts.toml", "server-ca.pem")}
    assert not (directory / "docker.io").exists()
    converge()
    assert os.listdir(directory) == []


def test_what_others_wrote_stays(directory, converge):
    converge({"host": "docker.io", "authority": "ca.pem"})
    (directory / "docker.io" / "theirs.crt").write_text("theirs")
    (directory / "quay.io").mkdir()
    (directory / "quay.io" / "hosts.toml").write_text('server = "https://theirs.example.com"\n')
    converge()
    assert set(tree(directory)) == {"docker.io/theirs.crt", "quay.io/hosts.toml"}


def test_own_directories_are_read(directory, converge):
    assert registries.own(str(directory)) == []
    converge(PRIVATE)
    (directory / "quay.io").mkdir()
    (directory / "quay.io" / "hosts.toml").write_text("# theirs\n")
    assert registries.own(str(directory)) == ["registry.example.com_5000_"]


def test_a_file_without_content_is_refused_before_anything_is_written(directory, converge):
    with pytest.raises(FileError, match=r"^registry\.example\.com:5000: the content of ca\.pem was not given; nothing"):
        converge({"host": "docker.io"}, PRIVATE, contents={})
    assert not directory.exists()
