# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of the lab's mirror: the programs and images of the collection's release catalogue, and the lab's own.

The lab's own (`images.yml`, `conformance.yml`, `cis.yml`) are put beside the catalogue's in the same form, and read by
the same functions of the collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import catalogue as collection
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.problems import POD_NETWORKS

from .errors import MirrorError

__all__ = ("LAB_IMAGES_FILE", "Catalogue", "Image", "Program")

LAB_IMAGES_FILE = Path(__file__).resolve().parents[1] / "images.yml"
SUITE_FILE = Path(__file__).resolve().parents[1] / "conformance.yml"
BENCH_FILE = Path(__file__).resolve().parents[1] / "cis.yml"


@dataclass(frozen=True)
class Program:
    """One download of a release: an executable, or an archive of several."""

    name: str
    component: str  # the key of the release entry that holds the version; also the pinned modules' name
    version: str
    arch: str
    url: str
    checksum_url: str
    files: tuple[str, ...]  # names inside the archive; empty for a plain executable
    sha256: str | None = None  # the catalogue's sum of the publisher's file, where it has one


@dataclass(frozen=True)
class Image:
    """One container image, by its official reference."""

    name: str
    version: str
    arch: str
    reference: str
    digest: str | None = None  # the catalogue's digest ("sha256:...") of the published image, where it has one


class Catalogue:
    """The releases that are known and what each consists of.

    :param data: the collection's release catalogue.
    :param lab_images: name and version of images that only the lab needs, by a short name.
    :param suite: programs of the conformance suite, and its images by Kubernetes version.
    :param bench: version and programs of the benchmark.
    """

    def __init__(
        self, data: collection.Catalogue, lab_images: dict[str, Any], suite: dict[str, Any], bench: dict[str, Any]
    ) -> None:
        self._data = data
        self._lab_images = lab_images
        self._suite = suite
        self._bench = bench

    @classmethod
    def load(cls, lab_images: Path = LAB_IMAGES_FILE, suite_file: Path = SUITE_FILE) -> Catalogue:
        """Read the collection's catalogue and the lab's files.

        :raises MirrorError: one of them cannot be read.
        """
        try:
            images = yaml.safe_load(lab_images.read_text(encoding="utf-8"))["images"]
            suite = yaml.safe_load(suite_file.read_text(encoding="utf-8"))
            bench = yaml.safe_load(BENCH_FILE.read_text(encoding="utf-8"))
            return cls(collection.read_catalogue(), images, suite, bench)
        except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
            raise MirrorError(
                f"cannot read the release catalogue, the lab's images ({lab_images}), "
                f"the conformance suite's ({suite_file}) or the benchmark ({BENCH_FILE}): {error!r}"
            ) from error

    @property
    def releases(self) -> list[str]:
        return list(self._data["releases"])

    @property
    def default_release(self) -> str:
        return str(self._data["default_release"])

    def versions(self, release: str) -> dict[str, str]:
        """Return the tested set of one release."""
        return collection.release_versions(self._data, release)

    def programs(self, release: str, arch: str) -> list[Program]:
        """Return what a cluster of a release consists of."""
        return _programs(self._data, release, arch)

    def images(self, release: str, arch: str, pod_network: str | None = None) -> list[Image]:
        """Return the cluster's images, then those that only the lab needs.

        :param pod_network: leave the images out that only other pod networks need.
        """
        self._check_arch(arch)
        if pod_network and pod_network not in POD_NETWORKS:
            raise MirrorError(f"unknown pod network {pod_network!r}; known: {', '.join(POD_NETWORKS)}")
        versions = self.versions(release)
        # The catalogue's form, with the version of each image of the lab under the image's name.
        lab = {
            "releases": {release: versions | {name: entry["version"] for name, entry in self._lab_images.items()}},
            "images": {name: {"name": entry["name"], "version": name} for name, entry in self._lab_images.items()},
        }
        chosen = [
            name
            for name, entry in self._data["images"].items()
            if pod_network in (None, entry.get("pod_network", pod_network))
        ]
        digests = collection.catalogue_digests(self._data, release=release)
        return [
            _image(name, arch, collection.image_name(source, name, release=release), digests.get(name))
            for source, names in ((self._data, chosen), (lab, list(self._lab_images)))
            for name in names
        ]

    def suite_programs(self, release: str, arch: str) -> list[Program]:
        """Return the conformance suite of a release, and the kubectl that it calls."""
        suite = self._own(self._suite["programs"], "conformance", self._suite_version(release), release, arch)
        kubectl = [program for program in self.programs(release, arch) if program.name == "kubectl"]
        return suite + kubectl

    def bench_programs(self, release: str, arch: str) -> list[Program]:
        """Return kube-bench, which is the same for every release."""
        return self._own(self._bench["programs"], "kube_bench", self._bench["version"], release, arch)

    def suite_images(self, release: str, arch: str) -> list[Image]:
        """Return the images that the conformance suite of a release uses."""
        images = self._suite["images"][self._suite_version(release)]
        self._check_arch(arch)
        return [_image(name, arch, reference) for name, reference in images.items()]

    def _own(self, programs: dict[str, Any], component: str, version: str, release: str, arch: str) -> list[Program]:
        own = {name: {"directory": "", **entry, "version": component} for name, entry in programs.items()}
        return _programs({**self._data, "releases": {release: {component: version}}, "programs": own}, release, arch)

    def _suite_version(self, release: str) -> str:
        version = self.versions(release)["kubernetes"]
        if version not in self._suite["images"]:
            raise MirrorError(
                f"release {release} is Kubernetes {version}; lab/mirror/conformance.yml names the images of the suite "
                f"for {', '.join(self._suite['images'])} alone"
            )
        return version

    def _check_arch(self, arch: str) -> None:
        known = self._data["architectures"]
        if arch not in known:
            raise MirrorError(f"unknown architecture {arch!r}; known architectures: {', '.join(known)}")


def _programs(catalogue: collection.Catalogue, release: str, arch: str) -> list[Program]:
    found = collection.programs(catalogue, release=release, architecture=arch)
    return [
        Program(
            name=name,
            component=catalogue["programs"][name]["version"],
            version=entry["version"],
            arch=arch,
            url=entry["url"],
            checksum_url=entry["checksum_url"],
            files=tuple(entry["files"]),
            sha256=entry["sha256"],
        )
        for name, entry in found.items()
    ]


def _image(name: str, arch: str, reference: str, digest: str | None = None) -> Image:
    return Image(name, reference.rpartition(":")[2].removeprefix("v"), arch, reference, digest)
