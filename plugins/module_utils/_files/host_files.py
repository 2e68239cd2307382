# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge a set of files, directories and links of one host in one pass."""

from __future__ import annotations

import base64
import grp
import os
import pwd
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError

__all__ = ("HostFiles", "Outcome")


# Content that is never shown, whatever the caller says about it.
SECRET_MARKS = (b"PRIVATE KEY-----", b"client-key-data:")


class Outcome(t.NamedTuple):
    """What was found out about one path."""

    path: str
    changes: list[str]
    diff: dict[str, str] | None


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


class HostFiles:
    """Desired state of files.

    :param check: predict only.
    :param replace: moves a finished temporary file over a path, atomically.
    """

    def __init__(self, *, check: bool, replace: t.Callable[[str, str], None]) -> None:
        self._check = check
        self._replace = replace

    def converge(self, entry: t.Mapping[str, t.Any], content: str | None, *, secret: bool) -> Outcome:
        """Bring one path into its state.

        :param entry: ``path``, ``state`` (file, directory, link, absent), ``owner``, ``group``,
            ``mode`` (octal text), ``target`` (for a link).
        :param content: base64 of the wanted content of a file.
        :param secret: leave the content out of the diff.
        :raises FileError: the path is of another kind, or an owner does not exist.
        """
        path = entry["path"]
        state = entry["state"]
        if state == "absent":
            return self._absent(path)
        if state == "link":
            return self._link(path, entry["target"])
        if state == "directory":
            return self._directory(path, entry)
        if content is None:
            raise FileError(f"{path}: no content was given for it")
        return self._file(path, entry, base64.b64decode(content), secret=secret)

    def _absent(self, path: str) -> Outcome:
        if not os.path.lexists(path):
            return Outcome(path, [], None)
        if os.path.isdir(path) and not os.path.islink(path):
            raise FileError(
                f"{path}: is a directory, and directories are not removed; look at it and remove it yourself"
            )
        if not self._check:
            os.unlink(path)
        return Outcome(path, ["removed"], {"before": f"{path} is there\n", "after": ""})

    def _link(self, path: str, target: str) -> Outcome:
        before = os.readlink(path) if os.path.islink(path) else None
        if before == target:
            return Outcome(path, [], None)
        if before is None and os.path.lexists(path):
            raise FileError(f"{path}: is no link, and is not replaced by one; move it away")
        if not self._check:
            # A link cannot be put over a file: it is made in a directory of its own and renamed.
            beside = tempfile.mkdtemp(dir=os.path.dirname(path), prefix=".hardway-")
            try:
                os.symlink(target, os.path.join(beside, "link"))
                os.replace(os.path.join(beside, "link"), path)
            finally:
                shutil.rmtree(beside)
        return Outcome(path, ["link"], {"before": f"{before or ''}\n", "after": f"{target}\n"})

    def _directory(self, path: str, entry: t.Mapping[str, t.Any]) -> Outcome:
        changes = []
        if not os.path.isdir(path):
            if os.path.lexists(path):
                raise FileError(f"{path}: is no directory; move it away")
            changes.append("created")
            if not self._check:
                os.makedirs(path, mode=0o755)
        changes += self._attributes(path, entry, default_mode=0o755, new=bool(changes))
        diff = {"before": "", "after": f"{path}: {', '.join(changes)}\n"} if changes else None
        return Outcome(path, changes, diff)

    def _file(self, path: str, entry: t.Mapping[str, t.Any], content: bytes, *, secret: bool) -> Outcome:
        if os.path.lexists(path) and not os.path.isfile(path):
            raise FileError(f"{path}: is no regular file; move it away")
        before = _read(path)
        changes = []
        diff = None
        if before != content:
            changes.append("created" if before is None else "content")
            diff = self._content_diff(path, before, content, secret=secret)
            if not self._check:
                self._write(path, entry, content)
        attributes = self._attributes(path, entry, default_mode=0o644, new=before is None)
        if attributes and diff is None:
            diff = {"before": "", "after": f"{path}: {', '.join(attributes)}\n"}
        return Outcome(path, changes + attributes, diff)

    @staticmethod
    def _content_diff(path: str, before: bytes | None, after: bytes, *, secret: bool) -> dict[str, str]:
        if secret or any(mark in (before or b"") for mark in SECRET_MARKS):
            old = "" if before is None else "the content on the host, not shown: it is secret\n"
            new = "the wanted content, not shown: it is secret\n"
        else:
            old = (before or b"").decode("utf-8", "replace")
            new = after.decode("utf-8", "replace")
        return {"before_header": path, "after_header": path, "before": old, "after": new}

    def _write(self, path: str, entry: t.Mapping[str, t.Any], content: bytes) -> None:
        # mkstemp makes the file 0600: a key is never readable by others, not even for a moment.
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".hardway-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            self._attributes(temporary, entry, default_mode=0o644, new=False, named=path)
            self._replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)

    def _attributes(
        self, path: str, entry: t.Mapping[str, t.Any], *, default_mode: int, new: bool, named: str | None = None
    ) -> list[str]:
        mode = int(entry["mode"], 8) if entry.get("mode") else default_mode
        owner = self._identifier(named or path, "owner", entry.get("owner"))
        group = self._identifier(named or path, "group", entry.get("group"))
        if new and self._check:
            return []
        status = os.stat(path)
        changes = []
        if (owner is not None and owner != status.st_uid) or (group is not None and group != status.st_gid):
            changes.append(f"owner {entry.get('owner') or status.st_uid}:{entry.get('group') or status.st_gid}")
            if not self._check:
                os.chown(path, -1 if owner is None else owner, -1 if group is None else group)
        if stat.S_IMODE(status.st_mode) != mode:
            changes.append(f"mode {mode:04o}")
            if not self._check:
                os.chmod(path, mode)
        return changes

    def _identifier(self, path: str, kind: str, name: str | None) -> int | None:
        if name is None:
            # Without an owner of its own a file belongs to whoever runs the module.
            return os.geteuid() if kind == "owner" else os.getegid()
        try:
            return pwd.getpwnam(name).pw_uid if kind == "owner" else grp.getgrnam(name).gr_gid
        except KeyError as error:
            if self._check:
                # An earlier task makes the account in a real run.
                return -2
            raise FileError(f"{path}: {kind} {name!r} does not exist on this host") from error
