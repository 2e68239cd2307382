# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run other programs; their output matters only when they fail."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import MirrorError

TAIL_LINES = 25
HOST_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def host_arch() -> str:
    """This machine's architecture, as the catalogue calls it."""
    return HOST_ARCHITECTURES.get(platform.machine(), platform.machine())


def host_is_root() -> bool:
    return os.geteuid() == 0


def run(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a command; the end of what it said when it fails."""
    try:
        result = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise MirrorError(f"{command[0]} cannot be run: {error.strerror}") from error
    if result.returncode != 0:
        said = (result.stderr + result.stdout).strip().splitlines()[-TAIL_LINES:]
        told = "\n".join(f"    {line}" for line in said)
        raise MirrorError(f"`{' '.join(command)}` ended with {result.returncode} and said:\n{told}")
    return result.stdout


def require_debian_packages(packages: Sequence[str], purpose: str) -> None:
    """Stop with the packages to install; on systems without dpkg, the compiler will have to say."""
    if shutil.which("dpkg-query") is None:
        return
    missing = [package for package in packages if not _installed(package)]
    if missing:
        raise MirrorError(f"{purpose} needs packages that are missing here: apt-get install {' '.join(missing)}")


def _installed(package: str) -> bool:
    result = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode == 0 and result.stdout.startswith("installed")
