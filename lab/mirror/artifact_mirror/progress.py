# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what is being done, how far it is and how long it has taken."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

# A build of several minutes that says nothing looks like one that hangs.
HEARTBEAT_SECONDS = 30.0


class Progress:
    def __init__(self, total: int, stream: TextIO | None = None, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._total = total
        self._stream = stream if stream is not None else sys.stderr
        self._heartbeat = heartbeat
        self._number = 0
        self._label = ""
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def item(self, label: str) -> None:
        """The next artifact of the run."""
        self._number += 1
        self._label = label

    def report(self, text: str) -> None:
        """A line about the artifact at hand, with the time since the run began."""
        width = len(str(self._total))
        elapsed = time.monotonic() - self._started
        self.say(f"[{self._number:>{width}}/{self._total} {_clock(elapsed)}] {self._label}: {text}")

    @contextmanager
    def task(self, text: str) -> Iterator[None]:
        """Long work: a line at the start, then one every half minute."""
        started = time.monotonic()
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self._heartbeat):
                self.report(f"{text} ... {_clock(time.monotonic() - started)}")

        self.report(text)
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def size(count: int) -> str:
    return f"{count / 1024 / 1024:.1f} MiB"
