# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a snapshot, and restore it into a directory, with etcdutl.

The last 32 bytes of a snapshot are the SHA-256 of the database before them (etcd:
``server/etcdserver/api/v3rpc/maintenance.go``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import SnapshotError

__all__ = ("Contents", "Etcdutl", "NewMember")

_DIGEST_BYTES = 32
# bbolt's pages are at least this large, so the digest is what is left over (etcdutl: hasChecksum).
_PAGE_BYTES = 512
_BLOCK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Contents:
    """The contents of a snapshot file.

    :ivar revision: the last revision in it.
    :ivar size: bytes of the file.
    :ivar sha256: of the database, as etcd wrote it at the end of the file; hexadecimal digits.
    :ivar version: of the database's format; empty where etcdutl does not say.
    """

    revision: int
    size: int
    sha256: str
    version: str

    def public(self) -> dict[str, t.Any]:
        """Return it as the module does."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class NewMember:
    """The member that a snapshot is restored for.

    :ivar initial_cluster: all members that restore the same snapshot, ``NAME=PEER_URL`` with commas between.
    :ivar token: the same for all of them, and another one for each restore.
    :ivar bump_revision: how far above the snapshot's revision the restored data begins.
    """

    name: str
    peer_url: str
    initial_cluster: str
    token: str
    bump_revision: int


class Etcdutl:
    """The program etcdutl.

    :param path: where it is.
    :param run: runs a command and returns (return code, stdout, stderr).
    """

    def __init__(self, path: str, *, run: t.Callable[[list[str]], tuple[int, str, str]]) -> None:
        self._path = path
        self._run = run

    def _call(self, problem: str, *arguments: str) -> str:
        if not os.access(self._path, os.X_OK):
            raise SnapshotError(f"etcdutl: {self._path} is not a program on this host; install etcd first")
        code, out, err = self._run([self._path, "snapshot", *arguments])
        if code != 0:
            # A panic prints the stacks of all goroutines after the line that counts.
            said = (err.strip() or out.strip()).partition("\n\ngoroutine ")[0]
            raise SnapshotError(f"{problem}: etcdutl snapshot {arguments[0]} ended with {code}: {said}")
        return out

    def check(self, path: str) -> Contents:
        """Verify a snapshot: its digest, and the structure of the database.

        :raises SnapshotError: it is damaged, or not a snapshot.
        """
        size, digest = _verify_digest(path)
        out = self._call(f"{path} is damaged", "status", path, "--write-out=json")
        try:
            status = json.loads(out)
            return Contents(int(status["revision"]), size, digest, str(status.get("version", "")))
        except (ValueError, KeyError, TypeError) as error:
            raise SnapshotError(
                f"{path}: etcdutl snapshot status printed {out[:200]!r}, which is not understood"
            ) from error

    def restore(self, path: str, directory: str, member: NewMember) -> None:
        """Restore a snapshot into a directory that does not exist.

        :raises SnapshotError: etcdutl fails.
        """
        bump = [f"--bump-revision={member.bump_revision}", "--mark-compacted"] if member.bump_revision else []
        self._call(
            f"{path} could not be restored into {directory}",
            "restore",
            path,
            f"--name={member.name}",
            f"--initial-advertise-peer-urls={member.peer_url}",
            f"--initial-cluster={member.initial_cluster}",
            f"--initial-cluster-token={member.token}",
            f"--data-dir={directory}",
            *bump,
        )


def _verify_digest(path: str) -> tuple[int, str]:
    """Return size in bytes and digest of a snapshot whose content matches the digest at its end."""
    try:
        size = os.stat(path).st_size
        if size <= _DIGEST_BYTES or size % _PAGE_BYTES != _DIGEST_BYTES:
            raise SnapshotError(
                f"{path}: {size} bytes are not those of a whole snapshot: pages of {_PAGE_BYTES} bytes and a digest of "
                f"{_DIGEST_BYTES} are expected. It was cut off, or is a copy of a database file; take a file that "
                "etcd_backup.yml, this module or etcdctl snapshot save wrote"
            )
        computed = hashlib.sha256()
        with open(path, "rb") as stream:
            left = size - _DIGEST_BYTES
            while left:
                block = stream.read(min(left, _BLOCK_BYTES))
                if not block:
                    break
                computed.update(block)
                left -= len(block)
            noted = stream.read(_DIGEST_BYTES)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror or error}") from error
    if computed.digest() != noted:
        raise SnapshotError(
            f"{path} is damaged: its content has the SHA-256 {computed.hexdigest()}, and {noted.hex()} stands at its "
            "end; take another snapshot"
        )
    return size, noted.hex()
