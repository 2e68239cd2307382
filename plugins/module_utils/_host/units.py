# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired state of a systemd unit: enabled, running on its current files, and healthy."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import UnitError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.health import Health
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.system import started_at

__all__ = ("UNIT_DIRECTORY", "Unit", "UnitPlan", "Wanted", "plan_unit")

# Where the administrator's unit files are.
UNIT_DIRECTORY = "/etc/systemd/system"

# /proc counts process starts in ticks of 10 ms, rounded down.
_TICK_TOLERANCE = 0.02
_POLL_SECONDS = 0.2


# Lines that hide the error message before them: a Go program's stack, and the list of its flags at each start.
_NOISE = re.compile(r"goroutine \d+ |\t|created by |[^\s:{]+\(.*\)$|.* flags\.go:\d+\] FLAG: ")
# Ends of a program in a row that show that it does not run with its new files, where the old ones can be restored.
_ENDS = 3
# Seconds within which a reload has to show new child processes. nginx tries for 2.5 s to bind an address.
_RELOAD_SECONDS = 10.0
# How much of the log is shown: enough for two attempts of systemd to start etcd, and characters of a line.
_LINES = 40
_READ = "600"  # with the noise
_LINE = 400


def _process_start(pid: int) -> float | None:
    """Return when a process started, in seconds since the epoch."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - (since_boot - ticks / os.sysconf("SC_CLK_TCK"))


def _children(pid: int) -> list[int]:
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as stream:
                found += [int(child) for child in stream.read().split()]
        except OSError:
            continue
    return found


class Unit:
    """One systemd unit.

    :param run: runs a command and returns (return code, stdout, stderr).
    """

    _PROPERTIES = (
        "LoadState",
        "ActiveState",
        "SubState",
        "UnitFileState",
        "NeedDaemonReload",
        "MainPID",
        "ExecMainStartTimestampMonotonic",
        "InvocationID",
        "DropInPaths",
        "NRestarts",
    )

    def __init__(self, name: str, *, run: t.Callable[[list[str]], tuple[int, str, str]]) -> None:
        self.name = name
        self._run = run
        self.properties: dict[str, str] = {}
        self._acted: float | None = None  # when it was started, restarted or reloaded last

    def refresh(self) -> None:
        """Read the unit's properties from systemd."""
        code, out, err = self._run(["systemctl", "show", self.name, "--property=" + ",".join(self._PROPERTIES)])
        if code != 0:
            raise UnitError(f"systemctl show {self.name} failed: {err.strip() or out.strip()}")
        self.properties = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    @property
    def known(self) -> bool:
        """Whether systemd has a unit file for it."""
        return self.properties["LoadState"] not in ("not-found", "masked")

    @property
    def active(self) -> bool:
        """Whether it is running, or about to be."""
        return self.properties["ActiveState"] in ("active", "activating", "reloading")

    @property
    def enabled(self) -> bool:
        """Whether it starts at boot."""
        return self.properties["UnitFileState"] in ("enabled", "static", "alias", "generated")

    @property
    def invocation(self) -> str:
        """systemd's ID of the current start of the unit; another start has another one."""
        return self.properties.get("InvocationID", "")

    def drop_ins(self) -> list[str]:
        """Return the drop-ins of this unit alone.

        Those that generators write are left out: every daemon-reload writes them again.
        """
        directory = f"{self.name}.d"
        loaded = self.properties.get("DropInPaths", "").split()
        found = [
            path
            for path in loaded
            if os.path.basename(os.path.dirname(path)) == directory and not path.startswith("/run/systemd/generator")
        ]
        return sorted({*found, *glob.glob(os.path.join(UNIT_DIRECTORY, directory, "*.conf"))})

    def is_drop_in(self, path: str) -> bool:
        """Whether a path is in a directory of drop-ins of this unit alone.

        Drop-ins are in /etc/systemd/system for good, in /run/systemd/system until the next boot.
        """
        return os.path.basename(os.path.dirname(path)) == f"{self.name}.d"

    def systemctl(self, *arguments: str) -> None:
        """Run systemctl.

        :raises UnitError: it failed.
        """
        if {"start", "restart", "reload"} & set(arguments):
            self._acted = time.time()
        code, out, err = self._run(["systemctl", *arguments])
        if code != 0:
            raise UnitError(f"systemctl {' '.join(arguments)} failed: {err.strip() or out.strip()}\n{self.journal()}")

    def journal(self) -> str:
        """Return the last lines that the unit logged, without the stack of a program that panicked and its flags.

        After it was started, restarted or reloaded, these are the lines since then.
        """
        since = [] if self._acted is None else [f"--since=@{self._acted:.3f}"]
        # Newest first: with --since, --lines takes the oldest ones otherwise (systemd 252).
        asked = ["journalctl", "--unit", self.name, "--reverse", "--lines", _READ, "--no-pager", "--output", "cat"]
        out = self._run([*asked, *since])[1]
        lines = [line[:_LINE] for line in out.splitlines() if line.strip() and not _NOISE.match(line)]
        return "\n".join([f"Last lines of journalctl -u {self.name}:", *reversed(lines[:_LINES])])

    def reload(self) -> None:
        """Reload it, and wait until it works with its files, which systemctl does not.

        :raises UnitError: its main process has no new child in time, and works on with the files that it had.
        """
        before = self._children()
        self.systemctl("reload", self.name)
        begun = time.monotonic()
        while before and not self._children() - before:
            if time.monotonic() - begun > _RELOAD_SECONDS:
                raise UnitError(
                    f"{self.name} goes on with the files that it had: it has no new process {_RELOAD_SECONDS:.0f} s "
                    f"after its reload\n{self.journal()}"
                )
            time.sleep(_POLL_SECONDS)

    def _children(self) -> set[int]:
        return set(_children(int(self.properties.get("MainPID") or 0)))

    def newer_file(self, paths: t.Iterable[str], *, reloads: bool) -> str | None:
        """Return a file that was changed after the running process read its files.

        :param reloads: the unit re-reads its files on reload, which starts new child processes.
        """
        started = self._started(reloads=reloads)
        if started is None:
            return None
        for path in paths:
            try:
                if os.stat(path).st_mtime > started:
                    return path
            except OSError:
                continue
        return None

    def _started(self, *, reloads: bool) -> float | None:
        if reloads:
            starts = [_process_start(pid) for pid in self._children()]
            known = [start for start in starts if start is not None]
            if known:
                return max(known) + _TICK_TOLERANCE
        return started_at(self.properties.get("ExecMainStartTimestampMonotonic", ""))

    def _ends(self) -> int:
        """Return how often the program has ended by itself since the last requested start."""
        ends = int(self.properties.get("NRestarts") or 0)
        return ends + 1 if self.properties["SubState"].startswith("auto-restart") else ends

    def wait(self, health: Health | None, *, timeout: float, previous: str = "", patient: bool = True) -> float:
        """Wait until the unit is active and its health endpoint answers.

        :param timeout: seconds.
        :param previous: the invocation that was to end; what it answers does not count.
        :param patient: wait for the whole time although its program ends again and again: what it lacks may come.
        :returns: seconds that it took.
        :raises UnitError: it failed, or was not healthy in time.
        """
        begun = time.monotonic()
        while True:
            self.refresh()
            state = self.properties["ActiveState"]
            old = bool(previous) and self.invocation == previous
            problem: str | None = f"its state is {state} ({self.properties['SubState']})"
            if old:
                problem = "systemd has not started it again yet"
            elif state == "active":
                problem = health.problem() if health else None
            if problem is None:
                return time.monotonic() - begun
            if not patient and not old and self._ends() >= _ENDS:
                raise UnitError(
                    f"{self.name} does not run: its program ended {self._ends()} times within "
                    f"{time.monotonic() - begun:.0f} s\n{self.journal()}"
                )
            if (state == "failed" and not old) or time.monotonic() - begun > timeout:
                raise UnitError(
                    f"{self.name} is not healthy after {time.monotonic() - begun:.0f} s of at most {timeout:.0f} s: "
                    f"{problem}\n{self.journal()}"
                )
            time.sleep(_POLL_SECONDS)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The wanted state of a unit, and what a call changes under it.

    :ivar on_change: restart or reload.
    :ivar watch: files that the unit reads when it starts; a newer one restarts or reloads it.
    :ivar changing: watched paths that this call changes.
    :ivar rereads: this call changes the unit's own file or drop-ins.
    :ivar interrupted: an earlier change was interrupted; whatever runs may run on either state.
    """

    state: str = "started"
    enabled: bool = True
    on_change: str = "restart"
    watch: t.Sequence[str] = ()
    changing: t.Sequence[str] = ()
    rereads: bool = False
    interrupted: bool = False


class UnitPlan(t.NamedTuple):
    """systemctl's actions on a unit, and the reasons for them."""

    actions: list[str]
    reasons: list[str]


