# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free space in the databases of a cluster: compaction, defragmentation of one member at a time, and the alarm NOSPACE.

Compaction removes old revisions and leaves free pages in the file. Defragmentation writes the file again without them;
the member does not answer meanwhile. The alarm stays until it is disarmed.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import RefusedError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client, EtcdError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.membership import Member, View
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reading import raised
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reconcile import look
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.sizes import RAISE_QUOTA, nearly_full, size_text

__all__ = ("Outcome", "Size", "maintain")

# The smallest key, which is not in use: reading it costs nothing.
_NO_KEY = {"key": "AA=="}
_POLL_SECONDS = 0.5
# Without a compaction a file is written again for at least this much, in bytes.
_WORTH = 1 << 20
# A member compacts in the background; it has finished when its free space grows by no more than this between two looks.
_SETTLED = 64 << 10
# The largest request that etcd accepts by default: with less room it would raise the alarm again at once.
_REQUEST = 3 << 19


@dataclasses.dataclass(frozen=True)
class Size:
    """The database of one member before and after, in bytes. A quota of 0 is not known."""

    name: str
    before: int
    after: int
    in_use: int
    quota: int

    def public(self) -> dict[str, t.Any]:
        """Return it as the module does."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        change = size_text(self.before)
        if self.after != self.before:
            change = f"{change} -> {size_text(self.after)}"
        quota = f" of a quota of {size_text(self.quota)}" if self.quota else ""
        return f"{self.name}: {change}{quota}, {size_text(self.in_use)} in use"


@dataclasses.dataclass
class Outcome:
    """The actions of a call, or in check mode the predicted ones, and the state after them.

    :ivar alarms: the alarms that are still raised, with the ID of the member.
    """

    actions: list[str] = dataclasses.field(default_factory=list)
    sizes: list[Size] = dataclasses.field(default_factory=list)
    alarms: list[dict[str, str]] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)

    def public(self) -> dict[str, t.Any]:
        """Return it as the module does."""
        return {
            "changed": bool(self.actions),
            "actions": self.actions,
            "members": [size.public() for size in self.sizes],
            "report": [str(size) for size in self.sizes],
            "alarms": self.alarms,
        }


def _names(members: t.Iterable[Member]) -> str:
    return ", ".join(member.name or f"{member.id:x}" for member in members)


def _check(view: View, alarms: t.Sequence[t.Mapping[str, str]]) -> None:
    """Refuse what would harm the cluster.

    :raises RefusedError: nothing was changed.
    """
    corrupt = [alarm["member"] for alarm in alarms if alarm["alarm"] == "CORRUPT"]
    if corrupt:
        names = _names(member for member in view.members if f"{member.id:x}" in corrupt) or ", ".join(corrupt)
        raise RefusedError(
            f"the alarm CORRUPT is raised for {names}: the data of the members differs, and compaction could remove "
            "what is needed to find out which is right. Replace the member whose data is wrong, or restore a backup. "
            "Nothing was changed"
        )
    # While NOSPACE is raised writes are refused anyway, so that a member that stops answering costs nothing.
    down = [member for member in view.voters if not member.healthy]
    if down and not _nospace(alarms):
        raise RefusedError(
            f"{_names(down)}: does not answer ({down[0].problem}). Each other member stops answering while it is "
            "defragmented, which could cost the quorum. Bring it back, or replace it (etcd_replace_member.yml), then "
            "run this again. Nothing was changed"
        )


def _nospace(alarms: t.Iterable[t.Mapping[str, str]]) -> list[str]:
    return [alarm["member"] for alarm in alarms if alarm["alarm"] == "NOSPACE"]


def _check_quorum(view: View) -> None:
    if len(view.healthy_voters) < view.quorum:
        down = ", ".join(f"{member.label}: {member.problem}" for member in view.voters if not member.healthy)
        raise RefusedError(
            f"the cluster has no quorum: {len(view.healthy_voters)} of {len(view.voters)} voting members are healthy "
            f"and {view.quorum} are needed ({down}). Start those members, or replace them, then run this again. "
            "Nothing was changed"
        )


class _Maintenance:
    def __init__(self, client: Client, *, keep_revisions: int, timeout: float, check_mode: bool) -> None:
        self._client = client
        self._keep = keep_revisions
        self._timeout = timeout
        self._check_mode = check_mode
        self.outcome = Outcome()

    def run(self) -> None:
        view = look(self._client, agreed=True)
        _check_quorum(view)
        alarms = raised(self._client)
        _check(view, alarms)
        leader = view.leader
        # The leader is the last one: an election is then due once at most.
        members = sorted(view.healthy_voters, key=lambda member: (member is leader, member.name))
        compacted = self._compact(members[-1])
        sizes: dict[int, tuple[Member, int, Member]] = {}
        for member in members:
            before = _size(member)
            sizes[member.id] = (member, before, self._defragment(member, always=compacted))
        self.outcome.sizes = sorted(
            (_sized(member, before, after) for member, before, after in sizes.values()), key=lambda size: size.name
        )
        self.outcome.alarms = self._disarm(view)

    # --- compaction

    def _compact(self, member: Member) -> bool:
        """Remove old revisions, and return whether there were any."""
        revision = int(self._client.first("/v3/kv/range", dict(_NO_KEY))[1]["header"]["revision"]) - self._keep
        if revision <= 1 or self._is_compacted(revision):
            return False
        self.outcome.actions.append(f"compact to revision {revision}")
        if not self._check_mode:
            # With "physical" it answers when that member has finished.
            body = {"revision": str(revision), "physical": True}
            try:
                self._client.ask("/v3/kv/compaction", body, endpoint=member.client_urls[0], timeout=self._timeout)
            except EtcdError as error:
                # An API server may have done it meanwhile.
                if "has been compacted" not in error.detail:
                    raise
        return True

    def _is_compacted(self, revision: int) -> bool:
        try:
            self._client.first("/v3/kv/range", {**_NO_KEY, "revision": str(revision - 1)})
        except EtcdError as error:
            if "has been compacted" in error.detail:
                return True
            raise
        return False

    # --- defragmentation

    def _defragment(self, member: Member, *, always: bool) -> Member:
        """Write the file of a member again, wait until it is healthy, and return it as it is then.

        :param always: there was a compaction; without one only a file that has much free space is written again.
        """
        if not self._check_mode:
            member = self._settled(member)
        status = member.status
        if status is None or not (always or status.db_size - status.db_in_use >= _WORTH):
            return member
        what = f"defragment {member.name} ({size_text(status.db_size)}"
        if self._check_mode:
            self.outcome.actions.append(f"{what}, {size_text(status.db_in_use)} in use)")
            return member
        try:
            url = member.client_urls[0]
            self._client.ask("/v3/maintenance/defragment", {}, endpoint=url, timeout=self._timeout)
        except EtcdError as error:
            raise RefusedError(
                f"{member.name} was not defragmented: {error}. The members after it were not touched. Its file is as "
                "it was, or defragmentation goes on; when the member answers again, run this again, with a longer "
                "timeout if that was too short, and with room for a second file on its disk"
            ) from error
        after = self._healthy(member)
        self.outcome.actions.append(f"{what} -> {size_text(_size(after))})")
        return after

    def _look(self, member: Member) -> Member | None:
        """Return a member as it is now; None while it does not answer."""
        try:
            view = look(self._client)
        except EtcdError:
            return None
        return next((found for found in view.members if found.id == member.id and found.healthy), None)

    def _healthy(self, member: Member) -> Member:
        deadline = time.monotonic() + self._timeout
        while True:
            found = self._look(member)
            if found:
                return found
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"{member.name}: does not answer {self._timeout:.0f} s after it was defragmented, and the members "
                    "after it were not touched. See `journalctl --unit=etcd` on its host, then run this again"
                )
            time.sleep(_POLL_SECONDS)

    def _settled(self, member: Member) -> Member:
        """Wait until a member has finished its compaction in the background."""
        deadline = time.monotonic() + self._timeout
        found = self._healthy(member)
        while time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            before, found = found, self._healthy(member)
            if before.status and found.status and before.status.db_in_use - found.status.db_in_use <= _SETTLED:
                break
        return found

    # --- alarm

    def _disarm(self, view: View) -> list[dict[str, str]]:
        """Disarm NOSPACE where there is room again, and return the alarms that are left.

        :raises RefusedError: a database still has no room for a write.
        """
        names = {f"{member.id:x}": member.name for member in view.members}
        alarms = raised(self._client)
        if not self._check_mode:
            full = [size for size in self.outcome.sizes if size.quota and size.after + _REQUEST > size.quota]
            if full:
                raise RefusedError(
                    f"the data in use fills the quota ({'; '.join(str(size) for size in full)}), so that the alarm "
                    f"NOSPACE stays. First {RAISE_QUOTA}, then run this again"
                )
            self.outcome.warnings = [
                f"{size}: at the quota etcd refuses writes; {RAISE_QUOTA}"
                for size in self.outcome.sizes
                if nearly_full(size.after, size.quota)
            ]
        for member in _nospace(alarms):
            if not self._check_mode:
                body = {"action": "DEACTIVATE", "memberID": str(int(member, 16)), "alarm": "NOSPACE"}
                self._client.first("/v3/maintenance/alarm", body)
            self.outcome.actions.append(f"disarm NOSPACE of {names.get(member) or member}")
        return alarms if self._check_mode else raised(self._client)


def _size(member: Member) -> int:
    return member.status.db_size if member.status else 0


def _sized(member: Member, before: int, after: Member) -> Size:
    status = after.status
    in_use, quota = (status.db_in_use, status.db_quota) if status else (0, 0)
    return Size(member.name, before, _size(after), in_use, quota)


def maintain(client: Client, *, keep_revisions: int = 0, timeout: float = 300.0, check_mode: bool = False) -> Outcome:
    """Compact, defragment one member after the other, the leader last, and disarm NOSPACE.

    Steps that are done already are not repeated, so that an interrupted call can be started again.

    :param keep_revisions: how many revisions before the current one stay readable.
    :param timeout: seconds for the compaction, and for each member.
    :raises EtcdError: no endpoint can be used, or etcd refuses.
    :raises RefusedError: there is no quorum, the alarm CORRUPT is raised, a member does not answer, or the data in use
        fills the quota. ``actions`` has the actions before that.
    """
    work = _Maintenance(client, keep_revisions=keep_revisions, timeout=timeout, check_mode=check_mode)
    try:
        work.run()
    except (EtcdError, RefusedError) as error:
        error.actions = list(work.outcome.actions)
        raise
    return work.outcome
