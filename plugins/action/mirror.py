# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download and verify the programs of a release into a directory of the control node."""

from __future__ import annotations

import subprocess
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import (
    image_archive,
    image_name,
    publishers_files,
    read_catalogue,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.mirror import Mirror, artifacts
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import url_opener
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.signatures import Signatures

_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "directory": {"type": "path", "required": True},
    "release": {"type": "str", "default": ""},
    "architectures": {"type": "list", "elements": "str", "default": ["amd64"]},
    "programs": {"type": "list", "elements": "str", "default": []},
    "versions": {"type": "dict", "default": {}},
    "checksums": {"type": "dict", "default": {}},
    "source_checksums": {"type": "str", "default": "catalogue", "choices": ["catalogue", "mirror"]},
    "verify_signatures": {"type": "bool", "default": False},
    "source": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 30},
}

#: Seconds for a command on the control node.
_TIMEOUT = 120


class ActionModule(ActionBase):
    """Fill the directory on the control node, whichever host the task is for."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return what was downloaded, how much was there, and which images the release needs."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(_ARGUMENTS)
        try:
            result.update(_fill(arguments, check_mode=self._task.check_mode))
        except HardwayError as error:
            raise AnsibleActionFail(str(error)) from error
        return result


def _run(command: list[str]) -> tuple[int, str, str]:
    """Run a command on the control node, where a module's ``run_command`` is not at hand.

    :raises OSError: it cannot be run, or does not end in time.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"it did not end within {_TIMEOUT} s") from error
    return done.returncode, done.stdout, done.stderr


def _fill(arguments: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    catalogue = read_catalogue()
    release = arguments["release"] or catalogue["default_release"]
    wanted = artifacts(
        catalogue,
        release=release,
        architectures=arguments["architectures"],
        names=arguments["programs"] or None,
        versions=arguments["versions"],
        checksums=arguments["checksums"],
        published=publishers_files(arguments["source_checksums"], arguments["source"]),
    )
    references = [
        image_name(catalogue, name, release=release, versions=arguments["versions"]) for name in catalogue["images"]
    ]
    opener = url_opener(timeout=arguments["timeout"])
    verified = arguments["verify_signatures"]
    signatures = Signatures(source=arguments["source"], opener=opener, run=_run) if verified else None
    mirror = Mirror(arguments["directory"], source=arguments["source"], opener=opener, signatures=signatures)
    downloaded: list[dict[str, str]] = []
    for artifact in wanted:
        reason = mirror.reason(artifact)
        if reason is None:
            continue
        if not check_mode:
            mirror.fill(artifact)
        downloaded.append(
            {
                "name": artifact.name,
                "version": artifact.version,
                "architecture": artifact.architecture,
                "path": str(mirror.path(artifact.url)),
                "reason": reason,
            }
        )
    lines = "".join(f"{one['name']} {one['version']} {one['architecture']}: {one['reason']}\n" for one in downloaded)
    return {
        "changed": bool(downloaded),
        "downloaded": downloaded,
        "present": len(wanted) - len(downloaded),
        "images": {reference: image_archive(reference) for reference in references},
        "diff": {"before": "", "after": lines} if downloaded else {},
    }
