# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The turns that hosts take in one run to change a component, kept on the control node.

They lie in the temporary directory that ``ansible-playbook`` makes for itself, which the processes that work on hosts
share, and removes when it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import typing as t

from ansible import constants

__all__ = ("Turns",)


class Turns:
    """The turns of the hosts that change one component.

    :param component: its name.
    """

    def __init__(self, component: str) -> None:
        name = re.sub(r"[^A-Za-z0-9@._ -]", "_", component)
        self._lock = os.path.join(constants.DEFAULT_LOCAL_TMP, f"hardway-turn-{name}")
        self._mark = os.path.join(constants.DEFAULT_LOCAL_TMP, f"hardway-failed-{name}")

    @contextlib.contextmanager
    def taken(self) -> t.Iterator[None]:
        """Keep every other host waiting."""
        with open(self._lock, "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # closing the file, or the end of the process, gives it back
            yield

    def failure(self) -> tuple[str, str] | None:
        """Return the first host of this run on which the component failed, and how; None where it did not."""
        try:
            with open(self._mark, encoding="utf-8") as stream:
                host, message = json.load(stream)
                return host, message
        except FileNotFoundError:
            return None

    def fail(self, host: str, message: str) -> None:
        """Record a failure, so that the hosts after it do not get a turn."""
        temporary = f"{self._mark}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump([host, message], stream)
        with contextlib.suppress(FileExistsError):  # the first failure counts
            os.link(temporary, self._mark)
        os.unlink(temporary)
