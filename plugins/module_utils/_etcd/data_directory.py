# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data directory of a member: restore a snapshot beside the data, swap the two, keep data aside.

Everything is on one file system, so that data moves by rename::

    member/             the data that etcd runs on
    restore/data/       restored data, complete as soon as it has this name
    NAME/member/        data that was kept aside
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import SnapshotError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.data import identity
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.etcdutl import Etcdutl, NewMember

__all__ = ("DataDirectory", "sync_directory")

_RECORD = "restored.json"


def sync_directory(directory: str) -> None:
    """Write the entries of a directory to disk."""
    descriptor = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_away(directory: str, like: str) -> None:
    """Give a directory and everything in it to the owner and group of another path."""
    owner = os.stat(like)
    for root, directories, files in os.walk(directory):
        for name in (".", *directories, *files):
            os.chown(os.path.join(root, name), owner.st_uid, owner.st_gid)


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target)
    owner = os.stat(source)
    os.chown(target, owner.st_uid, owner.st_gid)


class DataDirectory:
    """The data directory of one member.

    :param path: as etcd's ``--data-dir``.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.member = os.path.join(path, "member")
        self.staging = os.path.join(path, "restore")
        self.restored = os.path.join(self.staging, "data")

    def lines(self, *asides: str) -> str:
        """Return the owner of each data directory for a diff: the member's, the restored one, those kept aside."""
        places = {"member": self.path, "restore/data/member": self.restored}
        places.update({f"{aside}/member": self.aside(aside) for aside in asides})
        found = {name: identity(place) for name, place in places.items()}
        return "".join(
            f"{name}: member {ids['member_id']} of cluster {ids['cluster_id']}\n" for name, ids in found.items() if ids
        )

    def aside(self, name: str) -> str:
        """Return the path of a directory that keeps data aside.

        :raises SnapshotError: it is not a name, or one that has another purpose.
        """
        if not name or os.path.basename(name) != name or name in (".", "..", "member", "restore"):
            raise SnapshotError(
                f"aside: {name!r} is not the name of a directory inside {self.path}; a name without slashes other than "
                "member and restore is needed"
            )
        return os.path.join(self.path, name)

    def is_restored(self, digest: str, member: NewMember) -> bool:
        """Whether exactly this was restored already.

        :param digest: SHA-256 of the snapshot.
        """
        try:
            with open(os.path.join(self.restored, _RECORD), encoding="utf-8") as stream:
                return bool(json.load(stream) == self._record(digest, member))
        except (OSError, ValueError):
            return False

    @staticmethod
    def _record(digest: str, member: NewMember) -> dict[str, t.Any]:
        return {"sha256": digest, **dataclasses.asdict(member)}

    def restore(self, snapshot: str, digest: str, member: NewMember, *, etcdutl: Etcdutl) -> None:
        """Restore a snapshot beside the data. etcd may run meanwhile.

        The leftovers of an interrupted run are replaced.

        :param digest: the snapshot's, as :meth:`Etcdutl.check` returns it.
        :raises SnapshotError: it is not possible; the member's data is as it was.
        """
        part = f"{self.restored}.part"
        try:
            os.makedirs(self.staging, mode=0o700, exist_ok=True)
            for left in (part, self.restored):
                if os.path.lexists(left):
                    shutil.rmtree(left)
            etcdutl.restore(snapshot, part, member)
            with open(os.path.join(part, _RECORD), "w", encoding="utf-8") as stream:
                json.dump(self._record(digest, member), stream)
            _give_away(part, like=self.path)
            os.rename(part, self.restored)
            sync_directory(self.staging)
        except OSError as error:
            raise SnapshotError(
                f"{self.staging}: {error.strerror or error}. The member's data is as it was; make room, then run this "
                "again"
            ) from error

    def to_swap(self, aside: str) -> bool:
        """Whether restored data is to be put in the place of the member's.

        :raises SnapshotError: nothing was restored, and nothing was swapped either; or the name is taken.
        """
        kept = os.path.join(self.aside(aside), "member")
        if os.path.isdir(os.path.join(self.restored, "member")):
            if os.path.isdir(self.member) and os.path.lexists(kept):
                raise SnapshotError(f"{kept} holds other data already; choose another name for aside")
            return True
        # A run that was killed at the very end left the directory behind.
        if os.path.isdir(self.member) and (os.path.isdir(kept) or os.path.isdir(self.restored)):
            return os.path.lexists(self.staging)
        raise SnapshotError(f"{self.restored} holds no restored data; restore a snapshot first (state: restored)")

    def swap(self, aside: str) -> None:
        """Put restored data in the place of the member's, which is kept aside.

        After a kill at any point, the next call finishes it.

        :raises SnapshotError: etcd runs on the data, or it is not possible.
        """
        kept = self.aside(aside)
        restored = os.path.join(self.restored, "member")
        try:
            if os.path.isdir(restored):
                self._check_stopped()
                if os.path.isdir(self.member):
                    os.makedirs(kept, mode=0o700, exist_ok=True)
                    os.rename(self.member, os.path.join(kept, "member"))
                os.rename(restored, self.member)
                sync_directory(self.path)
            shutil.rmtree(self.staging)
        except OSError as error:
            raise SnapshotError(
                f"{self.path}: {error.strerror or error} ({error.filename}). Restored data is in {self.restored}, old "
                f"data in {self.member} or {kept}; remove what is in the way, then run this again"
            ) from error

    def copy(self, aside: str) -> None:
        """Copy the member's data aside, with its owners and modes. A copy has its name once it is complete.

        :raises SnapshotError: etcd runs on the data, or it is not possible.
        """
        self._check_stopped()
        kept = self.aside(aside)
        part = f"{kept}.part"
        try:
            if os.path.lexists(part):
                shutil.rmtree(part)
            os.mkdir(part, mode=0o700)
            copied = os.path.join(part, "member")
            shutil.copytree(self.member, copied, copy_function=_copy)
            _give_away(copied, like=self.member)
            os.rename(part, kept)
            sync_directory(self.path)
        except OSError as error:
            raise SnapshotError(
                f"{self.member} could not be copied to {kept}: {error}. The member's data is as it was"
            ) from error

    def to_copy(self, aside: str) -> bool:
        """Whether the member's data is to be copied aside.

        :raises SnapshotError: there is no data.
        """
        if os.path.isdir(self.aside(aside)):
            return False
        if not os.path.isdir(self.member):
            raise SnapshotError(f"{self.member} does not exist: there is no data to copy")
        return True

    def _check_stopped(self) -> None:
        """Refuse to touch data that a process uses: etcd holds a lock on its database (bbolt: flock)."""
        database = os.path.join(self.member, "snap", "db")
        try:
            with open(database, "rb") as stream:
                fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return
        except OSError as error:
            raise SnapshotError(
                f"{database} is in use ({error.strerror}): stop etcd first. The data is as it was"
            ) from error
