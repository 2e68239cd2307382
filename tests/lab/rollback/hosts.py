# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a component have and how they do, and a mirror of programs that do not run."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import shlex
import sys
import tarfile
import typing as t

import playbook
from parts import MIRROR, PARTS, Part
from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster

sys.path.insert(0, str(playbook.ROOT / "lab"))

from collection import make_importable

make_importable()

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import read_catalogue

_LOG = "/var/tmp/watch.log"
_SCRIPT = "/var/tmp/watch.py"
_UNIT = "hardway-watch"
_WATCH = pathlib.Path(__file__).parent / "watch.py"
# A program that says what is wrong with it.
_BROKEN = b"#!/bin/sh\necho this version does not run >&2\nexit 1\n"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
RECORDS = "/var/lib/hardway"


def state(part: Part, cluster: Cluster) -> dict[str, list[str]]:
    """Return the files of a component on each of its hosts: content, mode and owner."""
    paths = shlex.join([*part.paths, f"{RECORDS}/programs.json"])
    asked = (
        f"find {paths} -type f -exec sha256sum {{}} + 2>/dev/null | sort -k2; "
        f"find {paths} -printf '%p %y %m %U %G %l\\n' 2>/dev/null | sort"
    )
    return {node.name: node.out("sh", "-c", asked).splitlines() for node in part.hosts(cluster)}


def processes(part: Part, cluster: Cluster) -> dict[str, str]:
    """Return systemd's ID of the running start of the unit on each host."""
    return {
        node.name: node.out("systemctl", "show", "--property=InvocationID", part.unit).strip()
        for node in part.hosts(cluster)
    }


def journals(cluster: Cluster) -> dict[str, str]:
    """Return the journals of unfinished changes on each host that has some."""
    hosts = {node.name: node for group in cluster.groups.values() for node in group}
    found = {name: node.run("ls", "-A", f"{RECORDS}/journal").stdout.strip() for name, node in hosts.items()}
    return {name: listed for name, listed in found.items() if listed}


def all_run(cluster: Cluster) -> None:
    """Wait until the unit of every component runs on all of its hosts."""
    for part in PARTS.values():
        for node in part.hosts(cluster):
            asked = ("systemctl", "is-active", "--quiet", part.unit)
            wait_until(lambda n=node, a=asked: n.run(*a).rc == 0, seconds=30, what=f"{part.name} of {node.name} runs")


class Watch:
    """Notes when a component is not healthy on which host, while it is open."""

    def __init__(self, part: Part, cluster: Cluster) -> None:
        self._part = part
        self._hosts = part.hosts(cluster)
        #: Seconds that it was not healthy, by host.
        self.down: dict[str, float] = {}
        #: The most hosts on which it was not healthy at one time.
        self.most = 0
        #: Hosts on which it is not healthy in the end.
        self.ill: list[str] = []

    def __enter__(self) -> Watch:
        checks = json.dumps([[self._part.unit, *self._part.check]])
        for node in self._hosts:
            node.out("sh", "-c", f"rm -f {_LOG}*")
            node.put(_SCRIPT, _WATCH.read_bytes())
            node.out("systemd-run", f"--unit={_UNIT}", "--collect", "--quiet", "python3", _SCRIPT, _LOG, checks)
        for node in self._hosts:
            wait_until(
                lambda n=node: n.run("grep", "-q", "up$", _LOG).rc == 0, seconds=20, what="the watch sees health"
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        changes: list[tuple[float, str, str]] = []
        for node in self._hosts:
            node.out("touch", f"{_LOG}.stop")
            lines = [line.split() for line in node.out("cat", _LOG).splitlines()]
            changes += [(float(when), node.name, how) for when, _unit, how in lines]
        since: dict[str, float] = {}
        for when, name, how in sorted(changes):
            if how == "down":
                since[name] = when
            elif name in since:
                self.down[name] = self.down.get(name, 0.0) + when - since.pop(name)
            self.most = max(self.most, len(since))
        self.ill = sorted(since)
        for node in self._hosts:
            wait_until(lambda n=node: n.run("systemctl", "is-active", _UNIT).rc != 0, seconds=15, what="it stops")


def broken_program(part: Part, cluster: Cluster) -> dict[str, t.Any]:
    """Put a mirror with a program that does not run on the hosts, and return the settings that choose it.

    The version stays the same; the sum of its download is another one.
    """
    catalogue = t.cast(dict[str, t.Any], read_catalogue())
    program = catalogue["programs"][part.unit.removesuffix(".service")]
    architecture = _ARCHITECTURES[part.hosts(cluster)[0].out("uname", "-m").strip()]
    values = {
        "version": catalogue["releases"][catalogue["default_release"]][program["version"]],
        "arch": architecture,
        "name": part.unit.removesuffix(".service"),
    }
    url = program["url"].format(**values)
    content = _archive([name.format(**values) for name in program["files"]]) if program.get("files") else _BROKEN
    path = f"{MIRROR}/{url.removeprefix('https://')}"
    for node in part.hosts(cluster):
        node.put(path, content)
    return {"cluster_mirror": f"file://{MIRROR}", "cluster_checksums": {url: hashlib.sha256(content).hexdigest()}}


def _archive(members: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            entry = tarfile.TarInfo(member)
            entry.size = len(_BROKEN)
            archive.addfile(entry, io.BytesIO(_BROKEN))
    return buffer.getvalue()
