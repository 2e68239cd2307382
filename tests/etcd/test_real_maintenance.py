# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module etcd_maintenance on full databases of real etcd, with etcdctl as witness."""

from __future__ import annotations

import json
import signal

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client
from conftest import VERSIONS
from full import HEALTH_PATH, QUOTA, fill, full_cluster, write

MIB = 1 << 20


def alarms(cluster):
    return sorted(cluster.etcdctl("alarm", "list").split())


def statuses(cluster):
    """What etcdctl says of each member, and the name of the leader."""
    found = [entry["Status"] for entry in json.loads(cluster.etcdctl("endpoint", "status", "--cluster", "-w", "json"))]
    names = {int(entry[0], 16): name for name, entry in cluster.members().items()}
    return {names[status["header"]["member_id"]]: status for status in found}, names[found[0]["leader"]]


def defragmented(outcome):
    return [action.split()[1] for action in outcome.data["actions"] if action.startswith("defragment")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_database_takes_writes_again(empty_cluster, run_module, version):
    cluster = full_cluster(empty_cluster(version), "one", "two", "three")
    raised = alarms(cluster)
    assert raised, "etcd raised no alarm"
    counted, last = statuses(cluster)
    # The member that was asked is full. How tightly the others packed the same data differs.
    assert max(status["dbSize"] for status in counted.values()) > QUOTA - 2 * MIB
    sizes = {name: (node.data / "member/snap/db").stat().st_size for name, node in cluster.nodes.items()}

    predicted = run_module("etcd_maintenance", **cluster.options(), check=True)
    assert not predicted.failed, predicted.message
    assert predicted.data["changed"]
    assert defragmented(predicted)[-1] == last
    assert alarms(cluster) == raised, "check mode changes nothing"
    assert {name: (node.data / "member/snap/db").stat().st_size for name, node in cluster.nodes.items()} == sizes

    done = run_module("etcd_maintenance", **cluster.options())
    assert not done.failed, done.message
    assert sorted(defragmented(done)) == ["one", "three", "two"]
    assert defragmented(done)[-1] == last, "the leader is the last"
    kinds = [action.split()[0] for action in done.data["actions"]]
    assert kinds == sorted(kinds, key=["compact", "defragment", "disarm"].index)
    assert [action.split()[0] for action in predicted.data["actions"]] == kinds
    assert done.data["alarms"] == []
    assert alarms(cluster) == []
    for member in done.data["members"]:
        assert member["after"] < 4 * MIB
        # The file on the disk is longer than what etcd counts.
        assert counted[member["name"]]["dbSize"] <= member["before"] <= sizes[member["name"]]
        assert member["after"] < member["before"]
        assert (cluster.nodes[member["name"]].data / "member/snap/db").stat().st_size < sizes[member["name"]]
        assert member["quota"] == QUOTA
    assert done.data["report"][0].startswith("one: 1")
    assert " MiB of a quota of 16.0 MiB, " in done.data["report"][0]
    again = run_module("etcd_maintenance", **cluster.options())
    assert again.data["changed"] is False, again.data["actions"]
    for node in cluster.nodes.values():
        cluster.wait(node)
    write(cluster)


@pytest.mark.parametrize("version", VERSIONS)
def test_data_in_use_fills_the_quota(empty_cluster, run_module, version):
    cluster = empty_cluster(version).form("one", flags=(f"--quota-backend-bytes={QUOTA}",))
    for keys in ("first", "second", "third"):
        fill(cluster, keys=keys)
        if keys != "third":
            # etcd leaves gaps in its file; without them more data fits.
            cluster.etcdctl("defrag")
            cluster.etcdctl("alarm", "disarm")
    refused = run_module("etcd_maintenance", **cluster.options())
    assert refused.failed
    assert "the data in use fills the quota (one: " in refused.message
    assert "raise the quota (etcd_extra_flags: quota-backend-bytes)" in refused.message
    assert refused.data["changed"], "it was compacted"
    assert alarms(cluster) != []
    (shown,) = json.loads(cluster.etcdctl("endpoint", "status", "--write-out=json"))
    # Room for a request of the largest size, and little more.
    raised = shown["Status"]["dbSize"] + 2 * MIB
    one = cluster.nodes["one"]
    cluster.stop(one, signal.SIGTERM)
    cluster.start(one, "", "existing", f"--quota-backend-bytes={raised}")
    cluster.wait(one, path=HEALTH_PATH)
    done = run_module("etcd_maintenance", **cluster.options())
    assert not done.failed, done.message
    assert "disarm NOSPACE of one" in done.data["actions"]
    assert "at the quota etcd refuses writes" in done.warnings
    write(cluster, key="new")


def test_no_quorum(new_cluster, run_module):
    cluster = new_cluster("one", "two", "three")
    write(cluster)
    for name in ("two", "three"):
        cluster.stop(cluster.nodes[name])
    for check in (True, False):
        refused = run_module("etcd_maintenance", **cluster.options(request_timeout=3), check=check)
        assert refused.failed
        assert refused.data["changed"] is False
        assert "no quorum: " in refused.message
        assert "Nothing was changed" in refused.message


def test_a_member_that_does_not_answer(empty_cluster, run_module):
    cluster = empty_cluster().form("one", "two", "three", flags=(f"--quota-backend-bytes={QUOTA}",))
    write(cluster)
    cluster.stop(cluster.nodes["two"])
    refused = run_module("etcd_maintenance", **cluster.options())
    assert refused.failed
    assert refused.message.startswith("two: does not answer (")
    assert refused.data["actions"] == []
    # With the alarm nothing is written anyway: it does not block its own cure.
    fill(cluster)
    done = run_module("etcd_maintenance", **cluster.options())
    assert not done.failed, done.message
    assert sorted(defragmented(done)) == ["one", "three"]
    write(cluster)


def test_corrupt(new_cluster, run_module):
    cluster = new_cluster("one", "two")
    write(cluster)
    member = int(cluster.members()["two"][0], 16)
    body = {"action": "ACTIVATE", "memberID": str(member), "alarm": "CORRUPT"}
    Client.of(cluster.options(request_timeout=5)).first("/v3/maintenance/alarm", body)
    refused = run_module("etcd_maintenance", **cluster.options())
    assert refused.failed
    assert refused.message.startswith("the alarm CORRUPT is raised for two: ")
    assert refused.data["actions"] == []


def test_revisions_that_are_kept(new_cluster, run_module):
    cluster = new_cluster("one")
    for number in range(10):
        cluster.etcdctl("put", "key", str(number))  # revisions 2 to 11
    done = run_module("etcd_maintenance", **cluster.options(keep_revisions=3))
    assert done.data["actions"][0] == "compact to revision 8"
    assert cluster.etcdctl("get", "key", "--rev=8", "--print-value-only") == "6\n"
    with pytest.raises(Exception, match="etcdctl"):
        cluster.etcdctl("get", "key", "--rev=7")
    assert run_module("etcd_maintenance", **cluster.options(keep_revisions=3)).data["changed"] is False
    assert run_module("etcd_maintenance", **cluster.options(keep_revisions=99)).data["changed"] is False
    refused = run_module("etcd_maintenance", **cluster.options(keep_revisions=-1))
    assert refused.message == "keep_revisions: -1 is negative; 0 or more is allowed"


def test_the_next_member_waits_for_the_one_before(new_cluster, run_module, monkeypatch):
    cluster = new_cluster("one", "two", "three")
    write(cluster)
    write(cluster)
    asked, ask = [], Client.ask

    def stopping(self, path, body=None, *, endpoint, timeout=None):
        answer = ask(self, path, body, endpoint=endpoint, timeout=timeout)
        if path == "/v3/maintenance/defragment":
            asked.append(endpoint)
            cluster.stop(next(node for node in cluster.nodes.values() if node.client_url == endpoint))
        return answer

    monkeypatch.setattr(Client, "ask", stopping)
    failed = run_module("etcd_maintenance", **cluster.options(timeout=3))
    assert failed.failed
    assert len(asked) == 1, "the others stay as they are"
    assert "does not answer 3 s after it was defragmented, and the members after it were not touched" in failed.message
    assert failed.data["changed"]
