# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd units: when a restart is due, and when a unit counts as healthy."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import UnitError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import units as _systemd_unit
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.units import Unit

JOURNAL = "listen tcp 127.0.0.1:2379: bind: address already in use"


class Systemd:
    """The answers of systemctl and journalctl; of a list of states each call gets the next one."""

    def __init__(self, **properties: str) -> None:
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
            "NRestarts": "0",
            **properties,
        }
        self.states: list[str] = []
        self.failing: tuple[str, ...] = ()
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append(command)
        if command[0] == "journalctl":
            return 0, f"{JOURNAL}\n", ""
        if command[1] in self.failing:
            return 1, "", f"Failed to {command[1]}: no such thing\n"
        if command[1] == "show":
            if self.states:
                self.properties["ActiveState"] = self.states.pop(0)
            return 0, "".join(f"{name}={value}\n" for name, value in self.properties.items()), ""
        return 0, "", ""


def unit(**properties: str) -> Unit:
    result = Unit("etcd.service", run=Systemd(**properties))
    result.refresh()
    return result


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(_systemd_unit, "_POLL_SECONDS", 0.001)


# --- what systemd says ----------------------------------------------------------------------------


def test_all_properties_are_asked_for_at_once():
    systemd = Systemd()
    Unit("etcd.service", run=systemd).refresh()
    (command,) = systemd.commands
    assert command[:3] == ["systemctl", "show", "etcd.service"]
    assert set(command[3].removeprefix("--property=").split(",")) == set(systemd.properties)


def test_a_value_may_hold_an_equals_sign():
    systemd = Systemd(SubState="a=b")
    tested = Unit("etcd.service", run=systemd)
    tested.refresh()
    assert tested.properties["SubState"] == "a=b"


def test_systemctl_show_fails():
    systemd = Systemd()
    systemd.failing = ("show",)
    with pytest.raises(UnitError, match=r"systemctl show etcd\.service failed: Failed to show: no such thing"):
        Unit("etcd.service", run=systemd).refresh()


# As the journal has it; a stack, or the list of an API server's flags, is longer than what is shown of a log.
PANIC = """\
I1128 00:20:39.054273    3196 flags.go:64] FLAG: --kubelet-timeout="5s"
{"level":"panic","msg":"failed to create WAL","error":"no space left on device"}
panic: failed to create WAL

goroutine 1 [running]:
go.uber.org/zap.(*Logger).Panic(0x1942cf140700?, {0x116053c?, 0x18?}, {0x1942cf3164c0, 0x1, 0x1})
\tgo.uber.org/zap@v1.27.0/logger.go:285 +0x51
created by go.etcd.io/etcd/server/v3/embed.serve in goroutine 1
main.main()
\tgo.etcd.io/etcd/server/v3@v3.7.3/main.go:31 +0x28
etcd.service: Main process exited, code=exited, status=2/INVALIDARGUMENT
E1125 00:16:27.322278 1 server.go:310] unable to load client CA provider: open /var/lib/ca.pem (no such file)
"""


def test_the_journal_is_shown_without_stacks_and_flags():
    newest_first = "".join(reversed(PANIC.splitlines(keepends=True)))
    commands = []
    shown = Unit("etcd.service", run=lambda command: (commands.append(command), (0, newest_first, ""))[1]).journal()
    assert "--reverse" in commands[0]
    assert shown.splitlines() == [
        "Last lines of journalctl -u etcd.service:",
        '{"level":"panic","msg":"failed to create WAL","error":"no space left on device"}',
        "panic: failed to create WAL",
        "etcd.service: Main process exited, code=exited, status=2/INVALIDARGUMENT",
        "E1125 00:16:27.322278 1 server.go:310] unable to load client CA provider: open /var/lib/ca.pem (no such file)",
    ]


def test_systemctl_fails_with_the_journal():
    tested = unit()
    tested._run.failing = ("start",)
    with pytest.raises(UnitError) as caught:
        tested.systemctl("start", "etcd.service")
    assert str(caught.value) == (
        "systemctl start etcd.service failed: Failed to start: no such thing\n"
        f"Last lines of journalctl -u etcd.service:\n{JOURNAL}"
    )


