# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the release catalogue: the programs of a release, their versions and their addresses.

The catalogue itself is data (``roles/cluster/files/catalogue.yml``). The code here does not contain any version.
"""

from __future__ import annotations

import functools
import pathlib
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import CatalogueError

__all__ = (
    "Catalogue",
    "Program",
    "catalogue_digests",
    "catalogue_sum",
    "image_archive",
    "image_name",
    "images",
    "programs",
    "publishers_files",
    "read_catalogue",
    "release_versions",
)

#: Content of the catalogue file, as read.
Catalogue = t.Mapping[str, t.Any]


_FILE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "cluster" / "files" / "catalogue.yml"


@functools.cache
def read_catalogue() -> Catalogue:
    """Return the catalogue of this collection."""
    # Needed on the control node alone, where Ansible has it; the rest of this package is plain data.
    import yaml

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


def _unknown(what: str, found: str, known: t.Iterable[str]) -> CatalogueError:
    return CatalogueError(f"{what} {found!r} is not in the release catalogue; known: {', '.join(known)}")


def release_versions(
    catalogue: Catalogue, release: str, *, versions: t.Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the versions of the components that make up a release.

    :param release: a Kubernetes minor release such as ``"1.37"``.
    :param versions: versions that replace the catalogue's, by component.
    :raises CatalogueError: unknown release, or a replaced component that does not exist.
    """
    releases = catalogue["releases"]
    if str(release) not in releases:
        raise _unknown("release", str(release), sorted(releases))
    result = {name: str(version) for name, version in releases[str(release)].items()}
    for name, version in (versions or {}).items():
        if name not in result:
            raise _unknown("component", name, sorted(result))
        result[name] = str(version)
    return result


def programs(
    catalogue: Catalogue,
    names: t.Iterable[str] | None = None,
    *,
    release: str,
    architecture: str,
    versions: t.Mapping[str, str] | None = None,
    checksums: t.Mapping[str, str] | None = None,
    published: bool = True,
    mirror: str = "",
) -> dict[str, Program]:
    """Return the programs of a release by name, as the module ``component`` installs them.

    :param names: which programs; all of the catalogue unless given.
    :param architecture: ``amd64`` or ``arm64``, as publishers name it.
    :param checksums: SHA-256 sums (hexadecimal) by address, used instead of the catalogue's and the publisher's file.
    :param published: whether the files are the publishers' own, so that the catalogue's sums hold for them.
    :param mirror: address of a mirror of the upstream layout; empty to download from upstream.
    :raises CatalogueError: unknown release, program or architecture.
    """
    if architecture not in catalogue["architectures"]:
        raise _unknown("architecture", architecture, catalogue["architectures"])
    chosen = release_versions(catalogue, release, versions=versions)
    known = catalogue["programs"]
    found: dict[str, Program] = {}
    for name in known if names is None else names:
        if name not in known:
            raise _unknown("program", name, sorted(known))
        entry = known[name]
        values = {"name": name, "version": chosen[entry["version"]], "arch": architecture}
        address = entry["url"].format(**values)
        found[name] = {
            "name": name,
            "version": values["version"],
            "url": address,
            "checksum_url": entry["checksum"].format(**values),
            "sha256": (checksums or {}).get(address) or (catalogue_sum(catalogue, **values) if published else None),
            "directory": entry["directory"],
            "files": [member.format(**values) for member in entry.get("files", [])],
            "mirror": mirror,
        }
    return found


def publishers_files(sums: str, mirror: str) -> bool:
    """Return whether downloads are the publishers' own files, so that the catalogue's sums hold for them.

    :param sums: whose sums hold for a mirror: ``catalogue`` or ``mirror``.
    :param mirror: address of a mirror; empty to download from the publishers.
    """
    return sums == "catalogue" or not mirror


def catalogue_sum(catalogue: Catalogue, *, name: str, version: str, arch: str) -> str | None:
    """Return the SHA-256 sum (hexadecimal) of a program's download, or None where the catalogue has none.

    :param arch: ``amd64`` or ``arm64``.
    """
    found = catalogue.get("checksums", {}).get(name, {}).get(version, {}).get(arch)
    return None if found is None else str(found)


def catalogue_digests(
    catalogue: Catalogue, *, release: str, versions: t.Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the digests (``sha256:...``) that the catalogue has for the images of a release, by image.

    :param versions: versions that replace the catalogue's, by component.
    :raises CatalogueError: unknown release.
    """
    chosen = release_versions(catalogue, release, versions=versions)
    known = catalogue.get("digests", {})
    found = {name: known.get(name, {}).get(chosen[entry["version"]]) for name, entry in catalogue["images"].items()}
    return {name: str(digest) for name, digest in found.items() if digest}


def image_name(
    catalogue: Catalogue,
    image: str,
    *,
    release: str,
    versions: t.Mapping[str, str] | None = None,
    digests: t.Mapping[str, str] | None = None,
    names: t.Mapping[str, str] | None = None,
) -> str:
    """Return the full reference of a container image of the catalogue.

    :param digests: digests (``sha256:...``) that images are held to, by image; a name with one of its own keeps that.
    :param names: references that replace the catalogue's, by image; ``{version}`` stands for the version.
    :raises CatalogueError: unknown release or image.
    """
    known = catalogue["images"]
    for name in [*(digests or {}), *(names or {}), image]:
        if name not in known:
            raise _unknown("image", name, sorted(known))
    version = release_versions(catalogue, release, versions=versions)[known[image]["version"]]
    digest = (digests or {}).get(image)
    name = str((names or {}).get(image) or known[image]["name"])
    return name.replace("{version}", version) + (f"@{digest}" if digest and "@" not in name else "")


def images(
    catalogue: Catalogue,
    *,
    release: str,
    pod_network: str,
    versions: t.Mapping[str, str] | None = None,
    digests: t.Mapping[str, str] | None = None,
    names: t.Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the full references of all container images that a cluster needs, by name, in the catalogue's order.

    :param pod_network: images that only another pod network needs are left out.
    :raises CatalogueError: unknown release or image.
    """
    return {
        name: image_name(catalogue, name, release=release, versions=versions, digests=digests, names=names)
        for name, entry in catalogue["images"].items()
        if entry.get("pod_network", pod_network) == pod_network
    }


def image_archive(reference: str) -> str:
    """Return the name of the file that holds an image in a mirror: every / and : of its reference is an underscore."""
    return re.sub(r"[/:]", "_", reference) + ".tar"
