# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide how a kubeconfig file has to change, without touching it, and then change it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError, MissingSourceError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import (
    Attributes,
    attribute_problems,
    fix_attributes,
    write_file,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.checks import check
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.differences import compare, masked, same
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import (
    Document,
    document,
    load,
    merged,
    parse,
    render,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import Wanted
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import Sources
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import iso_time

__all__ = ("Finding", "Result", "apply", "examine")

#: As many symbolic links as Linux follows.
MOST_LINKS = 40
REPAIR = "Repair it or move it away; it is not merged with, and was not changed."


class Result(t.TypedDict, total=False):
    """The module's result for one file."""

    path: str
    changed: bool
    status: str
    reasons: list[str]
    current_context: str
    not_after: str | None
    days_left: int | None
    backup_file: str


@dataclasses.dataclass
class Finding:
    """The decision about one file."""

    wanted: Wanted
    #: The file itself, where the path is a symbolic link.
    target: str
    status: str = "unchanged"
    reasons: list[str] = dataclasses.field(default_factory=list)
    attribute_reasons: list[str] = dataclasses.field(default_factory=list)
    content: bytes | None = dataclasses.field(default=None, repr=False)
    before: str = ""
    after: str = ""
    not_after: dt.datetime | None = None
    current_context: str = ""

    @property
    def writes(self) -> bool:
        return self.status != "unchanged"

    @property
    def changed(self) -> bool:
        return self.writes or bool(self.attribute_reasons)

    def result(self, now: dt.datetime) -> Result:
        reasons = self.reasons + self.attribute_reasons
        return {
            "path": self.wanted.path,
            "changed": self.changed,
            "status": self.status,
            "reasons": [reason[:1].upper() + reason[1:] for reason in reasons],
            "current_context": self.current_context,
            "not_after": iso_time(self.not_after) if self.not_after else None,
            "days_left": (self.not_after - now) // dt.timedelta(days=1) if self.not_after else None,
        }

    def diff(self) -> dict[str, str]:
        path = self.wanted.path
        return {"before_header": path, "after_header": path, "before": self.before, "after": self.after}


def examine(wanted: Wanted, sources: Sources, *, check_mode: bool) -> Finding:
    """Decide about one file, without touching it.

    :param check_mode: assume that the files which earlier tasks would make are there.
    :raises KubeconfigError: for a file that cannot be made, or must not be replaced.
    """
    finding = Finding(wanted, _target(wanted.path))
    content = _read_existing(finding, check_mode=check_mode)
    finding.status = "created" if content is None else "updated"
    kept = load(content, where=wanted.path, advice=REPAIR) if wanted.merge and content is not None else None
    finding.current_context = wanted.current_context
    try:
        if wanted.content_missing:
            raise MissingSourceError(f"{wanted.path}: content is empty. Give the text of a kubeconfig.")
        finding.not_after = check(wanted, sources, kept)
        target = document(wanted, sources)
    except MissingSourceError as error:
        if not check_mode:
            raise
        # An earlier task that check mode did not carry out would have made it.
        finding.reasons = [f"it is made from files that are not there yet: {error}"]
        return finding
    if wanted.merge:
        target = merged(kept or {}, target)
        finding.current_context = str(target["current-context"])
    changing = sources.changing(wanted)
    if changing and wanted.embed_certs:
        finding.reasons = [f"it embeds {path}, which an earlier task changes" for path in changing]
        finding.after = "".join(f"{reason}\n" for reason in finding.reasons)
        return finding
    _compare(finding, content, target)
    return finding


def _compare(finding: Finding, content: bytes | None, target: Document) -> None:
    found = None if content is None else parse(content)
    if content is None:
        finding.reasons = ["it does not exist yet"]
    elif found is None:
        finding.reasons = ["it is not a kubeconfig that can be read"]
        finding.before = "(a file whose content is not shown)\n"
    elif same(found, target):
        finding.status = "unchanged"
        finding.attribute_reasons = attribute_problems(finding.target, finding.wanted.attributes)
        finding.before = "".join(f"{reason}\n" for reason in finding.attribute_reasons)
        return
    else:
        finding.reasons = compare(found, target)
        finding.before = render(masked(found))
    finding.content = render(target).encode("utf-8")
    finding.after = render(masked(target, before=found))


def _target(path: str) -> str:
    """Return the file that a path leads to, which need not exist.

    A symbolic link of another user is followed to that user's own files only: a user who can make a link in a directory
    must not decide which file of another user a privileged run replaces.

    :raises KubeconfigError: for a link that must not be followed.
    """
    owners = set()
    link = path
    for _step in range(MOST_LINKS):
        if not os.path.islink(link):
            break
        owners.add(os.lstat(link).st_uid)
        link = os.path.join(os.path.dirname(link), os.readlink(link))
    else:
        raise KubeconfigError(f"{path}: its symbolic links lead in a circle. Remove the link, or correct it.")
    target = os.path.realpath(path) if owners else path
    place = target if os.path.exists(target) else os.path.dirname(target)
    if os.path.exists(place) and owners - {0, os.geteuid(), os.stat(place).st_uid}:
        raise KubeconfigError(
            f"{path} is a symbolic link to {target}, and its owner does not own {place}. "
            "Give the path of the file itself, or remove the link."
        )
    return target


def _read_existing(finding: Finding, *, check_mode: bool) -> bytes | None:
    path, target = finding.wanted.path, finding.target
    if os.path.isdir(target):
        raise KubeconfigError(f"{path} is a directory. Give the path of a file.")
    folder = os.path.dirname(target)
    if not os.path.isdir(folder) and not check_mode:
        raise KubeconfigError(f"{path}: directory {folder} does not exist. Make it first.")
    try:
        with open(target, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KubeconfigError(f"{path} cannot be read: {error.strerror}.") from error


def apply(finding: Finding, *, backup: bool) -> str | None:
    """Carry out the decision. A symbolic link stays; the file that it leads to is replaced.

    :param backup: keep a copy of a file that is replaced, with its owner and mode, beside the path that was given.
    :returns: the path of the copy.
    :raises FileError: for what cannot be written.
    """
    if finding.content is None:
        if finding.attribute_reasons:
            fix_attributes(finding.target, finding.wanted.attributes)
        return None
    copy = _keep(finding) if backup and finding.status == "updated" else None
    write_file(finding.target, finding.content, finding.wanted.attributes)
    return copy


def _keep(finding: Finding) -> str:
    try:
        with open(finding.target, "rb") as stream:
            content = stream.read()
            found = os.fstat(stream.fileno())
    except OSError as error:
        raise KubeconfigError(f"{finding.wanted.path} cannot be read: {error.strerror}.") from error
    # Named as Ansible's own modules name theirs.
    moment = time.strftime("%Y-%m-%d@%H:%M:%S~", time.localtime())
    copy = f"{finding.wanted.path}.{os.getpid()}.{moment}"
    write_file(copy, content, Attributes(uid=found.st_uid, gid=found.st_gid, mode=found.st_mode & 0o777))
    return copy
