# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror of a release: what belongs in it, what counts as present, and what a damaged download leaves."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pathlib
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.mirror import Artifact, Mirror, artifacts
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import CatalogueError, DownloadError

URL = "https://dl.example.com/v1/amd64/tool"
TOOL = Artifact("tool", "1", "amd64", URL, f"{URL}.sha256")

CATALOGUE = {
    "architectures": ["amd64", "arm64"],
    "releases": {"1.2": {"kubernetes": "1.2.3"}},
    "programs": {
        name: {
            "version": "kubernetes",
            "url": "https://dl.example.com/v{version}/{arch}/{name}",
            "checksum": "https://dl.example.com/v{version}/{arch}/{name}.sha256",
            "directory": "/usr/local/bin",
        }
        for name in ("kubectl", "kubelet")
    },
}


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Web:
    """Addresses with their content; records the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def publish(self, url: str, content: bytes, digest: str | None = None) -> None:
        self.files[url] = content
        self.files[f"{url}.sha256"] = f"{digest or sum_of(content)}  {url.rpartition('/')[2]}\n".encode()

    def open(self, url: str) -> t.BinaryIO:
        self.asked.append(url)
        if url not in self.files:
            raise OSError("HTTP Error 404: Not Found")
        return io.BytesIO(self.files[url])


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def mirror(web: Web, tmp_path: pathlib.Path) -> Mirror:
    return Mirror(str(tmp_path / "mirror"), source="", opener=web.open)


def files(directory: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_what_belongs_in_it() -> None:
    found = artifacts(CATALOGUE, release="1.2", architectures=["amd64", "arm64"])
    assert [one.label for one in found] == [
        "kubectl 1.2.3 amd64",
        "kubelet 1.2.3 amd64",
        "kubectl 1.2.3 arm64",
        "kubelet 1.2.3 arm64",
    ]
    assert found[0].url == "https://dl.example.com/v1.2.3/amd64/kubectl"
    (one,) = artifacts(
        CATALOGUE,
        release="1.2",
        architectures=["arm64"],
        names=["kubelet"],
        versions={"kubernetes": "1.2.4"},
        checksums={"https://dl.example.com/v1.2.4/arm64/kubelet": "a" * 64},
    )
    assert (one.version, one.sha256) == ("1.2.4", "a" * 64)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"release": "9.9"}, "9.9"),
        ({"architectures": ["s390x"]}, "amd64, arm64"),
        ({"names": ["kubectel"]}, "kubectl, kubelet"),
        ({"versions": {"etcd": "3"}}, "'etcd'"),
    ],
)
def test_what_the_catalogue_does_not_have(changes: dict[str, t.Any], words: str) -> None:
    with pytest.raises(CatalogueError, match=words):
        artifacts(CATALOGUE, **{"release": "1.2", "architectures": ["amd64"], **changes})


def test_it_is_laid_out_as_the_publisher_has_it(web: Web, mirror: Mirror, tmp_path: pathlib.Path) -> None:
    web.publish(URL, b"program")
    assert str(mirror.reason(TOOL)).endswith("dl.example.com/v1/amd64/tool is missing")
    mirror.fill(TOOL)
    assert files(tmp_path / "mirror") == {
        "dl.example.com/v1/amd64/tool": b"program",
        "dl.example.com/v1/amd64/tool.sha256": f"{sum_of(b'program')}  tool\n".encode(),
    }
    assert mirror.reason(TOOL) is None
    assert (tmp_path / "mirror/dl.example.com/v1/amd64/tool").stat().st_mode & 0o777 == 0o644


def test_a_mirror_is_the_source_of_another(web: Web, mirror: Mirror, tmp_path: pathlib.Path) -> None:
    web.publish("https://mirror.example.com/all/dl.example.com/v1/amd64/tool", b"program")
    second = Mirror(str(tmp_path / "second"), source="https://mirror.example.com/all/", opener=web.open)
    second.fill(TOOL)
    assert sorted(files(tmp_path / "second")) == ["dl.example.com/v1/amd64/tool", "dl.example.com/v1/amd64/tool.sha256"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b"progran"), "expected"),
        (lambda path: path.unlink(), "tool is missing"),
        (lambda path: path.with_name("tool.sha256").unlink(), "tool.sha256 is missing"),
        (lambda path: path.with_name("tool.sha256").write_text("<html>"), "no SHA-256 sum for tool"),
    ],
)
def test_what_is_damaged_is_downloaded_again(
    web: Web, mirror: Mirror, tmp_path: pathlib.Path, damage: t.Callable[[pathlib.Path], None], words: str
) -> None:
    web.publish(URL, b"program")
    mirror.fill(TOOL)
    damage(mirror.path(URL))
    assert words in str(mirror.reason(TOOL))
    mirror.fill(TOOL)
    assert mirror.reason(TOOL) is None


@pytest.mark.parametrize(
    ("publish", "words"),
    [
        (lambda web: web.publish(URL, b"tampered", sum_of(b"program")), "the SHA-256 sum of the download is"),
        (lambda web: web.files.pop(URL), "the download failed"),
        (lambda web: web.files.pop(f"{URL}.sha256"), "the download failed"),
        (lambda web: web.files.update({f"{URL}.sha256": b"<html>"}), "no SHA-256 sum for tool"),
    ],
)
def test_a_failed_download_leaves_what_was_there(
    web: Web, mirror: Mirror, tmp_path: pathlib.Path, publish: t.Callable[[Web], None], words: str
) -> None:
    web.publish(URL, b"older")
    mirror.fill(TOOL)
    before = files(tmp_path / "mirror")
    web.publish(URL, b"program")
    publish(web)
    with pytest.raises(DownloadError, match=words):
        mirror.fill(TOOL)
    assert files(tmp_path / "mirror") == before


def test_a_sum_of_ones_own_takes_the_place_of_the_publishers(web: Web, mirror: Mirror, tmp_path: pathlib.Path) -> None:
    """The publisher's list is kept when it says the same, since hosts may go by it."""
    web.publish(URL, b"program", digest="0" * 64)
    own = Artifact("tool", "1", "amd64", URL, f"{URL}.sha256", sum_of(b"program").upper())
    mirror.fill(own)
    assert mirror.reason(own) is None
    assert list(files(tmp_path).values()) == [b"program"]
    web.publish(URL, b"program")
    mirror.fill(own)
    assert len(files(tmp_path)) == 2
    web.files.pop(f"{URL}.sha256")
    mirror.fill(own)
    assert len(files(tmp_path)) == 2


