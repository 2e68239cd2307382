# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files of Debian packages, as the packages have them."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import tempfile
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes, write_file
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.packages import bounded

__all__ = ("Conffile", "conffiles")

# Seconds that a package source may be silent.
_SILENCE = 20


class Conffile(t.NamedTuple):
    """A configuration file of a package."""

    path: str
    package: str
    #: MD5 sum of the package's content, in hexadecimal, as dpkg records it.
    md5: str

    def as_packaged(self) -> bool:
        """Whether the file is as the package has it."""
        try:
            with open(self.path, "rb") as stream:
                return _md5(stream.read()) == self.md5
        except OSError:
            return False

    def restore(self, run: Run) -> None:
        """Take the file out of the package, which is downloaded for this. The package is not installed again.

        :raises HardwayError: the package cannot be had, or has another content by now. The file is left as it is.
        """
        with tempfile.TemporaryDirectory() as work:
            content = self._content(run, work)
        write_file(self.path, content, Attributes(mode=0o644))

    def _content(self, run: Run, work: str) -> bytes:
        version = run(["dpkg-query", "--show", "--showformat", "${Version}", self.package])[1]
        said = ""
        for wanted in (f"{self.package}={version}", self.package):
            for command in (["apt-get", "download"], ["apt-get", "update"], ["apt-get", "download"]):
                arguments = [*command, *bounded(_SILENCE)] + ([wanted] if command[1] == "download" else [])
                _code, _out, err = run(["env", "--chdir", work, *arguments])
                said = err.strip() or said
                archives = glob.glob(os.path.join(work, "*.deb"))
                if archives:
                    run(["dpkg-deb", "--extract", archives[0], os.path.join(work, "files")])
                    with contextlib.suppress(OSError), open(os.path.join(work, "files", self.path[1:]), "rb") as stream:
                        content = stream.read()
                        if _md5(content) == self.md5:
                            return content
                    said = f"{os.path.basename(archives[0])} has another {self.path}"
                    os.unlink(archives[0])
                    break
        raise HardwayError(
            f"{self.path} was left as it is: the package {self.package} {version} cannot be had ({said}). Make the "
            "package repository available and run again, or write the file yourself."
        )


def _md5(content: bytes) -> str:
    # dpkg's own sum; nothing is trusted because of it.
    return hashlib.new("md5", content, usedforsecurity=False).hexdigest()


def conffiles(paths: t.Sequence[str], run: Run) -> list[Conffile]:
    """Return the configuration files of installed packages among some paths.

    :param paths: absolute paths.
    :param run: runs a command and returns (return code, stdout, stderr).
    """
    code, out, _err = run(["dpkg-query", "--show", "--showformat", "${Package}\\n${Conffiles}\\n"])
    found = []
    package = ""
    for line in out.splitlines() if code == 0 else []:
        if line and not line.startswith(" "):
            package = line
        words = line.split()
        if len(words) == 2 and words[0] in paths:
            found.append(Conffile(words[0], package, words[1]))
    return found
