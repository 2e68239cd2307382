# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge files, directories and links of one host."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import (
    NOT_YET,
    Attributes,
    attribute_problems,
    fix_attributes,
    replace_link,
    write_file,
)

__all__ = ("HostFiles", "Outcome", "SECRET_MARKS")


# Content that is never shown, whatever the caller says about it.
SECRET_MARKS = (b"PRIVATE KEY-----", b"client-key-data:", b"Authorization = ")


class Outcome(t.NamedTuple):
    """The differences of one path.

    :ivar changes: ``created``, ``content``, ``link``, ``removed``, or sentences about owner, group and mode.
    :ivar step: the change in words; empty without changes.
    :ivar commands: the equivalent commands.
    :ivar rewritten: a program that reads the path would find other content.
    """

    path: str
    changes: list[str]
    diff: dict[str, str] | None = None
    step: str = ""
    commands: tuple[str, ...] = ()
    rewritten: bool = False


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _account_options(entry: t.Mapping[str, t.Any]) -> str:
    options = [f"{option} {entry[name]} " for name, option in (("owner", "-o"), ("group", "-g")) if entry.get(name)]
    return "".join(options)


class HostFiles:
    """Desired state of files.

    :param check: predict only.
    :param accounts_later: an owner or group that does not exist is made by an earlier task, which check mode only
        predicts.
    :param replacing: called with each path before it is changed.
    """

    def __init__(
        self,
        *,
        check: bool,
        accounts_later: bool = False,
        replacing: t.Callable[[str], None] = lambda _path: None,
    ) -> None:
        self._check = check
        self._accounts_later = accounts_later
        self._replacing = replacing

    def converge(self, entry: t.Mapping[str, t.Any], content: bytes | None, *, secret: bool) -> Outcome:
        """Bring one path into its state.

        :param entry: ``path``, ``state`` (file, directory, link, absent), ``owner``, ``group``,
            ``mode`` (octal text), ``target`` (for a link), ``force`` (replace content that differs; the default).
        :param content: the wanted content of a file.
        :param secret: leave the content out of the diff.
        :raises FileError: the path is of another kind, an owner does not exist, or the path cannot be written.
        """
        path = entry["path"]
        state = entry["state"]
        try:
            if state == "absent":
                return self._absent(path)
            if state == "link":
                return self._link(path, entry["target"])
            if state == "directory":
                return self._directory(path, entry)
            if content is None:
                raise FileError(f"{path}: no content was given for it")
            return self._file(path, entry, content, secret=secret)
        except OSError as error:
            raise FileError(f"{path}: {error.strerror or error}") from error

    def _absent(self, path: str) -> Outcome:
        if not os.path.lexists(path):
            return Outcome(path, [])
        if os.path.isdir(path) and not os.path.islink(path):
            raise FileError(
                f"{path}: is a directory, and directories are not removed; look at it and remove it yourself"
            )
        if not self._check:
            self._replacing(path)
            os.unlink(path)
        diff = {"before": f"{path} is there\n", "after": ""}
        return Outcome(path, ["removed"], diff, f"remove {path}", (f"rm {shlex.quote(path)}",), True)

    def _link(self, path: str, target: str) -> Outcome:
        before = os.readlink(path) if os.path.islink(path) else None
        if before == target:
            return Outcome(path, [])
        if before is None and os.path.lexists(path):
            raise FileError(f"{path}: is not a link, and is not replaced by one; move it away")
        if not self._check:
            self._replacing(path)
            replace_link(path, target)
        diff = {"before": f"{before or ''}\n", "after": f"{target}\n"}
        command = f"ln -sfn {shlex.quote(target)} {shlex.quote(path)}"
        return Outcome(path, ["link"], diff, f"link {path} to {target}", (command,), True)

    def _directory(self, path: str, entry: t.Mapping[str, t.Any]) -> Outcome:
        attributes = self._attributes(path, entry, default_mode="0755")
        if os.path.isdir(path):
            return self._mended(path, attributes, entry)
        if os.path.lexists(path):
            raise FileError(f"{path}: is not a directory; move it away")
        if not self._check:
            os.makedirs(path, mode=0o755)
            fix_attributes(path, attributes)
        command = f"install -d {_account_options(entry)}-m {attributes.mode:04o} {shlex.quote(path)}"
        diff = {"before": "", "after": f"{path}: created\n"}
        return Outcome(path, ["created"], diff, f"create directory {path}", (command,))

    def _file(self, path: str, entry: t.Mapping[str, t.Any], content: bytes, *, secret: bool) -> Outcome:
        if os.path.lexists(path) and not os.path.isfile(path):
            raise FileError(f"{path}: is not a regular file; move it away")
        attributes = self._attributes(path, entry, default_mode="0644")
        before = _read(path)
        if before == content or (before is not None and not entry.get("force", True)):
            return self._mended(path, attributes, entry)
        changes = ["created"] if before is None else ["content", *attribute_problems(path, attributes)]
        if not self._check:
            self._replacing(path)
            write_file(path, content, attributes)
        source = os.path.basename(entry.get("src") or path)
        command = f"install {_account_options(entry)}-m {attributes.mode:04o} {shlex.quote(source)} {shlex.quote(path)}"
        diff = self._content_diff(path, before, content, secret=secret)
        return Outcome(path, changes, diff, f"write {path}", (command,), True)

    def _mended(self, path: str, attributes: Attributes, entry: t.Mapping[str, t.Any]) -> Outcome:
        """Bring owner, group and mode of a path in line, whose content is right."""
        problems = attribute_problems(path, attributes)
        if not problems:
            return Outcome(path, [])
        if not self._check:
            self._replacing(path)
            fix_attributes(path, attributes)
        owner = f"{entry.get('owner') or attributes.uid}:{entry.get('group') or attributes.gid}"
        commands = (f"chown {owner} {shlex.quote(path)}", f"chmod {attributes.mode:04o} {shlex.quote(path)}")
        text = ", ".join(problems)
        return Outcome(
            path, problems, {"before": "", "after": f"{path}: {text}\n"}, f"correct {path}: {text}", commands
        )

    @staticmethod
    def _content_diff(path: str, before: bytes | None, after: bytes, *, secret: bool) -> dict[str, str]:
        if secret or any(mark in content for mark in SECRET_MARKS for content in (before or b"", after)):
            old = "" if before is None else "the content on the host, not shown: it is secret\n"
            new = "the wanted content, not shown: it is secret\n"
        else:
            old = (before or b"").decode("utf-8", "replace")
            new = after.decode("utf-8", "replace")
        return {"before_header": path, "after_header": path, "before": old, "after": new}

    def _attributes(self, path: str, entry: t.Mapping[str, t.Any], *, default_mode: str) -> Attributes:
        """Return the wanted attributes. Without an owner a path belongs to the user who runs the module."""
        owner, group = entry.get("owner"), entry.get("group")
        missing_owner = self._accounts_later and bool(owner) and not _exists(pwd.getpwnam, owner)
        missing_group = self._accounts_later and bool(group) and not _exists(grp.getgrnam, group)
        wanted = Attributes.parse(
            owner=None if missing_owner else owner,
            group=None if missing_group else group,
            mode=entry.get("mode") or default_mode,
            prefix=f"{path}: ",
        )
        uid = os.geteuid() if wanted.uid is None else wanted.uid
        gid = os.getegid() if wanted.gid is None else wanted.gid
        return Attributes(
            uid=NOT_YET if missing_owner else uid, gid=NOT_YET if missing_group else gid, mode=wanted.mode
        )


def _exists(lookup: t.Callable[[str], t.Any], name: str | None) -> bool:
    try:
        lookup(name or "")
    except KeyError:
        return (name or "").isdigit()
    return True
