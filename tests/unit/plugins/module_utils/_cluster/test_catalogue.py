# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release catalogue: how it is read, and that what it says holds together."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import catalogue as module
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import CatalogueError

CATALOGUE = module.read_catalogue()
RELEASES = sorted(CATALOGUE["releases"])

SMALL = {
    "architectures": ["amd64", "arm64"],
    "releases": {"1.2": {"kubernetes": "1.2.3", "tool": "9.0"}},
    "programs": {
        "kubelet": {
            "version": "kubernetes",
            "url": "https://example.com/v{version}/{arch}/{name}",
            "checksum": "https://example.com/v{version}/{arch}/{name}.sha256",
            "directory": "/usr/local/bin",
        },
        "tools": {
            "version": "tool",
            "url": "https://example.com/tools-{version}-{arch}.tgz",
            "checksum": "https://example.com/SUMS-{version}",
            "directory": "/opt/tools",
            "files": ["tools-{version}/one", "tools-{version}-{arch}/two"],
        },
    },
    "images": {"pause": {"version": "tool", "name": "registry.example.com/pause:{version}"}},
}


def programs(*names, **options):
    return module.programs(SMALL, names or None, **{"release": "1.2", "architecture": "amd64", **options})


def test_a_single_executable():
    assert programs("kubelet", mirror="file:///srv/mirror") == {
        "kubelet": {
            "name": "kubelet",
            "version": "1.2.3",
            "url": "https://example.com/v1.2.3/amd64/kubelet",
            "checksum_url": "https://example.com/v1.2.3/amd64/kubelet.sha256",
            "sha256": None,
            "directory": "/usr/local/bin",
            "files": [],
            "mirror": "file:///srv/mirror",
        }
    }


def test_an_archive_on_another_architecture():
    entry = programs("tools", architecture="arm64")["tools"]
    assert entry["url"] == "https://example.com/tools-9.0-arm64.tgz"
    assert entry["checksum_url"] == "https://example.com/SUMS-9.0"
    assert entry["files"] == ["tools-9.0/one", "tools-9.0-arm64/two"]


def test_the_order_asked_for_is_kept_and_all_programs_are_the_default():
    assert list(programs("tools", "kubelet")) == ["tools", "kubelet"]
    assert list(programs()) == ["kubelet", "tools"]


def test_a_replaced_version_goes_into_every_address():
    entry = programs("kubelet", versions={"kubernetes": "1.2.9"})["kubelet"]
    assert entry["version"] == "1.2.9"
    assert "1.2.9" in entry["url"]
    assert "1.2.9" in entry["checksum_url"]


def test_a_pinned_sum_belongs_to_one_address():
    sums = {"https://example.com/v1.2.3/amd64/kubelet": "ab" * 32}
    assert programs("kubelet", checksums=sums)["kubelet"]["sha256"] == "ab" * 32
    assert programs("kubelet", checksums=sums, architecture="arm64")["kubelet"]["sha256"] is None


def test_the_inventorys_sum_comes_before_the_catalogues_and_that_before_the_publishers():
    address = "https://example.com/v1.2.3/amd64/kubelet"
    catalogue = SMALL | {"checksums": {"kubelet": {"1.2.3": {"amd64": "cd" * 32}}}}

    def found(**options):
        return module.programs(catalogue, ["kubelet"], **{"release": "1.2", "architecture": "amd64", **options})[
            "kubelet"
        ]["sha256"]

    assert found(checksums={address: "ab" * 32}) == "ab" * 32
    assert found() == "cd" * 32
    assert found(published=False) is None
    assert found(published=False, checksums={address: "ab" * 32}) == "ab" * 32
    assert found(versions={"kubernetes": "1.2.9"}) is None
    assert found(architecture="arm64") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"release": "1.1"}, "release '1.1' is not in the release catalogue; known: 1.2"),
        ({"architecture": "s390x"}, "architecture 's390x' is not in the release catalogue; known: amd64, arm64"),
        ({"names": ["kublet"]}, "program 'kublet' is not in the release catalogue; known: kubelet, tools"),
        (
            {"versions": {"kubernets": "1"}},
            "component 'kubernets' is not in the release catalogue; known: kubernetes, tool",
        ),
    ],
)
def test_what_is_unknown_lists_what_is_known(arguments, message):
    names = arguments.get("names", ["kubelet"])
    with pytest.raises(CatalogueError) as caught:
        programs(*names, **{name: value for name, value in arguments.items() if name != "names"})
    assert str(caught.value) == message


