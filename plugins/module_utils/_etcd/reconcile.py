# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an etcd cluster, and reconcile one member with the wanted state, one request at a time.

After each request the members are read again, so that the result is never assumed. A lost answer is therefore
harmless, and an interrupted run can be repeated.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import RefusedError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Cause, Client, EtcdError, summary
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.membership import (
    Member,
    Status,
    Step,
    View,
    Wanted,
    check,
    find,
    initial_cluster,
    plan,
    predict,
    ready_to_promote,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.reading import raised

__all__ = ("Outcome", "alarms", "look", "reconcile")

_STATUS_SECONDS = 3.0
_POLL_SECONDS = 0.3
# Transient causes: an election, or the 5 s for which etcd requires every member to be connected before a change.
_PASSING = (
    Cause.UNHEALTHY,
    Cause.NOT_IN_SYNC,
    Cause.NO_QUORUM,
    Cause.NOT_LEADER,
    Cause.TIME_OUT,
    Cause.UNREACHABLE,
    Cause.REFUSED,
)


def look(client: Client, *, client_urls: t.Mapping[str, t.Sequence[str]] | None = None, agreed: bool = False) -> View:
    """Return the cluster's members and the status of each.

    :param client_urls: by peer URL, where a member answers while the cluster does not know its client URLs.
    :param agreed: read the list linearizably, when there is a quorum. Without it the list is the one that a single
        member has, which also works without a quorum.
    :raises EtcdError: no endpoint can be used.
    """
    answer = client.first("/v3/cluster/member/list", {"linearizable": False})[1]
    view = _view(client, answer, client_urls or {})
    if not agreed or len(view.healthy_voters) < view.quorum:
        return view
    # etcd 3.4 does not have the field, and answers with the list of that one member.
    asked = [url for member in (view.leader, *view.healthy_voters) if member for url in member.client_urls]
    answer = client.first("/v3/cluster/member/list", {"linearizable": True}, endpoints=asked)[1]
    known = {member.id: member for member in view.members}
    members = [Member.of(entry) for entry in answer.get("members", ())]
    if {member.id for member in members} - set(known):
        return _view(client, answer, client_urls or {})
    return dataclasses.replace(
        view,
        members=tuple(
            dataclasses.replace(member, status=known[member.id].status, problem=known[member.id].problem)
            for member in members
        ),
    )


def _view(client: Client, answer: t.Mapping[str, t.Any], client_urls: t.Mapping[str, t.Sequence[str]]) -> View:
    cluster_id = int(answer["header"]["cluster_id"])
    members = [Member.of(entry) for entry in answer.get("members", ())]

    def asked(member: Member) -> Member:
        urls = member.client_urls or tuple(url for peer in member.peer_urls for url in client_urls.get(peer, ()))
        try:
            status = _status(client, cluster_id, member, urls)
        except EtcdError as error:
            return dataclasses.replace(member, problem=str(error))
        return dataclasses.replace(member, status=status, problem="" if status.leader else "it sees no leader")

    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(members))) as pool:
        return View(cluster_id, tuple(pool.map(asked, members)))


def _status(client: Client, cluster_id: int, member: Member, urls: t.Sequence[str]) -> Status:
    if not urls:
        raise EtcdError(member.label, Cause.UNREACHABLE, "it has not started, so its client URLs are not known")
    errors = []
    for url in urls:
        try:
            answer = client.ask("/v3/maintenance/status", endpoint=url, timeout=min(client.timeout, _STATUS_SECONDS))
        except EtcdError as error:
            errors.append(error)
            continue
        header = answer.get("header", {})
        if int(header.get("cluster_id", 0)) != cluster_id:
            found = f"a member of another cluster answers there: {int(header.get('cluster_id', 0)):x}"
            errors.append(EtcdError(url, Cause.UNREACHABLE, found))
            continue
        if int(header.get("member_id", 0)) != member.id:
            found = f"another member answers there: {int(header.get('member_id', 0)):x}"
            errors.append(EtcdError(url, Cause.UNREACHABLE, found))
            continue
        return Status.of(answer)
    raise summary(errors)


def alarms(client: Client, view: View) -> list[dict[str, str]]:
    """Return the alarms that are raised, with the member's ID; none is known without a quorum."""
    if len(view.healthy_voters) < view.quorum:
        return []
    return raised(client)


@dataclasses.dataclass
class Outcome:
    """The cluster before and after a call, and the actions."""

    before: View
    after: View
    actions: list[str]
    pending: list[str]
    initial_cluster: str


