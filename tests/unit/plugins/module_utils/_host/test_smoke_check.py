# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking until the answer is right, and what is said when it never is."""

from __future__ import annotations

import http.server
import re
import sys
import threading
import time
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.smoke_check import (
    Answer,
    CheckError,
    Command,
    Request,
    companion,
    describe,
    wait_for,
)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _ask(answers: list[Answer], *, timeout: float = 5, expect: str = "ready") -> re.Match[str]:
    clock = Clock()
    remaining = iter(answers)

    class Question(Command):
        def __call__(self) -> Answer:
            return next(remaining, answers[-1])

    return wait_for(Question(["ask", "it"]), expect=expect, timeout=timeout, clock=clock, sleep=clock.sleep)


def test_asks_until_the_answer_matches() -> None:
    assert _ask([Answer(False, "refused"), Answer(True, "starting"), Answer(True, "ready")]).group() == "ready"


def test_an_answer_that_matches_but_failed_does_not_count() -> None:
    with pytest.raises(CheckError, match="last answer: not ready"):
        _ask([Answer(False, "not ready")])


def test_gives_up_with_question_expectation_and_last_answer() -> None:
    with pytest.raises(CheckError) as raised:
        _ask([Answer(True, "starting")], timeout=2)
    assert str(raised.value) == "ask it\nexpected, within 2 s (5 attempts): ready\nlast answer: starting"


def test_a_long_answer_is_shortened() -> None:
    with pytest.raises(CheckError) as raised:
        _ask([Answer(True, "x" * 5000)])
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    ("expect", "text", "line"),
    [("a.c", "xabcx", "saw abc!"), ("a(.)c", "xabcx", "saw b!"), (r"(a\s+c)", "a\n  c", "saw a c!")],
)
def test_line_says_what_was_found(expect: str, text: str, line: str) -> None:
    match = re.search(expect, text)
    assert match
    assert describe("saw {found}!", match) == line


def test_command_answers_with_both_outputs_also_when_they_are_no_text() -> None:
    program = "import os, sys; os.write(1, b'out\\xff'); os.write(2, b'err')"
    answer = Command([sys.executable, "-c", program])()
    assert answer.ok
    assert answer.text == "out\ufffderr"


def test_command_reads_its_input() -> None:
    assert Command(["cat"], stdin="text")() == Answer(True, "text")


def test_failed_command_says_its_exit_code() -> None:
    assert Command(["sh", "-c", "echo why; exit 3"])() == Answer(False, "why\n(exit code 3)")


def test_exit_codes_that_count_as_success_can_be_named() -> None:
    assert Command(["sh", "-c", "echo found; exit 1"], exit_codes=[0, 1])() == Answer(True, "found\n")


def test_missing_command_and_hanging_command_are_answers() -> None:
    assert Command(["/nonexistent"])() == Answer(False, "cannot be run: No such file or directory")
    assert Command(["sleep", "9"], seconds=0.1)() == Answer(False, "no answer within 0.1 s")


@pytest.fixture
def server() -> t.Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Host"] == "known" else 502)
            self.end_headers()
            self.wfile.write(f"for {self.headers['Host']}".encode())

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def test_request_sends_the_host_header_and_uses_no_proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Request(server, host_header="known")() == Answer(True, "for known")


def test_request_that_is_refused_or_fails_is_an_answer(server: str) -> None:
    assert Request(server, host_header="stranger")() == Answer(False, "502: for stranger")
    closed = Request("http://127.0.0.1:9/")()
    assert not closed.ok and "refused" in closed.text


def test_companion_runs_as_long_as_the_check() -> None:
    with companion(["sleep", "60"]) as ended:
        assert ended() is None
        begun = time.monotonic()
    assert time.monotonic() - begun < 4


def test_companion_that_ends_early_ends_the_check_with_what_it_said() -> None:
    busy = ["sh", "-c", "echo address already in use >&2; exit 1"]
    with companion(busy) as ended, pytest.raises(CheckError, match="ended with exit code 1: address already in use"):
        wait_for(Command(["false"]), expect="x", timeout=5, interval=0.1, ended=ended)
