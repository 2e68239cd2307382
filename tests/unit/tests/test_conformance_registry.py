# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry that serves a mirror's image archives, asked over HTTP."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pathlib
import socket
import sys
import tarfile
import typing as t
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))

import registry
from artifact_mirror import oci


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def get(url: str) -> tuple[bytes, t.Mapping[str, str]]:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read(), response.headers


@pytest.fixture
def url(tmp_path: pathlib.Path) -> t.Iterator[str]:
    layers = []
    for content in (b"base", b"top"):
        layer = oci.Layer()
        layer.file("etc/file", content)
        layers.append(layer)
    archive = tmp_path / "example.org_tools_tool_1.0.tar"
    oci.write_image(archive, "example.org/tools/tool:1.0", "amd64", layers, {"Cmd": ["tool"]})
    with registry.serve(tmp_path, "example.org", "127.0.0.1") as address:
        yield address


def test_every_part_of_an_image_has_the_digest_it_is_asked_by(url: str) -> None:
    body, headers = get(f"{url}/v2/tools/tool/manifests/1.0?ns=example.org")
    assert headers["Content-Type"] == registry.MANIFEST
    assert headers["Docker-Content-Digest"] == sha256(body)
    assert get(f"{url}/v2/tools/tool/manifests/{sha256(body)}")[0] == body
    manifest = json.loads(body)
    parts = {part["digest"]: part for part in (manifest["config"], *manifest["layers"])}
    assert len(parts) == 3
    for digest, part in parts.items():
        content, _headers = get(f"{url}/v2/tools/tool/blobs/{digest}")
        assert sha256(content) == digest
        assert len(content) == part["size"]
    config = json.loads(get(f"{url}/v2/tools/tool/blobs/{manifest['config']['digest']}")[0])
    assert config["config"]["Cmd"] == ["tool"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


def test_layers_that_an_engine_saved_compressed(tmp_path: pathlib.Path) -> None:
    layer = gzip.compress(b"layer")
    config = json.dumps({"rootfs": {"diff_ids": [sha256(b"layer")]}}).encode()
    names = {data: f"blobs/sha256/{hashlib.sha256(data).hexdigest()}" for data in (layer, config)}
    manifest = json.dumps([{"Config": names[config], "Layers": [names[layer]]}]).encode()
    with tarfile.open(tmp_path / "example.org_saved_2.tar", "w") as archive:
        for name, data in {"manifest.json": manifest, names[layer]: layer, names[config]: config}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with registry.serve(tmp_path, "example.org", "127.0.0.1") as url:
        (described,) = json.loads(get(f"{url}/v2/saved/manifests/2")[0])["layers"]
        assert described["mediaType"].endswith(".tar.gzip")
        assert described["digest"] == sha256(layer)
        assert get(f"{url}/v2/saved/blobs/{sha256(layer)}")[0] == layer


@pytest.mark.parametrize(
    "path", ["tools/tool/manifests/2.0", "other/manifests/1.0", f"tools/tool/blobs/{sha256(b'x')}"]
)
def test_what_is_not_there(url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{url}/v2/{path}")


def test_a_head_request_has_no_body(url: str) -> None:
    request = urllib.request.Request(f"{url}/v2/tools/tool/manifests/1.0", method="HEAD")
    with urllib.request.urlopen(request, timeout=10) as response:
        assert int(response.headers["Content-Length"]) > 100
        assert response.read() == b""


def test_hosts_of_ipv6_alone_reach_it(tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 on its loopback")
    with registry.serve(tmp_path, "example.org", "::1") as url:
        assert url.startswith("http://[::1]:")
        assert get(f"{url}/v2/")[0] == b""
