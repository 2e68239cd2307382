# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What etcd says to a host."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd import reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import servers

MEMBERS = [
    {"ID": "161", "name": "ctl01", "peerURLs": ["https://10.0.0.11:2380"]},
    {"ID": "178", "peerURLs": ["https://10.0.0.12:2380"], "isLearner": True},
]

ANSWERS = {
    "/v3/cluster/member/list": {"members": MEMBERS},
    "/v3/maintenance/status": {
        "leader": "161",
        "errors": ["memberID:161  alarm:NOSPACE"],
        "dbSize": "300",
        "dbSizeInUse": "200",
        "dbSizeQuota": "100",
    },
}


@pytest.mark.parametrize("answers", [True, False])
def test_members_as_the_etcd_of_the_host_knows_them(monkeypatch, answers):
    class Client:
        def __init__(self, **options):
            assert options["endpoints"] == ["https://127.0.0.1:2379"]
            assert options["client_key"] == "/etc/etcd/etcdctl-key.pem"

        def first(self, path, body=None):
            assert path in ANSWERS
            if not answers:
                raise servers.EtcdError("x", cause="is a learner")
            return "https://127.0.0.1:2379", ANSWERS[path]

    monkeypatch.setattr(servers, "Client", Client)
    expected = [
        {"id": "a1", "name": "ctl01", "peer_urls": ["https://10.0.0.11:2380"], "learner": False},
        {"id": "b2", "name": "", "peer_urls": ["https://10.0.0.12:2380"], "learner": True},
    ]
    found = {
        "members": expected,
        "alarms": [{"member": "a1", "alarm": "NOSPACE"}],
        "database": {"size": 300, "in_use": 200, "quota": 100},
    }
    assert servers.etcd() == (found if answers else {})


def test_a_member_is_asked_for_its_status_alone():
    class Client:
        def first(self, path, body=None):
            assert path == "/v3/maintenance/status", "a question for alarms is written into the log"
            return "", {"dbSize": "300", "errors": ["etcdserver: no leader"]}

    assert reading.condition(Client()) == {"alarms": [], "database": {"size": 300, "in_use": 0, "quota": 0}}
