# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write container image archives (what `docker save` writes) with nothing but tarfile.

The archive depends on its contents alone: entries are sorted, times are zero.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .errors import MirrorError

CREATED = "1970-01-01T00:00:00Z"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Layer:
    """A file system, built up in memory by name; large files stay where they are until they are written."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[tarfile.TarInfo, Path | bytes | None]] = {}

    def directory(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        self._add(name, tarfile.DIRTYPE, mode, owner, None)

    def symlink(self, name: str, target: str) -> None:
        self._add(name, tarfile.SYMTYPE, 0o777, 0, None).linkname = target

    def fifo(self, name: str) -> None:
        self._add(name, tarfile.FIFOTYPE, 0o600, 0, None)

    def file(
        self,
        name: str,
        content: Path | bytes,
        mode: int = 0o644,
        owner: int = 0,
        xattrs: dict[str, bytes] | None = None,
    ) -> None:
        entry = self._add(name, tarfile.REGTYPE, mode, owner, content)
        entry.size = len(content) if isinstance(content, bytes) else content.stat().st_size
        entry.pax_headers = {f"SCHILY.xattr.{key}": value.decode("ascii") for key, value in (xattrs or {}).items()}

    def write(self, path: Path) -> str:
        """The layer as a tar file; its digest."""
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for _name, (entry, content) in sorted(self._entries.items()):
                if isinstance(content, Path):
                    with content.open("rb") as stream:
                        archive.addfile(entry, stream)
                else:
                    archive.addfile(entry, io.BytesIO(content) if content is not None else None)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def _add(self, name: str, kind: bytes, mode: int, owner: int, content: Path | bytes | None) -> tarfile.TarInfo:
        name = name.strip("/")
        parent = name.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.directory(parent)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = kind, mode, owner, owner
        self._entries[name] = (entry, content)
        return entry


def write_image(destination: Path, reference: str, arch: str, layers: Sequence[Layer], config: dict[str, Any]) -> None:
    """An archive with one image under its reference.

    Layers with the same contents have the same digest: of those that several images begin with, a node keeps one.
    """
    with tempfile.TemporaryDirectory(dir=destination.parent) as directory:
        files = [Path(directory) / f"{number}.tar" for number in range(len(layers))]
        digests = [layer.write(file) for layer, file in zip(layers, files, strict=True)]
        image = {
            "architecture": arch,
            "os": "linux",
            "created": CREATED,
            "config": {"Env": [f"PATH={DEFAULT_PATH}"], "WorkingDir": "/", **config},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": CREATED, "created_by": f"build of {reference} from packages and modules"}]
            * len(digests),
        }
        config_bytes = _json(image)
        config_name = hashlib.sha256(config_bytes).hexdigest() + ".json"
        names = [f"{digest}/layer.tar" for digest in digests]
        manifest = _json([{"Config": config_name, "RepoTags": [reference], "Layers": names}])
        with tarfile.open(destination, "w", format=tarfile.PAX_FORMAT) as archive:
            _add_bytes(archive, "manifest.json", manifest)
            _add_bytes(archive, config_name, config_bytes)
            for name, file in zip(names, files, strict=True):
                entry = tarfile.TarInfo(name)
                entry.size = file.stat().st_size
                with file.open("rb") as stream:
                    archive.addfile(entry, stream)


def architecture(archive: Path) -> str:
    """The architecture of the (first) image of an archive."""
    try:
        with tarfile.open(archive) as members:
            manifest = json.load(_member(members, "manifest.json"))
            return str(json.load(_member(members, manifest[0]["Config"]))["architecture"])
    except (tarfile.TarError, ValueError, LookupError, TypeError) as error:
        raise MirrorError(f"{archive} is not an archive of a container image: {error}") from error


def file_capability(number: int) -> bytes:
    """The security.capability attribute that gives a program this one capability, effective at once."""
    revision_2_effective = 0x02000001
    return b"".join(word.to_bytes(4, "little") for word in (revision_2_effective, 1 << number, 0, 0, 0))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = archive.extractfile(name)
    if stream is None:
        raise KeyError(name)
    return stream


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
