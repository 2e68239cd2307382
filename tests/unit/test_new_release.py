# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/new_release.py with publishers on loopback: what it writes, what it leaves, what it refuses."""

from __future__ import annotations

import functools
import hashlib
import http.server
import pathlib
import subprocess
import sys
import threading
import typing as t

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import programs, read_catalogue
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import mirrored

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "new_release.py"
DELIVERED = (ROOT / "roles" / "cluster" / "files" / "catalogue.yml").read_text(encoding="utf-8")
OTHERS = {"etcd": "3.7.9", "containerd": "2.9.9", "runc": "1.9.9", "crictl": "1.99.0", "cni_plugins": "1.99.0"}


def digest_of(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def publish(directory: pathlib.Path, kubernetes: str) -> None:
    """Checksum files of a whole release."""
    versions = {**OTHERS, "kubernetes": kubernetes}
    for architecture in ("amd64", "arm64"):
        found = programs(read_catalogue(), release="1.37", architecture=architecture, versions=versions)
        for program in found.values():
            listing = pathlib.Path(mirrored(program["checksum_url"], str(directory)))
            listing.parent.mkdir(parents=True, exist_ok=True)
            with listing.open("a") as stream:
                stream.write(f"{digest_of(program['url'])}  {program['url'].rpartition('/')[2]}\n")


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: pathlib.Path) -> t.Iterator[str]:
    (tmp_path / "web").mkdir()
    handler = functools.partial(Handler, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def catalogue(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "catalogue.yml"
    path.write_text(DELIVERED, encoding="utf-8")
    return path


def run(catalogue: pathlib.Path, address: str, kubernetes: str, **versions: str) -> subprocess.CompletedProcess[str]:
    named = [f"{name}={version}" for name, version in versions.items()]
    return subprocess.run(
        [sys.executable, SCRIPT, kubernetes, *named, "--catalogue", catalogue, "--source", address],
        env={"PYTHONPATH": str(ROOT / ".collections"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


def test_a_patch_release(catalogue: pathlib.Path, address: str, tmp_path: pathlib.Path) -> None:
    publish(tmp_path / "web", "1.37.9")
    done = run(catalogue, address, "1.37.9", **OTHERS)
    assert done.returncode == 0, done.stderr
    assert "not read" not in done.stdout
    text = catalogue.read_text(encoding="utf-8")
    written, before = yaml.safe_load(text), yaml.safe_load(DELIVERED)
    assert written["releases"]["1.37"] == {**before["releases"]["1.37"], **OTHERS, "kubernetes": "1.37.9"}
    for part in ("programs", "images", "architectures", "default_release"):
        assert written[part] == before[part]
    assert comments(text) == comments(DELIVERED)
    for architecture in ("amd64", "arm64"):
        for program in programs(written, release="1.37", architecture=architecture).values():
            assert program["sha256"] == digest_of(program["url"])
    # Sums of other releases stay.
    assert written["checksums"]["kubelet"]["1.36.3"] == before["checksums"]["kubelet"]["1.36.3"]
    assert run(catalogue, address, "1.37.9").returncode == 0
    assert catalogue.read_text(encoding="utf-8") == text


def test_a_minor_release_and_what_cannot_be_read(catalogue: pathlib.Path, address: str, tmp_path: pathlib.Path) -> None:
    publish(tmp_path / "web", "1.38.0")
    (tmp_path / "web/dl.k8s.io/release/v1.38.0/bin/linux/arm64/kubelet.sha256").unlink()
    done = run(catalogue, address, "1.38.0", **OTHERS)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("not read")]
    assert "v1.38.0/bin/linux/arm64/kubelet" in line
    written = yaml.safe_load(catalogue.read_text(encoding="utf-8"))
    assert list(written["releases"]) == ["1.38", "1.37", "1.36", "1.35"]
    assert written["releases"]["1.38"]["flannel"] == written["releases"]["1.37"]["flannel"]
    assert list(written["checksums"]["kubelet"]["1.38.0"]) == ["amd64"]


@pytest.mark.parametrize(
    ("version", "others", "words"),
    [
        ("1.37", {}, "kubernetes '1.37' is not a version such as 1.37.2"),
        ("1.37.9", {"etdc": "3.7.9"}, "component 'etdc' is not in the release catalogue; known: kubernetes, etcd"),
        ("1.37.99", {}, "no sum of Kubernetes 1.37.99 can be read, the first because: https://dl.k8s.io/"),
    ],
)
def test_what_is_refused(
    catalogue: pathlib.Path, address: str, version: str, others: dict[str, str], words: str
) -> None:
    done = run(catalogue, address, version, **others)
    assert done.returncode == 1
    assert words in done.stderr
    assert catalogue.read_text(encoding="utf-8") == DELIVERED


def test_a_sum_that_changed_is_refused(catalogue: pathlib.Path, address: str, tmp_path: pathlib.Path) -> None:
    publish(tmp_path / "web", "1.36.3")
    done = run(catalogue, address, "1.36.3")
    assert done.returncode == 1
    assert "the publisher gives the SHA-256 sum" in done.stderr
    assert catalogue.read_text(encoding="utf-8") == DELIVERED
