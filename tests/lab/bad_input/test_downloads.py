# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors that are damaged or break off: the file is named, nothing of it is installed, and the next run is fine."""

from __future__ import annotations

import re
import typing as t

import pytest
from site_runs import RECORD, VERSIONS, sum_of

if t.TYPE_CHECKING:
    import pathlib

    from site_runs import Site
    from support import Node

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CLIENT = ("--tags=client",)


def kubectl(node: Node) -> str:
    """Where a mirror has kubectl."""
    architecture = ARCHITECTURES[node.out("uname", "-m").strip()]
    return f"dl.k8s.io/release/v{VERSIONS['kubernetes']}/bin/linux/{architecture}/kubectl"


@pytest.fixture
def bare_client(site: Site, certificates: pathlib.Path) -> Node:
    """The client host, without kubectl."""
    node = site.cluster.client
    node.out("rm", "-f", "/usr/local/bin/kubectl", RECORD)
    return node


@pytest.fixture
def damaged(bare_client: Node) -> t.Iterator[str]:
    """A mirror of kubectl alone, to be damaged, on the client host."""
    path = f"/var/tmp/mirror/{kubectl(bare_client)}"
    bare_client.out(
        "sh", "-c", f"mkdir -p $(dirname {path}) && cp /srv/mirror/{kubectl(bare_client)}* $(dirname {path})/"
    )
    yield path
    bare_client.out("rm", "-rf", "/var/tmp/mirror")


def refused(site: Site, mirror: str) -> str:
    """Return the message of a run that installs nothing from a mirror; the next run with a good mirror installs it."""
    failure = site.refuses(*CLIENT, cluster_mirror=mirror)
    where = "hardway.kubernetes.client : Install and configure kubectl: client: "
    assert failure.startswith(where)
    site.succeeds(*CLIENT)
    node = site.cluster.client
    assert f"v{VERSIONS['kubernetes']}" in node.out("kubectl", "version", "--client")
    assert node.out("sh", "-c", "ls -A /usr/local/bin") == "kubectl\n"
    return failure.removeprefix(where)


def test_a_damaged_file(site: Site, bare_client: Node, damaged: str) -> None:
    right = sum_of(bare_client, damaged)
    bare_client.out("sh", "-c", f"printf X | dd of={damaged} bs=1 seek=4096 conv=notrunc status=none")
    assert refused(site, "file:///var/tmp/mirror") == (
        f"file://{damaged}: the SHA-256 sum of the download is {sum_of(bare_client, damaged)}, expected {right}. "
        "Nothing was replaced. Compare with the publisher's list; a mirror may hold a damaged copy: remove it there "
        "and fill the mirror again."
    )


def test_no_checksum_file(site: Site, bare_client: Node, damaged: str) -> None:
    bare_client.out("rm", f"{damaged}.sha256")
    said = refused(site, "file:///var/tmp/mirror")
    assert re.fullmatch(
        rf"file://{damaged}: its checksum file file://{damaged}\.sha256 cannot be read \(.*No such file.*\)\. Nothing "
        r"was installed\. Make the file available, or give the sum in cluster_checksums\.",
        said,
    ), said


def test_a_checksum_file_without_a_sum(site: Site, bare_client: Node, damaged: str) -> None:
    bare_client.out("sh", "-c", f"echo '<html>404 Not Found</html>' >{damaged}.sha256")
    assert refused(site, "file:///var/tmp/mirror") == (
        f"file://{damaged}: file://{damaged}.sha256 has no SHA-256 sum for kubectl. Nothing was installed. Make the "
        "file available, or give the sum in cluster_checksums."
    )


def test_half_a_download(site: Site, bare_client: Node, breaks_off: t.Callable[[Node, str, str], str]) -> None:
    mirror = breaks_off(bare_client, "short", "kubectl")
    size = int(bare_client.out("stat", "--format=%s", f"/srv/mirror/{kubectl(bare_client)}"))
    assert refused(site, mirror) == (
        f"{mirror}/{kubectl(bare_client)}: the download failed (it ended after {size // 2} of {size} bytes). Nothing "
        "was replaced. Check the address and the free space of /usr/local/bin; cluster_mirror names a mirror."
    )


def test_a_mirror_that_goes_away(site: Site, bare_client: Node, breaks_off: t.Callable[[Node, str, str], str]) -> None:
    mirror = breaks_off(bare_client, "gone", "kubectl")
    said = refused(site, mirror)
    assert re.fullmatch(
        rf"{mirror}/{kubectl(bare_client)}: the download failed \(.*reset by peer.*\)\. Nothing was replaced\. Check "
        r"the address and the free space of /usr/local/bin; cluster_mirror names a mirror\.",
        said,
    ), said
