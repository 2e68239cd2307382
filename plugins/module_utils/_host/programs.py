# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install published programs: download, verify, put in place.

A record of each installation (address, sum, files) is kept on the host, so that a run without
changes does not download anything. A program is replaced by rename, after its download was
verified; a failure before that does not change the old one.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError, ProgramError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes, write_file
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import downloads

__all__ = ("Program", "Programs", "chosen")

_CHUNK = 1024 * 1024


class Program(t.TypedDict):
    """One download and what is installed from it."""

    name: str
    version: str
    url: str  # upstream
    checksum_url: str  # upstream
    sha256: str | None  # used instead of the publisher's file
    directory: str
    files: list[str]  # members of an archive; none for a single executable
    mirror: str


# Sub-options of a published program; None is "required".
_FIELDS: dict[str, t.Any] = {
    "name": None,
    "version": None,
    "url": None,
    "checksum_url": None,
    "directory": None,
    "sha256": "",
    "files": [],
    "mirror": "",
}


def _program(name: str, given: t.Any) -> Program:
    if not isinstance(given, t.Mapping):
        raise ProgramError(f"published: {name} is not a dictionary; it needs {', '.join(_FIELDS)}")
    unknown = sorted(set(given) - set(_FIELDS))
    if unknown:
        raise ProgramError(f"published: {name} has unknown fields {', '.join(unknown)}; known: {', '.join(_FIELDS)}")
    fields = {"name": name, **given}
    missing = [field for field, default in _FIELDS.items() if default is None and not fields.get(field)]
    if missing:
        raise ProgramError(f"published: {name} lacks {', '.join(missing)}")
    files = fields.get("files") or []
    if not isinstance(files, (list, tuple)):
        raise ProgramError(f"published: files of {name} is not a list of members of its archive")
    return Program(
        name=str(fields["name"]),
        version=str(fields["version"]),
        url=str(fields["url"]),
        checksum_url=str(fields["checksum_url"]),
        sha256=str(fields["sha256"]).lower() if fields.get("sha256") else None,
        directory=str(fields["directory"]),
        files=[str(member) for member in files],
        mirror=str(fields.get("mirror") or ""),
    )


def chosen(names: t.Iterable[str], published: t.Mapping[str, t.Any]) -> list[Program]:
    """Return the programs that a component installs, by name.

    :param published: programs by name, as ``cluster.spec.hosts[HOST].programs`` has them.
    :raises ProgramError: a name is not published, or its entry is incomplete.
    """
    names = list(names)
    unknown = [name for name in names if name not in published]
    if unknown:
        known = ", ".join(sorted(published)) or "none"
        raise ProgramError(f"programs: {', '.join(unknown)} is not published; known programs: {known}")
    return [_program(name, published[name]) for name in names]


def _file_state(path: str) -> dict[str, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "mode": status.st_mode & 0o7777}


