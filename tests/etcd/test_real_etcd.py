# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules etcd_member and etcd_member_info against real etcd, with etcdctl as witness."""

from __future__ import annotations

import datetime
import json
import threading

import pytest
from conftest import VERSIONS
from harness import Authority, free_port


def ids(outcome):
    return {member["name"]: member["id"] for member in outcome.data["members"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_member_joins_catches_up_and_leaves(new_cluster, run_module, version):
    cluster = new_cluster("one", version=version)
    cluster.etcdctl("put", "kept", "value")
    two = cluster.node("two")
    options = cluster.options(name="two", peer_urls=[two.peer_url], client_urls=[two.client_url], timeout=30)

    predicted = run_module("etcd_member", **options, check=True, diff=True)
    assert predicted.data["actions"] == [
        f"add two as a learner with {two.peer_url}",
        "promote two to a voting member",
    ]
    assert list(cluster.members()) == ["one"], "check mode changes nothing"

    added = run_module("etcd_member", **options | {"state": "learner"})
    assert added.data["actions"] == [f"add two as a learner with {two.peer_url}"]
    assert cluster.members()[two.peer_url][1], "etcdctl calls it a learner"
    again = run_module("etcd_member", **options | {"state": "learner"})
    assert again.data["changed"] is False, "one that was added and never started is not added twice"

    cluster.start(two, added.data["initial_cluster"], "existing")
    done = run_module("etcd_member", **options, diff=True)
    assert not done.failed, done.message
    assert [action.split()[0] for action in done.data["actions"]] == ["promote"]
    assert done.data["diff"]["before"] != done.data["diff"]["after"]
    assert done.data["diff"]["after"] == predicted.data["diff"]["after"].replace("(new)", ids(done)["two"])
    assert cluster.members() == {name: (id_, False) for name, id_ in ids(done).items()}
    assert (done.data["voting"], done.data["healthy"], done.data["quorum"], done.data["tolerates"]) == (2, 2, 2, 0)
    assert cluster.etcdctl("get", "kept", "--print-value-only", endpoint=two.client_url) == "value\n"
    assert run_module("etcd_member", **options).data["changed"] is False

    gone = run_module("etcd_member", **options | {"state": "absent"})
    assert not gone.failed, gone.message
    assert list(cluster.members()) == ["one"]
    assert gone.data["tolerates"] == 0
    assert run_module("etcd_member", **options | {"state": "absent"}).data["changed"] is False


def test_present_in_one_call_waits_for_the_start(new_cluster, run_module):
    cluster = new_cluster("one")
    two = cluster.node("two")
    initial = f"one={cluster.nodes['one'].peer_url},two={two.peer_url}"

    def start_when_added():
        while two.peer_url not in cluster.members():
            pass
        cluster.start(two, initial, "existing")

    starter = threading.Thread(target=start_when_added)
    starter.start()
    done = run_module("etcd_member", **cluster.options(name="two", peer_urls=[two.peer_url], timeout=30))
    starter.join()
    assert not done.failed, done.message
    assert [action.split()[0] for action in done.data["actions"]] == ["add", "promote"]
    assert not cluster.members()["two"][1]


def test_a_learner_that_never_starts(new_cluster, run_module):
    cluster = new_cluster("one")
    two = cluster.node("two")
    options = cluster.options(name="two", peer_urls=[two.peer_url])
    late = run_module("etcd_member", **options, timeout=1)
    assert late.failed
    assert late.data["changed"], "it was added, and that stands"
    assert "was not possible within 1 s: the learner does not answer" in late.message
    assert "--initial-cluster-state=existing" in late.message
    pending = run_module("etcd_member", **options, wait=False)
    assert not pending.failed
    assert not pending.data["changed"]
    assert [step.split()[0] for step in pending.data["pending"]] == ["promote"]
    third = cluster.node("three")
    refused = run_module("etcd_member", **cluster.options(name="three", peer_urls=[third.peer_url], state="learner"))
    assert refused.failed
    assert "etcd takes one learner at a time" in refused.message
    # It has no name: by its ID it can be removed.
    (unnamed,) = [member for member in pending.data["members"] if not member["started"]]
    assert run_module("etcd_member", **cluster.options(id=unnamed["id"], state="absent")).data["changed"]
    assert list(cluster.members()) == ["one"]


def test_quorum(new_cluster, run_module):
    cluster = new_cluster("one", "two", "three")
    healthy = run_module("etcd_member_info", **cluster.options())
    assert (healthy.data["voting"], healthy.data["quorum"], healthy.data["tolerates"]) == (3, 2, 1)
    assert healthy.data["alarms"] == []
    answer = json.loads(cluster.etcdctl("endpoint", "status", "--cluster", "--write-out=json"))
    by_id = {f"{entry['Status']['header']['member_id']:x}": entry["Status"] for entry in answer}
    for member in healthy.data["members"]:
        status = by_id[member["id"]]
        assert member["version"] == status["version"]
        assert member["raft_term"] == status["raftTerm"]
        assert member["db_size"] == status["dbSize"]
        assert f"{status['leader']:x}" == healthy.data["leader"]["id"]

    cluster.stop(cluster.nodes["three"])
    refused = run_module("etcd_member", **cluster.options(name="two", state="absent"))
    assert refused.failed
    assert "without it 1 of 2 voting members would be healthy and 2 are needed" in refused.message
    assert f"three {ids(healthy)['three']}" in refused.message
    assert run_module("etcd_member", **cluster.options(name="two", state="absent"), check=True).failed
    degraded = run_module("etcd_member_info", **cluster.options())
    assert (degraded.data["healthy"], degraded.data["tolerates"]) == (2, 0)
    problem = next(member["problem"] for member in degraded.data["members"] if member["name"] == "three")
    assert problem.startswith(f"{cluster.nodes['three'].client_url}: connection refused")

    # The dead one goes, then the cluster of two is whole.
    assert run_module("etcd_member", **cluster.options(name="three", state="absent")).data["changed"]
    assert sorted(cluster.members()) == ["one", "two"]

    cluster.stop(cluster.nodes["two"])
    lost = run_module("etcd_member", **cluster.options(name="two", state="absent", force=True, timeout=3))
    assert lost.failed
    assert "no quorum: 1 of 2 voting members are healthy and 2 are needed" in lost.message or (
        "no quorum" in lost.message
    )
    alone = run_module("etcd_member_info", **cluster.options())
    assert not alone.failed
    assert (alone.data["healthy"] < alone.data["quorum"]) or alone.data["leader"] is None


def test_the_only_voting_member_stays(new_cluster, run_module):
    cluster = new_cluster("one")
    refused = run_module("etcd_member", **cluster.options(name="one", state="absent", force=True))
    assert refused.failed
    assert "is the only voting member" in refused.message


def test_peer_urls_change(new_cluster, run_module):
    cluster = new_cluster("one")
    url = f"https://127.0.0.1:{free_port()}"
    changed = run_module("etcd_member", **cluster.options(name="one", peer_urls=[url]))
    assert not changed.failed, changed.message
    assert changed.data["members"][0]["peer_urls"] == [url]
    assert url in cluster.etcdctl("member", "list")
    taken = run_module("etcd_member", **cluster.options(name="other", peer_urls=[url]))
    assert taken.failed
    assert "remove that one first" in taken.message


def test_the_next_endpoint_is_tried(new_cluster, run_module):
    cluster = new_cluster("one")
    closed = f"https://127.0.0.1:{free_port()}"
    options = cluster.options()
    found = run_module("etcd_member_info", **options | {"endpoints": [closed, *options["endpoints"]]})
    assert not found.failed, found.message
    alone = run_module("etcd_member_info", **options | {"endpoints": [closed]})
    assert alone.failed
    assert alone.message.startswith(f"{closed}: connection refused")
    other = f"https://127.0.0.1:{free_port()}"
    both = run_module("etcd_member_info", **options | {"endpoints": [closed, other]})
    assert f"{closed}: connection refused" in both.message
    assert f"{other}: connection refused" in both.message


def test_errors_name_endpoint_and_cause(new_cluster, run_module, tmp_path):
    cluster = new_cluster("one")
    (endpoint,) = cluster.options()["endpoints"]
    port = endpoint.rpartition(":")[2]
    stranger = Authority(tmp_path, "stranger")
    foreign = [str(path) for path in stranger.issue("client")]
    expired = [str(path) for path in cluster.authority.issue("expired", ends=-datetime.timedelta(hours=1))]

    def cause(**options):
        outcome = run_module("etcd_member_info", **cluster.options() | options)
        assert outcome.failed
        return outcome.message

    message = cause(ca_cert=str(stranger.certificate))
    assert message.startswith(f"{endpoint}: certificate not trusted (")
    message = cause(endpoints=[f"https://127.0.0.2:{port}", f"https://localhost:{port}"])
    assert f"https://localhost:{port}: certificate of the wrong name" in message
    assert cause(client_cert=foreign[0], client_key=foreign[1]).startswith(
        f"{endpoint}: client certificate not accepted ("
    )
    message = cause(client_cert=expired[0], client_key=expired[1])
    assert message.startswith(f"{endpoint}: client certificate not accepted (")
    assert "expired" in message
    assert cause(client_cert=None, client_key=None).startswith(f"{endpoint}: client certificate not accepted (")
    assert cause(client_key=foreign[1]).startswith(f"{endpoint}: certificate files (client_cert ")
    assert cause(ca_cert="/nonexistent").startswith(f"{endpoint}: certificate files (ca_cert /nonexistent ")
    assert "not a client URL; allowed: https://HOST:PORT" in cause(endpoints=["127.0.0.1:2379"])


def test_an_expired_server_certificate(new_cluster, run_module):
    cluster = new_cluster("one")
    # etcd reads its certificate again at each handshake.
    certificate, key = cluster.authority.issue("short", ends=-datetime.timedelta(hours=1))
    ours = [str(path) for path in cluster.authority.issue("mine")]
    certificate.replace(cluster.certificate)
    key.replace(cluster.key)
    outcome = run_module("etcd_member_info", **cluster.options(client_cert=ours[0], client_key=ours[1]))
    assert outcome.failed
    assert outcome.message.startswith(f"{cluster.nodes['one'].client_url}: certificate expired (")
