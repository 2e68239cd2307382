# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release catalogue: how it is read, and that what it says holds together."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import catalogue as catalogue_module
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import CatalogueError

ROOT = pathlib.Path(__file__).resolve().parents[5]
CATALOGUE = yaml.safe_load((ROOT / "roles" / "cluster" / "files" / "catalogue.yml").read_text(encoding="utf-8"))
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


def plan(*programs, **options):
    arguments = {"release": "1.2", "architecture": "amd64", **options}
    return catalogue_module.program_plan(SMALL, programs, **arguments)


def test_a_single_executable():
    assert plan("kubelet") == [
        {
            "name": "kubelet",
            "version": "1.2.3",
            "url": "https://example.com/v1.2.3/amd64/kubelet",
            "checksum_url": "https://example.com/v1.2.3/amd64/kubelet.sha256",
            "sha256": None,
            "directory": "/usr/local/bin",
            "files": [],
        }
    ]


def test_an_archive_on_another_architecture():
    (entry,) = plan("tools", architecture="arm64")
    assert entry["url"] == "https://example.com/tools-9.0-arm64.tgz"
    assert entry["checksum_url"] == "https://example.com/SUMS-9.0"
    assert entry["files"] == ["tools-9.0/one", "tools-9.0-arm64/two"]


def test_the_order_asked_for_is_kept():
    assert [entry["name"] for entry in plan("tools", "kubelet")] == ["tools", "kubelet"]


def test_a_replaced_version_goes_into_every_address():
    (entry,) = plan("kubelet", versions={"kubernetes": "1.2.9"})
    assert entry["version"] == "1.2.9"
    assert "1.2.9" in entry["url"]
    assert "1.2.9" in entry["checksum_url"]


def test_a_pinned_sum_belongs_to_one_address():
    sums = {"https://example.com/v1.2.3/amd64/kubelet": "ab" * 32}
    assert plan("kubelet", checksums=sums)[0]["sha256"] == "ab" * 32
    assert plan("kubelet", checksums=sums, architecture="arm64")[0]["sha256"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"release": "1.1"}, "release '1.1' is not in the release catalogue; known: 1.2"),
        ({"architecture": "s390x"}, "architecture 's390x' is not in the release catalogue; known: amd64, arm64"),
        ({"programs": ["kublet"]}, "program 'kublet' is not in the release catalogue; known: kubelet, tools"),
        (
            {"versions": {"kubernets": "1"}},
            "component 'kubernets' is not in the release catalogue; known: kubernetes, tool",
        ),
    ],
)
def test_what_is_unknown_lists_what_is_known(arguments, message):
    programs = arguments.pop("programs", ["kubelet"])
    with pytest.raises(CatalogueError) as caught:
        plan(*programs, **arguments)
    assert str(caught.value) == message


def test_a_release_that_yaml_read_as_a_number():
    assert catalogue_module.release_versions(SMALL, 1.2) == {"kubernetes": "1.2.3", "tool": "9.0"}


def test_versions_are_not_written_back_to_the_catalogue():
    catalogue_module.release_versions(SMALL, "1.2", versions={"tool": "10"})
    assert SMALL["releases"]["1.2"]["tool"] == "9.0"


def test_image_name():
    assert catalogue_module.image_name(SMALL, "pause", release="1.2") == "registry.example.com/pause:9.0"
    assert catalogue_module.image_name(SMALL, "pause", release="1.2", versions={"tool": "8"}).endswith(":8")
    digests = {"pause": "sha256:12"}
    assert catalogue_module.image_name(SMALL, "pause", release="1.2", digests=digests).endswith("/pause:9.0@sha256:12")
    with pytest.raises(CatalogueError, match="image 'nginx' is not in"):
        catalogue_module.image_name(SMALL, "pause", release="1.2", digests={"nginx": "sha256:12"})
    with pytest.raises(CatalogueError, match="image 'puase' is not in the release catalogue; known: pause"):
        catalogue_module.image_name(SMALL, "puase", release="1.2")


def test_image_names_leave_other_pod_networks_out():
    images = {
        "pause": {"version": "tool", "name": "example.com/pause:{version}"},
        "knitted": {"version": "tool", "name": "example.com/knitted:{version}", "pod_network": "weave"},
    }
    catalogue = SMALL | {"images": images}
    assert catalogue_module.image_names(catalogue, release="1.2", pod_network="bridge") == ["example.com/pause:9.0"]
    assert catalogue_module.image_names(catalogue, release="1.2", pod_network="weave", versions={"tool": "8"}) == [
        "example.com/pause:8",
        "example.com/knitted:8",
    ]


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
    plans = catalogue_module.program_plan(CATALOGUE, CATALOGUE["programs"], release=release, architecture=architecture)
    urls = [entry["url"] for entry in plans]
    assert len(set(urls)) == len(urls)
    for entry in plans:
        for text in (entry["url"], entry["checksum_url"], *entry["files"]):
            assert "{" not in text
        assert entry["url"].startswith("https://")
        assert entry["checksum_url"].startswith("https://")
        assert entry["version"] in entry["url"]
        assert architecture in entry["url"]


@pytest.mark.parametrize("release", RELEASES)
def test_no_two_programs_install_the_same_path(release):
    plans = catalogue_module.program_plan(CATALOGUE, CATALOGUE["programs"], release=release, architecture="amd64")
    paths = [
        f"{entry['directory']}/{pathlib.PurePath(member).name}"
        for entry in plans
        for member in entry["files"] or [entry["name"]]
    ]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("image", sorted(CATALOGUE["images"]))
def test_images_have_a_tag(release, image):
    assert re.fullmatch(
        r"(registry\.k8s\.io|ghcr\.io|docker\.io)/[a-z/-]+:v?\d+\.\d+\.\d+",
        catalogue_module.image_name(CATALOGUE, image, release=release),
    )
