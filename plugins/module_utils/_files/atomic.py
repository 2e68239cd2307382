# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replace files in one step, several together or not at all.

A batch is written into a staging directory beside its destination, and becomes valid with one
rename of that directory to the journal's name. From then on the batch counts as written: the next
process moves the files that a killed one left in the journal to their places before it reads anything.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import fcntl
import grp
import os
import pwd
import shutil
import stat
import tempfile
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError

__all__ = (
    "AtomicDirectory",
    "Attributes",
    "NOT_YET",
    "NewFile",
    "attribute_problems",
    "fix_attributes",
    "replace_link",
    "write_file",
)

# The id of an account that an earlier step of a real run creates, in a check run.
NOT_YET = -2


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Owner, group and mode; None leaves an existing file as it is."""

    uid: int | None = None
    gid: int | None = None
    mode: int = 0o600

    @classmethod
    def parse(cls, *, owner: str | None, group: str | None, mode: str, prefix: str = "") -> Attributes:
        try:
            bits = int(str(mode), 8)
        except ValueError:
            bits = -1
        if not 0 <= bits <= 0o777:
            raise FileError(f"{prefix}mode is {mode!r}: an octal mode such as '0600' is needed.")
        return cls(
            uid=_identity(owner, lambda name: pwd.getpwnam(name).pw_uid, f"{prefix}owner"),
            gid=_identity(group, lambda name: grp.getgrnam(name).gr_gid, f"{prefix}group"),
            mode=bits,
        )


def _identity(name: str | None, lookup: t.Callable[[str], int], where: str) -> int | None:
    if name is None or name == "":
        return None
    try:
        return lookup(name)
    except KeyError:
        if name.isdigit():
            return int(name)
        raise FileError(f"{where} {name!r} does not exist on this host.") from None


@dataclasses.dataclass(frozen=True)
class NewFile:
    name: str
    content: bytes = dataclasses.field(repr=False)
    attributes: Attributes


def attribute_problems(path: str, attributes: Attributes) -> list[str]:
    """Sentences about what differs from the wanted owner, group and mode; none for a missing file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return []
    name = os.path.basename(path)
    problems = []
    mode = stat.S_IMODE(found.st_mode)
    if mode != attributes.mode:
        problems.append(f"mode of {name} is {mode:04o} instead of {attributes.mode:04o}")
    for kind, has, wanted in (("owner", found.st_uid, attributes.uid), ("group", found.st_gid, attributes.gid)):
        if wanted is not None and has != wanted:
            account = "one that is created first" if wanted == NOT_YET else wanted
            problems.append(f"{kind} of {name} is {has} instead of {account}")
    return problems


def fix_attributes(path: str, attributes: Attributes) -> None:
    try:
        os.chown(
            path, -1 if attributes.uid is None else attributes.uid, -1 if attributes.gid is None else attributes.gid
        )
        os.chmod(path, attributes.mode)
    except OSError as error:
        raise FileError(f"{path}: owner, group or mode cannot be set: {error.strerror}.") from error


