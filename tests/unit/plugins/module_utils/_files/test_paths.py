# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, directories and links of a host: what changes, what is refused, and what nobody may read."""

from __future__ import annotations

import grp
import os
import pwd
import stat

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import FileError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.paths import HostFiles

USER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name


@pytest.fixture(autouse=True)
def _usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def converge(path, content=None, *, check=False, secret=False, state="file", **entry):
    files = HostFiles(check=check, accounts_later=check)
    wanted = {"path": str(path), "state": state, "owner": None, "group": None, "mode": None, "target": None, **entry}
    return files.converge(wanted, None if content is None else content.encode(), secret=secret)


def mode_of(path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def both(path, content=None, **entry):
    """Converge, and assert that check mode said the same before, and that a second run is quiet."""
    listing = sorted(os.listdir(path.parent))
    predicted = converge(path, content, check=True, **entry)
    assert sorted(os.listdir(path.parent)) == listing, "check mode changes nothing"
    done = converge(path, content, **entry)
    assert predicted.changes == done.changes
    assert predicted == done
    assert bool(done.step) and bool(done.commands) and bool(done.diff)
    again = converge(path, content, **entry)
    assert again == (str(path), [], None, "", (), False)
    return done


# --- files ----------------------------------------------------------------------------------------


def test_a_new_file(tmp_path):
    path = tmp_path / "unit.service"
    outcome = both(path, "one\n")
    assert outcome.changes == ["created"]
    assert outcome.diff == {"before_header": str(path), "after_header": str(path), "before": "", "after": "one\n"}
    assert path.read_text() == "one\n"
    assert mode_of(path) == 0o644
    assert os.listdir(tmp_path) == ["unit.service"]


def test_other_content(tmp_path):
    path = tmp_path / "unit.service"
    path.write_text("one\n")
    outcome = both(path, "two\n")
    assert outcome.changes == ["content"]
    assert (outcome.diff["before"], outcome.diff["after"]) == ("one\n", "two\n")
    assert path.read_text() == "two\n"


def test_an_unchanged_file_is_not_touched(tmp_path):
    path = tmp_path / "unit.service"
    converge(path, "one\n")
    before = path.stat()
    converge(path, "one\n")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(b"\xff\x00")
    outcome = converge(path, "text")
    assert outcome.changes == ["content"]
    assert outcome.diff["before"] == "\ufffd\x00"


def test_the_mode_alone(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("key")
    path.chmod(0o644)
    before = path.stat()
    outcome = both(path, "key", mode="0600")
    assert outcome.changes == ["mode of key.pem is 0644 instead of 0600"]
    assert outcome.diff == {"before": "", "after": f"{path}: mode of key.pem is 0644 instead of 0600\n"}
    assert not outcome.rewritten
    assert mode_of(path) == 0o600
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns, "no restart is due for it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_alone(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("key")
    outcome = both(path, "key", owner="nobody")
    assert outcome.changes == [f"owner of key.pem is 0 instead of {pwd.getpwnam('nobody').pw_uid}"]
    assert path.stat().st_uid == pwd.getpwnam("nobody").pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_without_an_owner_of_its_own_is_taken_back(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("ca")
    os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    assert both(path, "ca").changes == [f"owner of ca.pem is {pwd.getpwnam('nobody').pw_uid} instead of 0"]
    assert path.stat().st_uid == 0


def test_a_new_key_has_its_mode_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "key.pem"
    seen = []
    replace = os.replace

    def watched(source, destination):
        seen.append((mode_of(source), os.path.exists(destination)))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", watched)
    converge(path, "key", mode="0600", secret=True)
    assert seen == [(0o600, False)]
    assert mode_of(path) == 0o600


def test_a_failed_replace_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "key.pem"
    path.write_text("old")

    def replace(source, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(FileError, match="cannot be written: No space left"):
        converge(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["key.pem"]


@pytest.mark.parametrize("before", [None, "old-secret-bytes"])
@pytest.mark.parametrize("check", [True, False])
def test_a_secret_is_in_no_diff(tmp_path, before, check):
    path = tmp_path / "key.pem"
    if before:
        path.write_text(before)
    outcome = converge(path, "new-secret-bytes", mode="0600", secret=True, check=check)
    assert "secret-bytes" not in repr(outcome)
    assert outcome.diff["before"] != outcome.diff["after"]
    assert bool(outcome.diff["before"]) == bool(before)


def test_no_content(tmp_path):
    with pytest.raises(FileError, match=r"/unit: no content was given for it$"):
        converge(tmp_path / "unit")


@pytest.mark.parametrize("kind", ["directory", "fifo", "dangling link"])
def test_no_regular_file(tmp_path, kind):
    path = tmp_path / "unit"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    with pytest.raises(FileError, match=r"/unit: is not a regular file; move it away$"):
        converge(path, "one")


@pytest.mark.parametrize("kind", ["owner", "group"])
def test_an_unknown_account(tmp_path, kind):
    path = tmp_path / "unit"
    with pytest.raises(FileError, match=rf"/unit: {kind} 'no-such-name' does not exist on this host\.$"):
        converge(path, "one", **{kind: "no-such-name"})
    assert not path.exists()


def test_check_mode_expects_an_account_that_an_earlier_task_makes(tmp_path):
    path = tmp_path / "unit"
    assert converge(path, "one", owner="no-such-name", check=True).changes == ["created"]
    converge(path, "one")
    (change,) = converge(path, "one", owner="no-such-name", check=True).changes
    assert change == f"owner of unit is {os.getuid()} instead of one that is created first"


def test_the_directory_must_be_there(tmp_path):
    with pytest.raises(FileError, match=r"missing/unit cannot be written: No such file or directory\."):
        converge(tmp_path / "missing" / "unit", "one")


# --- directories ----------------------------------------------------------------------------------


def test_a_new_directory(tmp_path):
    path = tmp_path / "data"
    outcome = both(path, state="directory")
    assert outcome.changes[0] == "created"
    assert outcome.diff["after"].startswith(f"{path}: created")
    assert mode_of(path) == 0o755


def test_a_new_directory_with_its_parents(tmp_path):
    converge(tmp_path / "a" / "b", state="directory")
    assert (tmp_path / "a" / "b").is_dir()


def test_the_mode_of_a_directory(tmp_path):
    path = tmp_path / "data"
    path.mkdir(mode=0o755)
    (path / "member").write_text("kept")
    assert both(path, state="directory", mode="0700").changes == ["mode of data is 0755 instead of 0700"]
    assert mode_of(path) == 0o700
    assert (path / "member").read_text() == "kept"


def test_a_private_directory_is_made_private(tmp_path):
    converge(tmp_path / "data", state="directory", mode="0700", owner=USER, group=GROUP)
    assert mode_of(tmp_path / "data") == 0o700


def test_no_directory(tmp_path):
    path = tmp_path / "data"
    path.write_text("a file")
    with pytest.raises(FileError, match=r"/data: is not a directory; move it away$"):
        converge(path, state="directory")
    assert path.read_text() == "a file"


# --- links and absence ----------------------------------------------------------------------------


def test_a_new_link(tmp_path):
    path = tmp_path / "enabled"
    outcome = both(path, state="link", target="/etc/nginx/sites-available/x")
    assert outcome.changes == ["link"]
    assert os.readlink(path) == "/etc/nginx/sites-available/x"


def test_a_link_to_somewhere_else(tmp_path):
    path = tmp_path / "enabled"
    path.symlink_to("old")
    outcome = both(path, state="link", target="new")
    assert outcome.diff == {"before": "old\n", "after": "new\n"}
    assert os.readlink(path) == "new"
    assert os.listdir(tmp_path) == ["enabled"]


def test_a_file_is_not_replaced_by_a_link(tmp_path):
    path = tmp_path / "enabled"
    path.write_text("precious")
    with pytest.raises(FileError, match=r"/enabled: is not a link, and is not replaced by one; move it away$"):
        converge(path, state="link", target="new")
    assert path.read_text() == "precious"


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_absent(tmp_path, kind):
    path = tmp_path / "default"
    target = tmp_path / "target"
    if kind == "file":
        path.write_text("x")
    else:
        path.symlink_to(target)
    if kind == "link":
        target.write_text("kept")
    assert both(path, state="absent").changes == ["removed"]
    assert not os.path.lexists(path)
    assert kind != "link" or target.read_text() == "kept"


def test_a_directory_is_never_removed(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    with pytest.raises(FileError, match=r"/data: is a directory, and directories are not removed; look at it"):
        converge(path, state="absent")
    assert path.is_dir()


def test_a_key_that_is_there_is_in_no_diff_even_when_nobody_says_it_is_secret(tmp_path):
    path = tmp_path / "key"
    path.write_text("-----BEGIN PRIVATE KEY-----\nold-secret-bytes\n")
    assert "secret-bytes" not in repr(converge(path, "something else", check=True))


# --- messages, and the call before a change ---------------------------------------------------------


def test_steps_and_commands(tmp_path):
    key = converge(tmp_path / "key.pem", "key", mode="0600", owner=USER, src="pki/ctl01-key.pem")
    assert key.step == f"write {tmp_path}/key.pem"
    assert key.commands == (f"install -o {USER} -m 0600 ctl01-key.pem {tmp_path}/key.pem",)
    data = converge(tmp_path / "data", state="directory", mode="0700")
    assert (data.step, data.commands) == (f"create directory {tmp_path}/data", (f"install -d -m 0700 {tmp_path}/data",))
    link = converge(tmp_path / "link", state="link", target="key.pem")
    assert (link.step, link.commands) == (f"link {tmp_path}/link to key.pem", (f"ln -sfn key.pem {tmp_path}/link",))
    gone = converge(tmp_path / "link", state="absent")
    assert (gone.step, gone.commands) == (f"remove {tmp_path}/link", (f"rm {tmp_path}/link",))
    assert [outcome.rewritten for outcome in (key, data, link, gone)] == [True, False, True, True]


@pytest.mark.parametrize("check", [True, False])
def test_somebody_is_told_before_a_path_is_changed(tmp_path, check):
    told = []
    (tmp_path / "old").write_text("old")
    (tmp_path / "gone").write_text("gone")
    (tmp_path / "mode").write_text("mode")
    (tmp_path / "mode").chmod(0o600)
    files = HostFiles(check=check, replacing=lambda path: told.append((path, os.path.lexists(path))))
    base = {"state": "file", "owner": None, "group": None, "mode": None, "target": None}
    files.converge({**base, "path": str(tmp_path / "old")}, b"new", secret=False)
    files.converge({**base, "path": str(tmp_path / "new")}, b"new", secret=False)
    files.converge({**base, "path": str(tmp_path / "mode")}, b"mode", secret=False)
    files.converge({**base, "path": str(tmp_path / "gone"), "state": "absent"}, None, secret=False)
    files.converge({**base, "path": str(tmp_path / "link"), "state": "link", "target": "x"}, None, secret=False)
    names = [("old", True), ("new", False), ("mode", True), ("gone", True), ("link", False)]
    assert told == ([] if check else [(str(tmp_path / name), there) for name, there in names])


def test_a_mode_that_is_not_octal(tmp_path):
    with pytest.raises(FileError, match=r"/unit: mode is '9': an octal mode such as '0600' is needed"):
        converge(tmp_path / "unit", "one", mode="9")