@pytest.mark.parametrize(("state", "known"), [("loaded", True), ("not-found", False), ("masked", False)])
def test_known(state, known):
    assert unit(LoadState=state).known is known


@pytest.mark.parametrize(
    ("state", "active"),
    [("active", True), ("activating", True), ("reloading", True), ("inactive", False), ("failed", False)],
)
def test_active(state, active):
    assert unit(ActiveState=state).active is active


@pytest.mark.parametrize(
    ("state", "enabled"), [("enabled", True), ("static", True), ("disabled", False), ("masked", False), ("", False)]
)
def test_enabled(state, enabled):
    assert unit(UnitFileState=state).enabled is enabled


# --- files newer than the process -----------------------------------------------------------------


def started(seconds_ago: float) -> dict[str, str]:
    microseconds = (time.clock_gettime(time.CLOCK_MONOTONIC) - seconds_ago) * 1e6
    return {"ExecMainStartTimestampMonotonic": str(int(microseconds))}


def aged(path, seconds: float) -> str:
    path.write_text("x")
    stamp = time.time() - seconds
    os.utime(path, (stamp, stamp))
    return str(path)


needs_uptime = pytest.mark.skipif(
    time.clock_gettime(time.CLOCK_MONOTONIC) < 120, reason="the machine has only just started"
)


@needs_uptime
def test_a_newer_file_is_named(tmp_path):
    old, new = aged(tmp_path / "old", 100), aged(tmp_path / "new", 10)
    assert unit(**started(50)).newer_file([old, new], reloads=False) == new
    assert unit(**started(50)).newer_file([old], reloads=False) is None
    assert unit(**started(5)).newer_file([old, new], reloads=False) is None


@needs_uptime
def test_a_missing_file_is_not_newer(tmp_path):
    assert unit(**started(50)).newer_file([str(tmp_path / "missing")], reloads=False) is None


def test_a_unit_that_never_ran_has_nothing_to_restart(tmp_path):
    assert unit().newer_file([aged(tmp_path / "new", 0)], reloads=False) is None


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate(b"\n")


has_children = pytest.mark.skipif(
    not os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"), reason="the kernel lists no children"
)


@has_children
@needs_uptime
def test_a_reload_is_seen_by_its_new_workers(tmp_path, child):
    """nginx keeps its master; the workers are what read the configuration last."""
    before_reload = aged(tmp_path / "before", 10)
    reloaded = unit(MainPID=str(os.getpid()), **started(60))
    assert reloaded.newer_file([before_reload], reloads=False) == before_reload
    assert reloaded.newer_file([before_reload], reloads=True) is None
    after_reload = aged(tmp_path / "after", -5)
    assert reloaded.newer_file([before_reload, after_reload], reloads=True) == after_reload


@needs_uptime
def test_without_workers_the_process_itself_counts(tmp_path):
    new = aged(tmp_path / "new", 10)
    assert unit(MainPID="0", **started(60)).newer_file([new], reloads=True) == new


def test_process_start():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert _systemd_unit._process_start(process.pid) == pytest.approx(time.time(), abs=2)
    finally:
        process.communicate(b"\n")
    assert _systemd_unit._process_start(process.pid) is None


# --- waiting --------------------------------------------------------------------------------------


