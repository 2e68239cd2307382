# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ordinary user of the control node, who has a clone of the repository and no way to the hosts but SSH."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAME = "hardway-user"
# Where the user keeps the clone, below the home directory.
CLONE = "hardway.kubernetes"
_AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
# The way to the Python package index is the machine's.
_NETWORK = ("_PROXY", "_CA_BUNDLE", "_CA_CERTS", "SSL_CERT_FILE")


@dataclasses.dataclass(frozen=True)
class Done:
    """What a script did."""

    returncode: int
    output: str

    def text(self) -> str:
        """Return the output of a script that has to have succeeded."""
        assert self.returncode == 0, f"exits with {self.returncode}:\n{self.output[-6000:]}"
        return self.output


def _root(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_AS_ROOT, *command], capture_output=True, text=True, check=False)


class OrdinaryUser:
    """A Unix user with a home directory, in no group but its own."""

    def __init__(self) -> None:
        self.remove()
        made = _root("useradd", "--create-home", "--shell", "/bin/bash", "--user-group", NAME)
        assert made.returncode == 0, f"useradd {NAME}: {made.stderr}"
        self.home = pathlib.Path("/home") / NAME
        network = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("PIP_") or name.upper().endswith(_NETWORK)
        }
        self._environment = network | {
            "HOME": str(self.home),
            "USER": NAME,
            "LANG": "C.UTF-8",
            # The machine's Python, not one that somebody else's home directory has.
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "ANSIBLE_NOCOLOR": "1",
        }

    @staticmethod
    def remove() -> None:
        """Remove the user, and what is left of earlier tests."""
        # Ansible's connections stay open for a minute.
        _root("userdel", "--force", "--remove", NAME)

    def run(self, script: str, *, seconds: float = 1800, **environment: str) -> Done:
        """Run a script in the home directory, by bash, which ends with the first command that fails.

        :param seconds: after which it counts as hanging.
        :param environment: more variables for it.
        """
        variables = {**self._environment, **environment}
        done = subprocess.run(
            [*_AS_ROOT, "runuser", "-u", NAME, "--", "env", "--ignore-environment"]
            + [f"{name}={value}" for name, value in variables.items()]
            + ["bash", "-euc", f"cd\n{script}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def write(self, path: str, content: str) -> None:
        """Write a file that the user alone can read.

        :param path: relative to the home directory.
        """
        place = shlex.quote(str(self.home / path))
        script = f"umask 077; mkdir -p $(dirname {place}); cat > {place}"
        subprocess.run(
            [*_AS_ROOT, "runuser", "-u", NAME, "--", "bash", "-euc", script], input=content, text=True, check=True
        )

    def copy_tree(self, source: pathlib.Path, names: list[str], into: str) -> None:
        """Copy files of a directory into one below the home directory."""
        self.run(f"mkdir -p {shlex.quote(into)}").text()
        packed = subprocess.run(
            ["tar", "--create", "--file=-", "--directory", source, "--null", "--files-from=-"],
            input="\0".join(names).encode(),
            capture_output=True,
            check=True,
        )
        unpack = ["tar", "--extract", "--file=-", "--directory", str(self.home / into), "--no-same-owner"]
        subprocess.run([*_AS_ROOT, "runuser", "-u", NAME, "--", *unpack], input=packed.stdout, check=True)

    def clone(self) -> None:
        """Give the user what belongs to the repository, those files among it that are not committed yet."""
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        self.copy_tree(ROOT, [name for name in found if name and os.path.lexists(ROOT / name)], CLONE)
