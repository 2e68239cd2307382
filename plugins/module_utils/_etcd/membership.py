# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership of an etcd cluster as desired state: the steps to it, and their refusal. No request is sent here."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import RefusedError

__all__ = (
    "Member",
    "Status",
    "Step",
    "View",
    "Wanted",
    "check",
    "find",
    "initial_cluster",
    "plan",
    "predict",
    "ready_to_promote",
    "unexpected",
)

# etcd promotes a learner that holds this part of the leader's log (etcdserver: readyPercentThreshold).
_READY = 0.9


@dataclasses.dataclass(frozen=True)
class Status:
    """The status that a member reports. Sizes in bytes."""

    version: str
    db_size: int
    raft_term: int
    raft_index: int
    leader: int
    db_in_use: int = 0
    #: 0 where etcd does not report it (before 3.6).
    db_quota: int = 0

    @classmethod
    def of(cls, answer: t.Mapping[str, t.Any]) -> Status:
        """Read the gateway's answer to ``/v3/maintenance/status``."""
        return cls(
            version=str(answer.get("version", "")),
            db_size=int(answer.get("dbSize", 0)),
            raft_term=int(answer.get("raftTerm", 0)),
            raft_index=int(answer.get("raftIndex", 0)),
            leader=int(answer.get("leader", 0)),
            db_in_use=int(answer.get("dbSizeInUse", 0)),
            db_quota=int(answer.get("dbSizeQuota", 0)),
        )


@dataclasses.dataclass(frozen=True)
class Member:
    """A member as the cluster knows it.

    :param name: empty until it has started for the first time.
    :param status: its answer; None when it did not answer.
    :param problem: the reason why it did not answer.
    """

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    learner: bool = False
    status: Status | None = None
    problem: str = ""

    @classmethod
    def of(cls, entry: t.Mapping[str, t.Any]) -> Member:
        """Read an entry of the gateway's ``members``."""
        return cls(
            id=int(entry["ID"]),
            name=str(entry.get("name", "")),
            peer_urls=tuple(entry.get("peerURLs", ())),
            client_urls=tuple(entry.get("clientURLs", ())),
            learner=bool(entry.get("isLearner", False)),
        )

    @property
    def started(self) -> bool:
        """Whether it has ever started: only then does the cluster know its name."""
        return bool(self.name)

    @property
    def healthy(self) -> bool:
        """Whether it answers, and follows or is a leader."""
        return self.status is not None and self.status.leader != 0

    @property
    def label(self) -> str:
        """Its name and ID, for people."""
        return f"{self.name or '(not started)'} {self.id:x}"

    def public(self) -> dict[str, t.Any]:
        """Return it as modules do."""
        status = self.status
        return {
            "id": f"{self.id:x}",
            "name": self.name,
            "peer_urls": list(self.peer_urls),
            "client_urls": list(self.client_urls),
            "learner": self.learner,
            "started": self.started,
            "healthy": self.healthy,
            "problem": self.problem,
            "version": status.version if status else None,
            "db_size": status.db_size if status else None,
            "raft_term": status.raft_term if status else None,
            "raft_index": status.raft_index if status else None,
        }


