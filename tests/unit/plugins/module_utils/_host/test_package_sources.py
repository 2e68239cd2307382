# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package sources that cannot be reached are found before apt tries for minutes: with a fake apt, and a real one."""

from __future__ import annotations

import http.server
import os
import pathlib
import subprocess

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.packages import (
    no_source_message,
    unreached_sources,
)

SUITE = "'http://deb.example.com/debian/dists/bookworm/InRelease' deb.example.com_InRelease 0 \n"
INDEX = "'http://deb.example.com/debian/dists/bookworm/main/binary-amd64/Packages.xz' deb.example.com_Packages 0 \n"
SECURITY = (
    "'https://user:secret@security.example.com:8443/dists/bookworm/InRelease' security.example.com_InRelease 0 \n"
)
PACKAGE = "'http://deb.example.com/debian/pool/main/s/socat/socat_1.7.deb' socat_1.7.deb 0 MD5Sum:00\n"


class Apt:
    """Answers as apt's programs do.

    :ivar reached: addresses that are fetched.
    :ivar said: what apt-helper prints of the others, by address.
    """

    def __init__(self, sources=SUITE + INDEX + SECURITY, wanted=(0, PACKAGE), reached=(), code=100, **said):
        self.sources, self.wanted, self.reached, self.code, self.said = sources, wanted, reached, code, said
        self.fetching = []

    def __call__(self, command):
        if command[:2] == ["apt-get", "install"]:
            return (*self.wanted, "")
        if command[:2] == ["apt-get", "update"]:
            assert "--print-uris" in command
            return 0, self.sources, ""
        self.fetching = command
        given = command[command.index("download-file") + 1 :]
        for address, path in zip(given[::3], given[1::3], strict=True):
            if any(part in address for part in self.reached):
                pathlib.Path(path).write_text("Suite: stable")
        lines = [
            f"E: Failed to fetch {address.replace('user:secret@', '')}  {reason}\n"
            for part, reason in self.said.items()
            for address in given[::3]
            if part in address
        ]
        return self.code, "Err:1 ...\n", "".join(["W: Download is performed unsandboxed\n", *lines])


REFUSED = {"deb": "Could not connect to deb.example.com:80", "security": "Could not resolve 'security.example.com'"}


def test_no_source_is_reached():
    apt = Apt(**REFUSED)
    assert unreached_sources(["socat"], apt) == [
        "http://deb.example.com (Could not connect to deb.example.com:80)",
        "https://security.example.com:8443 (Could not resolve 'security.example.com')",
    ]
    # One address of each source, and no attempt that takes longer than seconds.
    given = apt.fetching[apt.fetching.index("download-file") + 1 :]
    assert [address.rpartition("/")[2] for address in given[::3]] == ["InRelease", "InRelease"]
    assert {"Acquire::http::Timeout=10", "Acquire::https::Timeout=10", "Acquire::Retries=0"} <= set(apt.fetching)


def test_apt_that_does_not_end_is_ended():
    (first, _second) = unreached_sources(["socat"], Apt(code=124))
    assert first == "http://deb.example.com (no answer within 40 s)"


@pytest.mark.parametrize(
    "apt",
    [
        pytest.param(Apt(reached=["security"], deb=REFUSED["deb"]), id="one is reached"),
        pytest.param(Apt(deb="404  Not Found [IP: 192.0.2.1 80]", security="timed out"), id="one refuses"),
        pytest.param(Apt(wanted=(0, ""), **REFUSED), id="all packages were downloaded before"),
        pytest.param(Apt(sources=SUITE + "'file:/srv/debian/InRelease' x 0 \n", **REFUSED), id="a directory as well"),
        pytest.param(Apt(sources="", **REFUSED), id="no source"),
        pytest.param(Apt(code=127), id="apt-helper does not run"),
    ],
)
def test_apt_is_left_to_report(apt):
    assert unreached_sources(["socat"], apt) == []


@pytest.mark.parametrize("status", ["500  Unable to connect", "503  Service Unavailable"])
def test_a_proxy_that_does_not_reach_the_sources(status):
    assert len(unreached_sources(["socat"], Apt(deb=status, security=status))) == 2


def test_a_package_that_no_list_has_is_looked_for():
    assert unreached_sources(["socat"], Apt(wanted=(100, ""), **REFUSED)) != []


def test_what_the_user_reads():
    said = no_source_message("wrk01", ["socat", "ipset"], ["http://deb.example.com (Connection timed out)"])
    assert said.startswith(
        "wrk01: none of its package sources can be reached: http://deb.example.com (Connection timed out). "
        "Packages that it lacks: socat, ipset. "
    )
    assert "set cluster_http_proxy and cluster_https_proxy" in said


# --- the programs of Debian -----------------------------------------------------------------------

with_apt = pytest.mark.skipif(not os.path.exists("/usr/lib/apt/apt-helper"), reason="this system has no apt")


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """Run commands as on a host with a package source of its own, and with these variables."""
    for directory in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "var/lib/apt/lists"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text("deb [trusted=yes] http://packages.invalid/debian stable main\n")
    (tmp_path / "status").touch()
    (tmp_path / "apt.conf").write_text(
        f'Dir "{tmp_path}";\nDir::State::status "{tmp_path}/status";\nDir::Bin::methods "/usr/lib/apt/methods";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def run(command):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


class Proxy(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@with_apt
def test_a_source_that_is_reached_through_the_proxy_alone(debian, monkeypatch, serving):
    (unreached,) = unreached_sources(["no-such-package"], debian)
    assert unreached.startswith("http://packages.invalid (")
    with serving(Proxy) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        assert unreached_sources(["no-such-package"], debian) == []


@with_apt
@pytest.mark.parametrize(("status", "count"), [(404, 0), (503, 1)])
def test_what_a_proxy_answers(debian, monkeypatch, serving, status, count):
    with serving(type("Answering", (Proxy,), {"status": status})) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        assert len(unreached_sources(["no-such-package"], debian)) == count
