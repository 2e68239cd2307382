# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of a rotated pair, each killed at every step and continued."""

from __future__ import annotations

import os
import stat
import time

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.rotation import finish, rotation, switch

NAME = "service-account"


@pytest.fixture(scope="session")
def pairs(openssl, tmp_path_factory):
    """Three pairs of openssl's: certificate and key by name."""
    directory = tmp_path_factory.mktemp("pairs")
    found = {}
    for name in ("old", "new", "other"):
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2),
            *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
            cwd=directory,
        )
        found[name] = (directory / f"{name}.pem").read_text(), (directory / f"{name}.key").read_text()
    return found


@pytest.fixture
def put(tmp_path, pairs):
    """Write files of a pair under a name."""

    def put(name, pair, parts=("pem", "key")):
        certificate, key = pairs[pair]
        if "pem" in parts:
            (tmp_path / f"{name}.pem").write_text(certificate)
        if "key" in parts:
            (tmp_path / f"{name}-key.pem").write_text(key)

    return put


@pytest.fixture
def pki(tmp_path, put):
    """A directory with a pair that signs and a new one."""
    put(NAME, "old")
    put(f"{NAME}-next", "new")
    (tmp_path / f"{NAME}.csr").write_text("old request")
    (tmp_path / f"{NAME}-next.csr").write_text("new request")
    return tmp_path


def files(pki):
    return {path.name: path.read_text() for path in pki.iterdir()}


def switched(pairs):
    return {
        f"{NAME}.pem": pairs["new"][0],
        f"{NAME}-key.pem": pairs["new"][1],
        f"{NAME}.csr": "new request",
        f"{NAME}-previous.pem": pairs["old"][0],
    }


def finished(pairs):
    return {name: text for name, text in switched(pairs).items() if "previous" not in name}


def phase(pki):
    return rotation(str(pki), NAME).phase


def test_a_rotation_from_begin_to_end(pki, pairs):
    before = time.time() - 2
    assert phase(pki) == "next"
    assert switch(str(pki), NAME)
    found = rotation(str(pki), NAME)
    assert (found.phase, found.interrupted) == ("previous", False)
    assert before < found.switched_at < time.time() + 2
    assert files(pki) == switched(pairs)
    assert stat.S_IMODE((pki / f"{NAME}-key.pem").stat().st_mode) == 0o600
    assert finish(str(pki), NAME)
    assert phase(pki) == "none"
    assert files(pki) == finished(pairs)


def test_what_is_done_is_not_done_again(pki):
    assert switch(str(pki), NAME)
    inode = (pki / f"{NAME}-key.pem").stat().st_ino
    assert not switch(str(pki), NAME)
    assert (pki / f"{NAME}-key.pem").stat().st_ino == inode
    assert finish(str(pki), NAME)
    assert not finish(str(pki), NAME)


class Killed(BaseException):
    """What ends the process where it stands."""


@pytest.mark.parametrize("step", [switch, finish])
def test_a_kill_before_any_system_call_is_continued(pki, pairs, monkeypatch, step):
    if step is finish:
        switch(str(pki), NAME)
    wanted = switched(pairs) if step is switch else finished(pairs)
    start = files(pki)
    phases = set()
    for number in range(1, 40):
        for path in pki.iterdir():
            path.unlink()
        for name, text in start.items():
            (pki / name).write_text(text)
        left = number
        with monkeypatch.context() as patched:
            for call in ("replace", "rename", "unlink", "rmdir"):
                real = getattr(os, call)

                def counted(*arguments, real=real, **named):
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise Killed
                    return real(*arguments, **named)

                left = number - 1
                patched.setattr(os, call, counted)
            try:
                step(str(pki), NAME)
            except Killed:
                pass
            else:
                break
        # Whichever file has been moved, a pair that signs can be read, and it is known how far the rotation is.
        phases.add(phase(pki))
        step(str(pki), NAME)
        assert files(pki) == wanted, number
    else:
        pytest.fail("the step never ended")
    assert number > (7 if step is switch else 1)
    assert phases == ({"next", "previous"} if step is switch else {"previous"})


def test_a_killed_switch_is_finished_by_finish_too(pki, put, pairs):
    switch(str(pki), NAME)
    put(f"{NAME}-next", "new")
    assert rotation(str(pki), NAME).interrupted
    assert finish(str(pki), NAME)
    assert files(pki) == finished(pairs)


@pytest.mark.parametrize("kept", ["pem", "key"])
def test_a_switch_killed_while_it_removed_the_new_pair(pki, put, pairs, kept):
    switch(str(pki), NAME)
    put(f"{NAME}-next", "new", (kept,))
    assert rotation(str(pki), NAME).phase == "previous"
    assert switch(str(pki), NAME)
    assert files(pki) == switched(pairs)


def refused(pki, match, step=switch):
    before = files(pki)
    with pytest.raises(PkiError, match=match):
        step(str(pki), NAME)
    assert files(pki) == before


def test_nothing_to_switch_to(pki):
    for file in (f"{NAME}-next.pem", f"{NAME}-next-key.pem"):
        (pki / file).unlink()
    assert phase(pki) == "none"
    refused(pki, r"service-account-next\.pem does not exist")


def test_finish_before_the_new_pair_signs(pki):
    refused(pki, r"service-account-next\.pem does not sign yet", finish)


@pytest.mark.parametrize("name", [NAME, f"{NAME}-next"])
@pytest.mark.parametrize("file", [".pem", "-key.pem"])
def test_half_a_pair(pki, name, file):
    (pki / f"{name}{file}").unlink()
    refused(pki, rf"{name}{file} is missing")


def test_a_key_of_another_pair(pki, put):
    put(f"{NAME}-next", "other", ("key",))
    refused(pki, r"service-account-next\.pem and .*service-account-next-key\.pem are not a pair")


def test_a_new_pair_that_is_the_old_one(pki, put):
    put(f"{NAME}-next", "old")
    refused(pki, "have the same key")


def test_a_second_rotation_before_the_first_is_over(pki, put):
    switch(str(pki), NAME)
    put(f"{NAME}-next", "other")
    refused(pki, "the one before is not over")
    refused(pki, "the one before is not over", finish)


def test_a_vaulted_key_is_named(pki):
    (pki / f"{NAME}-next-key.pem").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    refused(pki, "encrypted with ansible-vault")


def test_a_damaged_file_is_named(pki):
    (pki / f"{NAME}-next.pem").write_text("x")
    refused(pki, r"service-account-next\.pem is not a certificate that can be read")
