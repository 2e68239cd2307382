# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import container image archives into containerd, once."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import ImageError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.programs import find_checksum

__all__ = ("ImageArchives", "image_names")

_CHUNK = 1024 * 1024


def image_names(path: str) -> list[str]:
    """Return the images of a ``docker save`` or OCI archive, by their full names.

    :raises ImageError: the file is no such archive, or its images have no names.
    """
    try:
        with tarfile.open(path) as archive:
            names = set(archive.getnames())
            index = "manifest.json" if "manifest.json" in names else "index.json"
            if index not in names:
                raise ImageError(f"{path}: is no image archive: it has neither manifest.json nor index.json")
            stream = archive.extractfile(index)
            content = json.load(stream) if stream else {}
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: is no image archive ({error})") from error
    if index == "manifest.json":
        found = [name for entry in content for name in entry.get("RepoTags") or []]
    else:
        annotations = [entry.get("annotations", {}) for entry in content.get("manifests", [])]
        found = [entry[key] for entry in annotations for key in ("io.containerd.image.name",) if key in entry]
    if not found:
        raise ImageError(f"{path}: its images have no names; save them with their tags")
    return found


class ImageArchives:
    """Desired state of the imported archives of one host.

    :param record: path of the JSON record of imported archives.
    :param opener: opens an address and returns a readable binary stream.
    :param run: runs a command and returns (return code, stdout, stderr).
    """

    def __init__(
        self,
        *,
        record: str,
        opener: t.Callable[[str], t.Any],
        run: t.Callable[[list[str]], tuple[int, str, str]],
    ) -> None:
        self._record_path = record
        self._opener = opener
        self._run = run
        try:
            with open(record, encoding="utf-8") as stream:
                self._record: dict[str, t.Any] = json.load(stream)
        except (OSError, ValueError):
            self._record = {}

    def present(self) -> set[str]:
        """Return the names of the images that containerd has."""
        code, out, _err = self._run(["ctr", "--namespace", "k8s.io", "images", "list", "--quiet"])
        return set(out.split()) if code == 0 else set()

    def reason(self, address: str, present: set[str]) -> str | None:
        """Return why an archive has to be imported, or None when its images are there."""
        entry = self._record.get(address)
        if entry is None:
            return f"{address} was not imported"
        missing = [name for name in entry["images"] if name not in present]
        if missing:
            return f"image {missing[0]} is missing"
        if entry["sha256"] != self._expected_sum(address):
            return f"{address} has changed"
        return None

    def _expected_sum(self, address: str) -> str:
        try:
            with self._opener(address + ".sha256") as stream:
                expected = find_checksum(stream.read(_CHUNK).decode("utf-8", "replace"), os.path.basename(address))
        except Exception as error:  # every opener has its own errors
            raise ImageError(f"{address}: its checksum file {address}.sha256 cannot be read ({error})") from error
        if expected is None:
            raise ImageError(f"{address}: {address}.sha256 has no SHA-256 sum for it")
        return expected

    def load(self, address: str) -> list[str]:
        """Verify and import one archive, and return the names of its images.

        :raises ImageError: it cannot be read, its sum is wrong, or containerd refuses it.
        """
        expected = self._expected_sum(address)
        os.makedirs(os.path.dirname(self._record_path), mode=0o755, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(self._record_path)) as work:
            path = os.path.join(work, "archive.tar")
            digest = hashlib.sha256()
            try:
                with self._opener(address) as source, open(path, "wb") as target:
                    while chunk := source.read(_CHUNK):
                        digest.update(chunk)
                        target.write(chunk)
            except Exception as error:  # every opener has its own errors
                raise ImageError(f"{address}: cannot be read ({error})") from error
            if digest.hexdigest() != expected:
                raise ImageError(
                    f"{address}: its SHA-256 sum is {digest.hexdigest()}, expected {expected}; nothing was imported"
                )
            names = image_names(path)
            code, out, err = self._run(["ctr", "--namespace", "k8s.io", "images", "import", path])
            if code != 0:
                raise ImageError(f"{address}: containerd refuses it: {err.strip() or out.strip()}")
        self._record[address] = {"sha256": expected, "images": names}
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(self._record_path), prefix=".images-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(self._record, stream, indent=1, sort_keys=True)
        os.replace(temporary, self._record_path)
        return names
