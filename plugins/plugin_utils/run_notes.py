# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes that the tasks of one run leave for later tasks of the same run, on the control node.

They lie in the temporary directory that ``ansible-playbook`` makes for itself and removes when it ends, so that no run
sees those of another.
"""

from __future__ import annotations

import fcntl
import json
import os
import typing as t

from ansible import constants

__all__ = ("RunNotes", "add_changed_files", "changed_files")


class RunNotes:
    """Notes of one kind, in the order in which they were left.

    :param kind: a word that names the file.
    """

    def __init__(self, kind: str) -> None:
        self._path = os.path.join(constants.DEFAULT_LOCAL_TMP, f"hardway-{kind}.jsonl")

    def add(self, note: t.Mapping[str, t.Any]) -> None:
        """Leave a note. Processes of the run may do so at the same time."""
        with open(self._path, "a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(json.dumps(note, default=str) + "\n")

    def read(self) -> list[dict[str, t.Any]]:
        """Return the notes so far."""
        try:
            with open(self._path, encoding="utf-8") as stream:
                return [json.loads(line) for line in stream]
        except FileNotFoundError:
            return []


def add_changed_files(paths: t.Iterable[str]) -> None:
    """Note files on the control node that a task of this run would change, but does not in check mode."""
    for path in paths:
        RunNotes("changed-files").add({"path": path})


def changed_files() -> list[str]:
    """Return the noted files, in the order of the tasks."""
    return [note["path"] for note in RunNotes("changed-files").read()]
