# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: streams that end badly, interrupted swaps, and words. tests/etcd has real etcd processes."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import pathlib
import stat
import sys
import threading

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import SnapshotError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Cause, Client, EtcdError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.data_directory import DataDirectory
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.etcdutl import Etcdutl, NewMember
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.snapshots import (
    Comparison,
    Snapshots,
    Wanted,
    save,
)

DATABASE = os.urandom(512 * 300)
SNAPSHOT = DATABASE + hashlib.sha256(DATABASE).digest()
HEADER = {"cluster_id": "2748", "member_id": "7"}
MEMBER = NewMember("ctl01", "https://10.0.0.1:2380", "ctl01=https://10.0.0.1:2380", "token", 1000)


def lines(content, size=32768):
    for at in range(0, len(content), size):
        yield {"result": {"blob": base64.b64encode(content[at : at + size]).decode()}}


class Member:
    """A gateway that streams prepared answers."""

    def __init__(self):
        self.stream = list(lines(SNAPSHOT))
        self.cut = False
        self.count = (200, {"count": "5"})
        member = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v3/maintenance/snapshot":
                    return self.send_stream()
                status, answer = {
                    "/v3/maintenance/status": (200, {"header": HEADER, "leader": "7"}),
                    "/v3/cluster/member/list": (200, {"header": HEADER, "members": [{"ID": "7", "name": "ctl01"}]}),
                    "/v3/kv/range": member.count,
                }[self.path]
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                return self.wfile.write(content)

            def send_stream(self):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in member.stream:
                    content = (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n"
                    self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
                if member.cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def client(self):
        return Client(endpoints=[f"http://127.0.0.1:{self.server.server_port}"], timeout=2)


@pytest.fixture
def member():
    made = Member()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def etcdutl():
    """Reads nothing, and restores an empty member."""
    commands = []

    def run(command):
        commands.append(command)
        if command[2] == "restore":
            directory = next(part for part in command if part.startswith("--data-dir=")).partition("=")[2]
            (pathlib.Path(directory) / "member" / "snap").mkdir(parents=True)
            (pathlib.Path(directory) / "member" / "snap" / "db").write_text("restored")
        return 0, json.dumps({"hash": 1, "revision": 42, "totalKey": 9, "totalSize": 9, "version": "3.7.0"}), ""

    made = Etcdutl(sys.executable, run=run)
    made.commands = commands
    return made


def test_saved(member, etcdutl, tmp_path):
    path = tmp_path / "saved.db"
    (tmp_path / "saved.db.part").write_text("left by a run that was killed")
    saved = save(member.client, str(path), etcdutl=etcdutl)
    assert path.read_bytes() == SNAPSHOT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert saved.public() == {
        "revision": 42,
        "size": len(SNAPSHOT),
        "sha256": hashlib.sha256(DATABASE).hexdigest(),
        "version": "3.7.0",
        "cluster_id": "abc",
        "member": "ctl01",
        "taken": saved.taken,
        "key_count": 5,
    }
    assert os.listdir(tmp_path) == ["saved.db"]


def test_keys_of_a_compacted_revision_are_not_known(member, etcdutl, tmp_path):
    member.count = (400, {"code": 11, "message": "etcdserver: mvcc: required revision has been compacted"})
    assert save(member.client, str(tmp_path / "saved.db"), etcdutl=etcdutl).keys is None
    member.count = (400, {"code": 11, "message": "etcdserver: mvcc: required revision is a future revision"})
    with pytest.raises(EtcdError, match="future revision"):
        save(member.client, str(tmp_path / "other.db"), etcdutl=etcdutl)
    assert os.listdir(tmp_path) == ["saved.db"]


@pytest.mark.parametrize(
    ("stream", "cut", "words"),
    [
        (list(lines(SNAPSHOT))[:2], True, "are not those of a whole snapshot"),
        (list(lines(SNAPSHOT))[:2], False, "is damaged|are not those of a whole snapshot"),
        (
            [*list(lines(SNAPSHOT))[:2], {"error": {"code": 14, "message": "etcdserver: stopped"}}],
            False,
            "etcdserver: stopped",
        ),
        (["not JSON"], False, Cause.ANSWER),
        ([{"result": {"blob": "%%%"}}], False, "not base64"),
        ([{"result": {}}], False, "are not those of a whole snapshot"),
        (list(lines(SNAPSHOT[:-1] + bytes([SNAPSHOT[-1] ^ 1]))), False, "is damaged: its content has the SHA-256"),
    ],
    ids=["cut", "ended early", "error", "text", "base64", "empty", "digest"],
)
def test_a_stream_that_ends_badly_leaves_nothing(member, etcdutl, tmp_path, stream, cut, words):
    member.stream, member.cut = stream, cut
    with pytest.raises((EtcdError, SnapshotError), match=words):
        save(member.client, str(tmp_path / "saved.db"), etcdutl=etcdutl)
    assert os.listdir(tmp_path) == []


def test_etcdutl_is_needed(tmp_path):
    path = tmp_path / "saved.db"
    path.write_bytes(SNAPSHOT)
    missing = Etcdutl(str(tmp_path / "etcdutl"), run=lambda _command: (0, "", ""))
    with pytest.raises(SnapshotError, match="is not a program on this host; install etcd first"):
        missing.check(str(path))
    strange = Etcdutl(sys.executable, run=lambda _command: (0, "[]", ""))
    with pytest.raises(SnapshotError, match="not understood"):
        strange.check(str(path))
    panics = Etcdutl(sys.executable, run=lambda _command: (2, "", "panic: page 3\n\ngoroutine 29 [running]:\nmore"))
    with pytest.raises(SnapshotError, match=r"ended with 2: panic: page 3$"):
        panics.check(str(path))


def test_what_etcdutl_is_asked(etcdutl, tmp_path):
    etcdutl.restore("saved.db", str(tmp_path / "data"), MEMBER)
    assert etcdutl.commands[-1][1:] == [
        "snapshot",
        "restore",
        "saved.db",
        "--name=ctl01",
        "--initial-advertise-peer-urls=https://10.0.0.1:2380",
        "--initial-cluster=ctl01=https://10.0.0.1:2380",
        "--initial-cluster-token=token",
        f"--data-dir={tmp_path / 'data'}",
        "--bump-revision=1000",
        "--mark-compacted",
    ]
    etcdutl.restore("saved.db", str(tmp_path / "more"), NewMember("a", "b", "c", "d", 0))
    assert etcdutl.commands[-1][-1] == f"--data-dir={tmp_path / 'more'}"


@pytest.fixture
def directory(tmp_path, etcdutl):
    """A member's data, with restored data beside it."""
    made = DataDirectory(str(tmp_path))
    (tmp_path / "member" / "snap").mkdir(parents=True)
    (tmp_path / "member" / "snap" / "db").write_text("old")
    made.restore("saved.db", "digest", MEMBER, etcdutl=etcdutl)
    return made


def databases(directory):
    root = pathlib.Path(directory.path)
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("db")}


