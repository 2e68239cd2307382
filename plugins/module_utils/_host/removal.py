# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a component off a host: its units, programs, paths and user.

Every step is derived from what the host has. A removal that is interrupted is continued by the next one, and one that
is complete has no steps.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.mounts import mount_points, unmount
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.units import UNIT_DIRECTORY, Unit

__all__ = ("Removal", "Step", "carry_out", "end", "processes", "recorded_programs")


# Home directory of users that the collection makes; packages and people have others.
_NOWHERE = "/nonexistent"
# Seconds for processes to end by themselves.
_PATIENCE = 10.0
# How often what appears meanwhile is removed as well.
_ROUNDS = 3
_STAMPS = "/var/lib/systemd/timers"


class Step(t.NamedTuple):
    """One thing to remove, in words, and how."""

    words: str
    act: t.Callable[[], None]


class Removal:
    """Components to take off this host.

    :param units: units whose files the collection wrote: they are stopped, disabled and removed.
    :param stopped: units of others: they are stopped and disabled.
    :param paths: files, links and whole directories. File systems that are mounted in a directory are unmounted first;
        a directory that is a mount point itself is emptied.
    :param empty: directories that are removed where nothing is left in them.
    :param keep: paths that stay, whatever directory they are in.
    :param users: system users that the collection made.
    :param leave: directories that stay, such as logs. Files of the users in them are given to root, because another
        user may have the same number later.
    :param records: directory of the collection's records: the programs that are recorded there are removed, then it.
        None leaves programs alone.
    """

    def __init__(
        self,
        *,
        run: Run,
        units: t.Sequence[str] = (),
        stopped: t.Sequence[str] = (),
        paths: t.Sequence[str] = (),
        empty: t.Sequence[str] = (),
        keep: t.Sequence[str] = (),
        users: t.Sequence[str] = (),
        leave: t.Sequence[str] = (),
        records: str | None = None,
        unit_directory: str = UNIT_DIRECTORY,
    ) -> None:
        self._run = run
        self._units = list(units)
        self._stopped = list(stopped)
        self._paths = [_absolute(path) for path in paths]
        self._empty = [_absolute(path) for path in empty]
        self._leave = [os.path.normpath(path) for path in leave]
        self._keep = [os.path.normpath(path) for path in keep] + self._leave
        self._users = list(users)
        self._records = records
        self._unit_directory = unit_directory
        self._gone: set[str] = set()  # as far as it is planned

    def steps(self) -> list[Step]:
        """Return what has to be done, in its order. Nothing is changed.

        :raises HardwayError: systemd does not answer.
        """
        found = [step for name in [*self._units, *self._stopped] for step in self._of_unit(name)]
        files = [step for name in self._units for step in self._of_unit_file(name)]
        if files:
            files.append(Step("daemon-reload", lambda: self._systemctl("daemon-reload")))
        found += files
        if self._records:
            found += self._of_programs(self._records)
        found += [step for path in self._paths for step in self._of_path(path)]
        found += [step for path in self._empty for step in self._of_empty(path)]
        return found + [step for name in self._users for step in self._of_user(name)]

    # --- units ------------------------------------------------------------------------------------------------------

    def _systemctl(self, *arguments: str) -> None:
        code, out, err = self._run(["systemctl", *arguments])
        if code != 0:
            raise HardwayError(f"systemctl {' '.join(arguments)} failed: {err.strip() or out.strip()}")

    def _of_unit(self, name: str) -> list[Step]:
        unit = Unit(name, run=self._run)
        unit.refresh()
        found = []
        if unit.properties.get("ActiveState", "inactive") not in ("inactive", "failed"):
            found.append(Step(f"stop {name}", lambda: self._systemctl("stop", name)))
        if unit.properties.get("UnitFileState") == "enabled":
            found.append(Step(f"disable {name}", lambda: self._systemctl("--quiet", "disable", name)))
        if unit.properties.get("ActiveState") == "failed":
            found.append(Step(f"reset-failed {name}", lambda: self._systemctl("reset-failed", name)))
        return found

    def _of_unit_file(self, name: str) -> list[Step]:
        paths = [os.path.join(self._unit_directory, name)]
        if name.endswith(".timer"):
            paths.append(os.path.join(_STAMPS, f"stamp-{name}"))
        return [step for path in paths for step in self._of_path(path)]

    # --- programs ---------------------------------------------------------------------------------------------------

    def _of_programs(self, records: str) -> list[Step]:
        paths = recorded_programs(os.path.join(records, "programs.json"))
        found = [step for path in paths for step in self._of_program(path)]
        return found + self._of_path(_absolute(records))

    def _of_program(self, path: str) -> list[Step]:
        found = []
        if processes(path):
            found.append(Step(f"end the processes of {path}", lambda: end(path)))
        return found + self._of_path(path)

    # --- paths ------------------------------------------------------------------------------------------------------

    def _kept(self, path: str) -> bool:
        """Whether a path stays, or something in it does."""
        return any(keep == path or keep.startswith(f"{path}/") for keep in self._keep)

    def _of_path(self, path: str) -> list[Step]:
        if not os.path.lexists(path) or any(path == keep or path.startswith(f"{keep}/") for keep in self._keep):
            return []
        mounts = mount_points()
        if os.path.islink(path) or not os.path.isdir(path):
            self._gone.add(path)
            return [Step(f"remove {path}", lambda: _unlink(path))]
        if self._kept(path) or path in mounts:
            # The directory stays with the kept paths in it, or with its file system.
            found = [step for name in sorted(os.listdir(path)) for step in self._of_path(os.path.join(path, name))]
            if not self._kept(path) and os.stat(path).st_uid != 0:
                found.append(Step(f"give {path} to root", lambda: _give_back(path)))
            return found
        self._gone.add(path)
        return [Step(f"remove {path}", lambda: remove_directory(path, self._run))]

    def _of_empty(self, path: str) -> list[Step]:
        if not os.path.isdir(path) or os.path.islink(path) or path in mount_points():
            return []
        if any(os.path.join(path, name) not in self._gone for name in os.listdir(path)):
            return []
        self._gone.add(path)
        return [Step(f"remove {path}", lambda: os.rmdir(path))]

    # --- users ------------------------------------------------------------------------------------------------------

    def _of_user(self, name: str) -> list[Step]:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return []
        if entry.pw_dir != _NOWHERE or entry.pw_uid >= 1000:
            return []
        owned = [path for top in self._leave for path in owned_by(entry.pw_uid, top)]
        found = (
            [Step(f"give what {name} has in {' and '.join(self._leave)} to root", lambda: _give(owned))]
            if owned
            else []
        )
        return [*found, Step(f"remove the user {name}", lambda: self._remove_user(name))]

    def _remove_user(self, name: str) -> None:
        code, out, err = self._run(["userdel", name])
        if code != 0:
            raise HardwayError(f"userdel cannot remove the user {name}: {err.strip() or out.strip()}")


