# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that can only be read: it serves the image archives of a mirror, for nodes that reach no other."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import json
import pathlib
import re
import socket
import sys
import tarfile
import threading
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

from collection import make_importable

make_importable()

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import image_archive
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import host_port

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_GZIP = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True)
class Blob:
    """A part of an archive: bytes from offset on."""

    archive: pathlib.Path
    offset: int
    size: int

    def copy_to(self, output: t.BinaryIO) -> None:
        with self.archive.open("rb") as stream:
            stream.seek(self.offset)
            left = self.size
            while left:
                chunk = stream.read(min(left, 1 << 20))
                if not chunk:
                    raise OSError(f"{self.archive} ends early")
                output.write(chunk)
                left -= len(chunk)


class Images:
    """The archives of a mirror, as manifests and blobs."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._blobs: dict[str, Blob] = {}
        self._manifests: dict[str, bytes] = {}

    @functools.cached_property
    def _lock(self) -> threading.Lock:
        return threading.Lock()

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """The manifest of a tag or a digest; None when there is no such image."""
        if reference.startswith("sha256:"):
            return self._manifests.get(reference)
        archive = self._directory / image_archive(f"{repository}:{reference}")
        if not archive.is_file():
            return None
        with self._lock:
            return self._read(archive)

    def blob(self, digest: str) -> Blob | None:
        return self._blobs.get(digest)

    def _read(self, path: pathlib.Path) -> bytes:
        with tarfile.open(path) as archive:
            members = {member.name: member for member in archive}

            def content(name: str) -> bytes:
                stream = archive.extractfile(members[name])
                assert stream is not None
                return stream.read()

            entry = json.loads(content("manifest.json"))[0]
            config = content(entry["Config"])
            parts = [(f"sha256:{hashlib.sha256(config).hexdigest()}", entry["Config"], _CONFIG)]
            for name, difference in zip(entry["Layers"], json.loads(config)["rootfs"]["diff_ids"], strict=True):
                # Compressed layers, which newer engines save, lie under the digest that they have as such.
                found = re.fullmatch(r"blobs/sha256/([0-9a-f]{64})", name)
                stream = archive.extractfile(members[name])
                assert stream is not None
                kind = f"{_LAYER}.gzip" if stream.read(2) == _GZIP else _LAYER
                parts.append((f"sha256:{found.group(1)}" if found else difference, name, kind))
            for digest, name, _kind in parts:
                self._blobs[digest] = Blob(path, members[name].offset_data, members[name].size)
        described = [
            {"mediaType": kind, "size": self._blobs[digest].size, "digest": digest} for digest, _name, kind in parts
        ]
        made = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
        manifest = json.dumps(made).encode()
        self._manifests[f"sha256:{hashlib.sha256(manifest).hexdigest()}"] = manifest
        return manifest


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    images: t.ClassVar[Images]
    registry: t.ClassVar[str]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        found = re.fullmatch(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<what>[^/]+)", path)
        manifest, blob = None, None
        if found and found["kind"] == "manifests":
            manifest = self.images.manifest(f"{self.registry}/{found['name']}", found["what"])
        elif found:
            blob = self.images.blob(found["what"])
        if manifest is not None:
            self._head(200, len(manifest), MANIFEST, f"sha256:{hashlib.sha256(manifest).hexdigest()}")
            if body:
                self.wfile.write(manifest)
        elif blob is not None and found:
            self._head(200, blob.size, "application/octet-stream", found["what"])
            if body:
                blob.copy_to(t.cast(t.BinaryIO, self.wfile))
        else:
            self._head(200 if path == "/v2/" else 404, 0, "application/json", "")

    def _head(self, status: int, size: int, kind: str, digest: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()

    def log_message(self, format: str, *arguments: t.Any) -> None:
        """Nothing: what fails, the node's runtime says."""


@contextlib.contextmanager
def serve(directory: pathlib.Path, registry: str, address: str) -> t.Iterator[str]:
    """Serve the archives of `directory` as those of `registry`, at a free port of `address`; the URL."""
    handler = type("Handler", (_Handler,), {"images": Images(directory), "registry": registry})
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    servers = type("Servers", (http.server.ThreadingHTTPServer,), {"address_family": family})
    with servers((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{host_port(address, server.server_port)}"
        finally:
            server.shutdown()
            thread.join()
