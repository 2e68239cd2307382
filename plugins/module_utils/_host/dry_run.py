# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a program check its own command line and configuration files before its unit starts or restarts.

``--version`` parses all flags, and ends. Where a program can go further, arguments are added with which it reads and
validates its configuration and ends before it listens, connects as a component, or writes: either with an option for
that, or with one value that its validation refuses as the last step. The remaining errors are the user's.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import UnitError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run

__all__ = ("PROGRAMS", "Program", "command_line", "problem", "reason")


# A program that does not end by itself has not refused anything.
_TIMEOUT = ["timeout", "--kill-after=5", "30"]
_TIMED_OUT = (124, 137)
_UNKNOWN_FLAG = re.compile(r"(?:unknown flag: |flag provided but not defined: )-+([\w-]+)")
_LENIENT = re.compile(r'lenient decoding as strict decoding failed",? ?"?err"?[=:]("(?:[^"\\]|\\.)*")')
_REASONS = (
    re.compile(r'"command failed",? ?"?err"?[=:]("(?:[^"\\]|\\.)*")'),
    re.compile(r'"failed to verify flags","error":("(?:[^"\\]|\\.)*")'),
    re.compile(r"^(?:Error|panic|containerd): (.*)$", re.MULTILINE),
    re.compile(r"^((?:flag provided but|invalid (?:boolean )?value) .*)$", re.MULTILINE),
)


class Program(t.NamedTuple):
    """How a program checks itself.

    :ivar arguments: what is added to its command line; none where it can only parse its flags.
    :ivar ends: with what it ends when nothing else is wrong; empty for return code 0.
    :ivar settings: where flags and configuration of users come from.
    """

    arguments: tuple[str, ...]
    ends: str
    settings: str
    parses: bool = True


#: By name of the program.
PROGRAMS: dict[str, Program] = {
    "etcd": Program((), "", "etcd_extra_flags"),
    "kube-apiserver": Program(
        ("--max-requests-inflight=-1", "--v=0"),
        "--max-requests-inflight can not be negative value",
        "apiserver_extra_flags",
    ),
    "kube-controller-manager": Program(
        ("--controllers=none-such", "--v=0"),
        '"none-such" is not in the list of known controllers',
        "controller_manager_extra_flags",
    ),
    # Without a port it does not listen.
    "kube-scheduler": Program(("--secure-port=0", "--write-config-to=/dev/null", "--v=0"), "", "scheduler_extra_flags"),
    # The lock file is looked at after the configuration, and before anything else.
    "kubelet": Program(
        ("--exit-on-lock-contention", "--lock-file=", "--v=0"),
        "cannot exit on lock file contention: no lock file specified",
        "worker_kubelet_config",
    ),
    "kube-proxy": Program(("--write-config-to=/dev/null", "--v=0"), "", "worker_kube_proxy_config"),
    "containerd": Program(("config", "dump"), "", "roles/worker/templates/containerd.toml.j2", parses=False),
}


def command_line(unit: str) -> list[str]:
    """Return the words of the last ``ExecStart=`` in the text of a unit file; none without one.

    Quotes, ``%%`` and ``$$`` are resolved. Other specifiers and variables stay as they are.
    """
    words: list[str] = []
    for line in re.sub(r"\\\n", " ", unit).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.strip() == "ExecStart":
            words = shlex.split(value.strip().lstrip("-@:+!"))
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text.strip('"')


def reason(text: str) -> str:
    """Return why a program ended, from what it printed: without its usage text, log prefixes and stack."""
    for pattern in _REASONS:
        found = pattern.findall(text)
        if found:
            return _unquoted(found[-1]).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])


def _without(ends: str, text: str) -> str:
    """Return the errors of a list without the one that was provoked."""
    if not ends or ends not in text:
        return text
    before, after = text.split(ends, 1)
    if not before.startswith("["):
        # It is the whole error, with words in front of it.
        return ""
    return ", ".join(part for part in (before[1:].strip(", "), after.rstrip("]").strip(", ")) if part)


def _close(flag: str, program: str, run: Run) -> str:
    """Return a hint at the flags that the program has under a similar name."""
    out, err = run([*_TIMEOUT, program, "--help"])[1:]
    known = sorted(set(re.findall(r"^\s*(?:-\w, )?--([a-z][\w-]+)", out + "\n" + err, re.MULTILINE)))
    close = difflib.get_close_matches(flag, known)
    return f" (similar: {', '.join(f'--{name}' for name in close)})" if close else ""


def _parsing(words: t.Sequence[str], run: Run) -> str | None:
    code, out, err = run([*_TIMEOUT, *words, "--version"])
    if code == 0 or code in _TIMED_OUT:
        return None
    text = reason(err or out)
    unknown = _UNKNOWN_FLAG.search(text)
    return text + (_close(unknown.group(1), words[0], run) if unknown else "")


def _validating(words: t.Sequence[str], program: Program, run: Run) -> str | None:
    code, out, err = run([*_TIMEOUT, *words, *program.arguments])
    lenient = _LENIENT.search(err)
    if lenient:
        # The program would start, and ignore the field.
        return _unquoted(lenient.group(1))
    if code == 0 or code in _TIMED_OUT:
        return None
    text = reason(err or out)
    unknown = _UNKNOWN_FLAG.search(text)
    if unknown and any(argument.startswith(f"--{unknown.group(1)}") for argument in program.arguments):
        # The program has lost the flag with which it would check more. Those of its command line it knows.
        return None
    return _without(program.ends, text) or None


def problem(path: str, run: Run) -> str | None:
    """Return why the program of a unit would refuse to start, or None. Nothing is started or written.

    :param path: the unit file. A unit of a program that is not in :data:`PROGRAMS` has no problem.
    :raises UnitError: the unit file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            words = command_line(stream.read())
    except (OSError, ValueError) as error:
        raise UnitError(f"{path}: its ExecStart cannot be read: {error}") from error
    name = os.path.basename(words[0]) if words else ""
    program = PROGRAMS.get(name)
    if program is None:
        return None
    found = _parsing(words, run) if program.parses else None
    if found is None and program.arguments:
        found = _validating(words, program, run)
    if found is None:
        return None
    return f"{name} refuses its flags or its configuration: {found}. Correct {program.settings}"
