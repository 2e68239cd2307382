# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image archives: verified, imported once, and named when they are wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import urllib.error

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import ImageError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.images import (
    ImageArchives,
    image_names,
    imported,
)

ADDRESS = "file:///srv/mirror/pause.tar"
PAUSE = "registry.k8s.io/pause:3.10"


def archive(**members) -> bytes:
    """An archive with JSON members; a dot in a name is written as two underscores."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, value in members.items():
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def docker_archive(*names: str) -> bytes:
    return archive(manifest__json=[{"Config": "c.json", "RepoTags": list(names), "Layers": []}])


def oci_archive(*names: str) -> bytes:
    manifests = [{"digest": "sha256:1", "annotations": {"io.containerd.image.name": name}} for name in names]
    return archive(index__json={"schemaVersion": 2, "manifests": manifests})


class Host:
    """containerd and a web of archives; the record is kept between runs."""

    def __init__(self, record) -> None:
        self.record = record
        self.web: dict[str, bytes | Exception] = {}
        self.images: set[str] = set()
        self.imports: list[str] = []
        self.pinned: list[str] = []
        self.opened: list[str] = []
        self.refusal = ""

    def publish(self, address: str, content: bytes, *, checksum: str | None = None) -> None:
        self.web[address] = content
        if checksum is None:
            checksum = f"{hashlib.sha256(content).hexdigest()}  {os.path.basename(address)}\n"
        self.web[f"{address}.sha256"] = checksum.encode()

    def open(self, address: str) -> io.BytesIO:
        self.opened.append(address)
        found = self.web.get(address, urllib.error.URLError("no such file"))
        if isinstance(found, Exception):
            raise found
        return io.BytesIO(found)

    def run(self, command: list[str]) -> tuple[int, str, str]:
        assert command[:3] == ["ctr", "--namespace", "k8s.io"]
        if command[-2:] == ["list", "--quiet"]:
            return 0, "\n".join(sorted(self.images)), ""
        if command[4] == "label":
            assert command[5] in self.images
            assert command[6:] == ["io.cri-containerd.pinned=pinned"]
            self.pinned.append(command[5])
            return 0, "", ""
        assert command[3:5] == ["images", "import"]
        if self.refusal:
            return 1, "", f"{self.refusal}\n"
        with open(command[5], "rb") as stream:
            self.imports.append(hashlib.sha256(stream.read()).hexdigest())
        self.images |= set(image_names(command[5]))
        return 0, "", ""

    def archives(self) -> ImageArchives:
        return ImageArchives(record=str(self.record), opener=self.open, run=self.run)

    def reason(self, address: str = ADDRESS) -> str | None:
        archives = self.archives()
        return archives.reason(address, archives.present())


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "state" / "images.json")


@pytest.mark.parametrize("kind", [docker_archive, oci_archive])
def test_image_names(tmp_path, kind):
    path = tmp_path / "a.tar"
    path.write_bytes(kind(PAUSE, "docker.io/library/busybox:1.37"))
    assert image_names(str(path)) == [PAUSE, "docker.io/library/busybox:1.37"]


def test_an_archive_of_both_kinds_is_read_as_docker_wrote_it(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(archive(index__json={"manifests": [{}]}, manifest__json=[{"RepoTags": [PAUSE]}]))
    assert image_names(str(path)) == [PAUSE]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", r"is not an image archive \("),
        (b"", r"is not an image archive \("),
        (archive(README=b"x"), "is not an image archive: it has neither manifest.json nor index.json"),
        (archive(manifest__json=b"{"), r"is not an image archive \("),
        (docker_archive(), "its images have no names; save them with their tags"),
        (archive(manifest__json=[{"RepoTags": None}]), "its images have no names"),
        (oci_archive(), "its images have no names"),
        (archive(index__json={"manifests": [{"digest": "sha256:1"}]}), "its images have no names"),
    ],
)
def test_no_image_archive(tmp_path, content, message):
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=f"^{path}: {message}"):
        image_names(str(path))


def test_imported_once(host):
    host.publish(ADDRESS, docker_archive(PAUSE))
    assert host.reason() == f"{ADDRESS} was not imported"
    assert host.archives().load(ADDRESS) == [PAUSE]
    assert host.reason() is None
    assert host.imports == [hashlib.sha256(host.web[ADDRESS]).hexdigest()]
    assert host.pinned == [PAUSE]
    assert os.listdir(host.record.parent) == ["images.json"]


def test_what_is_there_is_not_read_again(host):
    host.publish(ADDRESS, docker_archive(PAUSE))
    host.archives().load(ADDRESS)
    host.opened.clear()
    assert host.reason() is None
    assert host.opened == [f"{ADDRESS}.sha256"]


def test_a_removed_image_is_imported_again(host):
    host.publish(ADDRESS, docker_archive(PAUSE))
    host.archives().load(ADDRESS)
    host.images.clear()
    assert host.reason() == f"image {PAUSE} is missing"


def test_a_new_archive_under_the_same_name_is_imported(host):
    host.publish(ADDRESS, docker_archive(PAUSE))
    host.archives().load(ADDRESS)
    host.publish(ADDRESS, docker_archive(PAUSE, "example.com/other:1"))
    assert host.reason() == f"{ADDRESS} has changed"
    assert host.archives().load(ADDRESS) == [PAUSE, "example.com/other:1"]
    assert host.reason() is None


def test_the_record_keeps_the_other_archives(host):
    host.publish(ADDRESS, docker_archive(PAUSE))
    host.publish("file:///srv/b.tar", docker_archive("example.com/b:1"))
    host.archives().load(ADDRESS)
    host.archives().load("file:///srv/b.tar")
    assert (host.reason(), host.reason("file:///srv/b.tar")) == (None, None)


@pytest.mark.parametrize("content", ["", "{"])
def test_a_damaged_record_means_importing_again(host, content):
    host.publish(ADDRESS, docker_archive(PAUSE))
    host.archives().load(ADDRESS)
    host.record.write_text(content)
    assert host.reason() == f"{ADDRESS} was not imported"


def test_containerd_does_not_answer(host):
    archives = ImageArchives(record=str(host.record), opener=host.open, run=lambda _command: (1, "", "no socket"))
    assert archives.present() == set()


@pytest.fixture
def local(host, tmp_path):
    """The path of an archive on the host itself, which was imported."""
    path = tmp_path / "pause.tar"
    address = f"file://{path}"
    host.publish(address, docker_archive(PAUSE))
    sums = tmp_path / "pause.tar.sha256"
    sums.write_bytes(host.web[f"{address}.sha256"])
    host.archives().load(address)
    return path


def test_the_archives_that_need_no_import(host, local):
    assert imported(str(host.record), host.run) == [str(local)]


def test_containerd_is_not_asked_for_archives_at_an_address(host):
    host.publish("https://example.com/b.tar", docker_archive("example.com/b:1"))
    host.archives().load("https://example.com/b.tar")
    asked = []
    assert imported(str(host.record), lambda command: asked.append(command) or host.run(command)) == []
    assert asked == []


def test_an_archive_that_needs_an_import_is_not_among_them(host, local):
    sums = local.parent / "pause.tar.sha256"
    right = sums.read_bytes()
    sums.write_text(f"{'0' * 64}  pause.tar\n")
    assert imported(str(host.record), host.run) == [], "the archive has changed"
    sums.unlink()
    assert imported(str(host.record), host.run) == [], "nobody can say whether it has changed"
    sums.write_bytes(right)
    assert imported(str(host.record), host.run) == [str(local)]
    host.images.clear()
    assert imported(str(host.record), host.run) == [], "the image was removed"


@pytest.mark.usefixtures("local")
def test_a_host_whose_containerd_does_not_answer_has_no_images(host):
    def missing(_command):
        raise FileNotFoundError("ctr")

    assert imported(str(host.record), missing) == []
    assert imported(str(host.record), lambda _command: (1, "", "no socket")) == []


def failure(host) -> str:
    with pytest.raises(ImageError) as caught:
        host.archives().load(ADDRESS)
    assert host.imports == []
    assert host.reason() == f"{ADDRESS} was not imported"
    return str(caught.value)


def test_wrong_checksum(host):
    host.publish(ADDRESS, docker_archive(PAUSE), checksum="f" * 64)
    found = hashlib.sha256(host.web[ADDRESS]).hexdigest()
    assert failure(host) == (
        f"{ADDRESS}: the SHA-256 sum of the download is {found}, expected {'f' * 64}; nothing was imported"
    )


def test_checksum_file_is_missing(host):
    host.web[ADDRESS] = docker_archive(PAUSE)
    message = failure(host)
    assert message.startswith(f"{ADDRESS}: its checksum file {ADDRESS}.sha256 cannot be read (")
    assert "no such file" in message


def test_checksum_file_lacks_the_archive(host):
    host.publish(ADDRESS, docker_archive(PAUSE), checksum=f"{'f' * 64}  other.tar\n")
    assert failure(host) == f"{ADDRESS}: {ADDRESS}.sha256 has no SHA-256 sum for pause.tar; nothing was imported"


def test_archive_cannot_be_read(host):
    host.publish(ADDRESS, docker_archive(PAUSE))
    host.web[ADDRESS] = OSError("connection reset")
    assert failure(host) == f"{ADDRESS}: the download failed (connection reset); nothing was imported"


def test_no_archive_at_all(host):
    host.publish(ADDRESS, b"<html>404</html>")
    assert "is not an image archive" in failure(host)


def test_containerd_refuses_it(host):
    host.publish(ADDRESS, docker_archive(PAUSE))
    host.refusal = "ctr: no space left on device"
    assert failure(host) == f"{ADDRESS}: containerd refuses it: ctr: no space left on device"


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.35", "docker.io/library/busybox:1.35"),
        ("weaveworks/weave-kube:2.6.5", "docker.io/weaveworks/weave-kube:2.6.5"),
        ("localhost/tool", "localhost/tool:latest"),
        ("registry:5000/a/b", "registry:5000/a/b:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("quay.io/a@sha256:0", "quay.io/a@sha256:0"),
    ],
)
def test_names_are_those_that_containerd_gives(tmp_path, given, full):
    (tmp_path / "a.tar").write_bytes(docker_archive(given))
    assert image_names(str(tmp_path / "a.tar")) == [full]


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_entries_that_begin_with_a_dot(tmp_path, kind):
    content = docker_archive(PAUSE) if kind == "docker" else oci_archive(PAUSE)
    with tarfile.open(fileobj=io.BytesIO(content)) as given, tarfile.open(tmp_path / "a.tar", "w") as dotted:
        for member in given:
            stream = given.extractfile(member)
            member.name = f"./{member.name}"
            dotted.addfile(member, stream)
    assert image_names(str(tmp_path / "a.tar")) == [PAUSE]