class _Reconciler:
    def __init__(
        self, client: Client, wanted: Wanted, *, client_urls: t.Sequence[str], wait: bool, timeout: float
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._hints = {url: tuple(client_urls) for url in wanted.peer_urls}
        self._wait = wait
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self.actions: list[str] = []

    def look(self) -> View:
        return look(self._client, client_urls=self._hints, agreed=True)

    def _again(self) -> View:
        """Look until the cluster answers, within the time that is left."""
        while True:
            try:
                return self.look()
            except EtcdError as error:
                if error.cause not in _PASSING or time.monotonic() > self._deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def predict(self, view: View) -> tuple[View, list[str]]:
        """Return the predicted cluster, and the steps that would remain."""
        for step in plan(view, self._wanted):
            if step.kind == "promote" and not self._wait:
                member = find(view, self._wanted)
                if member is None or not ready_to_promote(view, member):
                    return view, [str(step)]
            # A prediction assumes that an added member starts.
            if step.id or step.kind == "add":
                check(view, step, force=self._wanted.force or (step.kind == "promote" and self._wait))
            view = predict(view, step)
            self.actions.append(str(step))
        return view, []

    def run(self, view: View) -> tuple[View, list[str]]:
        """Carry out the steps, and return the cluster after them and the remaining steps."""
        while True:
            steps = plan(view, self._wanted)
            if not steps:
                return self._settled(view), []
            step = steps[0]
            waits = step.kind == "promote" and not self._ready(view)
            error: EtcdError | None = None
            if not waits:
                check(view, step, force=self._wanted.force)
                try:
                    self._send(step)
                    self.actions.append(str(step))
                except EtcdError as failure:
                    passing = failure.cause in _PASSING
                    if not passing or (not self._wait and failure.cause != Cause.NOT_IN_SYNC):
                        raise
                    error = failure
            if waits or error:
                if not self._wait:
                    return view, [str(step) for step in steps]
                if time.monotonic() > self._deadline:
                    raise RefusedError(self._late(view, step, error))
                time.sleep(_POLL_SECONDS)
            view = self._again()

    def _ready(self, view: View) -> bool:
        member = find(view, self._wanted)
        return member is not None and (self._wanted.force or ready_to_promote(view, member))

    def _send(self, step: Step) -> None:
        requests: dict[str, tuple[str, dict[str, t.Any]]] = {
            "add": ("/v3/cluster/member/add", {"peerURLs": list(step.peer_urls), "isLearner": True}),
            "update": ("/v3/cluster/member/update", {"ID": str(step.id), "peerURLs": list(step.peer_urls)}),
            "promote": ("/v3/cluster/member/promote", {"ID": str(step.id)}),
            "remove": ("/v3/cluster/member/remove", {"ID": str(step.id)}),
        }
        path, body = requests[step.kind]
        self._client.first(path, body, write=True)

    def _settled(self, view: View) -> View:
        """After a change, wait until the member answers in its new place."""
        while self.actions and self._wait and self._wanted.state in ("present", "promoted"):
            member = find(view, self._wanted)
            if member is None or member.healthy:
                break
            if time.monotonic() > self._deadline:
                raise RefusedError(
                    f"{member.label}: {'; '.join(self.actions)}: done, but it does not answer after "
                    f"{self._timeout:.0f} s: {member.problem}"
                )
            time.sleep(_POLL_SECONDS)
            view = self._again()
        return view

    def _late(self, view: View, step: Step, error: EtcdError | None) -> str:
        member = find(view, self._wanted)
        said = f"{self._wanted.label}: '{step}' was not possible within {self._timeout:.0f} s"
        if error:
            return f"{said}: {error}"
        if member is None or member.status is None:
            return (
                f"{said}: the learner does not answer ({member.problem if member else 'it is gone'}). It is a member "
                "already and takes no part in votes; start etcd on it with --initial-cluster-state=existing and "
                f"--initial-cluster={initial_cluster(view, self._wanted)}, then run this again"
            )
        leader = view.leader
        of = leader.status.raft_index if leader and leader.status else "?"
        return (
            f"{said}: the learner has not caught up, it is at raft index {member.status.raft_index} of {of}. It goes "
            "on; run this again, or give it a longer timeout"
        )


def reconcile(
    client: Client,
    wanted: Wanted,
    *,
    client_urls: t.Sequence[str] = (),
    wait: bool = True,
    timeout: float = 120.0,
    check_mode: bool = False,
) -> Outcome:
    """Bring one member into its state.

    :param client_urls: where the member answers clients, for the time in which the cluster does not know.
    :param wait: wait until a learner has caught up and promote it; otherwise ``pending`` has the remaining steps.
    :param timeout: seconds for all of it.
    :raises EtcdError: no endpoint can be used, or etcd refuses.
    :raises RefusedError: the change would lose the quorum, or did not come about in time.
    """
    work = _Reconciler(client, wanted, client_urls=client_urls, wait=wait, timeout=timeout)
    before = work.look()
    try:
        after, pending = work.predict(before) if check_mode else work.run(before)
    except (EtcdError, RefusedError) as error:
        error.actions = list(work.actions)
        raise
    return Outcome(before, after, work.actions, pending, initial_cluster(after, wanted))