class Programs:
    """Desired state of the programs of one host.

    :param record: path of the JSON record of what was installed.
    :param opener: opens an address and returns a readable binary stream; raises OSError or a
        subclass of Exception with a readable message.
    :param replacing: called with each path before it is replaced.
    """

    def __init__(
        self, *, record: str, opener: downloads.Opener, replacing: t.Callable[[str], None] = lambda _path: None
    ) -> None:
        self._record_path = record
        self._opener = opener
        self._replacing = replacing
        self._record = self._read_record()

    def _read_record(self) -> dict[str, t.Any]:
        try:
            with open(self._record_path, encoding="utf-8") as stream:
                content = json.load(stream)
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write_record(self) -> None:
        os.makedirs(os.path.dirname(self._record_path), mode=0o755, exist_ok=True)
        content = json.dumps(self._record, indent=1, sort_keys=True).encode()
        write_file(self._record_path, content, Attributes(mode=0o644))

    @staticmethod
    def destinations(program: Program) -> dict[str, str]:
        """Return the installed path of each member of a program's archive.

        A program that is a single executable has one entry, under its own name.
        """
        members = program["files"] or [program["name"]]
        return {member: os.path.join(program["directory"], os.path.basename(member)) for member in members}

    @staticmethod
    def commands(program: Program) -> list[str]:
        """Return the equivalent commands for the installation of a program."""
        url = downloads.mirrored(program["url"], program["mirror"])
        paths = list(Programs.destinations(program).values())
        download = os.path.basename(program["url"])
        check = f"sha256sum --check {os.path.basename(program['checksum_url'])}"
        if program["sha256"]:
            check = f"echo '{program['sha256']}  {download}' | sha256sum --check"
        fetched = [f"curl --fail --location --remote-name {url}", check]
        if not program["files"]:
            return [*fetched, f"install -m 0755 {download} {paths[0]}"]
        unpacked = f"tar --extract --file {download} {' '.join(program['files'])}"
        return [*fetched, unpacked, f"install -m 0755 {' '.join(program['files'])} {program['directory']}"]

    def entry(self, name: str) -> dict[str, t.Any] | None:
        """Return the record of one program, None where there is none."""
        return self._record.get(name)

    def put_back(self, entries: t.Mapping[str, t.Any]) -> None:
        """Restore the records of programs, after their files were restored."""
        for name, entry in entries.items():
            if entry is None:
                self._record.pop(name, None)
            else:
                self._record[name] = entry
        if entries:
            self._write_record()

    def reason(self, program: Program) -> str | None:
        """Return why a program has to be installed, or None when it is in place."""
        entry = self._record.get(program["name"])
        paths = self.destinations(program).values()
        missing = [path for path in paths if not os.path.exists(path)]
        if missing:
            return f"{missing[0]} is missing"
        if entry is None:
            return f"{program['name']} was not installed by this collection"
        if entry.get("url") != program["url"]:
            return f"version {entry.get('version')} is installed, {program['version']} is wanted"
        if program["sha256"] and entry.get("sha256") != program["sha256"].lower():
            return f"the installed download has SHA-256 {entry.get('sha256')}, {program['sha256']} is wanted"
        for path in paths:
            if entry.get("files", {}).get(path) != _file_state(path):
                return f"{path} was changed after it was installed"
        return None

    def install(self, program: Program) -> None:
        """Fetch, verify and install one program.

        :raises ProgramError: the address does not answer, a sum is missing or wrong, an archive
            lacks a member, or the destination cannot be written. The installed files stay.
        """
        url = downloads.mirrored(program["url"], program["mirror"])
        expected = self._expected_sum(program, url)
        os.makedirs(program["directory"], mode=0o755, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program["directory"], prefix=".hardway-") as work:
            path = os.path.join(work, "download")
            try:
                found = downloads.download(url, path, opener=self._opener)
            except DownloadError as error:
                raise ProgramError(
                    f"{error}. Nothing was replaced. Check the address and the free space of "
                    f"{program['directory']}; cluster_mirror names a mirror."
                ) from error
            if found != expected:
                raise ProgramError(
                    f"{url}: the SHA-256 sum of the download is {found}, expected {expected}. Nothing was "
                    "replaced. Compare with the publisher's list; a mirror may hold a damaged copy: remove it "
                    "there and fill the mirror again."
                )
            staged = self._unpack(program, url, path, work)
            for destination, unpacked in staged.items():
                os.chmod(unpacked, 0o755)
                # Archives carry the owner and time of the machine that built them.
                os.chown(unpacked, os.geteuid(), os.getegid())
                os.utime(unpacked)
                self._replacing(destination)
                os.replace(unpacked, destination)
        self._record[program["name"]] = {
            "version": program["version"],
            "url": program["url"],
            "sha256": expected,
            "files": {path: _file_state(path) for path in staged},
        }
        self._write_record()

    def _expected_sum(self, program: Program, url: str) -> str:
        if program["sha256"]:
            return program["sha256"].lower()
        try:
            return downloads.expected_sum(
                url,
                checksum_url=downloads.mirrored(program["checksum_url"], program["mirror"]),
                name=os.path.basename(program["url"]),
                opener=self._opener,
            )
        except DownloadError as error:
            raise ProgramError(
                f"{error}. Nothing was installed. Make the file available, or give the sum in cluster_checksums."
            ) from error

    def _unpack(self, program: Program, url: str, download: str, work: str) -> dict[str, str]:
        destinations = self.destinations(program)
        if not program["files"]:
            return {next(iter(destinations.values())): download}
        staged: dict[str, str] = {}
        wanted = {os.path.normpath(member): path for member, path in destinations.items()}
        try:
            with tarfile.open(download) as archive:
                for member in archive:
                    path = wanted.get(os.path.normpath(member.name))
                    source = archive.extractfile(member) if path and member.isfile() else None
                    if path is None or source is None:
                        continue
                    staged[path] = os.path.join(work, str(len(staged)))
                    with source, open(staged[path], "wb") as target:
                        while chunk := source.read(_CHUNK):
                            target.write(chunk)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ProgramError(
                f"{url}: the archive cannot be unpacked ({error}). Nothing was replaced. Look at the archive "
                f"and at the free space of {os.path.dirname(work)}."
            ) from error
        missing = sorted(member for member, path in destinations.items() if path not in staged)
        if missing:
            raise ProgramError(f"{url}: the archive has no {', '.join(missing)}. Nothing was replaced.")
        return staged