def carry_out(steps: t.Callable[[], t.Sequence[Step]]) -> list[str]:
    """Do what has to be done, until nothing is left to do, and return it in words.

    Programs may write while they end, so the host is read again after each round.

    :param steps: returns what has to be done.
    :raises HardwayError: something comes back each time.
    """
    done: list[str] = []
    for _round in range(_ROUNDS):
        todo = steps()
        for step in todo:
            step.act()
            done.append(step.words)
        if not todo:
            return list(dict.fromkeys(done))
    left = steps()
    if left:
        raise HardwayError(
            f"{_ROUNDS} times this was done, and has to be done again: {'; '.join(step.words for step in left)}. Find "
            "out what makes it again, and stop that. Then run again."
        )
    return list(dict.fromkeys(done))


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _absolute(path: str) -> str:
    found = os.path.normpath(path)
    if not found.startswith("/") or found.count("/") < 2:
        raise HardwayError(f"{path}: is not removed. A path below a directory of / is allowed, such as /var/lib/etcd.")
    return found


def owned_by(number: int, top: str) -> list[str]:
    """Return a directory and what is in it, as far as a user owns it.

    :param number: the user's number.
    """
    paths = [top] if os.path.lexists(top) else []
    for directory, directories, files in os.walk(top):
        paths += [os.path.join(directory, name) for name in [*directories, *files]]
    return [path for path in paths if os.lstat(path).st_uid == number]


def _give(paths: t.Sequence[str]) -> None:
    for path in paths:
        os.chown(path, 0, 0, follow_symlinks=False)


def _give_back(path: str) -> None:
    """Make the root of a file system as a new one has it. Its owner is a user that goes."""
    os.chown(path, 0, 0)
    os.chmod(path, 0o755)


def recorded_programs(record: str) -> list[str]:
    """Return the paths of the programs that a record names; none where there is no record.

    :param record: path of the JSON record that :class:`Programs` writes.
    """
    try:
        with open(record, encoding="utf-8") as stream:
            content = json.load(stream)
    except (OSError, ValueError):
        return []
    return sorted({path for entry in content.values() for path in entry.get("files", {})})


def processes(path: str, proc: str = "/proc") -> list[int]:
    """Return the processes that run a program, also where its file was replaced.

    :param path: absolute path of the program.
    """
    found = []
    for name in filter(str.isdigit, os.listdir(proc)):
        try:
            running = os.readlink(os.path.join(proc, name, "exe"))
        except OSError:
            continue
        if running in (path, f"{path} (deleted)"):
            found.append(int(name))
    return found


def end(path: str, patience: float = _PATIENCE) -> None:
    """End the processes of a program: asked first, then killed.

    :param patience: seconds for them to end when they are asked.
    :raises HardwayError: one is still there.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes(path):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        last = time.monotonic() + patience
        while processes(path):
            if time.monotonic() > last:
                break
            time.sleep(0.1)
        else:
            return
    left = ", ".join(str(pid) for pid in processes(path))
    raise HardwayError(f"{path}: process {left} does not end. Restart the host, then run again.")


def remove_directory(path: str, run: Run) -> None:
    """Remove a directory after what is mounted in it was unmounted.

    :raises HardwayError: something is still mounted in it; nothing of it was removed then.
    """
    if os.path.isdir(path):
        unmount(path, run)
        shutil.rmtree(path)
