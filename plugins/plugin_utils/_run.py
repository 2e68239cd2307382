# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of one run tell each other on the control node.

Ansible has one temporary directory per ``ansible-playbook``, which the processes that work on hosts share and which is
removed at its end. Nothing here outlives the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import typing as t

from ansible import constants

__all__ = ("Turns", "add_changed_files", "changed_files")


def _path(name: str) -> str:
    directory = os.path.join(constants.DEFAULT_LOCAL_TMP, "hardway.kubernetes")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return os.path.join(directory, name)


def add_changed_files(paths: t.Iterable[str]) -> None:
    """Note files on the control node that a task of this run would change; check mode changes none."""
    with open(_path("changed_files"), "a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(path) + "\n" for path in paths)


def changed_files() -> list[str]:
    """Return the noted files, in the order of the tasks."""
    try:
        with open(_path("changed_files"), encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    except FileNotFoundError:
        return []


class Turns:
    """The turns of the hosts that change one component.

    :param component: its name.
    """

    def __init__(self, component: str) -> None:
        name = re.sub(r"[^A-Za-z0-9@._-]", "_", component)
        self._lock = _path(f"turn-{name}")
        self._mark = _path(f"failed-{name}")

    @contextlib.contextmanager
    def taken(self) -> t.Iterator[None]:
        """Keep every other host waiting."""
        with open(self._lock, "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # closing the file, or the end of the process, gives it back
            yield

    def failure(self) -> tuple[str, str] | None:
        """Return the first host of this run on which the component failed, and how; None where it did not."""
        try:
            with open(self._mark, encoding="utf-8") as stream:
                host, message = json.load(stream)
                return host, message
        except FileNotFoundError:
            return None

    def fail(self, host: str, message: str) -> None:
        """Keep the hosts that have not had their turn from having it."""
        temporary = f"{self._mark}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump([host, message], stream)
        with contextlib.suppress(FileExistsError):  # the first failure counts
            os.link(temporary, self._mark)
        os.unlink(temporary)
