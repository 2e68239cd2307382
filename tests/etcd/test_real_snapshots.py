# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module etcd_snapshot against real etcd, with etcdctl and etcdutl as witnesses."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import stat
import subprocess

import pytest
from conftest import VERSIONS

KEYS = 20
BUMP = 1000000000


def etcdutl(cluster, *arguments):
    return subprocess.run(
        [cluster.programs / "etcdutl", *arguments], capture_output=True, text=True, timeout=30, check=True
    ).stdout


def count(cluster, endpoint=None):
    answer = cluster.etcdctl("get", "", "--prefix", "--count-only", "--write-out=fields", endpoint=endpoint)
    return int(next(line for line in answer.splitlines() if line.startswith('"Count"')).partition(" : ")[2])


@pytest.fixture
def snapshots(run_module):
    """Runs the module with the cluster's own etcdutl."""

    def run(cluster, state, **options):
        reached = cluster.options() if state in ("saved", "compared") else {}
        given = {"etcdutl": str(cluster.programs / "etcdutl"), **reached, **options}
        return run_module("etcd_snapshot", state=state, **given)

    return run


def written(cluster):
    for number in range(KEYS):
        cluster.etcdctl("put", f"key{number:02d}", "value" * 100)
    cluster.etcdctl("del", "key00")
    return cluster


