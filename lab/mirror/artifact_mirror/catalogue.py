# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the release catalogue of the collection: versions, addresses, image names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import MirrorError

COLLECTION_ROOT = Path(__file__).resolve().parents[3]
CATALOGUE_FILE = COLLECTION_ROOT / "roles" / "cluster" / "vars" / "main.yml"
LAB_IMAGES_FILE = Path(__file__).resolve().parents[1] / "images.yml"
SUITE_FILE = Path(__file__).resolve().parents[1] / "conformance.yml"
CATALOGUE_VARIABLE = "__cluster_catalogue"
POD_NETWORKS_VARIABLE = "__cluster_pod_networks"


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


@dataclass(frozen=True)
class Image:
    """One container image, by its official reference."""

    name: str
    version: str
    arch: str
    reference: str


class Catalogue:
    """The releases that are known and what each consists of."""

    def __init__(
        self, data: dict[str, Any], lab_images: dict[str, Any], suite: dict[str, Any], pod_networks: list[str]
    ) -> None:
        self._data = data
        self._lab_images = lab_images
        self._suite = suite
        self._pod_networks = pod_networks

    @classmethod
    def load(
        cls, path: Path = CATALOGUE_FILE, lab_images: Path = LAB_IMAGES_FILE, suite_file: Path = SUITE_FILE
    ) -> Catalogue:
        try:
            variables = yaml.safe_load(path.read_text(encoding="utf-8"))
            data, pod_networks = variables[CATALOGUE_VARIABLE], variables[POD_NETWORKS_VARIABLE]
            images = yaml.safe_load(lab_images.read_text(encoding="utf-8"))["images"]
            suite = yaml.safe_load(suite_file.read_text(encoding="utf-8"))
        except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
            raise MirrorError(
                f"cannot read the release catalogue ({path}), the lab's images ({lab_images}) "
                f"or the conformance suite's ({suite_file}): {error!r}"
            ) from error
        return cls(data, images, suite, pod_networks)

    @property
    def releases(self) -> list[str]:
        return list(self._data["releases"])

    @property
    def default_release(self) -> str:
        return str(self._data["default_release"])

    def versions(self, release: str) -> dict[str, str]:
        """The tested set of one release."""
        try:
            return {key: str(value) for key, value in self._data["releases"][release].items()}
        except KeyError:
            raise MirrorError(f"unknown release {release!r}; known releases: {', '.join(self.releases)}") from None

    def programs(self, release: str, arch: str) -> list[Program]:
        versions = self.versions(release)
        self._check_arch(arch)
        return [self._program(name, entry, versions, arch) for name, entry in self._data["programs"].items()]

    def images(self, release: str, arch: str, pod_network: str | None = None) -> list[Image]:
        """The cluster's images (those of this pod network alone, if one is named), then those only the lab needs."""
        versions = self.versions(release)
        self._check_arch(arch)
        if pod_network and pod_network not in self._pod_networks:
            raise MirrorError(f"unknown pod network {pod_network!r}; known: {', '.join(self._pod_networks)}")
        images = [
            self._image(name, entry, versions[entry["version"]], arch)
            for name, entry in self._data["images"].items()
            if pod_network in (None, entry.get("pod_network", pod_network))
        ]
        return images + [
            self._image(name, entry, str(entry["version"]), arch) for name, entry in self._lab_images.items()
        ]

    def suite_programs(self, release: str, arch: str) -> list[Program]:
        """The conformance suite of a release, and the kubectl that it calls."""
        version = self._suite_version(release)
        suite = [
            self._program(name, {**entry, "version": "conformance"}, {"conformance": version}, arch)
            for name, entry in self._suite["programs"].items()
        ]
        return suite + [program for program in self.programs(release, arch) if program.name == "kubectl"]

    def suite_images(self, release: str, arch: str) -> list[Image]:
        """The images that the conformance suite of a release uses."""
        images = self._suite["images"][self._suite_version(release)]
        self._check_arch(arch)
        return [Image(name, reference.rpartition(":")[2], arch, reference) for name, reference in images.items()]

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

    @staticmethod
    def _program(name: str, entry: dict[str, Any], versions: dict[str, str], arch: str) -> Program:
        component = entry["version"]
        words = {"name": name, "version": versions[component], "arch": arch}
        return Program(
            name=name,
            component=component,
            version=words["version"],
            arch=arch,
            url=entry["url"].format(**words),
            checksum_url=entry["checksum"].format(**words),
            files=tuple(item.format(**words) for item in entry.get("files", ())),
        )

    @staticmethod
    def _image(name: str, entry: dict[str, Any], version: str, arch: str) -> Image:
        return Image(name=name, version=version, arch=arch, reference=entry["name"].format(version=version))
