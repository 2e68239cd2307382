# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's operations on a running cluster: scheduled backups, a full database, damaged data. docs/operate/etcd.md."""

from __future__ import annotations

import json
import typing as t

import pytest
from playbook import run, variables
from support import ETCD_CREDENTIALS, wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

# --- scheduled backups ----------------------------------------------------------------------------

DIRECTORY = "/var/backups/etcd"
SCHEDULE = {"etcd_backup_schedule": "*:*:0/4", "etcd_backup_member_keep": 2}


def _backups(member: Node) -> list[str]:
    return member.out("find", DIRECTORY, "-name", "etcd-*.db", "-printf", "%f\n").split()


@pytest.fixture
def _no_backups(cluster: Cluster, inventory: str) -> t.Iterator[None]:
    yield
    run(inventory, "--tags=etcd")
    for member in cluster.members:
        member.out("rm", "-r", DIRECTORY)


@pytest.mark.usefixtures("_no_backups")
def test_members_save_backups_on_a_schedule(cluster: Cluster, inventory: str) -> None:
    started = {node.name: node.out("systemctl", "show", "--property=InvocationID", "etcd") for node in cluster.members}
    run(inventory, "--tags=etcd", *variables(**SCHEDULE))
    for member in cluster.members:
        # systemd may put off a timer for a minute.
        wait_until(lambda m=member: len(_backups(m)) >= 2, seconds=120, what=f"{member.name} has two backups")
        first = min(_backups(member))
        wait_until(
            lambda m=member, f=first: f not in _backups(m), seconds=120, what=f"{member.name} removes the oldest"
        )
        assert member.out("systemctl", "is-enabled", "etcd-backup.timer").strip() == "enabled"
    assert run(inventory, "--tags=etcd", *variables(**SCHEDULE)).changed == []
    run(inventory, "--tags=etcd")
    for member in cluster.members:
        assert member.run("systemctl", "is-active", "etcd-backup.timer").stdout.strip() == "inactive"
        wait_until(
            lambda m=member: m.run("systemctl", "is-active", "--quiet", "etcd-backup.service").rc != 0,
            seconds=30, what="the last backup is saved",
        )  # fmt: skip
        found = _backups(member)
        assert len(found) == 2, "the files stay"
        assert member.out("stat", "--format=%a %U", DIRECTORY).split() == ["700", "etcd"]
        for name in found:
            assert member.out("stat", "--format=%a %U", f"{DIRECTORY}/{name}").split() == ["600", "etcd"]
            status = member.out("etcdutl", "snapshot", "status", f"{DIRECTORY}/{name}", "--write-out=json")
            assert json.loads(status)["totalKey"] > 100
    assert started == {
        node.name: node.out("systemctl", "show", "--property=InvocationID", "etcd") for node in cluster.members
    }


def test_a_schedule_that_is_none_is_refused(cluster: Cluster, inventory: str) -> None:
    failed = run(inventory, "--tags=etcd", *variables(etcd_backup_schedule="every other day"), succeeds=False)
    assert failed.returncode != 0
    assert "every other day" in " ".join(failed.failures)
    for member in cluster.members:
        assert member.run("systemctl", "is-active", "etcd-backup.timer").stdout.strip() == "inactive"
    run(inventory, "--tags=etcd")


# --- a full database ------------------------------------------------------------------------------

QUOTA = 64 << 20
# Writes keys of a megabyte until etcd refuses one.
FILL = """
for number in $(seq 200); do
    head -c 700000 /dev/urandom | base64 -w 0 |
        etcdctl {options} put /hardway-test/$number >/dev/null 2>/tmp/refused || break
done
grep -q "database space exceeded" /tmp/refused
"""


def _fill(cluster: Cluster) -> None:
    options = " ".join([*ETCD_CREDENTIALS, "--endpoints=https://127.0.0.1:2379"])
    cluster.members[0].out("sh", "-c", FILL.format(options=options))
    wait_until(lambda: "NOSPACE" in _alarms(cluster), seconds=10, what="the alarm")


