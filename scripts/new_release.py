# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a release of Kubernetes, and the SHA-256 sums that the publishers give, into the release catalogue.

    scripts/new_release.py 1.37.3                          a patch release: versions and sums of the release 1.37
    scripts/new_release.py 1.38.0 etcd=3.7.4 runc=1.5.3    a new minor release: other versions are the default release's

The publishers' checksum files are read for all architectures. Nothing is written when no sum of Kubernetes can be read,
or when a publisher gives another sum than the catalogue has for the same version. Comments and layout stay as they are.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
import typing as t

import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import (
    Catalogue,
    Program,
    catalogue_sum,
    programs,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError, HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import (
    Opener,
    expected_sum,
    mirrored,
    url_opener,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "roles" / "cluster" / "files" / "catalogue.yml"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class ReleaseError(HardwayError):
    """The release cannot be written into the catalogue."""


#: SHA-256 sums by program, version and architecture.
Sums = dict[str, dict[str, dict[str, str]]]


def with_versions(text: str, minor: str, versions: t.Mapping[str, str]) -> str:
    """Return the catalogue's text with the versions of a release; a new one stands before the others.

    :param versions: of all components.
    """
    entry = f'  "{minor}":\n' + "".join(f"    {name}: {version}\n" for name, version in versions.items())
    found = re.search(rf'^  "{re.escape(minor)}":\n((?:    .*\n)+)', text, re.MULTILINE)
    if found is None:
        return re.sub(r"^releases:\n", lambda match: match[0] + entry, text, count=1, flags=re.MULTILINE)
    block = found[0]
    for name, version in versions.items():
        block = re.sub(rf"^(    {re.escape(name)}: )\S+", rf"\g<1>{version}", block, flags=re.MULTILINE)
    return text[: found.start()] + block + text[found.end() :]


def with_sums(text: str, sums: Sums) -> str:
    """Return the catalogue's text with these sums in place of all that it has."""
    block = "checksums:\n"
    for name, versions in sums.items():
        block += f"  {name}:\n"
        for version, found in versions.items():
            block += f"    {version}:\n" + "".join(f"      {arch}: {digest}\n" for arch, digest in found.items())
    return re.sub(r"^checksums:\n(?:  .*\n)*", lambda _match: block, text, count=1, flags=re.MULTILINE)


def published(program: Program, *, source: str, opener: Opener) -> str:
    """Return the SHA-256 sum that the publisher gives for a program.

    :param source: address of a mirror; empty for the publishers.
    :raises DownloadError: the checksum file cannot be read, or does not name the program.
    """
    url = program["url"]
    return expected_sum(
        url,
        checksum_url=mirrored(program["checksum_url"], source),
        name=url.rpartition("/")[2],
        opener=opener,
    )


def wanted_versions(catalogue: Catalogue, kubernetes: str, others: t.Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the minor release and the versions of all its components.

    :raises ReleaseError: not a version, or an unknown component.
    """
    minor = kubernetes.rpartition(".")[0]
    releases = catalogue["releases"]
    versions = dict(releases.get(minor) or releases[catalogue["default_release"]])
    for name, version in {**others, "kubernetes": kubernetes}.items():
        if name not in versions:
            raise ReleaseError(f"component {name!r} is not in the release catalogue; known: {', '.join(versions)}")
        if not _VERSION.fullmatch(version):
            raise ReleaseError(f"{name} {version!r} is not a version such as 1.37.2")
        versions[name] = version
    return minor, versions


def kept_sums(catalogue: Catalogue) -> Sums:
    """Return the sums of a catalogue that a release of it needs, in the order of its programs and releases."""
    sums: Sums = {}
    for name, entry in catalogue["programs"].items():
        for versions in catalogue["releases"].values():
            version = versions[entry["version"]]
            for arch in catalogue["architectures"]:
                found = catalogue_sum(catalogue, name=name, version=version, arch=arch)
                if found is not None:
                    sums.setdefault(name, {}).setdefault(version, {})[arch] = found
    return sums


def new_release(
    text: str, kubernetes: str, others: t.Mapping[str, str], *, source: str, opener: Opener
) -> tuple[str, list[str]]:
    """Return the catalogue's text with a release, and what could not be read, one sentence each.

    :param kubernetes: version, such as ``1.37.3``.
    :param others: versions by component that replace those of the release, or for a new one the default release's.
    :raises ReleaseError: a version or component that cannot be, no sum of Kubernetes, or a sum that changed.
    """
    before = yaml.safe_load(text)
    minor, versions = wanted_versions(before, kubernetes, others)
    text = with_versions(text, minor, versions)
    catalogue = yaml.safe_load(text)
    lacking: list[str] = []
    read: set[str] = set()
    for arch in catalogue["architectures"]:
        for name, program in programs(catalogue, release=minor, architecture=arch).items():
            try:
                found = published(program, source=source, opener=opener)
            except DownloadError as error:
                lacking.append(str(error))
                continue
            if program["sha256"] not in (None, found):
                raise ReleaseError(
                    f"{program['url']}: the publisher gives the SHA-256 sum {found}, the catalogue has "
                    f"{program['sha256']}. A published file does not change: find out why before you go on."
                )
            read.add(catalogue["programs"][name]["version"])
            catalogue["checksums"].setdefault(name, {}).setdefault(program["version"], {})[arch] = found
    if "kubernetes" not in read:
        raise ReleaseError(f"no sum of Kubernetes {kubernetes} can be read, the first because: {lacking[0]}")
    return with_sums(text, kept_sums(catalogue)), lacking


def _component(text: str) -> tuple[str, str]:
    name, sign, version = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not COMPONENT=VERSION")
    return name, version


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Write the release; return 1 when nothing was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kubernetes", help="version of Kubernetes, such as 1.37.3")
    parser.add_argument("versions", nargs="*", type=_component, help="COMPONENT=VERSION")
    parser.add_argument("--catalogue", type=pathlib.Path, default=CATALOGUE)
    parser.add_argument("--source", default="", help="address of a mirror instead of the publishers")
    options = parser.parse_args(arguments)
    try:
        text, lacking = new_release(
            options.catalogue.read_text(encoding="utf-8"),
            options.kubernetes,
            dict(options.versions),
            source=options.source,
            opener=url_opener(timeout=30),
        )
    except HardwayError as error:
        print(f"{error}\nNothing was written.", file=sys.stderr)
        return 1
    options.catalogue.write_text(text, encoding="utf-8")
    print(f"{options.catalogue}: Kubernetes {options.kubernetes} is written.")
    for reason in lacking:
        print(f"not read: {reason}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
