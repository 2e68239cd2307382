# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One component of one host as one transaction: install, configure, run, wait for health.

The steps are planned first, without a change; check mode ends there. For a healthy unit the replaced programs and files
are kept in a journal, and restored when the unit does not become healthy with the new ones.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError, UnitError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.journal import Journal
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.paths import HostFiles
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import dry_run, units
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.accounts import create_user, user_exists
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import Opener
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.health import Health, wait_for_peers
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.packages import missing
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.programs import Program, Programs
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.units import Unit, Wanted

__all__ = ("RECORDS", "Component", "ComponentFile", "ComponentUnit", "Plan")

# Where the collection keeps its records on a host: what was installed, and what is being replaced.
RECORDS = "/var/lib/hardway"


@dataclasses.dataclass(frozen=True)
class ComponentFile:
    """A path with its wanted state.

    :ivar entry: as :meth:`HostFiles.converge` takes it.
    :ivar restart: the unit reads it only when it starts (or reloads).
    """

    entry: t.Mapping[str, t.Any]
    content: bytes | None = dataclasses.field(default=None, repr=False)
    secret: bool = False
    restart: bool = True


@dataclasses.dataclass(frozen=True)
class ComponentUnit:
    """The unit of a component; the fields are the module's options."""

    name: str
    own: bool = True  # its file is among the component's
    state: str = "started"
    enabled: bool = True
    on_change: str = "restart"
    test_command: t.Sequence[str] = ()
    health: Health | None = None
    peers: t.Sequence[Health] = ()
    wait: bool = True
    timeout: float = 120

    @property
    def path(self) -> str:
        """Path of its unit file."""
        return os.path.join(units.UNIT_DIRECTORY, self.name)


@dataclasses.dataclass
class Plan:
    """The steps of a transaction.

    :ivar steps: in words, in the order in which they are done.
    :ivar reasons: why.
    :ivar commands: what one would have typed.
    :ivar packages: Debian packages that are missing.
    :ivar user: system user to make.
    :ivar replaces: programs or files are replaced.
    :ivar actions: systemctl's actions, see :func:`units.plan_unit`.
    """

    steps: list[str] = dataclasses.field(default_factory=list)
    reasons: list[str] = dataclasses.field(default_factory=list)
    commands: list[str] = dataclasses.field(default_factory=list)
    diff: list[dict[str, str]] = dataclasses.field(default_factory=list)
    packages: list[str] = dataclasses.field(default_factory=list)
    user: str | None = None
    programs: list[Program] = dataclasses.field(default_factory=list)
    files: list[ComponentFile] = dataclasses.field(default_factory=list)
    actions: list[str] = dataclasses.field(default_factory=list)

    @property
    def replaces(self) -> bool:
        """Whether programs or files are replaced."""
        return bool(self.programs or self.files)

    @property
    def disturbs(self) -> bool:
        """Whether something that runs is restarted or reloaded."""
        return bool({"restart", "reload"} & set(self.actions))