def _write(path: str, content: bytes, attributes: Attributes, like: str) -> None:
    """Writes a new file with its final attributes, on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        uid, gid = attributes.uid, attributes.gid
        with contextlib.suppress(FileNotFoundError):
            # Attributes that the user does not set are taken from the file that is replaced.
            found = os.stat(like)
            uid = found.st_uid if uid is None and found.st_uid != os.geteuid() else uid
            gid = found.st_gid if gid is None and found.st_gid != os.getegid() else gid
        if uid is not None or gid is not None:
            os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)
        os.fchmod(descriptor, attributes.mode)
        os.fsync(descriptor)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: str, content: bytes, attributes: Attributes) -> None:
    """Replaces one file; a reader sees the old or the new content, never a part."""
    directory = os.path.dirname(path) or "."
    temporary = os.path.join(directory, f".{os.path.basename(path)}.{os.getpid()}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # left by a killed process that had the same number
        try:
            _write(temporary, content, attributes, like=path)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_directory(directory)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}. The file there is as it was.") from error


def replace_link(path: str, target: str) -> None:
    """Create or replace a symbolic link in one step.

    :raises OSError: the directory cannot be written.
    """
    # A link cannot be put over a file: it is made in a directory of its own and renamed.
    beside = tempfile.mkdtemp(dir=os.path.dirname(path), prefix=".hardway-")
    try:
        os.symlink(target, os.path.join(beside, "link"))
        os.replace(os.path.join(beside, "link"), path)
    finally:
        shutil.rmtree(beside)


class AtomicDirectory:
    """A directory in which batches of files are replaced together."""

    def __init__(self, path: str, *, tag: str) -> None:
        self.path = path
        self.tag = tag
        self.journal = os.path.join(path, f".{tag}.commit")

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def create(self) -> None:
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
        except OSError as error:
            raise FileError(f"directory {self.path} cannot be made: {error.strerror}.") from error

    @contextlib.contextmanager
    def locked(self, *, wait: float = 60.0) -> t.Iterator[None]:
        """Keeps a second run of the same kind out of the directory."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise FileError(f"directory {self.path} cannot be opened: {error.strerror}.") from error
        try:
            deadline = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
                        break  # a file system without locks
                    if time.monotonic() > deadline:
                        raise FileError(
                            f"another run has been working in {self.path} for {wait:.0f} seconds. "
                            "Wait for it to end, then run again."
                        ) from error
                    time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    def pending(self) -> list[str]:
        """Files that a killed run had already decided on; they count as present."""
        try:
            return sorted(os.listdir(self.journal))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, name: str) -> bytes | None:
        for path in (os.path.join(self.journal, name), os.path.join(self.path, name)):
            try:
                with open(path, "rb") as stream:
                    return stream.read()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise FileError(f"{path} cannot be read: {error.strerror}.") from error
        return None

    def recover(self) -> list[str]:
        """Finishes what a killed run had committed, and sweeps away what it had not."""
        for entry in os.listdir(self.path):
            if entry.startswith(f".{self.tag}.stage."):
                shutil.rmtree(os.path.join(self.path, entry), ignore_errors=True)
        names = self.pending()
        if os.path.isdir(self.journal):
            self._move_into_place(names)
        return names

    def commit(self, files: t.Sequence[NewFile]) -> None:
        """Writes all files, or none: also when the disk fills up or the process is killed."""
        if not files:
            return
        stage = ""
        try:
            stage = tempfile.mkdtemp(prefix=f".{self.tag}.stage.", dir=self.path)

            def write(new: NewFile) -> None:
                _write(
                    os.path.join(stage, new.name), new.content, new.attributes, like=os.path.join(self.path, new.name)
                )

            with concurrent.futures.ThreadPoolExecutor(16) as pool:  # the time goes into waiting for the disk
                list(pool.map(write, files))
            for new in files:
                if os.path.isdir(os.path.join(self.path, new.name)):
                    raise FileError(
                        f"{os.path.join(self.path, new.name)} is a directory: move it away. Nothing was changed."
                    )
            _sync_directory(stage)
            os.rename(stage, self.journal)
            _sync_directory(self.path)
        except BaseException as error:
            if stage:
                shutil.rmtree(stage, ignore_errors=True)
            if isinstance(error, OSError):
                hint = " Make room there, then run again." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
                raise FileError(
                    f"writing to {self.path} failed: {error.strerror or error}. Nothing was changed.{hint}"
                ) from error
            raise
        self._move_into_place([new.name for new in files])

    def _move_into_place(self, names: t.Iterable[str]) -> None:
        for name in names:
            try:
                os.replace(os.path.join(self.journal, name), os.path.join(self.path, name))
            except OSError as error:
                raise FileError(
                    f"{os.path.join(self.path, name)} cannot be replaced: {error.strerror}. The new file waits in "
                    f"{self.journal}; remove what is in the way and run again, and it will be put in its place."
                ) from error
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self.journal)
        _sync_directory(self.path)
