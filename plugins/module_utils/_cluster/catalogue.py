# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the release catalogue: which program, at which version, from which address.

The catalogue itself is data (``roles/cluster/files/catalogue.yml``). Nothing here knows a version.
"""

from __future__ import annotations

import functools
import pathlib
import re
import typing as t

import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import CatalogueError

__all__ = (
    "Catalogue",
    "Program",
    "image_archive",
    "image_name",
    "image_names",
    "program_plan",
    "programs",
    "read_catalogue",
    "release_versions",
)

#: Content of the catalogue file, as read.
Catalogue = t.Mapping[str, t.Any]

_FILE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "cluster" / "files" / "catalogue.yml"


@functools.cache
def read_catalogue() -> Catalogue:
    """Return the catalogue of this collection."""
    return t.cast(Catalogue, yaml.safe_load(_FILE.read_text(encoding="utf-8")))


class Program(t.TypedDict):
    """One download, as the module ``component`` installs it."""

    name: str
    version: str
    url: str
    checksum_url: str
    sha256: str | None
    directory: str
    files: list[str]
    mirror: str


def _known(what: str, found: str, known: t.Iterable[str]) -> CatalogueError:
    return CatalogueError(f"{what} {found!r} is not in the release catalogue; known: {', '.join(known)}")


def release_versions(
    catalogue: t.Mapping[str, t.Any],
    release: str,
    *,
    versions: t.Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the versions of the components that make up a release.

    :param release: a Kubernetes minor release such as ``"1.37"``.
    :param versions: versions that replace the catalogue's, by component.
    :raises CatalogueError: unknown release, or a replaced component that does not exist.
    """
    releases = catalogue["releases"]
    if str(release) not in releases:
        raise _known("release", str(release), sorted(releases))
    result = {name: str(version) for name, version in releases[str(release)].items()}
    for name, version in (versions or {}).items():
        if name not in result:
            raise _known("component", name, sorted(result))
        result[name] = str(version)
    return result


def program_plan(
    catalogue: t.Mapping[str, t.Any],
    programs: t.Iterable[str],
    *,
    release: str,
    architecture: str,
    versions: t.Mapping[str, str] | None = None,
    checksums: t.Mapping[str, str] | None = None,
) -> list[dict[str, t.Any]]:
    """Return what the ``programs`` module installs, one entry per program.

    :param programs: names of programs, as in the catalogue.
    :param architecture: ``amd64`` or ``arm64``, as publishers name it.
    :param checksums: SHA-256 sums (hexadecimal) by address, used instead of the publisher's file.
    :raises CatalogueError: unknown release, program or architecture.
    """
    if architecture not in catalogue["architectures"]:
        raise _known("architecture", architecture, catalogue["architectures"])
    chosen = release_versions(catalogue, release, versions=versions)
    plan = []
    for name in programs:
        if name not in catalogue["programs"]:
            raise _known("program", name, sorted(catalogue["programs"]))
        entry = catalogue["programs"][name]
        version = chosen[entry["version"]]

        def fill(text: str, *, name: str = name, version: str = version) -> str:
            return text.format(name=name, version=version, arch=architecture)

        url = fill(entry["url"])
        plan.append(
            {
                "name": name,
                "version": version,
                "url": url,
                "checksum_url": fill(entry["checksum"]),
                "sha256": (checksums or {}).get(url),
                "directory": entry["directory"],
                "files": [fill(member) for member in entry.get("files", [])],
            }
        )
    return plan


def image_name(
    catalogue: t.Mapping[str, t.Any],
    image: str,
    *,
    release: str,
    versions: t.Mapping[str, str] | None = None,
    digests: t.Mapping[str, str] | None = None,
) -> str:
    """Return the full reference of a container image of the catalogue.

    :param digests: digests (``sha256:...``) that images are held to, by image.
    :raises CatalogueError: unknown release or image.
    """
    for name in digests or {}:
        if name not in catalogue["images"]:
            raise _known("image", name, sorted(catalogue["images"]))
    if image not in catalogue["images"]:
        raise _known("image", image, sorted(catalogue["images"]))
    entry = catalogue["images"][image]
    version = release_versions(catalogue, release, versions=versions)[entry["version"]]
    digest = (digests or {}).get(image)
    return str(entry["name"]).format(version=version) + (f"@{digest}" if digest else "")


def image_names(
    catalogue: t.Mapping[str, t.Any],
    *,
    release: str,
    pod_network: str,
    versions: t.Mapping[str, str] | None = None,
) -> list[str]:
    """Return the full references of all container images that a cluster needs, in the catalogue's order.

    :param pod_network: images that only another pod network needs are left out.
    :raises CatalogueError: unknown release.
    """
    return [
        image_name(catalogue, name, release=release, versions=versions)
        for name, entry in catalogue["images"].items()
        if entry.get("pod_network", pod_network) == pod_network
    ]


def programs(
    catalogue: Catalogue,
    names: t.Iterable[str] | None = None,
    *,
    release: str,
    architecture: str,
    versions: t.Mapping[str, str] | None = None,
    checksums: t.Mapping[str, str] | None = None,
    mirror: str = "",
) -> dict[str, Program]:
    """Return the programs of a release by name, as the module ``component`` installs them.

    :param names: which programs; all of the catalogue unless given.
    :param architecture: ``amd64`` or ``arm64``, as publishers name it.
    :param checksums: SHA-256 sums (hexadecimal) by address, used instead of the publisher's file.
    :param mirror: address of a mirror of the upstream layout; empty to download from upstream.
    :raises CatalogueError: unknown release, program or architecture.
    """
    plan = program_plan(
        catalogue,
        catalogue["programs"] if names is None else names,
        release=release,
        architecture=architecture,
        versions=versions,
        checksums=checksums,
    )
    return {entry["name"]: t.cast(Program, {**entry, "mirror": mirror}) for entry in plan}


def image_archive(reference: str) -> str:
    """Return the name of the file that holds an image in a mirror: every / and : of its reference is an underscore."""
    return re.sub(r"[/:]", "_", reference) + ".tar"