def restored(cluster, node, snapshot, **more):
    initial = ",".join(f"{other.name}={other.peer_url}" for other in cluster.nodes.values())
    return {
        "path": str(snapshot),
        "data_directory": str(node.data),
        "name": node.name,
        "peer_url": node.peer_url,
        "initial_cluster": initial,
        "token": "restored",
        **more,
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_saved_and_checked(new_cluster, snapshots, tmp_path, version):
    cluster = written(new_cluster("one", version=version))
    path = tmp_path / "saved.db"
    predicted = snapshots(cluster, "saved", path=str(path), check=True, diff=True)
    assert predicted.data["changed"]
    assert list(tmp_path.glob("saved*")) == [], "check mode changes nothing"

    saved = snapshots(cluster, "saved", path=str(path), diff=True)
    assert not saved.failed, saved.message
    assert saved.data["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.glob("saved*")) == [path]
    found = saved.data["snapshot"]
    said = json.loads(etcdutl(cluster, "snapshot", "status", str(path), "--write-out=json"))
    assert found["revision"] == said["revision"]
    assert found["size"] == path.stat().st_size
    assert found["key_count"] == count(cluster) == KEYS - 1
    assert found["member"] == "one"
    status = json.loads(cluster.etcdctl("endpoint", "status", "--write-out=json"))[0]["Status"]["header"]
    assert found["cluster_id"] == f"{status['cluster_id']:x}"
    assert found["revision"] == status["revision"]

    before = path.stat()
    again = snapshots(cluster, "saved", path=str(path))
    assert again.data["changed"] is False
    assert path.stat().st_mtime_ns == before.st_mtime_ns, "a snapshot is never replaced"
    checked = snapshots(cluster, "checked", path=str(path))
    assert checked.data["changed"] is False
    assert checked.data["snapshot"].items() <= found.items()

    # One that etcdctl saved is understood as well.
    other = tmp_path / "etcdctl.db"
    cluster.etcdctl("snapshot", "save", str(other))
    theirs = snapshots(cluster, "checked", path=str(other)).data["snapshot"]
    assert theirs["revision"] == found["revision"]
    with other.open("rb") as stream:
        assert stream.read()[-32:].hex() == theirs["sha256"]


def test_a_cluster_without_keys(new_cluster, snapshots, tmp_path):
    cluster = new_cluster("one")
    path = tmp_path / "empty.db"
    found = snapshots(cluster, "saved", path=str(path)).data["snapshot"]
    assert found["key_count"] == 0
    compared = {"revision": found["revision"], "key_count": found["key_count"]}
    assert not snapshots(cluster, "compared", **compared).failed
    cluster.etcdctl("put", "first", "value")
    assert snapshots(cluster, "compared", **compared).message.endswith(": first")


def test_large_values_and_binary_keys(new_cluster, snapshots, tmp_path):
    cluster = new_cluster("one")
    for number in range(24):
        cluster.etcdctl("put", f"large{number}", f"{number:02d}" * 60000)
    cluster.etcdctl("put", "\x01\u00fc\u4e2d", "value")
    saved = snapshots(cluster, "saved", path=str(tmp_path / "large.db"))
    assert not saved.failed, saved.message
    assert saved.data["snapshot"]["size"] > 24 * 120000
    assert saved.data["snapshot"]["key_count"] == 25


def test_damaged_snapshots(new_cluster, snapshots, tmp_path):
    cluster = written(new_cluster("one"))
    path = tmp_path / "saved.db"
    assert not snapshots(cluster, "saved", path=str(path)).failed
    content = path.read_bytes()
    node = cluster.nodes["one"]
    kept = sorted(node.data.iterdir())

    def refused(damaged):
        path.write_bytes(damaged)
        for state, options in (("checked", {"path": str(path)}), ("restored", restored(cluster, node, path))):
            outcome = snapshots(cluster, state, **options)
            assert outcome.failed
            assert str(path) in outcome.message
        assert [entry for entry in sorted(node.data.iterdir()) if entry.name != "restore"] == kept
        assert not (node.data / "restore" / "data").exists()
        return outcome.message

    assert "is damaged: its content has the SHA-256" in refused(content[:9000] + b"x" + content[9001:])
    assert "is damaged: its content has the SHA-256" in refused(content[:-1] + b"x")
    assert "are not those of a whole snapshot" in refused(content[:-32])
    assert "are not those of a whole snapshot" in refused(content[:5000])
    assert "are not those of a whole snapshot" in refused(b"")
    assert "cannot be read" in snapshots(cluster, "checked", path=str(tmp_path / "none.db")).message
    # A digest that fits does not make a database.
    wrong = content[:4096] + b"x" * 8192 + content[12288:-32]
    assert "etcdutl snapshot status ended with" in refused(wrong + hashlib.sha256(wrong).digest())


def test_no_member_can_send_one(new_cluster, snapshots, tmp_path):
    cluster = new_cluster("one")
    options = cluster.options()
    cluster.stop(cluster.nodes["one"])
    refused = snapshots(cluster, "saved", path=str(tmp_path / "none.db"), **options)
    assert refused.failed
    assert f"{options['endpoints'][0]}: connection refused" in refused.message
    assert snapshots(cluster, "saved", path=str(tmp_path / "none.db"), check=True, **options).failed
    assert list(tmp_path.glob("none*")) == []


def test_a_directory_that_is_not_there(new_cluster, snapshots, tmp_path):
    cluster = new_cluster("one")
    refused = snapshots(cluster, "saved", path=str(tmp_path / "missing" / "saved.db"))
    assert refused.failed
    assert "cannot be written: No such file or directory" in refused.message


@pytest.mark.parametrize("version", VERSIONS)
def test_restore_swap_and_compare(new_cluster, snapshots, tmp_path, version):
    cluster = written(new_cluster("one", "two", "three", version=version))
    path = tmp_path / "saved.db"
    snapshot = snapshots(cluster, "saved", path=str(path)).data["snapshot"]
    cluster.etcdctl("put", "after", "gone")
    compared = {"revision": snapshot["revision"], "key_count": snapshot["key_count"]}
    late = snapshots(cluster, "compared", **compared)
    assert late.failed
    assert f"{KEYS} keys, {KEYS - 1} when the snapshot was taken; younger than its revision" in late.message
    assert late.message.endswith(": after")

    predicted = {}
    for node in cluster.nodes.values():
        options = restored(cluster, node, path)
        predicted[node.name] = snapshots(cluster, "restored", check=True, diff=True, **options)
        assert predicted[node.name].data["changed"]
        assert not (node.data / "restore").exists(), "check mode changes nothing"
        done = snapshots(cluster, "restored", diff=True, **options)
        assert not done.failed, done.message
        assert done.data["changed"]
        assert done.data["snapshot"].items() <= snapshot.items()
        assert stat.S_IMODE((node.data / "restore").stat().st_mode) == 0o700
        assert snapshots(cluster, "restored", **options).data["changed"] is False
        swapped = {"data_directory": str(node.data), "aside": "before"}
        running = snapshots(cluster, "swapped", **swapped)
        assert running.failed
        assert "is in use" in running.message
        assert "stop etcd first" in running.message
    assert cluster.etcdctl("get", "after", "--print-value-only") == "gone\n", "the cluster goes on meanwhile"

    for node in cluster.nodes.values():
        cluster.stop(node, signal.SIGTERM)
    for node in cluster.nodes.values():
        swapped = {"data_directory": str(node.data), "aside": "before"}
        assert snapshots(cluster, "swapped", check=True, **swapped).data["changed"]
        assert (node.data / "restore" / "data" / "member").is_dir(), "check mode changes nothing"
        done = snapshots(cluster, "swapped", diff=True, **swapped)
        assert not done.failed, done.message
        assert done.data["aside"] == str(node.data / "before")
        assert len(done.data["actions"]) == 2
        assert stat.S_IMODE((node.data / "before").stat().st_mode) == 0o700
        assert not (node.data / "restore").exists()
        assert snapshots(cluster, "swapped", **swapped).data["changed"] is False
    for node in cluster.nodes.values():
        cluster.start(node)
    for node in cluster.nodes.values():
        cluster.wait(node)
        found = snapshots(cluster, "compared", **compared, endpoints=[node.client_url])
        assert not found.failed, found.message
        assert found.data["comparison"] == (
            f"{KEYS - 1} keys, as when the snapshot was taken, none younger than revision {snapshot['revision']}"
        )
        assert cluster.etcdctl("get", "after", endpoint=node.client_url) == ""
        assert count(cluster, node.client_url) == KEYS - 1
    assert sorted(cluster.members()) == ["one", "three", "two"]
    status = json.loads(cluster.etcdctl("endpoint", "status", "--write-out=json"))[0]["Status"]["header"]
    assert f"{status['cluster_id']:x}" != snapshot["cluster_id"]
    assert status["revision"] == snapshot["revision"] + BUMP
    # A watch from an earlier revision gets the error that it was compacted.
    watch = subprocess.run(
        [
            cluster.programs / "etcdctl",
            f"--cacert={cluster.authority.certificate}",
            f"--cert={cluster.certificate}",
            f"--key={cluster.key}",
            f"--endpoints={cluster.nodes['one'].client_url}",
            "watch",
            "key01",
            f"--rev={snapshot['revision']}",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "required revision has been compacted" in watch.stdout + watch.stderr

    unknown = snapshots(cluster, "compared", revision=snapshot["revision"])
    assert unknown.data["comparison"] == f"{KEYS - 1} keys, none younger than revision {snapshot['revision']}"
    fewer = snapshots(cluster, "compared", revision=snapshot["revision"], key_count=KEYS)
    assert fewer.failed
    assert f"{KEYS - 1} keys, {KEYS} when the snapshot was taken" in fewer.message


def test_another_snapshot_or_token_is_restored_again(new_cluster, snapshots, tmp_path):
    cluster = written(new_cluster("one"))
    node = cluster.nodes["one"]
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    snapshots(cluster, "saved", path=str(first))
    cluster.etcdctl("put", "later", "value")
    snapshots(cluster, "saved", path=str(second))
    assert snapshots(cluster, "restored", **restored(cluster, node, first)).data["changed"]
    assert snapshots(cluster, "restored", **restored(cluster, node, second)).data["changed"]
    assert snapshots(cluster, "restored", **restored(cluster, node, second, token="other")).data["changed"]
    assert snapshots(cluster, "restored", **restored(cluster, node, second, token="other")).data["changed"] is False
    # The leftovers of a killed run do not count.
    (node.data / "restore" / "data" / "restored.json").unlink()
    shutil.copytree(node.data / "restore" / "data", node.data / "restore" / "data.part")
    assert snapshots(cluster, "restored", **restored(cluster, node, second, token="other")).data["changed"]
    assert not (node.data / "restore" / "data.part").exists()


def test_copied_aside(new_cluster, snapshots):
    cluster = written(new_cluster("one"))
    node = cluster.nodes["one"]
    options = {"data_directory": str(node.data), "aside": "copy"}
    assert "is in use" in snapshots(cluster, "copied", **options).message
    cluster.stop(node, signal.SIGTERM)
    assert snapshots(cluster, "copied", check=True, **options).data["changed"]
    assert not (node.data / "copy").exists()
    done = snapshots(cluster, "copied", diff=True, **options)
    assert not done.failed, done.message
    assert snapshots(cluster, "copied", **options).data["changed"] is False
    same = subprocess.run(["diff", "--recursive", node.data / "member", node.data / "copy" / "member"], check=False)
    assert same.returncode == 0
    # The copy is as good as the original.
    shutil.rmtree(node.data / "member")
    (node.data / "copy" / "member").rename(node.data / "member")
    cluster.start(node)
    cluster.wait(node)
    assert count(cluster) == KEYS - 1
