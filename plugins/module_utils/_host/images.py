# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import container image archives into containerd, once."""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError, ImageError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes, write_file
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import downloads

__all__ = ("ImageArchives", "image_names", "imported")

_LOCAL = "file://"
_CTR = ["ctr", "--namespace", "k8s.io", "images"]
# The kubelet removes images that no pod uses when a disk fills up. It keeps pinned ones: no registry may have these.
_PINNED = "io.cri-containerd.pinned=pinned"
# A containerd that hangs has no images.
_CTR_LIST = ["ctr", "--namespace", "k8s.io", "--timeout", "10s", "images", "list", "--quiet"]


def _full_name(name: str) -> str:
    """Return the name that containerd gives an image: ``busybox`` is ``docker.io/library/busybox:latest``."""
    first, slash, _rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not re.search(r"[.:]", first) and first != "localhost":
        name = f"docker.io/{name}"
    last = name.rsplit("/", 1)[1]
    return name if ":" in last or "@" in last else f"{name}:latest"


def image_names(path: str) -> list[str]:
    """Return the images of a ``docker save`` or OCI archive, by their full names.

    :raises ImageError: the file is not such an archive, or its images have no names.
    """
    try:
        with tarfile.open(path) as archive:
            # "tar --create ." writes ./manifest.json.
            names = {os.path.normpath(name): name for name in archive.getnames()}
            index = "manifest.json" if "manifest.json" in names else "index.json"
            if index not in names:
                raise ImageError(f"{path}: is not an image archive: it has neither manifest.json nor index.json")
            stream = archive.extractfile(names[index])
            content = json.load(stream) if stream else {}
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: is not an image archive ({error})") from error
    if index == "manifest.json":
        found = [_full_name(name) for entry in content for name in entry.get("RepoTags") or []]
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
        opener: downloads.Opener,
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
        code, out, _err = self._run(_CTR_LIST)
        return set(out.split()) if code == 0 else set()

    def unchanged(self) -> list[str]:
        """Return the paths of the recorded archives on this host that :meth:`load` has nothing to do for.

        Archives at other addresses are left out, since their servers would have to be asked.
        """
        local = sorted(address for address in self._record if address.startswith(_LOCAL))
        present = self.present() if local else set()
        found = []
        for address in local:
            try:
                if self.reason(address, present) is None:
                    found.append(address[len(_LOCAL) :])
            except ImageError:
                # Its checksum file cannot be read. The import reports that.
                continue
        return found

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
            return downloads.expected_sum(
                address, checksum_url=f"{address}.sha256", name=os.path.basename(address), opener=self._opener
            )
        except DownloadError as error:
            raise ImageError(f"{error}; nothing was imported") from error

    def load(self, address: str) -> list[str]:
        """Verify and import one archive, pin its images, and return their names.

        :raises ImageError: it cannot be read, its sum is wrong, or containerd refuses it.
        """
        expected = self._expected_sum(address)
        os.makedirs(os.path.dirname(self._record_path), mode=0o755, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(self._record_path)) as work:
            path = os.path.join(work, "archive.tar")
            try:
                downloads.fetch(address, path, expected=expected, opener=self._opener)
            except DownloadError as error:
                raise ImageError(f"{error}; nothing was imported") from error
            names = image_names(path)
            for command in (["import", path], *(["label", name, _PINNED] for name in names)):
                code, out, err = self._run([*_CTR, *command])
                if code != 0:
                    raise ImageError(f"{address}: containerd refuses it: {err.strip() or out.strip()}")
        self._record[address] = {"sha256": expected, "images": names}
        content = json.dumps(self._record, indent=1, sort_keys=True).encode()
        write_file(self._record_path, content, Attributes(mode=0o600))
        return names


def imported(record: str, run: t.Callable[[list[str]], tuple[int, str, str]]) -> list[str]:
    """Return the paths of the archives on this host whose images containerd has; see :meth:`ImageArchives.unchanged`.

    :param record: path of the JSON record of imported archives.
    :param run: runs a command and returns (return code, stdout, stderr).
    """
    try:
        return ImageArchives(record=record, opener=lambda url: open(url[len(_LOCAL) :], "rb"), run=run).unchanged()
    except OSError:
        # The host does not have the program ctr.
        return []
