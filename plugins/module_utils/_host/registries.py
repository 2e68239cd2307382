# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that tell containerd where it pulls images from: a directory with a hosts.toml for each registry.

containerd reads them at every pull. It has no other place for credentials that is not deprecated than the header of
requests, which it also sends when it asks for a token. A hosts.toml that cannot be read counts as none.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.paths import HostFiles, Outcome
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.hosts_toml import (
    MARK,
    OWN,
    Endpoint,
    directory_name,
    files_of,
    hosts_toml,
)

__all__ = ("DIRECTORY", "Registries", "own")

#: Where containerd reads them: ``config_path`` in its config.toml.
DIRECTORY = "/etc/containerd/certs.d"


def own(directory: str = DIRECTORY) -> list[str]:
    """Return the names of the directories whose hosts.toml :class:`Registries` wrote."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    return [name for name in names if _is_own(os.path.join(directory, name, "hosts.toml"))]


def _is_own(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.readline() == MARK
    except OSError:
        return False


class Registries:
    """Desired state of the registries of one host.

    :param registries: the setting ``worker_registries``.
    :param contents: contents of files of the control node, by their path there.
    :param directory: where containerd reads them.
    """

    def __init__(
        self, registries: t.Sequence[Endpoint], contents: t.Mapping[str, bytes], directory: str = DIRECTORY
    ) -> None:
        self._registries = {directory_name(str(registry["host"])): registry for registry in registries}
        self._contents = contents
        self._directory = directory

    def converge(self, *, check: bool) -> list[Outcome]:
        """Write the files of all registries, and remove those that an earlier run wrote and nothing names now.

        :param check: predict only.
        :raises FileError: the content of a file was not given, or a path cannot be written.
        """
        for registry in self._registries.values():
            for source in files_of(registry).values():
                if source not in self._contents:
                    raise FileError(f"{registry['host']}: the content of {source} was not given; nothing was written")
        files = HostFiles(check=check)
        outcomes = []
        for name, registry in self._registries.items():
            outcomes += self._write(files, os.path.join(self._directory, name), registry)
        for name in own(self._directory):
            outcomes += self._clean(files, os.path.join(self._directory, name), self._registries.get(name), check=check)
        return [outcome for outcome in outcomes if outcome.changes]

    def _write(self, files: HostFiles, directory: str, registry: Endpoint) -> list[Outcome]:
        outcomes = [files.converge({"path": directory, "state": "directory"}, None, secret=False)]
        for name, source in files_of(registry).items():
            key = name.endswith("-key.pem")
            entry = {"path": os.path.join(directory, name), "state": "file", "mode": "0600" if key else "0644"}
            outcomes.append(files.converge(entry, self._contents[source], secret=key))
        # After the files that it names.
        path = os.path.join(directory, "hosts.toml")
        content = hosts_toml(registry, directory)
        # Another's file may have credentials in any form; those of this one are known by their mark.
        secret = os.path.exists(path) and not _is_own(path)
        entry = {"path": path, "state": "file", "mode": "0600"}
        outcomes.append(files.converge(entry, content.encode("utf-8"), secret=secret))
        return outcomes

    def _clean(self, files: HostFiles, directory: str, registry: Endpoint | None, *, check: bool) -> list[Outcome]:
        """Remove what is not wanted; hosts.toml last, which says whose the directory is. Files of others stay."""
        keep = {"hosts.toml", *files_of(registry)} if registry else set()
        surplus = [name for name in os.listdir(directory) if OWN.fullmatch(name) and name not in keep]
        outcomes = []
        for name in sorted(surplus, key=lambda name: (name == "hosts.toml", name)):
            entry = {"path": os.path.join(directory, name), "state": "absent"}
            outcomes.append(files.converge(entry, None, secret=False))
        if registry is None and not check and not os.listdir(directory):
            os.rmdir(directory)
        return outcomes
