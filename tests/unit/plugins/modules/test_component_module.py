# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module component: what it decides to do and in which order, and that a failed change is rolled back."""

from __future__ import annotations

import base64
import fcntl
import grp
import hashlib
import itertools
import json
import os
import pathlib
import pwd
import shutil
import stat
import subprocess
import sys
import time

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._files import journal
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import units
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.component import Component
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.health import Health

UNIT = "etcd.service"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Host:
    """A host with one unit: systemd follows commands, and the process runs on what it read when it started.

    Its health endpoint is not healthy while the process runs on something that says "broken".
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.etc = directory / "etc"
        self.bin = directory / "bin"
        self.records = directory / "records"
        self.units = directory / "units"
        self.published = directory / "published"
        for path in (self.etc, self.bin, self.units, self.published):
            path.mkdir()
        self.properties = {
            "LoadState": "loaded",
            "ActiveState": "active",
            "SubState": "running",
            "UnitFileState": "enabled",
            "NeedDaemonReload": "no",
            "MainPID": "0",
            "ExecMainStartTimestampMonotonic": "0",
            "InvocationID": "1",
            "DropInPaths": "",
        }
        self.log: list[str] = []
        self.test_code = 0
        #: Status by name, and by name and version, as dpkg-query prints it.
        self.packages: dict[str, str] = {}
        self.downloaded = True  # packages that are missing
        self.ill: str | None = None
        #: Why useradd fails.
        self.useradd_refuses = ""
        self.users: set[str] = set()
        #: What a program answers when it checks its own command line.
        self.dry_run = (0, "", "")
        self.start()

    def read(self) -> dict[str, str]:
        return {
            str(path): path.read_text()
            for directory in (self.etc, self.bin, self.units)
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }

    def start(self) -> None:
        self.running = self.read()
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        self.properties.update(
            ActiveState="active",
            ExecMainStartTimestampMonotonic=str(int(now * 1e6)),
            InvocationID=str(int(self.properties["InvocationID"]) + 1),
        )

    def absent(self) -> None:
        self.properties.update(LoadState="not-found", ActiveState="inactive", UnitFileState="")

    def problem(self, health: Health) -> str | None:
        if self.ill:
            return self.ill
        broken = [path for path, content in self.running.items() if "broken" in content]
        return f"{health.url} answers 500: {broken[0]} is broken" if broken else None

    def package_lines(self, names: list[str]) -> str:
        known = [name for name in self.packages if name.partition("=")[0] in names]
        return "".join(f"{name} {self.packages[name]}\n" for name in known)

    def run(self, command, **_options):
        if command[0] == "dpkg-query":
            return 1, self.package_lines(command), "no packages found\n"
        if command[0] == "useradd":
            self.users.add(command[-1])
            return (1, "", self.useradd_refuses) if self.useradd_refuses else (0, "", "")
        if command[0] == "nginx":
            self.log.append("test")
            return self.test_code, "", "unknown directive\n"
        if command[0] == "apt-get":
            return 0, "" if "install" in command and self.downloaded else "'http://deb.invalid/InRelease' x 0 \n", ""
        if command[0] == "env":
            return 100, "", "E: Failed to fetch http://deb.invalid/InRelease  Could not resolve 'deb.invalid'\n"
        if command[0] == "timeout":
            return self.dry_run
        if command[0] == "journalctl":
            return 0, "panic: broken\n", ""
        verb = next(word for word in command[1:] if not word.startswith("-"))
        if verb == "show":
            return 0, "".join(f"{name}={value}\n" for name, value in self.properties.items()), ""
        self.log.append(verb)
        self.systemctl(verb)
        return 0, "", ""

    def systemctl(self, verb: str) -> None:
        if verb == "daemon-reload":
            self.properties.update(NeedDaemonReload="no", LoadState="loaded")
        elif verb in ("enable", "disable"):
            self.properties["UnitFileState"] = f"{verb}d"
        elif verb == "stop" or verb == "reset-failed":
            self.properties["ActiveState"] = "inactive"
        elif verb == "reload":
            self.start()  # of its workers: what has none is looked at itself
        else:
            self.start()

    # --- what tasks give ---

    def program(self, content: str, *, version: str = "1") -> dict:
        """Options that install the program ``etcd``."""
        path = self.published / version / "etcd"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        sum_file = path.with_name("etcd.sha256")
        sum_file.write_text(hashlib.sha256(content.encode()).hexdigest())
        entry = {
            "version": version,
            "url": f"file://{path}",
            "checksum_url": f"file://{sum_file}",
            "directory": str(self.bin),
        }
        return {"programs": ["etcd"], "published": {"etcd": entry, "other": entry}}

    def files(self, *, restart: bool = True, secret: bool = False, **contents: str) -> dict:
        """Options that write files into the configuration directory."""
        paths = {str(self.etc / name): content for name, content in contents.items()}
        return {
            "files": [{"path": path, "restart": restart} for path in paths],
            "secret_contents" if secret else "contents": {path: b64(content) for path, content in paths.items()},
        }

    @property
    def journal(self) -> pathlib.Path:
        return self.records / "journal" / "etcd"


@pytest.fixture
def host(monkeypatch, tmp_path):
    fake = Host(tmp_path)
    users, user = pwd.getpwnam, pwd.getpwuid(os.geteuid())
    groups, group = grp.getgrnam, grp.getgrgid(os.getegid())
    # Users that useradd made have the number of the one who runs the tests.
    monkeypatch.setattr(pwd, "getpwnam", lambda name: user if name in fake.users else users(name))
    monkeypatch.setattr(grp, "getgrnam", lambda name: group if name in fake.users else groups(name))
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _self, command, **options: fake.run(command, **options))
    monkeypatch.setattr(units, "UNIT_DIRECTORY", str(fake.units))
    monkeypatch.setattr(units, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(Health, "problem", lambda health, **_options: fake.problem(health))
    return fake


HEALTH = {"url": "http://127.0.0.1:2381/health"}


@pytest.fixture
def component(run_module, host):
    """Run the module."""

    def component(*, check=False, diff=False, unit=(), no_unit=False, **params):
        if not no_unit:
            params["unit"] = {"name": UNIT, "health": HEALTH, "timeout": 0, **dict(unit)}
        params.setdefault("name", "etcd")
        return run_module("component", check=check, diff=diff, records=str(host.records), **params)

    return component


@pytest.fixture
def converge(component, host):
    """Predict, do, and do again; return what was done."""

    def converge(**params):
        before = (host.read(), list(host.log))
        predicted = component(check=True, diff=True, **params)
        assert not predicted.failed, predicted.message
        assert (host.read(), host.log) == before, "check mode changes nothing"
        assert not host.journal.exists()
        done = component(diff=True, **params)
        assert not done.failed, done.message
        for key in ("changed", "steps", "reasons", "commands", "diff"):
            assert done.data[key] == predicted.data[key], key
        assert done.data["changed"] is bool(done.data["steps"])
        time.sleep(0.03)
        again = component(diff=True, **params)
        assert (again.data["changed"], again.data["steps"], again.data["diff"]) == (False, [], [])
        assert not host.journal.exists()
        return done.data

    return converge


# --- a component from nothing ---------------------------------------------------------------------


def test_install_configure_and_run(converge, host):
    host.absent()
    config, unit = host.etc / "config", host.units / UNIT
    data = converge(
        **host.program("etcd 1"),
        files=[{"path": str(host.etc / "pki"), "state": "directory", "mode": "0700"}, {"path": str(config)}],
        contents={str(config): b64("quota: 1"), str(unit): b64("[Service]")},
        unit={"template": "etcd.service.j2"},
    )
    assert data["steps"] == [
        "install etcd 1",
        f"create directory {host.etc}/pki",
        f"write {config}",
        f"write {unit}",
        "daemon-reload",
        f"enable {UNIT}",
        f"start {UNIT}",
    ]
    assert host.log == ["daemon-reload", "enable", "start"]
    assert data["reasons"][0] == f"{host.bin}/etcd is missing"
    assert f"{UNIT} is not running" in data["reasons"]
    assert data["commands"][-3:] == ["systemctl daemon-reload", f"systemctl enable {UNIT}", f"systemctl start {UNIT}"]
    assert f"install -d -m 0700 {host.etc}/pki" in data["commands"]
    assert data["seconds_to_healthy"] >= 0
    assert host.running[str(host.bin / "etcd")] == "etcd 1"
    assert json.loads((host.records / "programs.json").read_text())["etcd"]["version"] == "1"


def test_the_user_of_a_component_is_made_before_its_files(converge, host):
    """A file may belong to a user that the host does not have yet."""
    file = host.etc / "key"
    data = converge(
        user="hardway-etcd", files=[{"path": str(file), "owner": "hardway-etcd"}], contents={str(file): b64("key")}
    )
    assert data["steps"] == ["create the user hardway-etcd", f"write {file}", f"restart {UNIT}"]
    assert any(command.startswith("useradd --system ") for command in data["commands"])
    assert host.users == {"hardway-etcd"}


def test_a_user_that_cannot_be_made(component, host):
    host.useradd_refuses = "useradd: cannot lock /etc/passwd"
    outcome = component(user="hardway-etcd", **host.files(config="quota: 1"))
    assert "useradd cannot create the user hardway-etcd: useradd: cannot lock /etc/passwd" in outcome.message
    assert not (host.etc / "config").exists()


def test_a_file_that_is_written_once(converge, host):
    """Where there is one, only its owner and mode are brought in line."""
    given = {"force": False, "mode": "0600", "path": str(host.etc / "bootstrap")}
    first = converge(files=[given], contents={given["path"]: b64("new")})
    assert first["steps"] == [f"write {given['path']}", f"restart {UNIT}"]
    assert converge(files=[given], contents={given["path"]: b64("existing")})["steps"] == []
    os.chmod(given["path"], 0o644)
    mended = converge(files=[given], contents={given["path"]: b64("existing")})
    assert mended["steps"] == [f"correct {given['path']}: mode of bootstrap is 0644 instead of 0600"]
    assert (host.etc / "bootstrap").read_text() == "new"


def test_packages_that_are_there(converge, host):
    host.packages = {"curl": "installed", "nginx": "installed", "nginx=1.22.1": "installed"}
    assert converge(packages=["curl", "nginx=1.22.1"])["steps"] == []


def test_packages_that_are_missing(component, host):
    """The action plugin installs them; nothing else is done or looked at before."""
    host.packages = {"curl": "installed", "conntrack": "config-files", "nginx": "installed", "nginx=1.18": "installed"}
    given = {"packages": ["curl", "conntrack", "nginx=1.22.1", "socat"], **host.files(config="quota: 1")}
    wanted = ["conntrack", "nginx=1.22.1", "socat"]
    steps = [f"install the package {name}" for name in wanted]
    predicted = component(check=True, diff=True, **given).data
    assert predicted["changed"] is True
    assert predicted["steps"] == [*steps, f"write {host.etc}/config", f"restart {UNIT}"]
    asked = component(turn="ask", **given).data
    assert (asked["changed"], asked["needs_packages"], asked["steps"]) == (False, wanted, steps)
    assert asked["reasons"] == [f"the package {name} is not installed" for name in wanted]
    assert asked["commands"] == ["apt-get update", "apt-get install --no-install-recommends " + " ".join(wanted)]
    assert asked["unreached_sources"] == []
    assert host.log == []
    assert not (host.etc / "config").exists()


def test_packages_whose_sources_cannot_be_reached(component, host):
    host.downloaded = False
    asked = component(turn="ask", packages=["socat"]).data
    assert asked["unreached_sources"] == ["http://deb.invalid (Could not resolve 'deb.invalid')"]


def test_what_runs_is_left_alone(converge, host):
    assert converge()["steps"] == []
    assert host.log == []


def test_without_a_unit(component, host):
    outcome = component(no_unit=True, **host.files(motd="hello"))
    assert outcome.data["steps"] == [f"write {host.etc}/motd"]
    assert "seconds_to_healthy" not in outcome.data
    assert not host.journal.exists()


def test_files_alone_need_no_records(component, host):
    """On the control node an ordinary user writes them."""
    host.records.write_text("in the way of the directory")
    outcome = component(no_unit=True, **host.files(motd="hello"))
    assert outcome.data["steps"] == [f"write {host.etc}/motd"]
    refused = component(**host.files(motd="good evening"))
    assert f"{host.journal.parent} cannot be made" in refused.message


def test_a_first_start_that_fails_leaves_everything_to_look_at(component, host):
    host.absent()
    outcome = component(**host.program("broken"), **host.files(config="1"))
    assert outcome.failed
    assert "etcd.service is not healthy" in outcome.message
    assert f"{HEALTH['url']} answers 500" in outcome.message
    assert "panic: broken" in outcome.message, "what the unit logged"
    assert outcome.message.endswith(
        f"{UNIT} did not run before, so the change cannot be rolled back: programs and files stay as they are, "
        "for you to inspect."
    )
    assert outcome.data["steps"] == [
        "install etcd 1",
        f"write {host.etc}/config",
        "daemon-reload",
        f"enable {UNIT}",
        f"start {UNIT}",
    ]
    assert (host.bin / "etcd").read_text() == "broken"
    assert not host.journal.exists()
    # The next run goes on from there.
    time.sleep(0.03)
    mended = component(**host.program("fine", version="2"), **host.files(config="1"))
    assert not mended.failed
    assert mended.data["steps"] == ["install etcd 2", f"restart {UNIT}"]


# --- when a restart is due ------------------------------------------------------------------------


def test_a_changed_unit_file_is_read_before_the_restart(converge, host):
    (host.units / UNIT).write_text("old")
    data = converge(contents={str(host.units / UNIT): b64("new")}, unit={"template": "u.j2"})
    assert host.log == ["daemon-reload", "restart"]
    assert data["reasons"] == [f"systemd has not read the unit file of {UNIT}", f"{host.units / UNIT} changes"]


def test_a_unit_file_that_systemd_has_not_read(converge, host):
    host.properties["NeedDaemonReload"] = "yes"
    assert converge()["steps"] == ["daemon-reload"]


def test_a_restart_that_an_interrupted_run_owed(component, host):
    time.sleep(0.03)
    (host.etc / "config").write_text("new")
    outcome = component(check=True, **host.files(config="new"))
    assert outcome.data["steps"] == [f"restart {UNIT}"]
    assert outcome.data["reasons"] == [f"{host.etc}/config is newer than the running process"]


def test_a_new_program_restarts(converge, host):
    converge(**host.program("etcd 1"))
    data = converge(**host.program("etcd 2", version="2"))
    assert data["steps"] == ["install etcd 2", f"restart {UNIT}"]
    assert data["reasons"] == ["version 1 is installed, 2 is wanted", f"{host.bin}/etcd changes"]
    assert host.running[str(host.bin / "etcd")] == "etcd 2"


def test_a_new_tool_restarts_nothing(converge, host):
    options = host.program("etcdctl")
    data = converge(tools=options.pop("programs"), **options)
    assert data["steps"] == ["install etcd 1"]
    assert host.log == []


def test_a_program_that_somebody_replaced_restarts_and_is_replaced_again(component, host):
    component(**host.program("etcd 1"))
    (host.bin / "etcd").write_text("by hand")
    assert component(**host.program("etcd 1")).data["steps"] == ["install etcd 1", f"restart {UNIT}"]


def test_what_the_program_reads_again_by_itself_restarts_nothing(converge, host):
    data = converge(**host.files(restart=False, certificate="new"))
    assert data["steps"] == [f"write {host.etc}/certificate"]
    assert host.log == []


def test_a_changed_mode_restarts_nothing(converge, host):
    (host.etc / "key").write_text("key")
    (host.etc / "key").chmod(0o600)
    host.start()
    data = converge(**host.files(key="key"))
    assert data["steps"] == [f"correct {host.etc}/key: mode of key is 0600 instead of 0644"]
    assert host.log == []


def test_a_removed_file_restarts(converge, host):
    (host.etc / "extra").write_text("x")
    data = converge(files=[{"path": str(host.etc / "extra"), "state": "absent"}])
    assert data["steps"] == [f"remove {host.etc}/extra", f"restart {UNIT}"]


@pytest.mark.parametrize("loaded", [True, False])
def test_a_drop_in_that_is_newer_than_the_process(component, host, loaded):
    time.sleep(0.03)
    drop_in = host.units / f"{UNIT}.d" / "limits.conf"
    if loaded:
        drop_in = host.etc / f"{UNIT}.d" / "limits.conf"  # such as /run/systemd/system/NAME.d
        host.properties["DropInPaths"] = f"/usr/lib/systemd/system/service.d/all.conf {drop_in}"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]")
    outcome = component(unit={"on_change": "reload"})
    assert outcome.data["steps"] == [f"restart {UNIT}"]
    assert outcome.data["reasons"] == [f"{drop_in} is newer than the running process"]


def test_drop_ins_that_others_write_again_and_again_do_not_matter(component, host, tmp_path):
    time.sleep(0.03)
    everybodys = tmp_path / "service.d" / "container.conf"
    everybodys.parent.mkdir()
    everybodys.write_text("new")
    host.properties["DropInPaths"] = f"{everybodys} /run/systemd/generator/{UNIT}.d/50.conf"
    assert component().data["steps"] == []


@pytest.mark.parametrize("place", ["units", "etc"])
@pytest.mark.parametrize("on_change", ["restart", "reload"])
def test_a_drop_in_of_the_component_is_read_before_the_restart(converge, host, place, on_change):
    """The second place stands for /run/systemd/system. A reload would not apply the drop-in."""
    path = getattr(host, place) / f"{UNIT}.d" / "extra.conf"
    data = converge(
        unit={"on_change": on_change},
        files=[{"path": str(path.parent), "state": "directory"}, {"path": str(path)}],
        contents={str(path): b64("x")},
    )
    assert data["steps"][-2:] == ["daemon-reload", f"restart {UNIT}"]


def test_a_stopped_unit_is_started_and_not_restarted(converge, host):
    host.properties["ActiveState"] = "failed"
    assert converge(**host.files(config="new"))["steps"] == [f"write {host.etc}/config", f"start {UNIT}"]


# --- reload, stop, enable -------------------------------------------------------------------------


RELOADS = {"on_change": "reload", "test_command": ["nginx", "-t"]}


def test_reload(converge, host):
    data = converge(unit=RELOADS, **host.files(config="new"))
    assert data["steps"] == [f"write {host.etc}/config", f"reload {UNIT}"]
    assert data["commands"][-2:] == ["nginx -t", f"systemctl reload {UNIT}"]
    assert host.log == ["test", "reload"]


def test_a_refused_configuration_leaves_the_unit_running_as_it_was(component, host):
    (host.etc / "config").write_text("old")
    host.start()
    host.test_code = 1
    outcome = component(unit=RELOADS, **host.files(config="new"))
    assert outcome.failed
    assert outcome.message.startswith(
        "nginx -t refuses the new files, so etcd.service was left as it is: unknown directive"
    )
    assert host.log == ["test"]
    # Nor does it find them when it starts the next time.
    assert (host.etc / "config").read_text() == "old"
    assert outcome.message.endswith(f"{UNIT} was not touched: this host serves as before.")


def test_flags_that_the_program_refuses_leave_the_unit_running_as_it_was(component, host):
    unit = host.units / UNIT
    unit.write_text("ExecStart=/usr/local/bin/etcd --name=a")
    host.start()
    host.dry_run = (2, "", "flag provided but not defined: -nmae\nUsage:\n")
    outcome = component(
        unit={"template": "etcd.service.j2"}, contents={str(unit): b64("ExecStart=/usr/local/bin/etcd --nmae=a")}
    )
    assert outcome.failed
    assert outcome.message.startswith(
        f"{UNIT} was left as it is: etcd refuses its flags or its configuration: flag provided but not defined: -nmae"
    )
    assert "restart" not in host.log
    assert unit.read_text().endswith("--name=a")
    assert outcome.message.endswith(f"{UNIT} was not touched: this host serves as before.")


def test_a_program_that_ends_because_its_file_changed_serves_again(component, host, monkeypatch):
    """kube-proxy ends by itself when its configuration changes, before anything restarts it."""
    (host.etc / "config").write_text("old")
    host.start()
    run = host.run

    def ends(command, **options):
        if command == RELOADS["test_command"]:
            host.properties.update(ActiveState="activating", SubState="auto-restart")
        return run(command, **options)

    monkeypatch.setattr(host, "run", ends)
    host.test_code = 1
    outcome = component(unit={"test_command": RELOADS["test_command"]}, **host.files(config="new"))
    assert outcome.failed
    assert f"{UNIT} was restarted and is healthy after 0 s: this host serves as before." in outcome.message
    assert host.properties["ActiveState"] == "active"
    assert host.running[str(host.etc / "config")] == "old"


def test_not_at_boot(converge, host):
    assert converge(unit={"enabled": False})["steps"] == [f"disable {UNIT}"]
    assert host.properties["ActiveState"] == "active"


def test_stopped(converge, host):
    data = converge(unit={"state": "stopped", "enabled": False})
    assert data["steps"] == [f"stop {UNIT}", f"disable {UNIT}"]
    assert "seconds_to_healthy" not in data
    assert host.properties["ActiveState"] == "inactive"


def test_stopped_and_unknown(converge, host):
    host.absent()
    assert converge(unit={"state": "stopped", "enabled": False})["steps"] == []


def test_not_waited_for(component, host):
    host.absent()
    host.ill = "no quorum yet"
    outcome = component(unit={"wait": False})
    assert not outcome.failed
    assert "seconds_to_healthy" not in outcome.data
    assert host.properties["ActiveState"] == "active"


# --- health and peers -----------------------------------------------------------------------------


def test_an_unhealthy_unit_fails_although_nothing_changes(component, host, monkeypatch):
    ticks = itertools.count(0, 10)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    host.ill = "no leader"
    outcome = component()
    assert outcome.failed
    assert "etcd.service is not healthy" in outcome.message
    assert "rolled back" not in outcome.message
    assert host.log == []


def test_the_answer_of_the_process_that_was_to_end_does_not_count(component, host, monkeypatch):
    """systemd has the job in its queue, and the old process is still healthy."""
    (host.etc / "config").write_text("old")
    host.start()
    queue = []
    start = host.start
    monkeypatch.setattr(host, "start", lambda: queue.append(5))
    run = host.run

    def slow(command, **options):
        if queue and command[1] == "show":
            queue[0] -= 1
            if queue[0] == 0:
                start()
        return run(command, **options)

    monkeypatch.setattr(host, "run", slow)
    outcome = component(unit={"timeout": 1}, **host.files(config="broken"))
    assert "is not healthy after" in outcome.message
    assert "is broken" in outcome.message


def test_an_unverified_address_elsewhere_is_refused_before_anything_is_done(component, host):
    host.absent()
    outcome = component(unit={"health": {"url": "https://10.0.0.1/healthz"}}, **host.files(config="new"))
    assert outcome.failed
    assert host.log == []
    assert not (host.etc / "config").exists()


def test_a_client_certificate_needs_its_key(component):
    outcome = component(unit={"health": {**HEALTH, "client_cert": "/c.pem"}})
    assert "parameters are required together: client_cert, client_key" in outcome.message


PEER = "http://127.0.0.1:1/health"


@pytest.fixture
def _ill_peer(host, monkeypatch):
    own = host.problem
    monkeypatch.setattr(host, "problem", lambda health: f"{PEER}: refused" if health.url == PEER else own(health))


@pytest.mark.usefixtures("_ill_peer")
def test_nothing_is_replaced_while_another_member_is_not_healthy(component, host):
    (host.etc / "config").write_text("old")
    host.start()
    outcome = component(unit={"peers": [PEER], "timeout": 0}, **host.files(config="new"))
    assert outcome.failed
    assert outcome.message.startswith(f"{UNIT} was not restarted: on another host it is not healthy after 0 s ({PEER}")
    assert host.log == [], "not even a daemon-reload"
    assert (host.etc / "config").read_text() == "old"


@pytest.mark.usefixtures("_ill_peer")
def test_a_unit_that_does_not_run_is_started_without_its_peers(converge, host):
    host.properties["ActiveState"] = "inactive"
    assert converge(unit={"peers": [PEER], "timeout": 0})["steps"] == [f"start {UNIT}"]


@pytest.mark.usefixtures("_ill_peer")
def test_a_turn_is_not_asked_for_while_another_host_needs_it(component, host):
    (host.etc / "config").write_text("old")
    host.start()
    outcome = component(turn="ask", unit={"peers": [PEER], "timeout": 0}, **host.files(config="new"))
    assert "was not restarted: on another host it is not healthy" in outcome.message
    assert not outcome.data.get("needs_turn")


@pytest.mark.usefixtures("_ill_peer")
def test_a_unit_that_is_not_healthy_itself_does_not_wait_for_others(component, host):
    (host.etc / "config").write_text("broken")
    host.start()
    unit = {"peers": [PEER], "timeout": 0}
    assert component(turn="ask", unit=unit, **host.files(config="new")).data["needs_turn"] is True
    outcome = component(unit=unit, **host.files(config="new"))
    assert not outcome.failed, outcome.message
    assert f"restart {UNIT}" in outcome.data["steps"]


def test_a_restart_says_what_it_interrupts(component, host):
    unit = {"interrupts": "the API took no writes"}
    assert component(unit=unit).warnings == ""
    assert "the API took no writes: 0.0 s" in component(unit=unit, **host.files(config="new")).warnings


# --- taking back ----------------------------------------------------------------------------------


@pytest.fixture
def serving(component, host):
    """Version 1 serves with its files; a function that asserts that it still, or again, does."""
    (host.etc / "key").write_text("old key")
    (host.etc / "key").chmod(0o600)
    (host.etc / "gone").write_text("still read")
    (host.etc / "link").symlink_to("key")
    installed = component(**host.program("etcd 1"), **host.files(config="quota: 1"))
    assert not installed.failed, installed.message
    host.log.clear()
    contents = host.read()
    inode = (host.bin / "etcd").stat().st_ino
    record = (host.records / "programs.json").read_text()
    time.sleep(0.03)

    def serves():
        assert host.read() == contents
        assert host.running == contents
        assert (host.bin / "etcd").stat().st_ino == inode
        assert stat.S_IMODE((host.etc / "key").stat().st_mode) == 0o600
        assert os.readlink(host.etc / "link") == "key"
        assert json.loads((host.records / "programs.json").read_text()) == json.loads(record)
        assert not host.journal.exists()
        assert os.listdir(host.bin) == ["etcd"], "nothing is left beside the program"

    return serves


def change(host, *, program="etcd 2", version="2", config="quota: 2"):
    """Options that change everything that a component has."""
    paths = {name: str(host.etc / name) for name in ("config", "key", "new", "link", "gone", "directory")}
    return {
        **host.program(program, version=version),
        "files": [
            {"path": paths["directory"], "state": "directory"},
            {"path": paths["config"]},
            {"path": paths["key"], "mode": "0640", "secret": True},
            {"path": paths["new"]},
            {"path": paths["link"], "state": "link", "target": "new"},
            {"path": paths["gone"], "state": "absent"},
        ],
        "contents": {paths["config"]: b64(config), paths["new"]: b64("new")},
        "secret_contents": {paths["key"]: b64("new-secret-bytes")},
    }


def test_a_change_that_becomes_healthy_stays(converge, serving, host):
    del serving
    data = converge(**change(host))
    assert data["steps"][0] == "install etcd 2"
    assert data["steps"][-1] == f"restart {UNIT}"
    assert host.running[str(host.etc / "config")] == "quota: 2"


@pytest.mark.parametrize("broken", [{"program": "broken"}, {"config": "broken"}])
def test_a_change_that_does_not_become_healthy_is_taken_back(component, serving, host, broken):
    outcome = component(diff=True, **change(host, **broken))
    assert outcome.failed
    message = outcome.message.splitlines()
    assert message[0].startswith(f"{UNIT} is not healthy after 0 s of at most 0 s: {HEALTH['url']} answers 500")
    assert "panic: broken" in message
    assert f"The change was: install etcd 2; create directory {host.etc}/directory; write {host.etc}/config; " in (
        outcome.message
    )
    assert f"It was rolled back: {host.bin}/etcd, {host.etc}/config, {host.etc}/key, " in outcome.message
    assert message[-1].startswith(f"{UNIT} was restarted and is healthy after ")
    assert message[-1].endswith("this host serves as before.")
    assert outcome.data["changed"] is True
    assert "secret-bytes" not in outcome.output
    serving()
    # The next run says the same, and does not take what is there for what was asked.
    assert component(check=True, **change(host)).data["steps"][0] == "install etcd 2"


def test_where_the_file_system_has_no_hard_links(component, serving, host, monkeypatch):
    def link(_source, _target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(journal.os, "link", link)
    inode = (host.bin / "etcd").stat().st_ino
    outcome = component(**change(host, program="broken"))
    assert "this host serves as before" in outcome.message
    assert host.read()[str(host.bin / "etcd")] == "etcd 1"
    assert (host.bin / "etcd").stat().st_ino != inode
    assert component(check=True, **host.program("etcd 1")).data["steps"] == [], "it counts as installed"
    del serving


def test_a_unit_file_is_taken_back_before_the_restart(component, host):
    path = host.units / UNIT
    path.write_text("old")
    host.start()
    outcome = component(contents={str(path): b64("broken")}, unit={"template": "u.j2"})
    assert "this host serves as before" in outcome.message
    assert host.log == ["daemon-reload", "restart", "daemon-reload", "restart"]
    assert path.read_text() == "old"


def test_a_failed_unit_starts_again(component, serving, host, monkeypatch):
    """systemd has given up on it."""
    start = host.start

    def fails_when_broken():
        start()
        if any("broken" in content for content in host.running.values()):
            host.properties["ActiveState"] = "failed"

    monkeypatch.setattr(host, "start", fails_when_broken)
    outcome = component(**change(host, program="broken"))
    assert "its state is failed" in outcome.message
    assert host.log == ["restart", "reset-failed", "restart"]
    serving()


def test_a_download_that_fails_after_other_programs_were_replaced(component, serving, host):
    options = change(host)
    options["programs"] = ["etcd", "other"]
    options["published"]["other"] = {
        **options["published"]["other"],
        "url": "file:///nonexistent/other",
        "name": "other",
    }
    outcome = component(**options)
    assert "the download failed" in outcome.message or "checksum file" in outcome.message
    assert outcome.message.endswith(f"{UNIT} was not touched: this host serves as before.")
    assert host.log == []
    serving()


def test_what_was_not_healthy_before_is_not_taken_back(component, host):
    """A repair of several members, or in several steps, has to get through."""
    (host.etc / "config").write_text("broken since yesterday")
    host.start()
    outcome = component(**host.files(config="broken in another way"))
    assert outcome.failed
    assert outcome.message.endswith(
        f"{UNIT} was not healthy before this change either, so the change was not rolled back."
    )
    assert (host.etc / "config").read_text() == "broken in another way"
    assert not host.journal.exists()


def test_the_previous_state_does_not_become_healthy_either(component, serving, host, monkeypatch):
    restored = host.start

    def start():
        restored()
        host.ill = "the disk is gone"

    monkeypatch.setattr(host, "start", start)
    outcome = component(**change(host))
    assert outcome.failed
    assert "It was rolled back: " in outcome.message
    assert "The unit does not become healthy with them either, so this host does not serve:  " in outcome.message
    serving()


def test_taking_back_fails(component, serving, host, monkeypatch):
    del serving
    monkeypatch.setattr(
        journal.Journal, "_restore", lambda *_: (never for never in ()).throw(OSError(28, "No space left"))
    )
    outcome = component(**change(host, program="broken"))
    assert "It could not be rolled back completely: " in outcome.message
    assert "No space left" in outcome.message
    assert f"{host.journal}/journal.json" in outcome.message
    assert (host.journal / "journal.json").exists()


def test_the_journal_is_private(component, serving, host, monkeypatch):
    del serving
    seen = []
    monkeypatch.setattr(
        host,
        "start",
        lambda: seen.extend((stat.S_IMODE(host.journal.stat().st_mode), sorted(os.listdir(host.journal)))),
    )
    component(**change(host))
    assert seen[0] == 0o700
    assert seen[1] == ["0000", "0001", "0002", "0005", "journal.json"], "a link and an absence are only listed"


# --- killed in the middle -------------------------------------------------------------------------


class KilledError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@pytest.fixture(params=["replace", "restart", "wait", "restore"])
def killed(request, component, serving, host, monkeypatch):
    """A change that was killed at a moment; version 1 with its files served before."""

    def kill(*_arguments, **_options):
        raise KilledError

    with monkeypatch.context() as patched:
        if request.param == "replace":
            patched.setattr(os, "symlink", kill)
        elif request.param == "restart":
            patched.setattr(host, "start", kill)
        elif request.param == "wait":
            patched.setattr(units.Unit, "wait", kill)
        else:
            patched.setattr(Component, "_runs_as_before", kill)
        broken = "broken" if request.param == "restore" else "etcd 2"
        with pytest.raises(KilledError):
            component(**change(host, program=broken, config="quota: 2"))
    assert (host.journal / "journal.json").exists()
    for stale in host.etc.glob(".hardway-*"):
        shutil.rmtree(stale)
    host.log.clear()
    return serving


def test_the_next_run_goes_on(component, killed, host):
    del killed
    predicted = component(check=True, **change(host))
    assert predicted.data["steps"][-1] == f"restart {UNIT}", "nobody knows what it runs on"
    done = component(**change(host))
    assert not done.failed, done.message
    assert done.data["steps"] == predicted.data["steps"]
    assert host.running[str(host.bin / "etcd")] == "etcd 2"
    assert not host.journal.exists()
    time.sleep(0.03)
    assert component(**change(host)).data["changed"] is False


def test_the_next_run_fails_and_takes_back_to_before_the_first(component, killed, host):
    outcome = component(**change(host, program="broken", version="3", config="quota: 3"))
    assert outcome.failed
    assert "this host serves as before" in outcome.message
    killed()


def test_the_next_run_wants_what_was_there_before(component, killed, host):
    """The inventory was reverted: the files may be the old ones, and the process not."""
    done = component(**host.program("etcd 1"), **host.files(config="quota: 1"))
    assert not done.failed
    assert done.data["steps"][-1] == f"restart {UNIT}"
    assert host.running[str(host.bin / "etcd")] == "etcd 1"
    del killed


def test_a_journal_that_cannot_be_read(component, host):
    host.journal.mkdir(parents=True)
    (host.journal / "journal.json").write_text("{")
    outcome = component(**host.files(config="new"))
    assert f"the journal {host.journal}/journal.json of an interrupted change cannot be read" in outcome.message
    assert not (host.etc / "config").exists()


def test_the_process_that_a_killed_run_left_behind_is_waited_for(component, host):
    """It may still wait for health, or roll back."""
    (host.etc / "config").write_text("old")
    host.start()
    host.journal.parent.mkdir(parents=True)
    code = (
        "import fcntl, os, sys, time; d = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(d, fcntl.LOCK_EX); "
        "print(flush=True); time.sleep(0.5); open(sys.argv[2], 'w').write('new')"
    )
    arguments = [sys.executable, "-c", code, str(host.journal.parent), str(host.etc / "config")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        outcome = component(**host.files(config="new"))
    assert not outcome.failed, outcome.message
    assert not any(step.startswith("write") for step in outcome.data["steps"]), "it looks again when it is alone"


def test_a_process_that_never_ends(component, host, monkeypatch):
    monkeypatch.setattr("ansible_collections.hardway.kubernetes.plugins.modules.component._patience", lambda _: 0.05)
    host.journal.parent.mkdir(parents=True)
    descriptor = os.open(host.journal.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        outcome = component(**host.files(config="new"))
        assert component(check=True, **host.files(config="new")).data["changed"], "a check run changes nothing"
    finally:
        os.close(descriptor)
    assert outcome.message == (
        f"another run is still changing this host: its process has the lock of {host.journal.parent} after 0 s. "
        "Nothing was replaced. Wait until it has ended, then run again."
    )
    assert not (host.etc / "config").exists()


# --- turns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [{}, {"on_change": "reload"}])
def test_asked_first_what_runs_is_not_disturbed(component, host, unit):
    before = host.read()
    outcome = component(turn="ask", unit=unit, **host.files(config="new"))
    assert outcome.data["needs_turn"] is True
    assert outcome.data["changed"] is False
    assert outcome.data["steps"][-1] == f"{unit.get('on_change', 'restart')} {UNIT}"
    assert (host.read(), host.log) == (before, [])
    assert "needs_turn" not in component(turn="taken", unit=unit, **host.files(config="new")).data


def test_asked_first_what_disturbs_nobody_is_done(component, host):
    host.absent()
    outcome = component(turn="ask", **host.files(config="new"))
    assert "needs_turn" not in outcome.data
    assert host.log == ["daemon-reload", "enable", "start"]


def test_check_mode_needs_no_turn(component, host):
    outcome = component(turn="ask", check=True, **host.files(config="new"))
    assert "needs_turn" not in outcome.data
    assert outcome.data["changed"] is True


# --- files ----------------------------------------------------------------------------------------


def test_a_key_is_never_readable_by_others(component, host, monkeypatch):
    modes = []
    chmod, fchmod = os.chmod, os.fchmod
    monkeypatch.setattr(os, "chmod", lambda target, mode, **kw: (modes.append(mode), chmod(target, mode, **kw))[1])
    monkeypatch.setattr(os, "fchmod", lambda target, mode: (modes.append(mode), fchmod(target, mode))[1])
    path = host.etc / "key.pem"
    outcome = component(
        no_unit=True,
        files=[{"path": str(path), "mode": "0600", "secret": True}],
        secret_contents={str(path): b64("secret-bytes")},
    )
    assert outcome.data["steps"] == [f"write {path}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [f"{mode:04o}" for mode in modes if mode & 0o077] == []


def test_a_secret_is_in_no_output(component, host):
    path = host.etc / "key.pem"
    path.write_text("old-secret-bytes")
    outcome = component(
        diff=True,
        files=[{"path": str(path), "mode": "0600", "secret": True}],
        secret_contents={str(path): b64("new-secret-bytes")},
    )
    assert outcome.data["steps"] == [f"write {path}", f"restart {UNIT}"]
    assert "secret-bytes" not in outcome.output
    assert b64("new-secret-bytes") not in outcome.output


def test_an_impossible_file_is_refused_before_anything_is_done(component, host):
    (host.etc / "second").mkdir()
    outcome = component(**host.program("etcd 1"), **host.files(first="1", second="2"))
    assert outcome.failed
    assert outcome.message == f"{host.etc}/second: is not a regular file; move it away"
    assert not (host.bin / "etcd").exists()
    assert not (host.etc / "first").exists()


def test_an_error_of_the_system_names_the_path(component, host):
    path = host.etc / "missing" / "unit"
    outcome = component(no_unit=True, files=[{"path": str(path)}], contents={str(path): b64("1")})
    assert outcome.failed
    assert outcome.message.startswith(f"{path} cannot be written: No such file or directory")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"state": "link"}, "state is link but all of the following are missing: target"),
        ({"template": "a.j2", "content": "b"}, "parameters are mutually exclusive: template|src|bundle|content"),
        ({"state": "folder"}, "value of state must be one of: file, directory, link, absent"),
    ],
)
def test_arguments_that_make_no_sense(component, host, entry, message):
    outcome = component(files=[{"path": str(host.etc / "x"), **entry}])
    assert outcome.failed
    assert message in outcome.message


@pytest.mark.parametrize("name", ["", "../etcd", "a/b", ".x", " x"])
def test_a_name_that_is_not_a_name(component, name):
    assert "is not the name of a component" in component(name=name).message


def test_an_unknown_program(component, host):
    outcome = component(programs=["etcdctl"], published=host.program("1")["published"])
    assert outcome.message == "programs: etcdctl is not published; known programs: etcd, other"
