# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged data directories of real etcd: what is found, and whether etcd starts on them."""

from __future__ import annotations

import shutil
import signal
import time

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.damage import damage
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.data import identity
from conftest import VERSIONS


def last_log(data):
    return max((data / "member" / "wal").glob("*.wal"))


def end_of(content):
    return len(content.rstrip(b"\0"))


def changed(path, change):
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def garbage(content):
    content[:4096] = b"\xa5" * 4096


def flipped(content):
    # In the middle of a value that was written.
    content[content.index(b"value-in-the-log") + 3] ^= 0xFF


def torn(content):
    del content[end_of(content) - 20 :]


def zeros(content):
    content[:] = bytes(len(content))


def log(change):
    return lambda data: changed(last_log(data), change)


def database(data):
    # Both pages that describe it; etcd starts on one of them.
    def both(content):
        content[:8192] = b"\xa5" * 8192

    changed(data / "member" / "snap" / "db", both)


# Damage, and the words for it.
DAMAGED = {
    "log empty": (lambda data: last_log(data).write_bytes(b""), "it is empty"),
    "log zeros": (log(zeros), "it does not begin with the IDs of member and cluster"),
    "log garbage": (log(garbage), "it does not begin with the IDs of member and cluster"),
    "log flipped": (log(flipped), "the checksum of the record at byte "),
    "no log": (lambda data: shutil.rmtree(data / "member" / "wal"), "No such file or directory"),
    "database garbage": (database, "it is not a database of etcd"),
}


def starts(cluster, node):
    """Whether etcd runs on a data directory: it says it is healthy, or ends."""
    cluster.start(node)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if node.process.poll() is not None:
            node.process = None
            return False
        try:
            cluster.wait(node, seconds=0)
        except TimeoutError:
            continue
        return True
    cluster.stop(node)
    return False


@pytest.fixture
def stopped(new_cluster):
    def make(version):
        cluster = new_cluster("one", version=version)
        for _number in range(3):
            cluster.etcdctl("put", "key", "value-in-the-log")
        node = cluster.nodes["one"]
        cluster.stop(node, signal.SIGTERM)
        return cluster, node

    return make


@pytest.mark.parametrize("version", VERSIONS)
def test_damage_is_found_as_etcd_finds_it(stopped, version):
    cluster, node = stopped(version)
    whole = node.data.with_name("whole")
    node.data.rename(whole)
    started = []
    for name, (harm, words) in DAMAGED.items():
        shutil.copytree(whole, node.data)
        assert damage(str(node.data)) == "", "nothing is found in data that is whole"
        harm(node.data)
        found = damage(str(node.data))
        assert found.startswith(f"{node.data}/member/"), name
        assert words in found, name
        if starts(cluster, node):
            started.append(name)
            cluster.stop(node)
        shutil.rmtree(node.data)
    # Without its log etcd starts on the old database as a member that has forgotten its votes.
    assert started == ["no log"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_end_of_the_log_may_be_missing(stopped, version):
    cluster, node = stopped(version)
    owner = identity(str(node.data))
    log(torn)(node.data)
    assert damage(str(node.data)) == ""
    assert identity(str(node.data)) == owner
    assert starts(cluster, node)
    cluster.stop(node, signal.SIGKILL)
    assert damage(str(node.data)) == "", "a member that was killed is whole"
    assert starts(cluster, node)
