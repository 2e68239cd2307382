# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror's directory: what is there and right, and how a file gets into it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import find_checksum

from . import checksums
from .errors import MirrorError

RIGHT = "right"
MISSING = "missing"


@dataclass(frozen=True)
class Place:
    """A file of the mirror with the checksum file that speaks for it."""

    file: Path
    checksum_file: Path
    bare: bool
    # A check beside the sum; it returns what is wrong, or an empty string.
    objection: Callable[[Path], str] = field(default=lambda path: "")

    def said_sum(self) -> str | None:
        """The sum that the checksum file says; None where it says none."""
        try:
            return find_checksum(self.checksum_file.read_text(encoding="utf-8"), self.file.name)
        except FileNotFoundError:
            return None

    def state(self) -> str:
        """RIGHT, MISSING, or what is wrong with the file."""
        if not self.file.is_file():
            return MISSING
        expected = self.said_sum()
        if expected is None:
            return "without a sum"
        if checksums.file_sum(self.file) != expected:
            return "with a wrong sum"
        return self.objection(self.file) or RIGHT

    def put(self, source: Path, mode: int = 0o644) -> None:
        """Move `source` into place, then say its sum: an interrupted run leaves no file that counts as right."""
        digest = checksums.file_sum(source)
        with _new_version_of(self.file) as temporary:
            shutil.move(source, temporary)
            temporary.chmod(mode)
        previous = self.checksum_file.read_text(encoding="utf-8") if self.checksum_file.is_file() else ""
        with _new_version_of(self.checksum_file) as temporary:
            temporary.write_text(checksums.render(previous, self.file.name, digest, self.bare), encoding="utf-8")
            temporary.chmod(0o644)


@contextmanager
def _new_version_of(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(directory: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """One run at a time fills a mirror; a second one waits and says so."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise MirrorError(
            f"cannot write to the mirror {directory}: {error.strerror}; choose another --directory"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            waiting(f"process {lock.read().strip() or '?'} is filling {directory}; waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield
