# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install published programs: download, verify, put in place.

A record of what was installed (which address, which sum, which files) is kept on the host, so
that a run that finds everything in place asks nobody. A program is replaced by rename, after its
download was verified: whatever goes wrong before that leaves the old one as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import tempfile
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import ProgramError

__all__ = ("Programs", "find_checksum", "mirrored")

_CHUNK = 1024 * 1024


def mirrored(url: str, mirror: str) -> str:
    """Return where a mirror of the upstream layout has an address.

    ``https://HOST/PATH`` is ``MIRROR/HOST/PATH``. An empty mirror changes nothing.
    """
    if not mirror:
        return url
    return mirror.rstrip("/") + "/" + url.split("://", 1)[1]


def find_checksum(text: str, name: str) -> str | None:
    """Return the SHA-256 sum for a file name from a publisher's checksum file.

    Both forms in use are read: a bare sum, and lines of ``SUM  NAME`` (GNU coreutils).
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for fields in lines:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", fields[0]):
            continue
        if len(fields) == 1 and len(lines) == 1:
            return fields[0].lower()
        if len(fields) >= 2 and os.path.basename(fields[1].lstrip("*")) == name:
            return fields[0].lower()
    return None


def _file_state(path: str) -> dict[str, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "mode": status.st_mode & 0o7777}


def _announced_size(response: t.Any) -> int | None:
    """Return how many bytes a server said that there are; None when it did not, or packed them for the way."""
    headers = getattr(response, "headers", {})
    size = headers.get("Content-Length", "")
    return int(size) if size.isdigit() and not headers.get("Content-Encoding") else None


class Programs:
    """Desired state of the programs of one host.

    :param record: path of the JSON record of what was installed.
    :param mirror: address that replaces the upstream hosts, or an empty string.
    :param opener: opens an address and returns a readable binary stream; raises OSError or a
        subclass of Exception with a readable message.
    """

    def __init__(self, *, record: str, mirror: str, opener: t.Callable[[str], t.Any]) -> None:
        self._record_path = record
        self._mirror = mirror
        self._opener = opener
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
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(self._record_path), prefix=".programs-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(self._record, stream, indent=1, sort_keys=True)
            os.fchmod(stream.fileno(), 0o644)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, self._record_path)

    @staticmethod
    def destinations(program: t.Mapping[str, t.Any]) -> dict[str, str]:
        """Return the installed path of each member of a program's archive.

        A program that is a single executable has one entry, under its own name.
        """
        members = program["files"] or [program["name"]]
        return {member: os.path.join(program["directory"], os.path.basename(member)) for member in members}

    def reason(self, program: t.Mapping[str, t.Any]) -> str | None:
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

    def install(self, program: t.Mapping[str, t.Any]) -> None:
        """Fetch, verify and install one program.

        :raises ProgramError: the address does not answer, a sum is missing or wrong, an archive
            lacks a member, or the destination cannot be written. The installed files stay.
        """
        url = mirrored(program["url"], self._mirror)
        expected = self._expected_sum(program, url)
        os.makedirs(program["directory"], mode=0o755, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program["directory"], prefix=".hardway-") as work:
            download = os.path.join(work, "download")
            found = self._download(url, download)
            if found != expected:
                raise ProgramError(
                    f"{url}: the SHA-256 sum of the download is {found}, expected {expected}. Nothing was "
                    "replaced. Compare with the publisher's list; a mirror may hold a damaged copy: remove it "
                    "there and fill the mirror again."
                )
            staged = self._unpack(program, url, download, work)
            for destination, path in staged.items():
                os.chmod(path, 0o755)
                # Archives carry the owner and time of the machine that built them.
                os.chown(path, os.geteuid(), os.getegid())
                os.utime(path)
                os.replace(path, destination)
        self._record[program["name"]] = {
            "version": program["version"],
            "url": program["url"],
            "sha256": expected,
            "files": {path: _file_state(path) for path in staged},
        }
        self._write_record()

    def _expected_sum(self, program: t.Mapping[str, t.Any], url: str) -> str:
        if program["sha256"]:
            return str(program["sha256"]).lower()
        address = mirrored(program["checksum_url"], self._mirror)
        try:
            with self._opener(address) as stream:
                text = stream.read(_CHUNK).decode("utf-8", "replace")
        except Exception as error:  # every opener has its own errors
            raise ProgramError(
                f"{url}: its checksum file {address} cannot be read ({error}). Nothing was installed. Make the "
                "file available, or give the sum in cluster_checksums."
            ) from error
        expected = find_checksum(text, os.path.basename(program["url"]))
        if expected is None:
            raise ProgramError(
                f"{url}: {address} has no SHA-256 sum for {os.path.basename(program['url'])}. Nothing was "
                "installed. Give the sum in cluster_checksums, or mend the mirror."
            )
        return expected

    def _download(self, url: str, path: str) -> str:
        digest = hashlib.sha256()
        try:
            with self._opener(url) as source, open(path, "wb") as target:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
                announced = _announced_size(source)
                if announced is not None and target.tell() < announced:
                    raise OSError(f"it ended after {target.tell()} of {announced} bytes")
        except Exception as error:  # every opener has its own errors
            raise ProgramError(
                f"{url}: the download failed ({error}). Nothing was replaced. Check the address and the free "
                f"space of {os.path.dirname(os.path.dirname(path))}; cluster_mirror names a mirror."
            ) from error
        return digest.hexdigest()

    def _unpack(self, program: t.Mapping[str, t.Any], url: str, download: str, work: str) -> dict[str, str]:
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
