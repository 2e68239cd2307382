# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password of Weave Net: where it comes from, and whether it is the one that the cluster has.

Peers with different passwords do not reach each other, so that a run never gives a cluster another one in silence.
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.identity import (
    RECOVER,
    WEAVE_PASSWORD,
    PkiIdentity,
    is_alive,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.weave import password_hash

__all__ = ("weave_problems", "weave_spec")

_ENCRYPTION, _OWN = "pod_network_weave_encryption", "pod_network_weave_password"
_EMPTY = password_hash(b"")


def weave_spec(settings: Settings) -> dict[str, t.Any]:
    """Return ``encrypted`` and ``password_file``, which is empty where no password of the PKI directory is used."""
    weave = settings["cluster_pod_network"] == "weave"
    own = bool(settings[_OWN])
    created = weave and settings[_ENCRYPTION] and not own
    path = posixpath.join(str(settings["cluster_pki_directory"]), WEAVE_PASSWORD)
    return {"encrypted": weave and (own or settings[_ENCRYPTION]), "password_file": path if created else ""}


def _of_the_cluster(readings: t.Mapping[str, Reading]) -> t.Mapping[str, t.Any] | None:
    """Return Weave Net as an API server knows it; None where none said."""
    said = (reading.get("identity", {}).get("weave") for reading in readings.values())
    return next((found for found in said if found), None)


def _compared(pki: PkiIdentity, readings: t.Mapping[str, Reading]) -> list[str]:
    """Compare the password of the PKI directory with the cluster's."""
    own, found = pki["weave_password"], _of_the_cluster(readings)
    file = f"cluster_pki_directory {pki['directory']}: {WEAVE_PASSWORD}"
    if own == _EMPTY:
        return [f"{file} is empty; remove it, so that a run creates a password, or bring the file back from a backup"]
    if found and found["in_clear"]:
        return [
            f"Weave Net of this cluster sends in the clear, and {_ENCRYPTION} is true. Peers restart one after "
            "another, and those with a password do not reach those without one meanwhile. Set it to false to leave the "
            f"network as it is, or give a password as {_OWN} to encrypt it in this run"
        ]
    if WEAVE_PASSWORD in pki["skipped"]:
        return []
    if found and found["password"] and own and own != found["password"]:
        return [
            f"{file} has another password than the Secret weave-net of the cluster; peers restart one after another, "
            "and those with the new password do not reach those with the old one meanwhile. Move the file away; "
            f"{RECOVER}, the cluster's own password among it. To change the password, give it as {_OWN}"
        ]
    if found is None and own is None and any(reading and is_alive(reading) for reading in readings.values()):
        return [
            f"{file} is missing there, and no API server of this run says which password the cluster has; peers with "
            "another one would not reach each other. Start an API server, run with the controllers, or bring the file "
            f"back from a backup. Where Weave Net sends in the clear, set {_ENCRYPTION} to false"
        ]
    return []


def weave_problems(readings: t.Mapping[str, Reading], settings: Settings, pki: PkiIdentity | None) -> list[str]:
    """Return what is wrong with the password of Weave Net, one sentence each.

    A password that the cluster has and the PKI directory lacks is among the directory's missing files.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param pki: None where the directory is not known.
    """
    if settings["cluster_pod_network"] == "weave" and settings[_OWN] and not settings[_ENCRYPTION]:
        return [
            f"{_OWN} is given and {_ENCRYPTION} is false; set the latter to true to encrypt with this password, or "
            "take the password out to send in the clear"
        ]
    if not weave_spec(settings)["password_file"] or pki is None:
        return []
    return _compared(pki, readings)