def test_an_interrupted_swap_is_finished(directory, monkeypatch):
    """Killed before and after each of its renames, the next call ends where one call would have ended."""
    original, done = os.rename, {"member/snap/db": "restored", "before/member/snap/db": "old"}
    for killed in range(3):
        count = 0

        class Killed(BaseException):
            pass

        def rename(source, target, killed=killed, error=Killed):
            nonlocal count
            count += 1
            if count > killed:
                raise error
            original(source, target)

        monkeypatch.setattr(os, "rename", rename)
        if killed == 2:
            monkeypatch.setattr("shutil.rmtree", lambda _path, error=Killed: (never for never in ()).throw(error))
        assert directory.to_swap("before")
        with pytest.raises(Killed):
            directory.swap("before")
        monkeypatch.undo()
    assert databases(directory) == done
    assert directory.to_swap("before"), "what is left of it is removed"
    directory.swap("before")
    assert databases(directory) == done
    assert sorted(os.listdir(directory.path)) == ["before", "member"]
    assert not directory.to_swap("before")


def test_a_member_without_data(directory):
    pathlib.Path(directory.path, "member", "snap", "db").unlink()
    pathlib.Path(directory.path, "member", "snap").rmdir()
    pathlib.Path(directory.path, "member").rmdir()
    assert directory.to_swap("before")
    directory.swap("before")
    assert databases(directory) == {"member/snap/db": "restored"}
    assert os.listdir(directory.path) == ["member"]


def test_data_that_was_kept_is_never_replaced(directory):
    pathlib.Path(directory.path, "before", "member").mkdir(parents=True)
    with pytest.raises(SnapshotError, match="holds other data already; choose another name for aside"):
        directory.to_swap("before")
    for name in ("", ".", "..", "member", "restore", "a/b", "/etc"):
        with pytest.raises(SnapshotError, match="is not the name of a directory inside"):
            directory.to_swap(name)


def test_nothing_was_restored(tmp_path):
    (tmp_path / "member").mkdir()
    with pytest.raises(SnapshotError, match="restore a snapshot first"):
        DataDirectory(str(tmp_path)).to_swap("before")
    with pytest.raises(SnapshotError, match="there is no data to copy"):
        DataDirectory(str(tmp_path / "none")).to_copy("copy")


def test_an_interrupted_copy_is_made_again(directory):
    left = pathlib.Path(directory.path, "copy.part", "member")
    left.mkdir(parents=True)
    (left / "half").write_text("")
    assert directory.to_copy("copy")
    directory.copy("copy")
    assert not directory.to_copy("copy")
    assert sorted(os.listdir(directory.path)) == ["copy", "member", "restore"]
    assert databases(directory)["copy/member/snap/db"] == "old"
    assert os.listdir(pathlib.Path(directory.path, "copy", "member")) == ["snap"]


def test_a_check_run_on_what_is_not_there_yet(etcdutl, tmp_path):
    """An earlier task would have brought the snapshot, and the one before would have restored it."""
    (tmp_path / "member").mkdir()
    snapshots = Snapshots(client=None, etcdutl=etcdutl, check_mode=True)
    wanted = Wanted("restored", path=str(tmp_path / "none.db"), data_directory=str(tmp_path), member=MEMBER)
    assert snapshots.converge(wanted).public()["changed"]
    outcome = snapshots.converge(Wanted("swapped", data_directory=str(tmp_path), aside="before"))
    assert outcome.public()["aside"] == str(tmp_path / "before")
    assert len(outcome.actions) == 2
    assert os.listdir(tmp_path) == ["member"]
    with pytest.raises(SnapshotError, match="endpoints is empty"):
        snapshots.converge(Wanted("compared", revision=1))


@pytest.mark.parametrize(
    ("comparison", "equal", "words"),
    [
        (Comparison(5, 5, 42, None), True, "5 keys, as when the snapshot was taken, none younger than revision 42"),
        (Comparison(5, None, 42, None), True, "5 keys, none younger than revision 42"),
        (
            Comparison(5, 6, 42, None),
            False,
            "5 keys, 6 when the snapshot was taken; younger than its revision 42: none",
        ),
        (
            Comparison(5, None, 42, "a"),
            False,
            "5 keys, an unknown number when the snapshot was taken; younger than its revision 42: a",
        ),
        (Comparison(0, 0, 42, None), True, "0 keys, as when the snapshot was taken, none younger than revision 42"),
    ],
)
def test_comparisons(comparison, equal, words):
    assert comparison.equal is equal
    assert str(comparison) == words