def _alarms(cluster: Cluster) -> str:
    return cluster.etcdctl(cluster.members[0], "alarm", "list").decode().strip()


def _writes(cluster: Cluster) -> tuple[bool, str]:
    done = cluster.client.run("kubectl", "create", "configmap", "hardway-test")
    cluster.client.run("kubectl", "delete", "configmap", "hardway-test", "--ignore-not-found")
    return done.rc == 0, done.stderr


@pytest.fixture
def _own_quota(cluster: Cluster, inventory: str) -> t.Iterator[None]:
    yield
    cluster.etcdctl(cluster.members[0], "del", "--prefix", "/hardway-test/")
    run(inventory, playbook="playbooks/etcd_maintain.yml")
    run(inventory, "--tags=etcd")


@pytest.mark.usefixtures("_own_quota")
def test_a_full_database_takes_writes_again(cluster: Cluster, inventory: str) -> None:
    def quota(size: int) -> tuple[str, ...]:
        return ("--tags=etcd", *variables(etcd_extra_flags={"quota-backend-bytes": size}))

    run(inventory, *quota(QUOTA))
    _fill(cluster)
    written, refused = _writes(cluster)
    assert not written
    assert "database space exceeded" in refused
    # It is seen where people look.
    planned = run(inventory, *variables(etcd_extra_flags={"quota-backend-bytes": QUOTA}), playbook="playbooks/plan.yml")
    assert "NOSPACE" in planned.output
    # Little can be freed, and the message says what can be done.
    helpless = run(inventory, playbook="playbooks/etcd_maintain.yml", succeeds=False)
    assert "quota-backend-bytes" in helpless.output
    _fill(cluster)
    # The alarm does not block its own cure: a larger quota.
    run(inventory, *quota(2 * QUOTA))
    assert "NOSPACE" in _alarms(cluster)
    run(inventory, playbook="playbooks/etcd_maintain.yml")
    assert _alarms(cluster) == ""
    assert _writes(cluster)[0]
    # What was deleted is freed, on each member.
    cluster.etcdctl(cluster.members[0], "del", "--prefix", "/hardway-test/")
    maintained = run(inventory, *variables(etcd_keep_revisions=0), playbook="playbooks/etcd_maintain.yml")
    assert maintained.changed
    for member in cluster.members:
        (status,) = json.loads(cluster.etcdctl(member, "endpoint", "status", "--write-out=json"))
        assert status["Status"]["dbSize"] < QUOTA // 2
    assert run(inventory, *variables(etcd_keep_revisions=100000), playbook="playbooks/etcd_maintain.yml").changed == []


# --- damaged data ---------------------------------------------------------------------------------


def test_a_member_with_damaged_data_is_replaced(cluster: Cluster, inventory: str) -> None:
    lost = cluster.members[-1]
    lost.out("systemctl", "stop", "etcd")
    lost.out("sh", "-c", ": >$(ls /var/lib/etcd/member/wal/*.wal | tail -n 1)")
    before = lost.out("sh", "-c", "find /var/lib/etcd -type f | xargs sha256sum | sort")
    refused = run(inventory, succeeds=False)
    assert refused.changed == []
    told = " ".join(refused.failures)
    assert f"{lost.name}: its etcd data is damaged (" in told
    assert "etcd_lost=" in told
    assert lost.out("sh", "-c", "find /var/lib/etcd -type f | xargs sha256sum | sort") == before
    run(
        inventory,
        *variables(etcd_lost=lost.name, etcd_confirm=cluster.name),
        playbook="playbooks/etcd_replace_member.yml",
    )
    kept = lost.out("sh", "-c", "ls -d /var/lib/etcd/damaged-*/wal").split()
    assert len(kept) == 1, "the damaged data is kept"
    lost.out("sh", "-c", "rm -r /var/lib/etcd/damaged-*")
    endpoints = ",".join(f"https://{member.address}:2379" for member in cluster.members)
    cluster.members[0].out("etcdctl", *ETCD_CREDENTIALS, f"--endpoints={endpoints}", "endpoint", "health")
    assert run(inventory).changed == []
