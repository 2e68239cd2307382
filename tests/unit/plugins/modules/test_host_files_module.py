# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_files: what it reports, and that a key is nobody else's for not even a moment."""

from __future__ import annotations

import base64
import os
import stat

import pytest


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_result(run_module, tmp_path):
    old, new, plain = tmp_path / "old", tmp_path / "new", tmp_path / "plain"
    old.write_text("1")
    plain.write_text("kept")
    plain.chmod(0o600)
    params = {
        "files": [{"path": str(old)}, {"path": str(new)}, {"path": str(plain)}],
        "contents": {str(old): b64("2"), str(new): b64("3"), str(plain): b64("kept")},
    }
    predicted = run_module("host_files", check=True, diff=True, **params)
    assert old.read_text() == "1"
    done = run_module("host_files", diff=True, **params)
    for outcome in (predicted, done):
        assert outcome.data["changed"] is True
        assert outcome.data["written"] == [str(old), str(new)], "a changed mode asks for no restart"
        assert outcome.data["changes"] == {str(old): ["content"], str(new): ["created"], str(plain): ["mode 0644"]}
        assert len(outcome.data["diff"]) == 3
    again = run_module("host_files", **params)
    assert (again.data["changed"], again.data["changes"], again.data["written"]) == (False, {}, [])


def test_a_key_is_never_readable_by_others(run_module, tmp_path, monkeypatch):
    path = tmp_path / "key.pem"
    modes = []
    chmod, fchmod = os.chmod, os.fchmod
    monkeypatch.setattr(os, "chmod", lambda target, mode, **kw: (modes.append(mode), chmod(target, mode, **kw))[1])
    monkeypatch.setattr(os, "fchmod", lambda target, mode: (modes.append(mode), fchmod(target, mode))[1])
    outcome = run_module(
        "host_files",
        files=[{"path": str(path), "mode": "0600", "secret": True}],
        secret_contents={str(path): b64("secret-bytes")},
    )
    assert outcome.data["changes"] == {str(path): ["created"]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [f"{mode:04o}" for mode in modes if mode & 0o077] == []


def test_a_secret_is_in_no_output(run_module, tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("old-secret-bytes")
    outcome = run_module(
        "host_files",
        diff=True,
        files=[{"path": str(path), "mode": "0600", "secret": True}],
        secret_contents={str(path): b64("new-secret-bytes")},
    )
    assert outcome.data["written"] == [str(path)]
    assert "secret-bytes" not in outcome.output
    assert b64("new-secret-bytes") not in outcome.output


def test_a_failure_names_the_path_and_what_was_done_before(run_module, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    outcome = run_module(
        "host_files",
        files=[{"path": str(first)}, {"path": str(second)}],
        contents={str(first): b64("1"), str(second): b64("2")},
    )
    assert outcome.failed
    assert outcome.message == f"{second}: is no regular file; move it away"
    assert outcome.data["changes"] == {str(first): ["created"]}


def test_an_error_of_the_system_names_the_path(run_module, tmp_path):
    path = tmp_path / "missing" / "unit"
    outcome = run_module("host_files", files=[{"path": str(path)}], contents={str(path): b64("1")})
    assert outcome.failed
    assert outcome.message == f"{path}: No such file or directory"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"state": "link"}, "state is link but all of the following are missing: target"),
        ({"template": "a.j2", "content": "b"}, "parameters are mutually exclusive: template|src|content"),
        ({"state": "folder"}, "value of state must be one of: file, directory, link, absent"),
    ],
)
def test_arguments_that_make_no_sense(run_module, tmp_path, entry, message):
    outcome = run_module("host_files", files=[{"path": str(tmp_path / "x"), **entry}])
    assert outcome.failed
    assert message in outcome.message
