# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where file systems are mounted, and unmounting those in a directory."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError

__all__ = ("mount_points", "unmount")


def mount_points(mountinfo: str = "/proc/self/mountinfo") -> list[str]:
    """Return the mount points of this host in the order in which they were mounted; one may be there several times."""
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as stream:
        fields = [line.split(" ") for line in stream]
    # The kernel writes spaces and some other characters as octal numbers.
    return [re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), found[4]) for found in fields]


def unmount(directory: str, run: t.Callable[[list[str]], tuple[int, str, str]]) -> None:
    """Unmount what is mounted below a directory, the last first.

    A file system that is busy, or whose server does not answer, is detached.

    :raises HardwayError: something is still mounted below it.
    """
    for path in reversed(_below(directory)):
        if run(["umount", path])[0] != 0:
            run(["umount", "--lazy", path])
    left = _below(directory)
    if left:
        raise HardwayError(
            f"{directory}: a file system is mounted on {left[-1]}, and umount does not end that, so nothing in "
            f"{directory} was removed. Look for what uses it: fuser --mount {left[-1]}. Then run again."
        )


def _below(directory: str) -> list[str]:
    return [path for path in mount_points() if path.startswith(f"{directory}/")]
