# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of site.yml with bad input, and what there is before and after them."""

from __future__ import annotations

import hashlib
import sys
import typing as t

import playbook
from support import Cluster, Node, files

sys.path.insert(0, str(playbook.ROOT / "lab"))

from collection import make_importable

make_importable()

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import read_catalogue
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.problems import POD_NETWORKS

__all__ = ("POD_NETWORKS", "RECORD", "RELEASES", "VERSIONS", "Site")

_CATALOGUE = read_catalogue()
RELEASES: dict[str, dict[str, str]] = _CATALOGUE["releases"]
# Of the default release, by component.
VERSIONS = RELEASES[_CATALOGUE["default_release"]]
# The record of the programs that were installed on a host.
RECORD = "/var/lib/hardway/programs.json"


class Site:
    """The playbook site.yml on these hosts, and all that it could leave behind."""

    def __init__(self, inventory: str, cluster: Cluster) -> None:
        self.inventory = inventory
        self.cluster = cluster
        self.hosts = {node.name: node for part in cluster.groups.values() for node in part}

    def state(self) -> dict[str, set[str]]:
        """Every file of every host, and of the PKI directory."""
        state = {name: files(node) for name, node in self.hosts.items()}
        state["pki"] = {
            f"{path} {path.stat().st_ino} {path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in self.cluster.pki.rglob("*")
            if path.is_file()
        }
        return state

    def fails(self, *arguments: str, **variables: t.Any) -> str:
        """Run with bad input, and return the one failure: task, host, message."""
        run = playbook.run(self.inventory, *arguments, *playbook.variables(**variables), succeeds=False)
        assert run.returncode != 0, "bad input was taken for good"
        assert len(run.failures) == 1, "\n".join(run.failures) or run.output[-2000:]
        return run.failures[0]

    def refuses(self, *arguments: str, **variables: t.Any) -> str:
        """As fails, when nothing may be changed anywhere."""
        before = self.state()
        failure = self.fails(*arguments, **variables)
        after = self.state()
        assert {name: after[name] ^ before[name] for name in before} == {name: set() for name in before}
        return failure

    def succeeds(self, *arguments: str, **variables: t.Any) -> playbook.Run:
        """Run with good input."""
        return playbook.run(self.inventory, *arguments, *playbook.variables(**variables))


def sum_of(node: Node, path: str) -> str:
    """Return the SHA-256 sum of a host's file."""
    return node.out("sha256sum", path).split()[0]
