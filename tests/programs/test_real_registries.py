# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd pulls with the files of ``worker_registries``: an image of one file, from a registry on loopback."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import ssl
import subprocess
import tarfile
import threading
import time
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.registries import Registries
from conftest import Programs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containerd only runs as root")

USER, PASSWORD, TOKEN = "robot", "correct-horse", "battery-staple"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SESSION = "a-token-for-this-session"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIGURATION = """\
version = 3
root = "{0}/root"
state = "{0}/state"
[grpc]
  address = "{0}/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "{0}/certs.d"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/{1}"
  snapshotter = "native"
"""


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _image() -> tuple[bytes, dict[str, bytes]]:
    """Return the manifest of an image, and its blobs by digest."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a-file"), io.BytesIO())
    layer = stream.getvalue()
    rootfs = {"type": "layers", "diff_ids": [_digest(layer)]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    kinds = (("application/vnd.oci.image.config.v1+json", config), ("application/vnd.oci.image.layer.v1.tar", layer))
    parts = [{"mediaType": kind, "digest": _digest(blob), "size": len(blob)} for kind, blob in kinds]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": parts[0], "layers": parts[1:]}
    return json.dumps(manifest).encode(), {_digest(blob): blob for _kind, blob in kinds}


class Registry(http.server.ThreadingHTTPServer):
    """A registry with one image, of any name.

    :ivar admits: the header Authorization that it admits.
    :ivar tokens: it sends clients without a token of its own to its token server, which admits that header then.
    """

    admits = BASIC
    tokens = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manifest, self.blobs = _image()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: t.Any) -> None:
        """Say nothing."""

    def _answer(self, code: int, content: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        given, path = self.headers.get("Authorization", ""), self.path.partition("?")[0]
        url = f"https://127.0.0.1:{self.server.server_port}"
        if self.server.tokens and path == "/token":
            if given == self.server.admits:
                self._answer(200, json.dumps({"token": SESSION}).encode())
            else:
                self._answer(401)
        elif given != (f"Bearer {SESSION}" if self.server.tokens else self.server.admits):
            challenge = f'Bearer realm="{url}/token",service="lab"' if self.server.tokens else 'Basic realm="lab"'
            self._answer(401, WWW_Authenticate=challenge)
        elif "/manifests/" in path:
            self._answer(200, self.server.manifest, MANIFEST, Docker_Content_Digest=_digest(self.server.manifest))
        else:
            content = self.server.blobs.get(path.rpartition("/")[2])
            self._answer(404) if content is None else self._answer(200, content, "application/octet-stream")

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Directory with a certificate that signs itself."""
    place = tmp_path_factory.mktemp("authority")
    made = f"-keyout {place}/key.pem -out {place}/ca.pem -subj /CN=registry -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 {made}".split(), check=True, capture_output=True)
    return place


@pytest.fixture
def registry(authority: pathlib.Path) -> t.Iterator[Registry]:
    with Registry() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "ca.pem", authority / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


class Containerd:
    """A containerd of its own, with a directory for registries."""

    def __init__(self, programs: Programs, directory: pathlib.Path) -> None:
        self.crictl = programs.path("crictl")
        self.directory = directory
        (directory / "config.toml").write_text(CONFIGURATION.format(directory, "amd64"))
        self._log = (directory / "log").open("w")
        command = [programs.path("containerd"), "--config", f"{directory}/config.toml"]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        socket = f"unix://{self.directory}/containerd.sock"
        command = [self.crictl, f"--runtime-endpoint={socket}", f"--image-endpoint={socket}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def give(self, *registries: dict[str, t.Any]) -> None:
        contents = {
            one["authority"]: pathlib.Path(one["authority"]).read_bytes()
            for registry in registries
            for one in (registry, *registry.get("mirrors", []))
            if "authority" in one
        }
        Registries(registries, contents, f"{self.directory}/certs.d").converge(check=False)

    def pulls(self, image: str) -> str:
        """Return what is said when an image cannot be pulled, empty when it can; it is not kept."""
        done = self.run("pull", image)
        self.run("rmi", image)
        return done.stderr if done.returncode else ""


@pytest.fixture
def containerd(programs: Programs, tmp_path: pathlib.Path) -> t.Iterator[Containerd]:
    started = Containerd(programs, tmp_path)
    try:
        end = time.monotonic() + 30
        while started.run("version").returncode and time.monotonic() < end:
            assert started.process.poll() is None, started.log()
            time.sleep(0.2)
        yield started
    finally:
        started.process.terminate()
        started.process.wait(timeout=30)


def _entry(registry: Registry, authority: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    return {"server": f"https://127.0.0.1:{registry.server_port}", "authority": f"{authority}/ca.pem", **more}


@pytest.mark.parametrize("tokens", [False, True], ids=["basic", "tokens"])
def test_a_password_opens_and_a_wrong_one_does_not(
    containerd: Containerd, registry: Registry, authority: pathlib.Path, tokens: bool
) -> None:
    registry.tokens = tokens
    image = "quay.io/some/image:1"
    for given in ({}, {"username": USER, "password": "wrong"}):
        containerd.give(_entry(registry, authority, host="_default", **given))
        assert "authoriz" in containerd.pulls(image).lower()
    containerd.give(_entry(registry, authority, host="_default", username=USER, password=PASSWORD))
    assert containerd.pulls(image) == ""
    log = containerd.log()
    assert "failed to decode" not in log
    assert PASSWORD not in log and BASIC.split()[1] not in log


def test_a_token_is_sent_as_it_is(containerd: Containerd, registry: Registry, authority: pathlib.Path) -> None:
    registry.admits = f"Bearer {TOKEN}"
    containerd.give(_entry(registry, authority, host="quay.io", token=TOKEN))
    assert containerd.pulls("quay.io/some/image:1") == ""


def test_mirrors_ports_and_paths(containerd: Containerd, registry: Registry, authority: pathlib.Path) -> None:
    opened = {"authority": f"{authority}/ca.pem", "username": USER, "password": PASSWORD}
    mirror = {"url": f"https://127.0.0.1:{registry.server_port}", **opened}
    path = {"override_path": True, "url": f"{mirror['url']}/v2/below"}
    nowhere = {"url": "https://127.0.0.1:1"}
    containerd.give(
        {"host": "docker.io", "server": "https://127.0.0.1:1", "mirrors": [nowhere, mirror]},
        {"host": "registry.k8s.io", "server": "https://127.0.0.1:1", "mirrors": [{**mirror, **path}]},
        {"host": f"127.0.0.1:{registry.server_port}", **opened},
    )
    for image in ("docker.io/library/a:1", "registry.k8s.io/b:1", f"127.0.0.1:{registry.server_port}/c:1"):
        assert containerd.pulls(image) == ""
    containerd.give({"host": "quay.io", "server": mirror["url"], "username": USER, "password": PASSWORD})
    assert not (containerd.directory / "certs.d" / "docker.io").exists()
    # Its authority is not one of the system's.
    assert "certificate signed by unknown authority" in containerd.pulls("quay.io/some/image:1")
