# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authorities that hosts and kubeconfigs trust: one and, while it is rotated, the one after or before it.

The newest authority comes first. So the text of a bundle is the same before and after the new authority begins to
sign, and nothing restarts for its order.
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.beside import next_name, previous_name

__all__ = ("AUTHORITIES", "FILES", "ON_HOSTS", "authorities", "parts", "authority_warnings", "trust")

#: Names of the authorities of a cluster.
AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")

#: Where a bundle is, by authority: the parts of the cluster that have the path.
ON_HOSTS: dict[str, dict[str, tuple[str, ...]]] = {
    "ca": {"/var/lib/kubernetes/ca.pem": ("controllers", "workers")},
    "etcd-ca": {"/etc/etcd/ca.pem": ("etcd",), "/var/lib/kubernetes/etcd-ca.pem": ("controllers",)},
    "front-proxy-ca": {"/var/lib/kubernetes/front-proxy-ca.pem": ("controllers",)},
}


def parts(name: str) -> tuple[str, str, str]:
    """Return the files that an authority's bundle can be made of, the newest first."""
    return f"{next_name(name)}.pem", f"{name}.pem", f"{previous_name(name)}.pem"


#: All files that bundles can be made of.
FILES = tuple(file for name in AUTHORITIES for file in parts(name))


def trust(directory: str, files: t.Container[str]) -> dict[str, list[str]]:
    """Return the paths of the files whose certificates are trusted, by authority, the newest first.

    :param directory: the PKI directory.
    :param files: names of the files that are there. An authority that does not exist yet is made by the run.
    """
    return {
        name: [posixpath.join(directory, file) for file in parts(name) if file == f"{name}.pem" or file in files]
        for name in AUTHORITIES
    }


def _expected(shape: Topology, name: str) -> dict[str, list[str]]:
    """Return the paths of a bundle, by host that has it."""
    members: t.Mapping[str, t.Any] = shape
    found: dict[str, list[str]] = {}
    for path, groups in ON_HOSTS[name].items():
        for host in dict.fromkeys(host for group in groups for host in members[group]):
            found.setdefault(host, []).append(path)
    return found


def _phase(files: t.Container[str], name: str, wanted: set[str], found: t.Iterable[set[str]]) -> str:
    coming, _own, previous = parts(name)
    if previous in files:
        return "previous"
    if coming in files:
        return "next"
    return "finishing" if any(wanted < keys for keys in found) else "none"


def authorities(
    shape: Topology, readings: t.Mapping[str, Reading], keys: t.Mapping[str, t.Sequence[str]]
) -> dict[str, dict[str, t.Any]]:
    """Return ``phase`` and ``behind`` of each authority, as the RETURN of the module ``cluster`` has them.

    :param readings: of ``host_facts``, by host of the run.
    :param keys: SHA-256 sums of public keys by file of the PKI directory.
    """
    result: dict[str, dict[str, t.Any]] = {}
    for name in AUTHORITIES:
        wanted = {key for file in parts(name) for key in keys.get(file, [])}
        behind, everywhere = [], []
        for host, paths in _expected(shape, name).items():
            certificates = (readings.get(host) or {}).get("identity", {}).get("certificates", {})
            found = [{entry["public_key"] for entry in certificates.get(path, [])} for path in paths]
            everywhere += found
            if any(trusted != wanted for trusted in found):
                behind.append(host)
        result[name] = {"phase": _phase(keys, name, wanted, everywhere), "behind": behind}
    return result


def authority_warnings(found: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return a sentence for each authority whose rotation is under way.

    :param found: see :func:`authorities`.
    """
    words = {"next": "the new authority does not sign yet", "previous": "the old authority is still trusted"}
    return [
        f"the rotation of {name} is not over: {words[authority['phase']]}. A run keeps that as it is; to go on: "
        f"ansible-playbook hardway.kubernetes.rotate_authorities -e rotate_authorities_name={name}"
        for name, authority in found.items()
        if authority["phase"] in words
    ]