class Component:
    """One component of this host.

    :param name: name of the component; its journal has it.
    :param programs: programs that it installs.
    :param tools: further programs, which the unit does not run.
    :param files: paths, in the order in which they are made.
    :param packages: Debian packages that it needs; installing them is the caller's part.
    :param user: system user that it runs as.
    :param records: directory of the collection's records.
    :param opener: opens an address of a program.
    :param run: runs a command and returns (return code, stdout, stderr).
    :param accounts_later: an owner of a file may not exist yet: check mode.
    :raises HardwayError: the name is not a name, or the journal of an interrupted change cannot be read.
    """

    def __init__(
        self,
        *,
        name: str,
        programs: t.Sequence[Program],
        files: t.Sequence[ComponentFile],
        unit: ComponentUnit | None,
        opener: Opener,
        run: Run,
        tools: t.Sequence[Program] = (),
        packages: t.Sequence[str] = (),
        user: str | None = None,
        records: str = RECORDS,
        accounts_later: bool = False,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9@._ -]*", name):
            raise HardwayError(
                f"name: {name!r} is not the name of a component: letters, digits, spaces and any of @ . _ -"
            )
        self.name = name
        self._wanted = list(programs)
        self._tools = list(tools)
        self._packages = list(packages)
        self._user = user
        self._files = list(files)
        self._options = unit
        self._unit = Unit(unit.name, run=run) if unit else None
        self._run = run
        self._accounts_later = accounts_later
        self._journal = Journal(os.path.join(records, "journal", name))
        self._guarded = False
        self._disturbed = self._journal.pending
        self._programs = Programs(
            record=os.path.join(records, "programs.json"), opener=opener, replacing=self._before_replacing
        )

    # --- planning -------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Return what has to be done. Nothing is changed.

        Where packages are missing, it ends with them unless this is check mode: what they bring is not there to be
        compared with yet.

        :raises HardwayError: the wanted state is not possible on this host.
        """
        plan = Plan()
        self._plan_packages(plan)
        if plan.packages and not self._accounts_later:
            return plan
        self._plan_user(plan)
        written = self._plan_programs(plan)
        written += self._plan_files(plan)
        if self._unit and self._options:
            self._unit.refresh()
            self._plan_unit(plan, written)
        return plan

    def _plan_packages(self, plan: Plan) -> None:
        plan.packages = missing(self._packages, self._run)
        if plan.packages:
            plan.steps += [f"install the package {name}" for name in plan.packages]
            plan.reasons += [f"the package {name} is not installed" for name in plan.packages]
            plan.commands.append("apt-get update")
            plan.commands.append(shlex.join(["apt-get", "install", "--no-install-recommends", *plan.packages]))
            plan.diff.append({"before": "", "after": "".join(f"{name}\n" for name in plan.packages)})

    def _plan_user(self, plan: Plan) -> None:
        if self._user and not user_exists(self._user):
            plan.user = self._user
            plan.steps.append(f"create the user {self._user}")
            plan.reasons.append(f"the user {self._user} does not exist")
            plan.commands.append(shlex.join(create_user(self._user)))
            plan.diff.append({"before": "", "after": f"user {self._user}\n"})

    def _plan_programs(self, plan: Plan) -> list[str]:
        written: list[str] = []
        for program in [*self._wanted, *self._tools]:
            reason = self._programs.reason(program)
            if reason is None:
                continue
            plan.programs.append(program)
            plan.steps.append(f"install {program['name']} {program['version']}")
            plan.reasons.append(reason)
            plan.commands += Programs.commands(program)
            text = f"{program['name']} {program['version']}: {reason}\n"
            plan.diff.append({"before": "", "after": text})
            if program in self._wanted:
                written += Programs.destinations(program).values()
        return written

    def _plan_files(self, plan: Plan) -> list[str]:
        written: list[str] = []
        files = HostFiles(check=True, accounts_later=self._accounts_later or plan.user is not None)
        for file in self._files:
            outcome = files.converge(file.entry, file.content, secret=file.secret)
            if not outcome.changes:
                continue
            plan.files.append(file)
            plan.steps.append(outcome.step)
            plan.commands += outcome.commands
            if outcome.diff:
                plan.diff.append(outcome.diff)
            if outcome.rewritten and file.restart:
                written.append(outcome.path)
        return written

    def _reads(self, path: str) -> bool:
        """Return whether systemd itself reads a path for the unit."""
        if self._unit is None or self._options is None:
            return False
        return path == self._options.path or self._unit.is_drop_in(path)

    def _plan_unit(self, plan: Plan, written: list[str]) -> None:
        if self._unit is None or self._options is None:
            return
        watch = [path for program in self._wanted for path in Programs.destinations(program).values()]
        watch += [file.entry["path"] for file in self._files if file.restart and file.entry["state"] == "file"]
        found = units.plan_unit(
            self._unit,
            Wanted(
                state=self._options.state,
                enabled=self._options.enabled,
                on_change=self._options.on_change,
                watch=watch,
                changing=written,
                rereads=any(self._reads(file.entry["path"]) for file in plan.files),
                interrupted=self._journal.pending,
            ),
        )
        plan.actions = found.actions
        plan.reasons += found.reasons
        for action in found.actions:
            words = action if action == "daemon-reload" else f"{action} {self._unit.name}"
            if action in ("start", "restart", "reload") and self._options.test_command:
                plan.commands.append(shlex.join(self._options.test_command))
            plan.steps.append(words)
            plan.commands.append(f"systemctl {words}")
        if found.reasons:
            text = "".join(f"{self._unit.name}: {reason}\n" for reason in found.reasons)
            plan.diff.append({"before": "", "after": text})

    # --- carrying out -----------------------------------------------------------------------------------------------

    def wait_for_peers(self, plan: Plan) -> None:
        """Wait until all other members are healthy, where the plan restarts this one while it is healthy.

        :raises UnitError: another one is not healthy in time.
        """
        unit, options = self._unit, self._options
        if unit and options and "restart" in plan.actions and self._healthy(unit, options):
            wait_for_peers(unit.name, options.peers, timeout=options.timeout)

    @staticmethod
    def _healthy(unit: Unit, options: ComponentUnit) -> bool:
        return unit.properties["ActiveState"] == "active" and (
            options.health is None or options.health.problem() is None
        )

    def carry_out(self, plan: Plan) -> float | None:
        """Carry out the plan.

        :returns: seconds until the unit was healthy, None without waiting.
        :raises HardwayError: it failed; the message describes the state of this host.
        """
        unit, options = self._unit, self._options
        if unit is None or options is None:
            self._replace(plan)
            return None
        # Before anything is replaced, and once more before the restart: downloads take their time.
        self.wait_for_peers(plan)
        stays = self._why_not_taken_back(plan, unit, options)
        self._guarded = stays is None
        try:
            self._replace(plan)
            self.wait_for_peers(plan)
            seconds = self._systemctl(plan.actions, unit, options)
        except (HardwayError, OSError) as error:
            if self._guarded:
                raise UnitError(self._taken_back(error, plan, unit, options)) from error
            raise UnitError(f"{error}\n{stays}".rstrip()) from error
        if options.wait or options.state == "stopped":
            self._journal.discard()
        return seconds

    def _why_not_taken_back(self, plan: Plan, unit: Unit, options: ComponentUnit) -> str | None:
        """Return None when a failed change is rolled back, else the text for the failure message."""
        if options.state != "started" or not options.wait:
            return ""
        if self._journal.pending:
            return None
        if not unit.active:
            return (
                f"{unit.name} did not run before, so the change cannot be rolled back: programs and files stay as they "
                "are, for you to inspect."
            )
        if not plan.replaces:
            return ""
        if self._healthy(unit, options):
            return None
        # A repair of an unhealthy unit must not be undone because it takes more than one step.
        return f"{unit.name} was not healthy before this change either, so the change was not rolled back."

    def _before_replacing(self, path: str) -> None:
        if self._guarded:
            self._journal.save(path)

    def _replace(self, plan: Plan) -> None:
        if plan.user:
            code, out, err = self._run(create_user(plan.user))
            if code != 0:
                raise HardwayError(f"useradd cannot create the user {plan.user}: {err.strip() or out.strip()}")
        if plan.programs and self._guarded:
            self._journal.note("programs", {item["name"]: self._programs.entry(item["name"]) for item in plan.programs})
        for program in plan.programs:
            self._programs.install(program)
        files = HostFiles(check=False, replacing=self._before_replacing)
        for file in plan.files:
            files.converge(file.entry, file.content, secret=file.secret)

    def _systemctl(self, actions: t.Sequence[str], unit: Unit, options: ComponentUnit) -> float | None:
        previous = ""
        for action in actions:
            if action == "daemon-reload":
                unit.systemctl("daemon-reload")
            elif action in ("enable", "disable"):
                unit.systemctl("--quiet", action, unit.name)
            elif action == "stop":
                unit.systemctl("stop", unit.name)
            else:
                previous = self._start(action, unit, options)
        if options.state != "started" or not options.wait:
            return None
        return unit.wait(options.health, timeout=options.timeout, previous=previous, patient=not self._guarded)

    def _start(self, action: str, unit: Unit, options: ComponentUnit) -> str:
        """Start, restart or reload, and return the invocation that ends by it."""
        if options.test_command:
            code, out, err = self._run(list(options.test_command))
            if code != 0:
                raise UnitError(
                    f"{shlex.join(options.test_command)} refuses the new files, so {unit.name} was left as it is: "
                    f"{err.strip() or out.strip()}"
                )
        refused = dry_run.problem(options.path, self._run) if options.own and action != "reload" else None
        if refused:
            raise UnitError(f"{unit.name} was left as it is: {refused}")
        self._disturbed = True
        if action == "reload":
            unit.reload()
            return ""
        # Not waited for here: members of a new etcd cluster only become active together.
        unit.systemctl("--no-block", action, unit.name)
        return unit.invocation

    # --- rolling back -----------------------------------------------------------------------------------------------

    def _taken_back(self, error: Exception, plan: Plan, unit: Unit, options: ComponentUnit) -> str:
        """Restore the replaced programs and files, run the unit on them, and return the whole message."""
        words = [str(error), f"The change was: {'; '.join(plan.steps) or 'that of an interrupted run'}."]
        try:
            restored = self._journal.restore()
            self._programs.put_back(self._journal.noted("programs", {}))
            if restored:
                words.append(f"It was rolled back: {', '.join(restored)} as before.")
            words.append(self._runs_as_before(restored, unit, options))
            self._journal.discard()
        except (HardwayError, OSError) as second:
            words.append(
                f"It could not be rolled back completely: {second}\n"
                f"The previous programs and files are listed in {self._journal.directory}/journal.json for as long as "
                "it is there. Look at this host before anything else is changed."
            )
        return "\n".join(words)

    def _runs_as_before(self, restored: t.Sequence[str], unit: Unit, options: ComponentUnit) -> str:
        if any(self._reads(path) for path in restored):
            unit.systemctl("daemon-reload")
        running = unit.invocation
        unit.refresh()
        # kube-proxy ends by itself when its configuration file changes.
        if not self._disturbed and unit.properties["ActiveState"] == "active" and unit.invocation == running:
            return f"{unit.name} was not touched: this host serves as before."
        if unit.properties["ActiveState"] == "failed":
            unit.systemctl("reset-failed", unit.name)
        previous = ""
        done = "restarted"
        if options.on_change == "reload" and unit.active:
            done = "reloaded"
            unit.reload()
        else:
            previous = unit.invocation
            unit.systemctl("--no-block", "restart", unit.name)
        try:
            seconds = unit.wait(options.health, timeout=options.timeout, previous=previous)
        except UnitError as error:
            return f"The unit does not become healthy with them either, so this host does not serve:  {error}"
        return f"{unit.name} was {done} and is healthy after {seconds:.0f} s: this host serves as before."
