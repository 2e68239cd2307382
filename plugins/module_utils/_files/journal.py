# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the files that a transaction replaces until it has succeeded.

The journal is a private directory: a list in JSON, and beside it the old files, by hard link where the file system
allows it. A path is saved before it is replaced and only once, so that the state before the first of several
interrupted attempts is what is put back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import (
    Attributes,
    replace_link,
    write_file,
)

__all__ = ("Journal", "alone")

_POLL_SECONDS = 0.2


@contextlib.contextmanager
def alone(directory: str, *, timeout: float) -> t.Iterator[None]:
    """Keep other processes that change this host waiting, such as the one that a killed run has left behind.

    :param directory: the directory of the journals; made where it is missing.
    :param timeout: seconds to wait for another process.
    :raises FileError: another process is still at work, or the directory cannot be made.
    """
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        # The lock ends with the process, however it ends.
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FileError(f"{directory} cannot be made ({error.strerror or error}). Nothing was replaced.") from error
    try:
        begun = time.monotonic()
        while not _locked(descriptor):
            if time.monotonic() - begun > timeout:
                raise FileError(
                    f"another run is still changing this host: its process has the lock of {directory} after "
                    f"{timeout:.0f} s. Nothing was replaced. Wait until it has ended, then run again."
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _link_or_copy(source: str, target: str) -> None:
    """Make a second name for a file, or a copy with its times where that is not possible."""
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without hard links.
        found = os.stat(source)
        with open(source, "rb") as stream:
            write_file(target, stream.read(), Attributes(mode=0o600))
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


class Journal:
    """The journal of one transaction.

    :param directory: path of the journal; it does not exist between transactions.
    :raises FileError: a journal is there and cannot be read.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._list = os.path.join(directory, "journal.json")
        self._state: dict[str, t.Any] = {"paths": {}, "notes": {}}
        try:
            with open(self._list, encoding="utf-8") as stream:
                self._state = json.load(stream)
            self.pending = True
        except (FileNotFoundError, NotADirectoryError):
            self.pending = False
        except (OSError, ValueError) as error:
            raise FileError(
                f"the journal {self._list} of an interrupted change cannot be read ({error}). Look at the files "
                f"beside it, which are the previous ones, then remove {directory} and run again."
            ) from error

    def note(self, name: str, value: t.Any) -> None:
        """Keep a value; the first one counts."""
        if name not in self._state["notes"]:
            self._state["notes"][name] = value
            self._write()

    def noted(self, name: str, default: t.Any = None) -> t.Any:
        """Return a value that was kept."""
        return self._state["notes"].get(name, default)

    def paths(self) -> list[str]:
        """Return the saved paths, in the order in which they were saved."""
        return list(self._state["paths"])

    def save(self, path: str) -> None:
        """Save a path as it is now, unless it was saved before.

        :raises FileError: it cannot be saved; it must not be replaced then.
        """
        if path in self._state["paths"]:
            return
        try:
            entry = self._entry(path)
        except OSError as error:
            raise FileError(
                f"{path} cannot be saved in {self.directory} ({error.strerror or error}), so it was not replaced."
            ) from error
        self._state["paths"][path] = entry
        self._write()

    def _entry(self, path: str) -> dict[str, t.Any]:
        if not os.path.lexists(path):
            return {"kind": "absent"}
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            return {"kind": "link", "target": os.readlink(path)}
        attributes = {"mode": stat.S_IMODE(found.st_mode), "uid": found.st_uid, "gid": found.st_gid}
        if stat.S_ISDIR(found.st_mode):
            return {"kind": "directory", **attributes}
        self._make_directory()
        saved = os.path.join(self.directory, f"{len(self._state['paths']):04d}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(saved)  # of a transaction that was killed before it was listed
        _link_or_copy(path, saved)
        return {"kind": "file", "saved": saved, **attributes}

    def _make_directory(self) -> None:
        os.makedirs(os.path.dirname(self.directory), mode=0o755, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.directory, mode=0o700)

    def _write(self) -> None:
        try:
            self._make_directory()
        except OSError as error:
            raise FileError(
                f"{self.directory} cannot be made ({error.strerror or error}). Nothing was replaced."
            ) from error
        write_file(self._list, json.dumps(self._state, indent=1).encode(), Attributes(mode=0o600))

    def restore(self) -> list[str]:
        """Put every saved path back, and return the paths.

        The saved files stay in the journal: a restore that is killed can be repeated.

        :raises FileError: a path cannot be put back.
        """
        for path, entry in reversed(list(self._state["paths"].items())):
            try:
                self._restore(path, entry)
            except OSError as error:
                raise FileError(
                    f"{path} cannot be put back ({error.strerror or error}); what it was is in {self.directory}."
                ) from error
        return self.paths()

    @staticmethod
    def _restore(path: str, entry: t.Mapping[str, t.Any]) -> None:
        kind = entry["kind"]
        if kind == "absent":
            # Directories may hold data by now; an empty one does no harm.
            if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
                os.unlink(path)
            return
        if kind == "link":
            replace_link(path, entry["target"])
            return
        if kind == "file":
            beside = tempfile.mkdtemp(dir=os.path.dirname(path), prefix=".hardway-")
            try:
                _link_or_copy(entry["saved"], os.path.join(beside, "file"))
                # Renaming one name of a file to another name of it does nothing.
                os.replace(os.path.join(beside, "file"), path)
            finally:
                shutil.rmtree(beside)
        os.chown(path, entry["uid"], entry["gid"])
        os.chmod(path, entry["mode"])

    def discard(self) -> None:
        """Remove the journal: its transaction is complete."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._list)  # First: without the list the other files are leftovers.
        shutil.rmtree(self.directory, ignore_errors=True)
        self._state = {"paths": {}, "notes": {}}
        self.pending = False
