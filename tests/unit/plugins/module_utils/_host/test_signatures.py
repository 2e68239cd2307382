# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of Kubernetes' programs, with a stand-in for cosign that accepts what ends with its signature."""

from __future__ import annotations

import hashlib
import io
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.mirror import Artifact, Mirror
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.signatures import Signatures

SIGNED = "https://dl.k8s.io/release/v1/kubelet"
OTHER = "https://example.com/runc"
COSIGN = """#!/bin/sh
echo "$@" > "$(dirname "$0")/asked"
while [ $# -gt 1 ]; do [ "$1" = --signature ] && signature=$2; shift; done
cmp -s "$signature" "$1" || { echo "no match" >&2; exit 1; }
"""


@pytest.fixture
def cosign(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    path = tmp_path / "bin" / "cosign"
    path.parent.mkdir()
    path.write_text(COSIGN)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return path


def run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def fill(directory: pathlib.Path, url: str, files: dict[str, bytes]) -> pathlib.Path:
    def opener(address: str) -> t.BinaryIO:
        if address not in files:
            raise OSError("HTTP Error 404: Not Found")
        return io.BytesIO(files[address])

    signatures = Signatures(source="", opener=opener, run=run)
    mirror = Mirror(str(directory), source="", opener=opener, signatures=signatures)
    mirror.fill(Artifact("tool", "1", "amd64", url, f"{url}.sha256", hashlib.sha256(files[url]).hexdigest()))
    return mirror.path(url)


def test_a_signed_program_is_put_in_place(cosign: pathlib.Path, tmp_path: pathlib.Path) -> None:
    files = {SIGNED: b"program", f"{SIGNED}.sig": b"program", f"{SIGNED}.cert": b"certificate"}
    assert fill(tmp_path / "mirror", SIGNED, files).read_bytes() == b"program"
    asked = (cosign.parent / "asked").read_text()
    assert asked.startswith(
        "verify-blob --certificate-identity krel-staging@k8s-releng-prod.iam.gserviceaccount.com "
        "--certificate-oidc-issuer https://accounts.google.com --signature "
    )


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({f"{SIGNED}.sig": b"another", f"{SIGNED}.cert": b"c"}, "cosign does not accept its signature .*no match"),
        ({f"{SIGNED}.cert": b"c"}, "the download failed"),
    ],
)
def test_another_is_refused(cosign: pathlib.Path, tmp_path: pathlib.Path, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(DownloadError, match=words):
        fill(tmp_path / "mirror", SIGNED, {SIGNED: b"program", **files})
    assert not [path for path in (tmp_path / "mirror").rglob("*") if path.is_file()]


def test_a_cosign_that_does_not_run_has_refused_nothing(cosign: pathlib.Path, tmp_path: pathlib.Path) -> None:
    cosign.write_text("#!/nowhere/sh\n")
    files = {SIGNED: b"program", f"{SIGNED}.sig": b"program", f"{SIGNED}.cert": b"certificate"}
    with pytest.raises(DownloadError, match=r"cosign could not verify its signature: .*Nothing was replaced"):
        fill(tmp_path / "mirror", SIGNED, files)


def test_programs_of_others_have_no_signature(cosign: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert fill(tmp_path / "mirror", OTHER, {OTHER: b"program"}).is_file()
    assert not (cosign.parent / "asked").exists()


def test_without_cosign_nothing_is_downloaded(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError, match=r"cosign is not in the PATH of the control node\. Nothing was downloaded"):
        fill(tmp_path / "mirror", SIGNED, {SIGNED: b"program"})
