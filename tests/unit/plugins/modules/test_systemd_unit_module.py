# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module systemd_unit: what it decides to do, and in which order."""

from __future__ import annotations

import itertools
import time

import pytest
from ansible.module_utils.basic import AnsibleModule

UNIT = "etcd.service"


@pytest.fixture
def systemd(monkeypatch):
    """A systemd with one unit that follows commands, and a log of these."""

    class Systemd:
        def __init__(self):
            self.properties = {
                "LoadState": "loaded",
                "ActiveState": "active",
                "SubState": "running",
                "UnitFileState": "enabled",
                "NeedDaemonReload": "no",
                "MainPID": "0",
                "ExecMainStartTimestampMonotonic": str(int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)),
            }
            self.log = []
            self.test_code = 0

        def absent(self):
            self.properties.update(LoadState="not-found", ActiveState="inactive", UnitFileState="")

        def run(self, command, **_options):
            if command[0] == "nginx":
                self.log.append("test")
                return self.test_code, "", "unknown directive\n"
            if command[0] == "journalctl":
                return 0, "", ""
            verb = next(word for word in command[1:] if not word.startswith("-"))
            if verb == "show":
                return 0, "".join(f"{name}={value}\n" for name, value in self.properties.items()), ""
            self.log.append(verb)
            if verb == "daemon-reload":
                self.properties.update(NeedDaemonReload="no", LoadState="loaded")
            elif verb in ("enable", "disable"):
                self.properties["UnitFileState"] = f"{verb}d"
            else:
                self.properties["ActiveState"] = "inactive" if verb == "stop" else "active"
            return 0, "", ""

    fake = Systemd()
    monkeypatch.setattr(AnsibleModule, "run_command", fake.run)
    return fake


@pytest.fixture
def converge(run_module, systemd):
    """Predict, do, and do again; return what was done."""

    def converge(**params):
        predicted = run_module("systemd_unit", name=UNIT, check=True, **params)
        assert systemd.log == [], "check mode changes nothing"
        done = run_module("systemd_unit", name=UNIT, **params)
        assert not done.failed, done.message
        assert done.data["actions"] == predicted.data["actions"]
        assert done.data["reasons"] == predicted.data["reasons"]
        assert done.data["changed"] is bool(done.data["actions"])
        params.pop("changed_files", None)
        assert run_module("systemd_unit", name=UNIT, **params).data["changed"] is False
        return done.data

    return converge


def test_what_runs_is_left_alone(converge, systemd):
    data = converge(watch=["/nonexistent"])
    assert data["actions"] == []
    assert systemd.log == []


def test_a_new_unit(converge, systemd):
    systemd.absent()
    data = converge()
    assert data["actions"] == ["daemon-reload", "enable", "start"]
    assert systemd.log == data["actions"]
    assert "it is not running" in data["reasons"]
    assert data["seconds_to_healthy"] >= 0


def test_a_changed_unit_file_is_read_before_the_restart(converge, systemd):
    systemd.properties["NeedDaemonReload"] = "yes"
    data = converge(watch=["/etc/unit"], changed_files=["/etc/unit"])
    assert systemd.log == ["daemon-reload", "restart"]
    assert data["reasons"] == ["systemd has not read the unit file", "/etc/unit changes"]


def test_a_restart_that_an_interrupted_run_owed(systemd, run_module, tmp_path):
    path = tmp_path / "config"
    time.sleep(0.01)
    path.write_text("new")
    outcome = run_module("systemd_unit", name=UNIT, watch=[str(path)], check=True)
    assert outcome.data["actions"] == ["restart"]
    assert outcome.data["reasons"] == [f"{path} is newer than the running process"]


def test_a_stopped_unit_is_started_and_not_restarted(converge, systemd):
    systemd.properties["ActiveState"] = "failed"
    assert converge(watch=["/etc/unit"], changed_files=["/etc/unit"])["actions"] == ["start"]


def test_files_that_nobody_watches_do_not_matter(converge):
    assert converge(watch=["/etc/unit"], changed_files=["/etc/other"])["actions"] == []


def test_reload(converge, systemd):
    data = converge(
        watch=["/etc/nginx/nginx.conf"],
        changed_files=["/etc/nginx/nginx.conf"],
        on_change="reload",
        test_command=["nginx", "-t"],
    )
    assert data["actions"] == ["reload"]
    assert systemd.log == ["test", "reload"]


def test_a_refused_configuration_leaves_the_unit_running_as_it_was(run_module, systemd):
    systemd.test_code = 1
    outcome = run_module(
        "systemd_unit", name=UNIT, watch=["/c"], changed_files=["/c"], on_change="reload", test_command=["nginx", "-t"]
    )
    assert outcome.failed
    assert outcome.message == ("nginx -t refuses the new files, so etcd.service was left as it is: unknown directive")
    assert systemd.log == ["test"]


def test_not_at_boot(converge, systemd):
    assert converge(enabled=False)["actions"] == ["disable"]
    assert systemd.properties["ActiveState"] == "active"


def test_stopped(converge, systemd):
    data = converge(state="stopped", enabled=False)
    assert data["actions"] == ["stop", "disable"]
    assert "seconds_to_healthy" not in data
    assert systemd.properties["ActiveState"] == "inactive"


def test_stopped_and_unknown(converge, systemd):
    systemd.absent()
    assert converge(state="stopped", enabled=False)["actions"] == []


def test_an_unhealthy_unit_fails_with_what_was_done(run_module, systemd, monkeypatch):
    ticks = itertools.count(0, 10)
    systemd.absent()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    outcome = run_module("systemd_unit", name=UNIT, health_url="http://127.0.0.1:1/healthz", timeout=5)
    assert outcome.failed
    assert "etcd.service is not healthy" in outcome.message
    assert "http://127.0.0.1:1/healthz" in outcome.message
    assert outcome.data["actions"] == ["daemon-reload", "enable", "start"]


def test_an_unverified_address_elsewhere_is_refused_before_anything_is_done(run_module, systemd):
    systemd.absent()
    outcome = run_module("systemd_unit", name=UNIT, health_url="https://10.0.0.1/healthz")
    assert outcome.failed
    assert systemd.log == []


def test_a_client_certificate_needs_its_key(run_module, systemd):
    outcome = run_module("systemd_unit", name=UNIT, health_url="https://127.0.0.1/", health_client_cert="/c.pem")
    assert "parameters are required together: health_client_cert, health_client_key" in outcome.message


PEER = "http://127.0.0.1:1/health"
CHANGED = {"watch": ["/etc/unit"], "changed_files": ["/etc/unit"]}


def test_no_restart_while_another_member_is_not_healthy(run_module, systemd):
    outcome = run_module("systemd_unit", name=UNIT, peer_health_urls=[PEER], timeout=0, **CHANGED)
    assert outcome.failed
    assert outcome.message.startswith(
        f"{UNIT} was not restarted: another member of its cluster is not healthy after 0 s ({PEER}"
    )
    assert systemd.log == [], "not even a daemon-reload"


def test_a_unit_that_does_not_run_is_started_without_its_peers(converge, systemd):
    systemd.properties["ActiveState"] = "inactive"
    assert converge(peer_health_urls=[PEER], timeout=0)["actions"] == ["start"]


def test_a_restart_says_what_it_interrupts(run_module, systemd):
    options = {"name": UNIT, "interrupts": "the API took no writes"}
    assert run_module("systemd_unit", **options).warnings == ""
    assert "the API took no writes: 0.0 s" in run_module("systemd_unit", **options, **CHANGED).warnings