def test_a_release_that_yaml_read_as_a_number():
    assert module.release_versions(SMALL, 1.2) == {"kubernetes": "1.2.3", "tool": "9.0"}


def test_versions_are_not_written_back_to_the_catalogue():
    module.release_versions(SMALL, "1.2", versions={"tool": "10"})
    assert SMALL["releases"]["1.2"]["tool"] == "9.0"


def test_image_name():
    assert module.image_name(SMALL, "pause", release="1.2") == "registry.example.com/pause:9.0"
    assert module.image_name(SMALL, "pause", release="1.2", versions={"tool": "8"}).endswith(":8")
    digests = {"pause": "sha256:12"}
    assert module.image_name(SMALL, "pause", release="1.2", digests=digests).endswith("/pause:9.0@sha256:12")
    with pytest.raises(CatalogueError, match="image 'nginx' is not in"):
        module.image_name(SMALL, "pause", release="1.2", digests={"nginx": "sha256:12"})
    with pytest.raises(CatalogueError, match="image 'puase' is not in the release catalogue; known: pause"):
        module.image_name(SMALL, "puase", release="1.2")


def test_images_leave_other_pod_networks_out():
    knitted = {"version": "tool", "name": "example.com/knitted:{version}", "pod_network": "weave"}
    catalogue = SMALL | {"images": SMALL["images"] | {"knitted": knitted}}
    assert module.images(catalogue, release="1.2", pod_network="bridge") == {"pause": "registry.example.com/pause:9.0"}
    options = {"versions": {"tool": "8"}, "digests": {"knitted": "sha256:12"}}
    assert module.images(catalogue, release="1.2", pod_network="weave", **options) == {
        "pause": "registry.example.com/pause:8",
        "knitted": "example.com/knitted:8@sha256:12",
    }


def test_the_archive_of_an_image():
    assert module.image_archive("registry.k8s.io/pause:3.10.2") == "registry.k8s.io_pause_3.10.2.tar"


# --- the catalogue that is delivered ---------------------------------------------------------------


def test_the_default_release_exists():
    assert CATALOGUE["default_release"] in RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_names_a_whole_set(release):
    versions = CATALOGUE["releases"][release]
    assert versions.keys() == CATALOGUE["releases"][CATALOGUE["default_release"]].keys()
    assert versions["kubernetes"].startswith(f"{release}.")
    for version in versions.values():
        assert isinstance(version, str), "a version without a second dot must be quoted"
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("architecture", CATALOGUE["architectures"])
def test_every_program_of_a_release_has_its_own_address(release, architecture):
    found = module.programs(CATALOGUE, release=release, architecture=architecture)
    assert found.keys() == CATALOGUE["programs"].keys()
    assert len({entry["url"] for entry in found.values()}) == len(found)
    for entry in found.values():
        for text in (entry["url"], entry["checksum_url"], *entry["files"]):
            assert "{" not in text
        assert entry["url"].startswith("https://")
        assert entry["checksum_url"].startswith("https://")
        assert entry["version"] in entry["url"]
        assert architecture in entry["url"]


def test_sums_are_those_of_programs_and_versions_that_a_release_names():
    named = {
        (name, versions[entry["version"]], architecture)
        for versions in CATALOGUE["releases"].values()
        for name, entry in CATALOGUE["programs"].items()
        for architecture in CATALOGUE["architectures"]
    }
    found = {
        (name, version, architecture): digest
        for name, versions in CATALOGUE["checksums"].items()
        for version, sums in versions.items()
        for architecture, digest in sums.items()
    }
    assert found.keys() <= named
    assert all(re.fullmatch("[0-9a-f]{64}", str(digest)) for digest in found.values())
    assert len(set(found.values())) == len(found), "two downloads cannot have one sum"


@pytest.mark.parametrize("release", RELEASES)
def test_no_two_programs_install_the_same_path(release):
    found = module.programs(CATALOGUE, release=release, architecture="amd64")
    paths = [
        f"{entry['directory']}/{pathlib.PurePath(member).name}"
        for entry in found.values()
        for member in entry["files"] or [entry["name"]]
    ]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("image", sorted(CATALOGUE["images"]))
def test_images_have_a_tag(release, image):
    assert re.fullmatch(
        r"(registry\.k8s\.io|ghcr\.io|docker\.io)/[a-z/-]+:v?\d+\.\d+\.\d+",
        module.image_name(CATALOGUE, image, release=release),
    )
