# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the collection's playbooks, and what they say they changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Run:
    """The report of a run.

    :ivar changed: (role and task, host) of every change, in the order of the run.
    """

    returncode: int
    changed: list[tuple[str, str]]
    failures: list[str]
    output: str

    @property
    def tasks(self) -> set[str]:
        """Tasks that changed something somewhere."""
        return {task for task, _host in self.changed}

    def hosts(self, role: str) -> set[str]:
        """Hosts on which a task of the role changed something."""
        return {host for task, host in self.changed if task.startswith(f"hardway.kubernetes.{role} : ")}


def command(inventory: str, *arguments: str, playbook: str = "playbooks/site.yml") -> list[str]:
    """Return the command line of a run."""
    return ["ansible-playbook", playbook, "--inventory", inventory, *arguments]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a run from this clone."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        **more,
    }


def run(inventory: str, *arguments: str, playbook: str = "playbooks/site.yml", succeeds: bool = True) -> Run:
    """Run a playbook to its end.

    :param inventory: path of the inventory.
    :param arguments: further ones of ansible-playbook. An argument that is a mapping is given as extra variables.
    :param succeeds: whether it has to.
    """
    done = subprocess.run(
        command(inventory, *arguments, playbook=playbook),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(ANSIBLE_STDOUT_CALLBACK="ansible.posix.json"),
        check=False,
    )
    report = _report(done.stdout)
    changed = []
    failures = []
    for play in report.get("plays", []):
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                if result.get("changed"):
                    changed.append((task["task"]["name"], host))
                if result.get("failed") or result.get("unreachable"):
                    failures.append(f"{task['task']['name']}: {host}: {result.get('msg', '')}")
    ran = Run(done.returncode, changed, failures, done.stdout + done.stderr)
    if succeeds:
        assert done.returncode == 0, "\n".join(failures) or ran.output[-4000:]
        assert report, f"no report in: {ran.output[-4000:]}"
    return ran


def start(inventory: str, *arguments: str, playbook: str = "playbooks/site.yml") -> subprocess.Popen[bytes]:
    """Start a run that :func:`kill` can end.

    :param arguments: as those of :func:`run`.
    """
    return subprocess.Popen(
        command(inventory, *arguments, playbook=playbook),
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kill a run, with all that it started on the control node; return whether it was still running."""
    struck = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return struck


def killed(inventory: str, *arguments: str, after: float, playbook: str = "playbooks/site.yml") -> bool:
    """Run a playbook and kill it, with all that it started on the control node.

    :param arguments: as those of :func:`run`.
    :param after: seconds.
    :returns: whether it was still running.
    """
    process = start(inventory, *arguments, playbook=playbook)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    return kill(process)


def wipe(inventory: str, host: str) -> None:
    """Put an empty host of the lab in the place of this one, as `make lab-wipe` does."""
    for playbook in ("destroy", "create"):
        run(inventory, f"--limit={host}", playbook=str(ROOT / "lab" / f"{playbook}.yml"))


def variables(**values: t.Any) -> tuple[str, str]:
    """Return arguments that set extra variables."""
    return "--extra-vars", json.dumps(values)


def _report(output: str) -> dict[str, t.Any]:
    """Return the JSON report, which warnings may precede."""
    start = output.find("\n{\n") + 1 if not output.startswith("{") else 0
    try:
        return t.cast(dict[str, t.Any], json.loads(output[start:]))
    except ValueError:
        return {}