def test_the_catalogues_sums_hold_for_the_publishers_files() -> None:
    catalogue = {**CATALOGUE, "checksums": {"kubelet": {"1.2.3": {"arm64": "c" * 64}}}}
    options: dict[str, t.Any] = {"release": "1.2", "architectures": ["amd64", "arm64"], "names": ["kubelet"]}
    assert [one.sha256 for one in artifacts(catalogue, **options)] == [None, "c" * 64]
    assert [one.sha256 for one in artifacts(catalogue, **options, published=False)] == [None, None]


def test_a_directory_that_cannot_be_made_is_named(web: Web, tmp_path: pathlib.Path) -> None:
    web.publish(URL, b"program")
    (tmp_path / "mirror").write_text("a file")
    with pytest.raises(DownloadError, match=r"mirror.* cannot be written \("):
        Mirror(str(tmp_path / "mirror"), source="", opener=web.open).fill(TOOL)


def test_a_source_that_others_can_change(web: Web, tmp_path: pathlib.Path) -> None:
    """Its sum is as good as its file. One of the user's own is better."""
    source = "http://mirror.example.com"
    web.publish(f"{source}/dl.example.com/v1/amd64/tool", b"program")
    mirror = Mirror(str(tmp_path / "mirror"), source=source, opener=web.open)
    with pytest.raises(DownloadError, match=r"^http://mirror\.example\.com/dl.*: over plain HTTP others on the way"):
        mirror.fill(TOOL)
    assert web.asked == []
    assert files(tmp_path) == {}
    mirror.fill(dataclasses.replace(TOOL, sha256=sum_of(b"program")))
    assert list(files(tmp_path).values()) == [b"program"]