def _plan_stopped(unit: Unit, wanted: Wanted) -> UnitPlan:
    actions = []
    reasons = []
    if unit.active:
        actions.append("stop")
        reasons.append(f"{unit.name} is running")
    if unit.known and unit.enabled and not wanted.enabled:
        actions.append("disable")
        reasons.append(f"{unit.name} starts at boot")
    return UnitPlan(actions, reasons)


def _due(unit: Unit, wanted: Wanted) -> tuple[str, str] | None:
    """Return the action that a running unit still needs for its files, and the reason."""
    # systemd reads drop-ins when it starts the program: a reload does not apply them.
    changing = [path for path in wanted.changing if unit.is_drop_in(path)]
    if changing:
        return "restart", f"{changing[0]} changes"
    newer = unit.newer_file(unit.drop_ins(), reloads=False)
    if newer:
        return "restart", f"{newer} is newer than the running process"
    if wanted.changing:
        return wanted.on_change, f"{wanted.changing[0]} changes"
    newer = unit.newer_file(wanted.watch, reloads=wanted.on_change == "reload")
    if newer:
        return wanted.on_change, f"{newer} is newer than the running process"
    if wanted.interrupted:
        return wanted.on_change, "an earlier change was interrupted"
    return None


def plan_unit(unit: Unit, wanted: Wanted) -> UnitPlan:
    """Return what has to be done; the unit's properties have been read."""
    if wanted.state == "stopped":
        return _plan_stopped(unit, wanted)
    actions = []
    reasons = []
    if wanted.rereads or not unit.known or unit.properties["NeedDaemonReload"] == "yes":
        actions.append("daemon-reload")
        reasons.append(f"systemd has not read the unit file of {unit.name}")
    if wanted.enabled != unit.enabled:
        actions.append("enable" if wanted.enabled else "disable")
        reasons.append(f"{unit.name} is {unit.properties['UnitFileState'] or 'not enabled'}")
    if not unit.known or not unit.active:
        actions.append("start")
        reasons.append(f"{unit.name} is not running")
    else:
        due = _due(unit, wanted)
        if due:
            actions.append(due[0])
            reasons.append(due[1])
    return UnitPlan(actions, reasons)
