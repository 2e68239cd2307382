# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of etcd: save and check one, restore it beside the data of a member, swap the two, and compare.

A snapshot comes through etcd's JSON gateway: ``/v3/maintenance/snapshot`` is a stream of base64 blobs.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import datetime
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import SnapshotError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client, EtcdError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.data_directory import (
    DataDirectory,
    sync_directory,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.etcdutl import Contents, Etcdutl, NewMember

__all__ = ("Comparison", "Outcome", "Saved", "Snapshots", "Wanted", "compare", "save")

# From the smallest key on: etcd takes a zero byte as both ends for all keys.
_ALL_KEYS = {"key": "AA==", "range_end": "AA=="}


@dataclasses.dataclass(frozen=True)
class Saved:
    """A new snapshot.

    :ivar cluster_id: in hexadecimal digits.
    :ivar member: name of the member that sent it.
    :ivar taken: UTC time, as ``20260131T235959Z``.
    :ivar keys: how many keys there were at its revision; None when that revision was compacted meanwhile.
    """

    contents: Contents
    cluster_id: str
    member: str
    taken: str
    keys: int | None

    def public(self) -> dict[str, t.Any]:
        """Return it as the module does."""
        return {
            **self.contents.public(),
            "cluster_id": self.cluster_id,
            "member": self.member,
            "taken": self.taken,
            "key_count": self.keys,
        }


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The keys of a running member, compared with a snapshot.

    :ivar keys: how many keys it has.
    :ivar expected: how many there were when the snapshot was taken; None when that is not known.
    :ivar revision: revision of the snapshot.
    :ivar younger: a key that was written after the snapshot.
    """

    keys: int
    expected: int | None
    revision: int
    younger: str | None

    @property
    def equal(self) -> bool:
        """Whether nothing is missing and nothing was added, as far as is known."""
        return self.younger is None and self.expected in (None, self.keys)

    def __str__(self) -> str:
        if self.equal:
            known = "" if self.expected is None else ", as when the snapshot was taken"
            return f"{self.keys} keys{known}, none younger than revision {self.revision}"
        expected = "an unknown number" if self.expected is None else self.expected
        return (
            f"{self.keys} keys, {expected} when the snapshot was taken; younger than its revision {self.revision}: "
            f"{self.younger or 'none'}"
        )


def _blobs(client: Client, endpoint: str) -> t.Iterator[bytes]:
    for part in client.stream("/v3/maintenance/snapshot", endpoint=endpoint):
        try:
            yield base64.b64decode(str(part.get("blob", "")), validate=True)
        except binascii.Error as error:
            raise SnapshotError(f"{endpoint}: the snapshot holds a part that is not base64") from error


def _count(client: Client, endpoint: str, revision: int) -> int | None:
    """Return how many keys this one member had at a revision; None when that was compacted."""
    if not revision:
        # Nothing was ever written; etcd takes 0 for the newest revision.
        return 0
    body = {**_ALL_KEYS, "count_only": True, "serializable": True, "revision": str(revision)}
    try:
        return int(client.ask("/v3/kv/range", body, endpoint=endpoint).get("count", 0))
    except EtcdError as error:
        if "compacted" in error.detail:
            return None
        raise


def _member_name(client: Client, endpoint: str, member_id: int) -> str:
    answer = client.ask("/v3/cluster/member/list", {"linearizable": False}, endpoint=endpoint)
    names = {int(entry["ID"]): str(entry.get("name", "")) for entry in answer.get("members", ())}
    return names.get(member_id) or f"{member_id:x}"


def save(client: Client, path: str, *, etcdutl: Etcdutl) -> Saved:
    """Save a snapshot of the first endpoint that answers, readable by its owner alone.

    It has its name only after it was checked; a run that is killed leaves ``path.part``, which the next one replaces.

    :raises EtcdError: no endpoint can be used.
    :raises SnapshotError: it cannot be written, or is damaged.
    """
    endpoint, status = client.first("/v3/maintenance/status")
    header = status.get("header", {})
    member = _member_name(client, endpoint, int(header.get("member_id", 0)))
    taken = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    part = f"{path}.part"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            for blob in _blobs(client, endpoint):
                stream.write(blob)
            stream.flush()
            os.fsync(stream.fileno())
        contents = etcdutl.check(part)
        keys = _count(client, endpoint, contents.revision)
        os.replace(part, path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        raise SnapshotError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)
    return Saved(contents, f"{int(header.get('cluster_id', 0)):x}", member, taken, keys)


def compare(client: Client, *, revision: int, keys: int | None) -> Comparison:
    """Compare a running member with the snapshot that it was restored from.

    :param revision: the snapshot's.
    :param keys: how many keys it holds; None when that is not known.
    :raises EtcdError: no endpoint can be used.
    """
    later = {**_ALL_KEYS, "keys_only": True, "limit": "1", "min_mod_revision": str(revision + 1)}
    endpoint, answer = client.first("/v3/kv/range", later)
    younger = [base64.b64decode(entry["key"]).decode("utf-8", "replace") for entry in answer.get("kvs", ())]
    count = client.ask("/v3/kv/range", {**_ALL_KEYS, "count_only": True}, endpoint=endpoint)
    return Comparison(int(count.get("count", 0)), keys, revision, younger[0] if younger else None)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The options of the module ``etcd_snapshot``. Those that a state does not need are empty."""

    state: str
    path: str = ""
    data_directory: str = ""
    aside: str = ""
    revision: int = 0
    key_count: int | None = None
    member: NewMember | None = None


@dataclasses.dataclass
class Outcome:
    """The actions of a call, or those predicted in check mode.

    :ivar snapshot: the contents of the snapshot; empty without a snapshot.
    :ivar before: for a diff, with ``after``.
    """

    actions: list[str] = dataclasses.field(default_factory=list)
    snapshot: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    comparison: str = ""
    aside: str = ""
    before: str = ""
    after: str = ""

    def public(self) -> dict[str, t.Any]:
        """Return it as the module does."""
        result: dict[str, t.Any] = {"changed": bool(self.actions), "actions": self.actions}
        result.update({name: value for name in ("snapshot", "comparison", "aside") if (value := getattr(self, name))})
        if self.actions:
            result["diff"] = {"before": self.before, "after": self.after}
        return result


class Snapshots:
    """Converge to one of the states.

    :param client: None for states that do not need a running cluster.
    """

    def __init__(self, *, client: Client | None, etcdutl: Etcdutl, check_mode: bool) -> None:
        self._client = client
        self._etcdutl = etcdutl
        self._check_mode = check_mode

    def converge(self, wanted: Wanted) -> Outcome:
        """Converge to a state, or predict the actions.

        :raises EtcdError: no endpoint can be used.
        :raises SnapshotError: a snapshot is damaged, or the state is not possible.
        """
        states: dict[str, t.Callable[[Wanted], Outcome]] = {
            "saved": self._saved,
            "checked": self._checked,
            "restored": self._restored,
            "swapped": self._swapped,
            "copied": self._copied,
            "compared": self._compared,
        }
        return states[wanted.state](wanted)

    def _asked(self) -> Client:
        if self._client is None:
            raise SnapshotError("endpoints is empty; client URLs of the cluster's members are needed")
        return self._client

    def _checked(self, wanted: Wanted) -> Outcome:
        return Outcome(snapshot=self._etcdutl.check(wanted.path).public())

    def _saved(self, wanted: Wanted) -> Outcome:
        if os.path.lexists(wanted.path):
            return self._checked(wanted)
        client = self._asked()
        if self._check_mode:
            endpoint = client.first("/v3/maintenance/status")[0]
            after = f"{wanted.path}: a snapshot of {endpoint}\n"
            return Outcome([f"save a snapshot of {endpoint} as {wanted.path}"], after=after)
        saved = save(client, wanted.path, etcdutl=self._etcdutl)
        after = f"{wanted.path}: revision {saved.contents.revision} of {saved.member}\n"
        return Outcome([f"save a snapshot of {saved.member} as {wanted.path}"], saved.public(), after=after)

    def _restored(self, wanted: Wanted) -> Outcome:
        directory, member = DataDirectory(wanted.data_directory), wanted.member
        if member is None:
            raise SnapshotError("the member is not described: name, peer_url, initial_cluster and token are needed")
        actions = [f"restore {wanted.path} into {directory.restored} for {member.name}"]
        before = directory.lines()
        # An earlier task of a check run would have brought it.
        if self._check_mode and not os.path.exists(wanted.path):
            return Outcome(actions, before=before, after=f"{before}restore/data/member: restored\n")
        contents = self._etcdutl.check(wanted.path)
        if directory.is_restored(contents.sha256, member):
            return Outcome(snapshot=contents.public())
        if self._check_mode:
            after = f"{before}restore/data/member: restored from revision {contents.revision}\n"
            return Outcome(actions, contents.public(), before=before, after=after)
        directory.restore(wanted.path, contents.sha256, member, etcdutl=self._etcdutl)
        return Outcome(actions, contents.public(), before=before, after=directory.lines())

    def _swapped(self, wanted: Wanted) -> Outcome:
        directory = DataDirectory(wanted.data_directory)
        aside = directory.aside(wanted.aside)
        before = directory.lines(wanted.aside)
        # An earlier task of a check run would have restored it.
        expected = self._check_mode and not os.path.lexists(directory.staging)
        if not expected and not directory.to_swap(wanted.aside):
            return Outcome(aside=aside)
        actions = [f"move {directory.member} to {aside}"] if os.path.isdir(directory.member) else []
        actions.append(f"move {directory.restored}/member to {directory.member}")
        if self._check_mode:
            return Outcome(actions, aside=aside, before=before, after="member: restored\n")
        directory.swap(wanted.aside)
        return Outcome(actions, aside=aside, before=before, after=directory.lines(wanted.aside))

    def _copied(self, wanted: Wanted) -> Outcome:
        directory = DataDirectory(wanted.data_directory)
        aside = directory.aside(wanted.aside)
        if not directory.to_copy(wanted.aside):
            return Outcome(aside=aside)
        before = directory.lines(wanted.aside)
        if not self._check_mode:
            directory.copy(wanted.aside)
        after = f"{before}{wanted.aside}/member: a copy\n" if self._check_mode else directory.lines(wanted.aside)
        return Outcome([f"copy {directory.member} to {aside}"], aside=aside, before=before, after=after)

    def _compared(self, wanted: Wanted) -> Outcome:
        comparison = compare(self._asked(), revision=wanted.revision, keys=wanted.key_count)
        if not comparison.equal:
            raise SnapshotError(f"the member differs from the snapshot: {comparison}")
        return Outcome(comparison=str(comparison))
