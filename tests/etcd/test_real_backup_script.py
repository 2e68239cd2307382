# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of the scheduled backup against real etcd, with the module etcd_snapshot as witness."""

from __future__ import annotations

import os
import resource
import stat
import subprocess

import pytest
from conftest import VERSIONS
from full import QUOTA, ROOT, full_cluster, write

SCRIPT = ROOT / "roles" / "etcd" / "files" / "etcd-backup.sh"


@pytest.fixture
def backups(tmp_path):
    directory = tmp_path / "back ups"
    directory.mkdir()
    return directory


def run(cluster, directory, *, keep=2, programs=None, wait=0, **options):
    reached = cluster.options()
    environment = {
        "PATH": f"{programs or cluster.programs}:{os.environ['PATH']}",
        "DIRECTORY": str(directory),
        "CLUSTER": "lab",
        "KEEP": str(keep),
        "ETCDCTL_ENDPOINTS": reached["endpoints"][0],
        "ETCDCTL_CACERT": reached["ca_cert"],
        "ETCDCTL_CERT": reached["client_cert"],
        "ETCDCTL_KEY": reached["client_key"],
    }
    return subprocess.run(
        ["sh", SCRIPT, str(wait)], env=environment, capture_output=True, text=True, timeout=60, check=False, **options
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_snapshot_is_saved_checked_and_the_newest_are_kept(new_cluster, run_module, backups, version):
    cluster = new_cluster("one", version=version)
    cluster.etcdctl("put", "key", "value")
    others = ["etcd-lab.db", "etcd-other-20200101T000000Z.db", "etcd-lab-20200101T000000Z.db.old", "notes"]
    old = [f"etcd-lab-2020010{day}T000000Z.db" for day in (1, 2, 3)]
    for name in [*others, *old, ".etcd-lab-20200101T000000Z.db.part"]:
        (backups / name).write_text("x")
    done = run(cluster, backups)
    assert done.returncode == 0, done.stderr
    (new,) = {path.name for path in backups.iterdir()} - {*others, *old}
    assert {path.name for path in backups.iterdir()} == {*others, old[-1], new}
    assert done.stdout == f"etcd-backup: {backups / new}\n"
    assert done.stderr == "" or "problem" not in done.stderr
    assert stat.S_IMODE((backups / new).stat().st_mode) == 0o600
    checked = run_module(
        "etcd_snapshot", state="checked", path=str(backups / new), etcdutl=str(cluster.programs / "etcdutl")
    )
    assert not checked.failed, checked.message
    assert checked.data["snapshot"]["revision"] == 2


def test_a_full_disk_is_a_failure_and_leaves_the_old_backups(new_cluster, backups):
    cluster = new_cluster("one")
    write(cluster)
    old = [f"etcd-lab-2020010{day}T000000Z.db" for day in (1, 2, 3)]
    for name in old:
        (backups / name).write_text("x")
    limit = (64 << 10, 64 << 10)
    failed = run(cluster, backups, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert failed.returncode != 0
    assert sorted(path.name for path in backups.iterdir()) == old


def test_a_damaged_snapshot_is_a_failure(new_cluster, backups, tmp_path):
    cluster = new_cluster("one")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "etcdutl").symlink_to(cluster.programs / "etcdutl")
    # It saves a snapshot, and the disk changes a byte of it.
    (programs / "etcdctl").write_text(
        f'#!/bin/sh\n{cluster.programs}/etcdctl "$@" || exit\n'
        '[ "$1" != snapshot ] || printf X | dd of="$3" bs=1 seek=9000 conv=notrunc status=none\n'
    )
    (programs / "etcdctl").chmod(0o755)
    failed = run(cluster, backups, programs=programs)
    assert failed.returncode == 1
    assert "the snapshot is damaged" in failed.stderr
    assert list(backups.iterdir()) == []


def test_etcd_does_not_answer(new_cluster, backups):
    cluster = new_cluster("one")
    cluster.stop(cluster.nodes["one"])
    failed = run(cluster, backups)
    assert failed.returncode == 1
    assert "the member does not answer; start etcd" in failed.stderr
    assert list(backups.iterdir()) == []


def test_a_member_that_is_still_starting_is_waited_for(new_cluster, backups, tmp_path):
    cluster = new_cluster("one")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "etcdutl").symlink_to(cluster.programs / "etcdutl")
    # It answers from its third call on.
    calls = tmp_path / "calls"
    (programs / "etcdctl").write_text(
        f'#!/bin/sh\necho >>{calls}; [ "$(wc -l <{calls})" -ge 3 ] || exit 1\nexec {cluster.programs}/etcdctl "$@"\n'
    )
    (programs / "etcdctl").chmod(0o755)
    done = run(cluster, backups, programs=programs, wait=30)
    assert done.returncode == 0, done.stderr
    assert len(list(backups.iterdir())) == 1


def test_an_alarm_is_named(empty_cluster, backups):
    cluster = full_cluster(empty_cluster(), "one")
    done = run(cluster, backups)
    assert done.returncode == 0, done.stderr
    assert "while etcd has a problem: memberID:" in done.stderr
    assert "NOSPACE" in done.stderr
    (saved,) = backups.iterdir()
    assert saved.stat().st_size > QUOTA // 2
