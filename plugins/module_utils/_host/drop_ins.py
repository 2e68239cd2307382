# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drop-ins of systemd units: files with which an administrator or a package overrides a unit file."""

from __future__ import annotations

import glob
import os
import re
import typing as t

__all__ = ("DIRECTORIES", "directives", "drop_ins")

#: Where systemd reads them, the strongest first: a file hides those of the same name in the following directories.
DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def directives(text: str) -> list[str]:
    """Return the names of the settings in the text of a drop-in, each once, in their order."""
    found: list[str] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, equals, _value = line.strip().partition("=")
        if equals and not name.startswith(("#", ";")) and name.strip() not in found:
            found.append(name.strip())
    return found


def drop_ins(units: t.Iterable[str], directories: t.Sequence[str] = DIRECTORIES) -> dict[str, list[dict[str, t.Any]]]:
    """Return ``path`` and ``directives`` of the drop-ins of each unit that has any.

    A link to /dev/null and an empty file have no directives, and are left out.
    """
    found: dict[str, list[dict[str, t.Any]]] = {}
    for unit in units:
        paths: dict[str, str] = {}
        for directory in directories:
            for path in glob.glob(os.path.join(directory, f"{unit}.d", "*.conf")):
                paths.setdefault(os.path.basename(path), path)
        for _name, path in sorted(paths.items()):
            try:
                with open(path, encoding="utf-8", errors="replace") as stream:
                    names = directives(stream.read())
            except OSError:
                continue
            if names:
                found.setdefault(unit, []).append({"path": path, "directives": names})
    return found