@dataclasses.dataclass(frozen=True)
class View:
    """A cluster at one moment."""

    cluster_id: int
    members: tuple[Member, ...]

    @property
    def voters(self) -> list[Member]:
        """Members that count for the quorum, started or not."""
        return [member for member in self.members if not member.learner]

    @property
    def healthy_voters(self) -> list[Member]:
        """Voting members that answer and see a leader."""
        return [member for member in self.voters if member.healthy]

    @property
    def quorum(self) -> int:
        """Voting members that have to agree."""
        return len(self.voters) // 2 + 1

    @property
    def tolerates(self) -> int:
        """How many more voting members may fail. Those that do not answer now have failed already."""
        return max(0, len(self.healthy_voters) - self.quorum)

    @property
    def leader(self) -> Member | None:
        """The member that most of those who answer take for the leader."""
        said = [member.status.leader for member in self.members if member.status and member.status.leader]
        if not said:
            return None
        most = max(set(said), key=said.count)
        return next((member for member in self.members if member.id == most), None)

    def public(self) -> dict[str, t.Any]:
        """Return it as modules do."""
        leader = self.leader
        return {
            "cluster_id": f"{self.cluster_id:x}",
            "leader": {"id": f"{leader.id:x}", "name": leader.name} if leader else None,
            "members": [member.public() for member in self.members],
            "voting": len(self.voters),
            "healthy": len(self.healthy_voters),
            "quorum": self.quorum,
            "tolerates": self.tolerates,
        }

    def lines(self) -> str:
        """Return it for a diff: nothing that moves on its own."""
        rows = [
            f"{member.name or '(not started)'} {format(member.id, 'x') if member.id else '(new)'} "
            f"{'learner' if member.learner else 'voting'} {','.join(member.peer_urls)}\n"
            for member in sorted(self.members, key=lambda member: (member.name or "~", member.id))
        ]
        return "".join(rows)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The state that one member shall have.

    :param state: ``present``, ``learner``, ``promoted`` or ``absent``.
    :param id: the member's ID, for one that has no name of its own.
    """

    state: str
    name: str = ""
    id: int = 0
    peer_urls: tuple[str, ...] = ()
    force: bool = False

    @property
    def label(self) -> str:
        """The name or ID that the user gave."""
        return self.name or f"{self.id:x}"


@dataclasses.dataclass(frozen=True)
class Step:
    """One request to the cluster: ``add``, ``update``, ``promote`` or ``remove``."""

    kind: str
    id: int = 0
    name: str = ""
    peer_urls: tuple[str, ...] = ()

    def __str__(self) -> str:
        who = " ".join(part for part in (self.name, f"{self.id:x}" if self.id else "") if part)
        urls = ",".join(self.peer_urls)
        return {
            "add": f"add {who} as a learner with {urls}",
            "update": f"change the peer URLs of {who} to {urls}",
            "promote": f"promote {who} to a voting member",
            "remove": f"remove {who}",
        }[self.kind]


def find(view: View, wanted: Wanted) -> Member | None:
    """Return the member that is meant.

    One that was added and never started has no name; it is known by its peer URLs.

    :raises RefusedError: more than one could be meant, or its URLs belong to another.
    """
    if wanted.id:
        return next((member for member in view.members if member.id == wanted.id), None)
    named = [member for member in view.members if member.name == wanted.name]
    if len(named) > 1:
        raise RefusedError(
            f"{wanted.name}: {len(named)} members have this name ({', '.join(f'{m.id:x}' for m in named)}); say which "
            "with the option id"
        )
    owner = _owner(view, wanted, named)
    return named[0] if named else owner


def _owner(view: View, wanted: Wanted, named: t.Sequence[Member]) -> Member | None:
    """Return the member without a name that has the wanted peer URLs.

    :param named: members with the wanted name.
    :raises RefusedError: a member with another name has them.
    """
    urls = set(wanted.peer_urls)
    owners = [member for member in view.members if urls & set(member.peer_urls) and member not in named]
    taken = next((member for member in owners if member.started), None)
    if taken and wanted.state != "absent":
        raise RefusedError(
            f"{wanted.label}: the member {taken.label} has {', '.join(sorted(urls & set(taken.peer_urls)))} already; "
            "remove that one first (state: absent), or give other peer_urls"
        )
    return owners[0] if owners and not owners[0].started else None


def plan(view: View, wanted: Wanted) -> list[Step]:
    """Return the steps to the wanted state, in their order; none when it is so already.

    :raises RefusedError: a step would lose the quorum and ``force`` is not set, or is not possible at all.
    """
    member = find(view, wanted)
    if wanted.state == "absent":
        steps = [Step("remove", id=member.id, name=member.name)] if member else []
    elif member is None:
        steps = _joining(view, wanted)
    else:
        steps = []
        if wanted.peer_urls and set(wanted.peer_urls) != set(member.peer_urls):
            steps.append(Step("update", id=member.id, name=wanted.name or member.name, peer_urls=wanted.peer_urls))
        if member.learner and wanted.state != "learner":
            steps.append(Step("promote", id=member.id, name=wanted.name or member.name))
    return steps


def _joining(view: View, wanted: Wanted) -> list[Step]:
    if wanted.state == "promoted":
        raise RefusedError(
            f"{wanted.label}: is not a member of the cluster {view.cluster_id:x} ({_names(view)}), so it cannot be "
            "promoted; add it first (state: learner or present)"
        )
    if not wanted.name or not wanted.peer_urls:
        raise RefusedError(f"{wanted.label}: is not a member yet; adding it needs name and peer_urls")
    learner = next((member for member in view.members if member.learner), None)
    if learner is not None:
        raise RefusedError(
            f"{wanted.label}: {learner.label} is a learner, and etcd takes one learner at a time; promote it (state: "
            "promoted) or remove it (state: absent) first"
        )
    add = Step("add", name=wanted.name, peer_urls=wanted.peer_urls)
    return [add] if wanted.state == "learner" else [add, Step("promote", name=wanted.name)]


def _names(view: View) -> str:
    return ", ".join(member.name or f"{member.id:x}" for member in view.members)


def check(view: View, step: Step, *, force: bool) -> None:
    """Refuse a step after which the cluster would not have a quorum.

    :raises RefusedError: with the numbers, and what to do instead.
    """
    healthy, quorum = len(view.healthy_voters), view.quorum
    if healthy < quorum:
        raise RefusedError(
            f"the cluster has no quorum: {healthy} of {len(view.voters)} voting members are healthy and {quorum} are "
            f"needed, so it cannot commit changes and '{step}' is not possible; start the others "
            f"({_unhealthy(view)}), or recover from the survivor (playbook etcd_replace_member.yml)"
        )
    member = next((member for member in view.members if member.id == step.id), None)
    if member is None:
        return
    if step.kind == "remove" and view.voters == [member]:
        raise RefusedError(
            f"{member.label}: is the only voting member, and the cluster ends with it. Add another one first, or stop "
            "etcd and move its data directory away to give the cluster up"
        )
    checks = {"remove": _check_remove, "promote": _check_promote, "update": _check_update}
    if not force and step.kind in checks:
        checks[step.kind](view, member)


def _check_promote(view: View, member: Member) -> None:
    voting = len(view.voters) + 1
    if not member.healthy:
        raise RefusedError(
            f"{member.label}: does not answer ({member.problem or 'it has not started'}); as a voting member it would "
            f"count for the quorum ({voting // 2 + 1} of {voting}) and not vote; start it first "
            "(force: true promotes it as it is)"
        )


def _check_update(view: View, member: Member) -> None:
    voting = len(view.voters)
    others = len(view.healthy_voters) - member.healthy
    if not member.learner and voting > 1 and others < view.quorum:
        raise RefusedError(
            f"{member.label}: while its peer URLs change the others have to do without it, and {others} of "
            f"{voting} voting members would be left where {view.quorum} are needed; bring the others up or add a "
            "member first (force: true changes them anyhow)"
        )


def _check_remove(view: View, member: Member) -> None:
    if member.learner:
        return
    voting = len(view.voters) - 1
    healthy = len(view.healthy_voters) - member.healthy
    quorum = voting // 2 + 1
    if healthy < quorum:
        raise RefusedError(
            f"{member.label}: without it {healthy} of {voting} voting members would be healthy and {quorum} are "
            f"needed; bring back or remove first what does not answer ({_unhealthy(view, but=member)}) "
            "(force: true removes it anyhow)"
        )
    started = sum(1 for other in view.voters if other.started and other.id != member.id)
    if started < quorum:
        raise RefusedError(
            f"{member.label}: without it {started} of {voting} voting members would have started and {quorum} are "
            f"needed; start or remove first what has not ({_unhealthy(view, but=member)}) "
            "(force: true removes it anyhow)"
        )


def _unhealthy(view: View, *, but: Member | None = None) -> str:
    return ", ".join(m.label for m in view.voters if not m.healthy and m is not but) or "none"


def ready_to_promote(view: View, member: Member) -> bool:
    """Whether a learner seems to have caught up with its leader; etcd itself has the last word."""
    leader = view.leader
    if member.status is None or leader is None or leader.status is None:
        return False
    return member.healthy and member.status.raft_index >= _READY * leader.status.raft_index


def initial_cluster(view: View, wanted: Wanted) -> str:
    """Return ``--initial-cluster`` for a member that joins: every member as it is now, ``NAME=PEER_URL``."""
    entries = []
    for member in view.members:
        mine = not member.started and set(member.peer_urls) & set(wanted.peer_urls)
        name = member.name or (wanted.name if mine else f"{member.id:x}")
        entries += [f"{name}={url}" for url in member.peer_urls]
    return ",".join(sorted(entries))


def unexpected(view: View, initial: str) -> list[Member]:
    """Return the members that are not among those expected.

    One that has a name is known by it; one that never started is known by its peer URLs.

    :param initial: the expected members, ``NAME=PEER_URL`` with commas between.
    :raises RefusedError: an entry has another form.
    """
    names, urls = set(), set()
    for entry in filter(None, (part.strip() for part in initial.split(","))):
        name, separator, url = entry.partition("=")
        if not (name and separator and url):
            raise RefusedError(f"expected: {entry!r} is not of the form NAME=PEER_URL")
        names.add(name)
        urls.add(url)
    return [
        member
        for member in view.members
        if (member.name not in names if member.name else not urls & set(member.peer_urls))
    ]


def predict(view: View, step: Step) -> View:
    """Return the cluster as it is after a step."""
    members = list(view.members)
    if step.kind == "add":
        members.append(Member(id=0, name=step.name, peer_urls=step.peer_urls, learner=True))
        return dataclasses.replace(view, members=tuple(members))
    changed: list[Member] = []
    for member in members:
        if member.id != step.id:
            changed.append(member)
        elif step.kind == "update":
            changed.append(dataclasses.replace(member, peer_urls=step.peer_urls))
        elif step.kind == "promote":
            changed.append(dataclasses.replace(member, learner=False))
    return dataclasses.replace(view, members=tuple(changed))
