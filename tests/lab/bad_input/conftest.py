# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the hosts, which are undone after each test."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from site_runs import Site

if t.TYPE_CHECKING:
    from support import Cluster, Node

_SERVER = (pathlib.Path(__file__).resolve().parent / "bad_mirror.py").read_text()


@pytest.fixture(scope="session")
def site(pytestconfig: pytest.Config, cluster: Cluster) -> Site:
    return Site(pytestconfig.option.ansible_inventory, cluster)


@pytest.fixture(scope="session")
def certificates(site: Site) -> pathlib.Path:
    """The PKI directory, filled."""
    site.succeeds("--tags=ca")
    return site.cluster.pki


@pytest.fixture
def small_disk() -> t.Iterator[t.Callable[[Node, str, int], None]]:
    """Lays a small file system over a directory of a host: ``small_disk(node, "/usr/local", mebibytes)``."""
    laid: list[tuple[Node, str]] = []

    def lay(node: Node, path: str, mebibytes: int) -> None:
        node.out("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0755", "tmpfs", path)
        laid.append((node, path))

    yield lay
    for node, path in laid:
        node.out("umount", "--lazy", path)


@pytest.fixture
def breaks_off() -> t.Iterator[t.Callable[[Node, str, str], str]]:
    """Starts the web server that breaks off on a host, and returns its address: see bad_mirror.py."""
    started: list[Node] = []

    def start(node: Node, how: str, name: str) -> str:
        node.out("sh", "-c", f"cat >/run/bad_mirror.py <<'EOF'\n{_SERVER}\nEOF")
        unit = ("systemd-run", "--quiet", "--collect", "--unit=bad-mirror")
        node.out(*unit, "python3", "/run/bad_mirror.py", "8099", how, name)
        started.append(node)
        node.out("sh", "-c", "for i in $(seq 100); do ss -tln | grep -q :8099 && exit 0; sleep 0.1; done; exit 1")
        return "http://127.0.0.1:8099"

    yield start
    for node in started:
        # It may be gone already.
        node.run("systemctl", "stop", "bad-mirror")
