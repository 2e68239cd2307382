# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read templates and files on the control node for the module ``component``, install packages, let hosts take turns."""

from __future__ import annotations

import base64
import os
import re
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleFileNotFound
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import ProgramError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.paths import SECRET_MARKS
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.packages import no_source_message
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.programs import chosen
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.units import UNIT_DIRECTORY
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.bundles import bundle
from ansible_collections.hardway.kubernetes.plugins.plugin_utils import vaults
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.noting import subject
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.run_notes import RunNotes, changed_files
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.turns import Turns

_MODULE = "hardway.kubernetes.component"
_FACTS = "hardway.kubernetes.host_facts"
# Seconds to wait for another package manager. unattended-upgrades takes minutes after the start of a machine.
_LOCK_TIMEOUT = 600
# In the place of content. Not the old content with something added to it: that may be a key.
_CHANGED = "{} is changed by an earlier task\n"


class ActionModule(ActionBase):
    """Send everything to the module in one call, secret content separately; a second call has the turn."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Render, read, and run the module: at once, or when it is this host's turn."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        host = str(task_vars.get("inventory_hostname", "this host"))
        component = str(self._task.args.get("name", ""))
        turns = Turns(component)
        if not self._task.check_mode:
            self._check_nobody_failed(turns, component, host)
        try:
            arguments = self._arguments(task_vars)
        except AnsibleError as error:
            self._fail(turns, host, str(error))
            raise
        result = self._call(arguments, task_vars, turn="ask")
        if self._task.check_mode:
            self._note_steps(result, component, subject(self, task_vars))
        asked: dict[str, t.Any] = {}
        if "needs_packages" in result:
            # apt decides: a package that is installed under another name is not a change.
            asked = result
            installed = self._install(asked, host, task_vars)
            if installed.get("failed"):
                result = installed
            else:
                arguments["packages"] = []
                asked = asked if installed.get("changed") else {}
                result = self._call(arguments, task_vars, turn="ask")
        if result.pop("needs_turn", False):
            with turns.taken():
                self._check_nobody_failed(turns, component, host)
                try:
                    result = self._call(arguments, task_vars, turn="taken")
                except AnsibleError as error:
                    # The host cannot be reached in the middle of its change.
                    self._fail(turns, host, str(error))
                    raise
                self._note_failure(turns, host, result)
        self._note_failure(turns, host, result)
        return _with_packages(asked, result)

    def _install(self, asked: t.Mapping[str, t.Any], host: str, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        packages = asked["needs_packages"]
        if asked.get("unreached_sources"):
            message = no_source_message(host, packages, asked["unreached_sources"])
            return {"failed": True, "changed": False, "msg": message}
        done: dict[str, t.Any] = self._execute_module(
            module_name="ansible.builtin.apt",
            module_args={
                "name": packages,
                "update_cache": True,
                "install_recommends": False,
                "lock_timeout": _LOCK_TIMEOUT,
            },
            task_vars=task_vars,
        )
        if done.get("failed") and re.search(r"\block\b", str(done.get("msg", ""))):
            done["msg"] = f"{done['msg']}\n{self._lock_holder(task_vars)}"
        return done

    def _lock_holder(self, task_vars: dict[str, t.Any]) -> str:
        """Return who has the package manager after the time to wait for it is over."""
        found = self._execute_module(module_name=_FACTS, module_args={}, task_vars=task_vars)
        host = task_vars.get("inventory_hostname", "this host")
        holder = found.get("reading", {}).get("package_lock") or "a program that has ended since then"
        return (
            f"{host}: the package manager was locked for {_LOCK_TIMEOUT // 60} minutes by {holder}. Wait until that "
            "has ended, or stop it, and run again. Nothing of this component was changed."
        )

    # --- turns --------------------------------------------------------------------------------------------------------

    @staticmethod
    def _check_nobody_failed(turns: Turns, component: str, host: str) -> None:
        failure = turns.failure()
        if failure:
            raise AnsibleActionFail(
                f"{host}: {component} was left as it is, because the change failed on {failure[0]}: {failure[1]}\n"
                f"Look at {failure[0]} first, then run again."
            )

    def _note_failure(self, turns: Turns, host: str, result: t.Mapping[str, t.Any]) -> None:
        if result.get("failed"):
            self._fail(turns, host, str(result.get("msg", "")))

    def _fail(self, turns: Turns, host: str, message: str) -> None:
        if not self._task.check_mode:
            turns.fail(host, message.strip().split("\n", 1)[0])

    def _call(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], *, turn: str) -> dict[str, t.Any]:
        done: dict[str, t.Any] = self._execute_module(
            module_name=_MODULE, module_args={**arguments, "turn": turn}, task_vars=task_vars
        )
        return done

    def _note_steps(self, result: t.Mapping[str, t.Any], component: str, host: str) -> None:
        """Add what would be done to the plan of this run."""
        steps = result.get("steps") or []
        if not steps:
            return
        disturbs = any(step.startswith(("restart ", "reload ")) for step in steps)
        interrupts = (self._task.args.get("unit") or {}).get("interrupts")
        effect = (interrupts or "one host at a time") if disturbs else ""
        RunNotes("steps").add({"host": host, "component": component, "steps": steps, "effect": effect})

    # --- what is read on the control node -----------------------------------------------------------------------------

    def _arguments(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = dict(self._task.args)
        contents: dict[str, str] = {}
        secrets: dict[str, str] = {}
        files = []
        self._decrypted: set[str] = set()
        # A real run would copy other content than these files have now.
        self._changing = {os.path.realpath(path) for path in changed_files()} if self._task.check_mode else set()
        for given in arguments.get("files") or []:
            entry = dict(given)
            content = self._content(entry, task_vars)
            if content is not None:
                secret = bool(entry.get("secret")) or entry["path"] in self._decrypted
                secret = secret or any(mark in content for mark in SECRET_MARKS)
                (secrets if secret else contents)[entry["path"]] = base64.b64encode(content).decode("ascii")
                entry.pop("content", None)
            files.append(entry)
        unit = arguments.get("unit") or {}
        if unit.get("template"):
            path = os.path.join(UNIT_DIRECTORY, str(unit.get("name")))
            content = self._read_or_render({"path": path, "template": unit["template"]}, task_vars)
            contents[path] = base64.b64encode(content).decode("ascii")
        arguments.update(files=files, contents=contents, secret_contents=secrets, published=self._published(arguments))
        return arguments

    @staticmethod
    def _published(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the entries of the programs that the component installs; only these are sent to the host."""
        names = [*(arguments.get("programs") or []), *(arguments.get("tools") or [])]
        published = arguments.get("published") or {}
        try:
            chosen(names, published)
        except ProgramError as error:
            raise AnsibleActionFail(str(error)) from error
        return {name: published[name] for name in names}

    def _content(self, entry: dict[str, t.Any], task_vars: dict[str, t.Any]) -> bytes | None:
        if "content" in entry:
            changing = [path for path in entry.get("made_from") or [] if os.path.realpath(path) in self._changing]
            return _CHANGED.format(changing[0]).encode() if changing else str(entry["content"]).encode()
        if len(entry.get("bundle") or []) == 1:
            entry["src"] = entry.pop("bundle")[0]
        if entry.get("bundle"):
            return bundle(self._read_or_render({**entry, "src": src}, task_vars) for src in entry["bundle"])
        return self._read_or_render(entry, task_vars) if "template" in entry or "src" in entry else None

    def _read_or_render(self, entry: dict[str, t.Any], task_vars: dict[str, t.Any]) -> bytes:
        try:
            if "template" in entry:
                return self._render(entry["template"], task_vars)
            source = self._find_needle("files", entry["src"])
            content = self._read(source, entry["path"])
            if os.path.realpath(source) in self._changing:
                return _CHANGED.format(entry["src"]).encode()
            return content
        except (AnsibleError, OSError) as error:
            if "src" in entry and self._task.check_mode:
                # An earlier task makes it in a real run: predict that the file is written.
                return f"{entry['src']} does not exist yet\n".encode()
            if isinstance(error, AnsibleFileNotFound) and "src" in entry:
                raise AnsibleActionFail(
                    f"{entry['path']}: {entry['src']} is not on the control node; an earlier chapter makes it "
                    "(--tags ca: certificates, kubeconfigs and the encryption key). Nothing was written."
                ) from error
            raise AnsibleActionFail(f"{entry['path']}: {error}") from error

    def _read(self, source: str, path: str) -> bytes:
        """Return the content of a file; one that is encrypted with ansible-vault is decrypted, and is a secret then."""
        content, encrypted = vaults.read(self._loader, source)
        if encrypted:
            self._decrypted.add(path)
        return content

    def _render(self, template: str, task_vars: dict[str, t.Any]) -> bytes:
        path = self._find_needle("templates", template)
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        return str(lookup.run([path], variables=task_vars)[0]).encode()


def _with_packages(asked: t.Mapping[str, t.Any], result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the result of the whole task: what packages were installed, and what was done then."""
    if not asked or "steps" not in result:
        return result
    lists: dict[str, t.Any] = {
        key: [*asked[key], *result[key]] for key in ("steps", "reasons", "commands", "diff") if key in result
    }
    return {**result, **lists, "changed": True}