class Endpoint:
    """A health endpoint: answers, one per question."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    def problem(self) -> str | None:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_waits_for_the_unit_and_then_for_its_endpoint():
    tested = unit()
    tested._run.states = ["activating", "activating", "active", "active"]
    health = Endpoint("connection refused", None)
    assert tested.wait(health, timeout=5) < 5
    assert health.asked == 2


def test_without_an_endpoint_active_is_enough():
    tested = unit()
    tested._run.states = ["activating", "active"]
    assert tested.wait(None, timeout=5) < 5


def test_a_failed_unit_is_not_waited_for():
    tested = unit(SubState="failed")
    tested._run.states = ["failed"]
    with pytest.raises(UnitError) as caught:
        tested.wait(Endpoint(None), timeout=60)
    message = str(caught.value)
    assert message.startswith("etcd.service is not healthy after 0 s of at most 60 s: its state is failed (failed)\n")
    assert message.endswith(JOURNAL)


def test_an_endpoint_that_stays_ill():
    with pytest.raises(UnitError) as caught:
        unit().wait(Endpoint("https://127.0.0.1:2379/health answers 503: no leader"), timeout=0.05)
    assert "of at most 0 s: https://127.0.0.1:2379/health answers 503: no leader\n" in str(caught.value)


def test_a_unit_that_never_becomes_active():
    with pytest.raises(UnitError, match=r"its state is activating \(start\)"):
        unit(ActiveState="activating", SubState="start").wait(None, timeout=0.05)


@pytest.mark.parametrize(("restarts", "state"), [("2", "auto-restart"), ("3", "start")])
def test_a_program_that_ends_again_and_again_is_not_waited_for(restarts, state):
    """What was there before can be put back the sooner."""
    with pytest.raises(
        UnitError, match=r"^etcd\.service does not run: its program ended 3 times within 0 s\n"
    ) as caught:
        unit(ActiveState="activating", SubState=state, NRestarts=restarts).wait(None, timeout=60, patient=False)
    assert str(caught.value).endswith(JOURNAL)


@pytest.mark.parametrize(("restarts", "state"), [("2", "start"), ("1", "auto-restart")])
def test_a_program_that_ended_twice_may_still_run(restarts, state):
    tested = unit(SubState=state, NRestarts=restarts)
    tested._run.states = ["activating", "active"]
    assert tested.wait(None, timeout=60, patient=False) < 5


def test_the_ends_of_the_program_before_do_not_count():
    tested = unit(ActiveState="activating", SubState="auto-restart", NRestarts="9", InvocationID="1")
    with pytest.raises(UnitError, match="systemd has not started it again yet"):
        tested.wait(None, timeout=0.05, previous="1", patient=False)


def test_where_nothing_can_be_put_back_a_program_may_end_as_often_as_it_likes():
    """It may wait for another host in this way."""
    tested = unit(SubState="auto-restart", NRestarts="9")
    tested._run.states = ["activating", "active"]
    assert tested.wait(None, timeout=60) < 5


def test_the_journal_begins_with_the_last_start():
    tested = unit()
    tested.journal()
    assert not [word for word in tested._run.commands[-1] if word.startswith("--since")]
    tested.systemctl("daemon-reload")
    begun = time.time()
    tested.systemctl("--no-block", "restart", "etcd.service")
    tested.journal()
    (since,) = [word for word in tested._run.commands[-1] if word.startswith("--since=@")]
    assert float(since.partition("@")[2]) == pytest.approx(begun, abs=1)


# --- reloading ------------------------------------------------------------------------------------


@pytest.fixture
def workers(monkeypatch):
    """The child processes of nginx; of a list of sets each look gets the next one."""
    looks: list[set[int]] = []
    monkeypatch.setattr(_systemd_unit, "_children", lambda _pid: sorted(looks.pop(0) if len(looks) > 1 else looks[0]))
    monkeypatch.setattr(_systemd_unit, "_RELOAD_SECONDS", 0.05)
    return looks


def test_a_reload_is_done_when_there_is_a_new_worker(workers):
    workers += [{7, 8}, {7, 8}, {8, 9}]
    unit(MainPID="6").reload()
    assert workers == [{8, 9}]


def test_a_reload_after_which_the_old_workers_go_on(workers):
    """As nginx does when it cannot bind an address, although nginx -t was content."""
    workers.append({7, 8})
    with pytest.raises(
        UnitError, match=r"etcd\.service goes on with the files that it had: it has no new process"
    ) as caught:
        unit(MainPID="6").reload()
    assert str(caught.value).endswith(JOURNAL)


def test_a_reload_of_what_has_no_workers(workers):
    workers.append(set())
    unit(MainPID="6").reload()
