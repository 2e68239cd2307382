# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the lifetimes and the names of certificates, before one is issued."""

from __future__ import annotations

import collections
import datetime as dt

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.certificates import certificates
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import parse_duration

__all__ = ("certificate_problems",)

_AUTHORITY = "ca_authority_expiry"
_LEAVES = ("ca_expiry", "ca_admin_expiry")


def _lifetimes(settings: Settings) -> list[str]:
    problems: list[str] = []
    found: dict[str, dt.timedelta] = {}
    for name in (_AUTHORITY, *_LEAVES):
        try:
            found[name] = parse_duration(settings[name], where=name)
        except PkiError as error:
            problems.append(str(error))
            continue
        if found[name] <= dt.timedelta(0):
            problems.append(f"{name} is {settings[name]}: a certificate needs a lifetime above 0, such as 8760h")
    longest = found.get(_AUTHORITY)
    return problems + [
        f"{name} is {settings[name]}, longer than {_AUTHORITY} {settings[_AUTHORITY]}: no certificate outlives the "
        "authority that signed it; lower the one or raise the other"
        for name in _LEAVES
        if longest is not None and name in found and found[name] > longest
    ]


def _names(shape: Topology, settings: Settings) -> list[str]:
    """Return the workers and members whose certificates would have the files of another one."""
    try:
        wanted = certificates(shape, settings)
    except ValueError:
        # The service network is a problem of its own.
        return []
    files = collections.Counter(
        file
        for entry in (*wanted["authorities"], *wanted["certificates"])
        for file in (entry["name"], f"{entry['name']}-key")
    )
    taken = {file for file, uses in files.items() if uses > 1}
    return [
        f"{host}: its certificate {name} would have the same files as another one of the PKI directory; give the host "
        "another name"
        for prefix, hosts in (("", shape["workers"]), ("etcd-", shape["etcd"]))
        for host in hosts
        for name in (f"{prefix}{host}",)
        if {name, f"{name}-key"} & taken
    ]


def certificate_problems(shape: Topology, settings: Settings) -> list[str]:
    """Return what is wrong with the settings of certificates, one sentence each.

    :param settings: of all roles, see :func:`settings.settings`.
    """
    return _lifetimes(settings) + _names(shape, settings)
