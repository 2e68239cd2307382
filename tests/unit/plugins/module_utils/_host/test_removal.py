# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal finds on a host, does in its order, and leaves alone."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import time

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import removal
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.removal import Removal, carry_out


class Systemd:
    """Units of a host, and the commands that were run."""

    def __init__(self, **units: tuple[str, str]) -> None:
        self.units = {name.replace("_", "-") + ".service": state for name, state in units.items()}
        self.ran: list[list[str]] = []

    def __call__(self, arguments: list[str]) -> tuple[int, str, str]:
        if arguments[:2] == ["systemctl", "show"]:
            active, file = self.units.get(arguments[2], ("inactive", ""))
            return 0, f"ActiveState={active}\nUnitFileState={file}\n", ""
        self.ran.append(arguments)
        name, (active, file) = arguments[-1], self.units.get(arguments[-1], ("inactive", ""))
        after = {"stop": ("inactive", file), "disable": (active, "disabled"), "reset-failed": ("inactive", file)}
        for word, state in after.items():
            if word in arguments:
                self.units[name] = state
        return 0, "", ""


@pytest.fixture
def host(tmp_path):
    """A directory with units and data of a host."""
    for name in ("units", "data/member", "etc", "logs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "units" / "etcd.service").touch()
    (tmp_path / "units" / "nginx.service").touch()
    (tmp_path / "data" / "member" / "db").touch()
    return tmp_path


def made(host, systemd, **options):
    return Removal(run=systemd, unit_directory=str(host / "units"), **options)


def test_a_unit_stops_before_its_files_go_and_a_second_removal_has_nothing_to_do(host):
    systemd = Systemd(etcd=("active", "enabled"))
    given = made(host, systemd, units=["etcd.service"], paths=[str(host / "data")])
    words = [step.words for step in given.steps()]
    assert (host / "data").exists()
    assert not systemd.ran
    assert carry_out(given.steps) == words
    assert words == [
        "stop etcd.service",
        "disable etcd.service",
        f"remove {host}/units/etcd.service",
        "daemon-reload",
        f"remove {host}/data",
    ]
    assert not (host / "data").exists()
    assert not (host / "units" / "etcd.service").exists()
    assert made(host, systemd, units=["etcd.service"], paths=[str(host / "data")]).steps() == []


def test_a_removal_that_was_interrupted_is_continued(host):
    systemd = Systemd(etcd=("failed", "enabled"))
    given = made(host, systemd, units=["etcd.service"], paths=[str(host / "data"), str(host / "none")])
    given.steps()[0].act()
    shutil.rmtree(host / "data" / "member")
    done = carry_out(made(host, systemd, units=["etcd.service"], paths=[str(host / "data")]).steps)
    assert "reset-failed etcd.service" in done
    assert not (host / "data").exists()


def test_the_unit_file_of_a_package_stays(host):
    systemd = Systemd(nginx=("active", "enabled"))
    assert carry_out(made(host, systemd, stopped=["nginx.service"]).steps) == [
        "stop nginx.service",
        "disable nginx.service",
    ]
    assert (host / "units" / "nginx.service").exists()


def test_a_link_goes_and_what_it_leads_to_stays(host):
    (host / "link").symlink_to(host / "data")
    carry_out(made(host, Systemd(), paths=[str(host / "link")]).steps)
    assert not (host / "link").is_symlink()
    assert (host / "data" / "member" / "db").exists()


def test_what_is_kept_stays_where_all_around_it_goes(host):
    (host / "data" / "backups").mkdir()
    (host / "data" / "backups" / "one.db").touch()
    given = made(host, Systemd(), paths=[str(host / "data")], keep=[str(host / "data" / "backups")])
    assert carry_out(given.steps) == [f"remove {host}/data/member"]
    assert (host / "data" / "backups" / "one.db").exists()


def test_a_directory_goes_only_where_it_is_empty(host):
    (host / "etc" / "ours").touch()
    options = {"paths": [str(host / "etc" / "ours")], "empty": [str(host / "etc")]}
    (host / "etc" / "theirs").touch()
    assert carry_out(made(host, Systemd(), **options).steps) == [f"remove {host}/etc/ours"]
    (host / "etc" / "theirs").unlink()
    assert [step.words for step in made(host, Systemd(), **options).steps()] == [f"remove {host}/etc"]


def test_a_mount_point_is_emptied_and_stays(host, monkeypatch):
    monkeypatch.setattr(removal, "mount_points", lambda: [str(host / "data")])
    os.chown(host / "data", 997, 997)
    (host / "data").chmod(0o700)
    given = made(host, Systemd(), paths=[str(host / "data")], empty=[str(host / "data")])
    assert carry_out(given.steps) == [f"remove {host}/data/member", f"give {host}/data to root"]
    left = (host / "data").stat()
    assert (left.st_uid, left.st_gid, left.st_mode & 0o7777) == (0, 0, 0o755)
    assert given.steps() == []


def test_what_is_mounted_below_is_unmounted_first_or_nothing_goes(host, monkeypatch):
    mounted = [str(host / "data"), f"{host}/data/member", f"{host}/data/member/inner"]
    below = mounted[1:]
    monkeypatch.setattr(
        "ansible_collections.hardway.kubernetes.plugins.module_utils._host.mounts.mount_points", lambda: below
    )
    ran = []

    def stuck(arguments):
        ran.append(arguments)
        return 1, "", "busy"

    with pytest.raises(HardwayError, match=r"mounted on .*/inner, .*nothing in .*/data was removed"):
        removal.remove_directory(str(host / "data"), stuck)
    assert (host / "data" / "member" / "db").exists()
    assert [arguments[-1] for arguments in ran if "--lazy" in arguments] == [mounted[2], mounted[1]]

    def works(arguments):
        below.remove(arguments[-1])
        return 0, "", ""

    removal.remove_directory(str(host / "data"), works)
    assert not (host / "data").exists()


@pytest.mark.parametrize("path", ["/", "/etc", "/var/..", "var/lib/etcd", "/etc/../var"])
def test_a_directory_of_the_root_is_refused(path):
    with pytest.raises(HardwayError, match="is not removed"):
        Removal(run=Systemd(), paths=[path])


def test_programs_are_those_of_the_record_and_end_before_they_go(host):
    program = host / "sleep"
    shutil.copy(shutil.which("sleep"), program)
    other = host / "other"
    other.touch()
    records = host / "records"
    records.mkdir()
    (records / "programs.json").write_text(json.dumps({"sleep": {"files": {str(program): None}}}))
    with subprocess.Popen([program, "60"]) as process:
        for _attempt in range(100):
            if removal.processes(str(program)):
                break
            time.sleep(0.05)
        given = made(host, Systemd(), records=str(records))
        assert carry_out(given.steps) == [
            f"end the processes of {program}",
            f"remove {program}",
            f"remove {records}",
        ]
        assert process.wait(5) != 0
    assert other.exists()
    assert not records.exists()


def test_users_of_others_stay_and_what_a_user_leaves_is_given_to_root(host, monkeypatch):
    def entry(home, uid):
        return pwd.struct_passwd(("etcd", "x", uid, uid, "", home, "/usr/sbin/nologin"))

    given = []
    monkeypatch.setattr(removal.os, "chown", lambda path, *_ids, follow_symlinks: given.append(path))
    (host / "logs" / "one").touch()
    own = os.getuid()
    options = {"users": ["etcd"], "leave": [str(host / "logs")]}
    for home, uid in (("/var/lib/etcd", own), ("/nonexistent", 1001)):
        monkeypatch.setattr(removal.pwd, "getpwnam", lambda _name, home=home, uid=uid: entry(home, uid))
        assert made(host, Systemd(), **options).steps() == []
    monkeypatch.setattr(removal.pwd, "getpwnam", lambda _name: entry("/nonexistent", own if own < 1000 else 999))
    monkeypatch.setattr(removal, "owned_by", lambda _uid, top: [top, f"{top}/one"])
    systemd = Systemd()
    for step in made(host, systemd, **options).steps():
        step.act()
    assert given == [str(host / "logs"), str(host / "logs" / "one")]
    assert systemd.ran == [["userdel", "etcd"]]


def test_the_files_of_a_user(host):
    (host / "logs" / "one").touch()
    assert removal.owned_by(os.getuid(), str(host / "logs")) == [str(host / "logs"), str(host / "logs" / "one")]
    assert removal.owned_by(os.getuid() + 1, str(host / "logs")) == []
    assert removal.owned_by(os.getuid(), str(host / "none")) == []


def test_what_comes_back_each_time_is_named(host):
    step = removal.Step("remove /run/again", lambda: None)
    with pytest.raises(HardwayError, match="has to be done again: remove /run/again"):
        carry_out(lambda: [step])
