# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook mirror.yml against a mirror on loopback: each is the source of the next."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import programs, read_catalogue
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import mirrored

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHITECTURES = ("amd64", "arm64")
RELEASE = "1.36"


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with small stand-ins for every program of a release, in the publishers' layout."""
    directory = tmp_path / "upstream"
    for architecture in ARCHITECTURES:
        for program in programs(read_catalogue(), release=RELEASE, architecture=architecture).values():
            path = pathlib.Path(mirrored(program["url"], str(directory)))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{program['name']} {program['version']} {architecture}\n")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            # Lists that hold the sums of several files get a line of each.
            with pathlib.Path(mirrored(program["checksum_url"], str(directory))).open("a") as listing:
                listing.write(f"{digest}  {path.name}\n")
    return directory


@pytest.fixture
def address(upstream: pathlib.Path) -> t.Iterator[str]:
    handler = functools.partial(Handler, directory=str(upstream))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def files(directory: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def run(*options: str, **variables: t.Any) -> tuple[int, str]:
    done = subprocess.run(
        [
            *(pathlib.Path(sys.executable).parent / "ansible-playbook", ROOT / "playbooks" / "mirror.yml"),
            *("--extra-vars", json.dumps({"cluster_mirror_checksums": "mirror", **variables}), *options),
        ],
        cwd=ROOT,
        env=os.environ
        | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def changed(output: str) -> int:
    return int(re.findall(r"changed=(\d+)", output)[-1])


def test_a_release_is_mirrored(upstream: pathlib.Path, address: str, tmp_path: pathlib.Path) -> None:
    wanted = {"mirror_release": RELEASE, "mirror_architectures": list(ARCHITECTURES)}
    first = {**wanted, "mirror_directory": str(tmp_path / "first"), "mirror_source": address}

    code, output = run("--check", "--diff", **first)
    assert (code, changed(output)) == (0, 1), output
    assert "kubelet 1.36.3 arm64: " in output
    assert not (tmp_path / "first").exists()

    code, output = run(**first)
    assert (code, changed(output)) == (0, 1), output
    assert files(tmp_path / "first") == files(upstream)
    assert "registry.k8s.io/pause:3.10.2" in output

    code, output = run(**first)
    assert (code, changed(output)) == (0, 0), output

    # A copy on a disk is a source like any other.
    second = {**wanted, "mirror_directory": str(tmp_path / "second"), "mirror_source": f"file://{tmp_path / 'first'}"}
    code, output = run(**second)
    assert code == 0, output
    assert files(tmp_path / "second") == files(upstream)


def test_one_architecture_of_the_default_release(address: str, tmp_path: pathlib.Path) -> None:
    code, output = run(mirror_directory=str(tmp_path / "mirror"), mirror_source=address)
    # The stand-ins are those of an older release.
    assert code != 0
    assert f"{address}/dl.k8s.io/release/v1.37" in output
    assert files(tmp_path / "mirror") == {}


def test_a_damaged_download_is_refused(upstream: pathlib.Path, address: str, tmp_path: pathlib.Path) -> None:
    program = programs(read_catalogue(), ["kubectl"], release=RELEASE, architecture="amd64")["kubectl"]
    damaged = pathlib.Path(mirrored(program["url"], str(upstream)))
    damaged.write_text("something else")
    code, output = run(mirror_directory=str(tmp_path / "mirror"), mirror_release=RELEASE, mirror_source=address)
    assert code != 0
    assert f"{mirrored(program['url'], address)}: the SHA-256 sum of the download is" in " ".join(output.split())
    assert not pathlib.Path(mirrored(program["url"], str(tmp_path / "mirror"))).exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "mirror_directory"),
        ({"mirror_directory": "m", "mirror_release": 1.18}, "release '1.18' is not in the release catalogue"),
        ({"mirror_directory": "m", "mirror_architectures": ["s390x"]}, "known: amd64, arm64"),
    ],
)
def test_wrong_settings_are_named(variables: dict[str, t.Any], words: str) -> None:
    code, output = run(**variables)
    assert code != 0
    assert words in output
