# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a command or an address until it answers as expected."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
import typing as t
import urllib.error
import urllib.request

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import CheckError

__all__ = ("Answer", "Command", "Request", "companion", "describe", "wait_for")

_SHOWN_CHARACTERS = 600


class Answer(t.NamedTuple):
    """What one question brought: whether it succeeded, and its text."""

    ok: bool
    text: str


def _shown(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} [...]"


class Command:
    """A command whose output, standard error included, is the answer.

    :param exit_codes: those with which it succeeds.
    :param seconds: longest time that one attempt may take.
    """

    def __init__(
        self,
        arguments: t.Sequence[str],
        *,
        stdin: str | None = None,
        exit_codes: t.Collection[int] = (0,),
        seconds: float = 15.0,
    ) -> None:
        self._arguments = list(arguments)
        self._stdin = stdin
        self._exit_codes = exit_codes
        self._seconds = seconds

    def __str__(self) -> str:
        return " ".join(self._arguments)

    def __call__(self) -> Answer:
        """Run it once."""
        options: dict[str, t.Any] = {"stdin": subprocess.DEVNULL} if self._stdin is None else {}
        if self._stdin is not None:
            options["input"] = self._stdin.encode()
        try:
            # AnsibleModule.run_command knows no longest time.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                self._arguments,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self._seconds,
                check=False,
                **options,
            )
        except subprocess.TimeoutExpired:
            return Answer(False, f"no answer within {self._seconds:g} s")
        except OSError as error:
            return Answer(False, f"cannot be run: {error.strerror}")
        # What etcd holds is no text: an encrypted value must not end the check.
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode in self._exit_codes:
            return Answer(True, text)
        return Answer(False, f"{text}(exit code {done.returncode})")


class Request:
    """An address whose body is the answer.

    :param host_header: name to ask for, when it is not the address's own.
    :param seconds: longest time that one attempt may take.
    """

    def __init__(self, url: str, *, host_header: str | None = None, seconds: float = 5.0) -> None:
        self._url = url
        self._headers = {"Host": host_header} if host_header else {}
        self._seconds = seconds

    def __str__(self) -> str:
        header = "".join(f" with Host: {name}" for name in self._headers.values())
        return f"GET {self._url}{header}"

    def __call__(self) -> Answer:
        """Ask once, and not through a proxy."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            request = urllib.request.Request(self._url, headers=self._headers)
            with opener.open(request, timeout=self._seconds) as answer:
                return Answer(True, answer.read(65536).decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            return Answer(False, f"{error.code}: {error.read(400).decode('utf-8', 'replace')}")
        except (urllib.error.URLError, OSError) as error:
            return Answer(False, str(getattr(error, "reason", error)))


@contextlib.contextmanager
def companion(arguments: t.Sequence[str]) -> t.Iterator[t.Callable[[], str | None]]:
    """Keep a command running beside the check.

    :returns: a function that says how it ended, or None while it runs.
    """
    read, write = os.pipe()
    try:
        # AnsibleModule.run_command waits for the end.
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
            list(arguments), stdin=subprocess.DEVNULL, stdout=write, stderr=write
        )
    except OSError as error:
        os.close(read)
        raise CheckError(f"{' '.join(arguments)} cannot be run: {error.strerror}") from error
    finally:
        os.close(write)

    def ended() -> str | None:
        if process.poll() is None:
            return None
        said = os.read(read, 4096).decode("utf-8", "replace")
        return f"{' '.join(arguments)} ended with exit code {process.returncode}: {_shown(said)}"

    try:
        yield ended
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(read)


def describe(saw: str, match: t.Match[str]) -> str:
    """Return the line that says what was seen: ``{found}`` is the first group, else the whole match."""
    found = match.group(1) if match.re.groups else match.group(0)
    return saw.replace("{found}", " ".join(found.split()))


def wait_for(
    ask: Command | Request,
    *,
    expect: str,
    timeout: float,
    interval: float = 0.5,
    ended: t.Callable[[], str | None] = lambda: None,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> t.Match[str]:
    """Ask until a successful answer matches.

    :param expect: regular expression that is searched in the answer; ``^`` and ``$`` match at lines.
    :param timeout: seconds after which no further attempt is made.
    :param ended: says why asking on is of no use, or None.
    :raises CheckError: with the last answer.
    """
    pattern = re.compile(expect, re.MULTILINE)
    begun = clock()
    attempts = 0
    while True:
        attempts += 1
        answer = ask()
        match = pattern.search(answer.text) if answer.ok else None
        problem = ended()
        if problem:
            raise CheckError(problem)
        if match:
            return match
        if clock() - begun + interval > timeout:
            raise CheckError(
                f"{ask}\nexpected, within {timeout:g} s ({attempts} attempts): {expect}\n"
                f"last answer: {_shown(answer.text) or '(nothing)'}"
            )
        sleep(interval)
