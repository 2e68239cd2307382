# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the PKI directory with the keys on the hosts: a run never gives a cluster the keys of another one.

Authorities and the service account's key are compared by public key, so that a renewed certificate is the same. Of
encryption keys the directory may have more than hosts, in any order, and not fewer, but for those that a rotation has
removed from it. While the service account's key is rotated, hosts may have any of its keys that the directory has.

While an authority is rotated, hosts trust several. The first one of a host is the newest, and the directory must have
it: hosts may trust one that the directory does not have any more, and not one that it does not have yet.
"""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.trust import FILES as TRUST_FILES
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.trust import ON_HOSTS, parts
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.identity import certificates, encryption_keys
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.weave import password_hash
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.beside import next_name, previous_name

__all__ = (
    "FILES",
    "RECOVER",
    "WEAVE_PASSWORD",
    "PkiIdentity",
    "beside",
    "identity_problems",
    "is_alive",
    "pki_identity",
)

_ENCRYPTION = "encryption-config.yaml"
# With the keys that rotate_encryption_key.yml has removed: nothing is encrypted with them any more.
_RETIRED = "encryption-config-previous.yaml"
_ACCOUNT, _ACCOUNT_KEY = "service-account.pem", "service-account-key.pem"
_ETCD_AUTHORITY = "etcd-ca.pem"
_AUTHORITIES = {
    "ca.pem": "authority",
    _ETCD_AUTHORITY: "authority of etcd",
    "front-proxy-ca.pem": "front proxy authority",
}
#: File of the PKI directory with the password of Weave Net.
WEAVE_PASSWORD = "weave-password"


def beside(name: str) -> list[str]:
    """Return the files of the certificates that a rotation has beside this one: the next, and the previous."""
    base = name[: -len(".pem")]
    return [f"{other}.pem" for other in (next_name(base), previous_name(base))]


#: Files of the PKI directory whose texts are compared.
FILES = (*TRUST_FILES, _ACCOUNT, *beside(_ACCOUNT), _ACCOUNT_KEY, _ENCRYPTION, _RETIRED, WEAVE_PASSWORD)
_VAULT = "$ANSIBLE_VAULT"
_ON_HOSTS: dict[str, tuple[str, ...]] = {
    **{f"{name}.pem": tuple(paths) for name, paths in ON_HOSTS.items()},
    _ACCOUNT: ("/var/lib/kubernetes/service-account.pem",),
}
_UNITS = ("etcd.service", "kube-apiserver.service", "kubelet.service")
#: How to take back files that are lost.
RECOVER = "ansible-playbook hardway.kubernetes.pki_recover takes back what hosts still have"


class PkiIdentity(t.TypedDict):
    """The identity of a PKI directory. It does not have a secret."""

    directory: str
    #: SHA-256 sums of public keys by file; a file that is not there is left out.
    keys: dict[str, list[str]]
    #: As ``host_facts`` has them; None without the file.
    encryption_keys: list[dict[str, str]] | None
    #: Keys that the last rotation removed.
    retired_keys: list[dict[str, str]]
    #: Hash of Weave Net's password, as ``host_facts`` has it; None without the file.
    weave_password: str | None
    #: Files that are not compared: encrypted with Ansible Vault, or unreadable.
    skipped: list[str]


def pki_identity(
    directory: str, texts: t.Mapping[str, str | None], *, service_account: str | None = None
) -> PkiIdentity:
    """Return the identity of a PKI directory.

    :param texts: texts of :data:`FILES` by name; None for one that cannot be read; a file that does not exist is left
        out.
    :param service_account: SHA-256 of the public half of the service account's key, if the key can be read.
    """
    skipped = [name for name, text in texts.items() if text is None or text.lstrip().startswith(_VAULT)]
    readable = {name: text for name, text in texts.items() if text is not None and name not in skipped}
    keys = {
        name: [found["public_key"] for found in certificates(readable[name])]
        for name in (*TRUST_FILES, _ACCOUNT, *beside(_ACCOUNT))
        if name in readable
    }
    # The key decides; its certificate is issued again where it does not fit.
    if _ACCOUNT_KEY in readable:
        keys[_ACCOUNT_KEY] = [service_account] if service_account else keys.get(_ACCOUNT, [])
    encryption, password = readable.get(_ENCRYPTION), readable.get(WEAVE_PASSWORD)
    return {
        "directory": directory,
        "keys": keys,
        "encryption_keys": None if encryption is None else encryption_keys(encryption),
        "retired_keys": encryption_keys(readable.get(_RETIRED, "")),
        "weave_password": None if password is None else password_hash(password.rstrip().encode("utf-8")),
        "skipped": skipped,
    }


def is_alive(facts: Reading) -> bool:
    """Return whether a host is part of a cluster, and does not only have files of one."""
    return bool(facts["etcd"]["data"]) or any(facts["units"].get(unit) == "active" for unit in _UNITS)


def _judged(shape: Topology, readings: t.Mapping[str, Reading]) -> dict[str, t.Mapping[str, t.Any]]:
    """Return the identities of hosts that count: those that are alive, and controllers of a cluster that is."""
    alive = [host for host, found in readings.items() if found and is_alive(found)]
    return {
        host: found["identity"]
        for host, found in readings.items()
        if found and "identity" in found and (host in alive or (alive and host in shape["controllers"]))
    }


def _host_keys(identities: t.Mapping[str, t.Mapping[str, t.Any]], name: str) -> dict[str, set[str]]:
    """Return the public keys of a file, by host that has it."""
    found = {
        host: {entry["public_key"] for path in _ON_HOSTS[name] for entry in identity["certificates"].get(path, [])}
        for host, identity in identities.items()
    }
    return {host: keys for host, keys in found.items() if keys}


def _short(keys: t.Iterable[str]) -> str:
    return ", ".join(key[:16] for key in sorted(keys))


def _groups(hosts: t.Mapping[str, set[str]]) -> list[tuple[list[str], set[str]]]:
    """Return the hosts that have a key in common, and their keys."""
    groups: list[tuple[list[str], set[str]]] = []
    for host, keys in hosts.items():
        names, common = [host], set(keys)
        others = []
        for group in groups:
            if group[1] & keys:
                names, common = group[0] + names, common | group[1]
            else:
                others.append(group)
        groups = [*others, (names, common)]
    return groups


def _rotates(pki: PkiIdentity, name: str, hosts: t.Mapping[str, set[str]]) -> bool:
    """Return whether hosts have no other keys than those that a rotation has in the directory.

    Hosts may still sign with the previous key. Those that have a key which the directory does not have are ahead of it,
    and are not turned back.
    """
    base = _ACCOUNT if name == _ACCOUNT_KEY else name
    known = {key for file in beside(base) for key in pki["keys"].get(file, [])}
    current = pki["keys"].get(name)
    return bool(known and current) and all(keys <= known.union(current or ()) for keys in hosts.values())


def _file_problems(pki: PkiIdentity, name: str, what: str, hosts: t.Mapping[str, set[str]]) -> list[str]:
    """Compare one key of the directory with that of hosts."""
    if _rotates(pki, name, hosts):
        return []
    groups = _groups(hosts)
    if len(groups) > 1:
        return [_apart(groups, what, set(pki["keys"].get(name, [])))]
    if not groups or name not in pki["keys"]:
        return []
    names, keys = groups[0]
    if keys & _trusted(pki, name):
        return []
    return [
        f"cluster_pki_directory {pki['directory']}: {name} is another {what} than that of {', '.join(names)} (SHA-256 "
        f"of the public key {_short(pki['keys'][name]) or 'unreadable'}, on the hosts {_short(keys)}), so that it "
        "belongs to another cluster; put this cluster's own directory there, from the machine that built it or from a "
        "backup. For a new cluster, take hosts that do not belong to one"
    ]


def _apart(groups: t.Iterable[tuple[list[str], set[str]]], what: str, own: set[str]) -> str:
    """Return what is said where hosts have keys of different clusters.

    :param own: keys of the PKI directory.
    """
    owners = "; ".join(f"{', '.join(names)}: {_short(keys)}" for names, keys in groups)
    foreign = [host for names, keys in groups if own and not keys & own for host in names]
    whose = f". {', '.join(foreign)} would get other keys" if foreign else ""
    return (
        f"hosts have different keys of the {what} (SHA-256 {owners}), so that they belong to different "
        f"clusters{whose}; take the hosts of the other cluster out of the inventory, or wipe them"
    )


def _trusted(pki: PkiIdentity, name: str) -> set[str]:
    """Return the public keys of a file, of an authority with those of the next and the previous one."""
    files = parts(name[: -len(".pem")]) if name in _AUTHORITIES else (name,)
    return {key for file in files for key in pki["keys"].get(file, [])}


def _turned_back(pki: PkiIdentity, name: str, identities: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return whether hosts trust an authority that the directory does not have yet: its rotation would be undone."""
    own = _trusted(pki, name)
    newest: dict[str, list[str]] = {}
    for host, identity in identities.items():
        for path in _ON_HOSTS[name]:
            found = [entry["public_key"] for entry in identity["certificates"].get(path, [])]
            if own & set(found) and found[0] not in own:
                newest.setdefault(found[0], []).append(host)
    return [
        f"cluster_pki_directory {pki['directory']}: {name} is older than the {_AUTHORITIES[name]} that "
        f"{', '.join(dict.fromkeys(names))} also trust (SHA-256 of the public key {_short([key])}): the directory is "
        "from before a rotation, and a run would undo it. Bring the directory back, whole, from the machine that "
        "rotated the authority or from a newer backup"
        for key, names in newest.items()
    ]


def _shared_authority(identities: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return what to do about an etcd that accepts every client of the API."""
    clients = {key for keys in _host_keys(identities, "ca.pem").values() for key in keys}
    members = [host for host, keys in _host_keys(identities, _ETCD_AUTHORITY).items() if keys & clients]
    if not members:
        return []
    return [
        f"{', '.join(members)}: etcd trusts the authority of the API's clients, so that each of them can read and "
        "write all data; this collection gives etcd an authority of its own, and cannot change that of a running "
        "cluster. Build a new cluster, and apply your manifests there"
    ]


def _encryption_problems(pki: PkiIdentity, identities: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    own = pki["encryption_keys"]
    if own is None:
        return []
    lacking: dict[str, list[str]] = {}
    for host, identity in identities.items():
        for key in identity["encryption_keys"] or []:
            if key not in own and key not in pki["retired_keys"]:
                text = f"{key['provider']} {key['name']} (SHA-256 of the secret {key['sha256'][:16]})"
                lacking.setdefault(text, []).append(host)
    return [
        f"cluster_pki_directory {pki['directory']}: {_ENCRYPTION} lacks the encryption key {key} of "
        f"{', '.join(hosts)}; what was written with it could not be read any more. Put this cluster's own file there, "
        "from a backup or from /var/lib/kubernetes of these hosts; further keys may stand beside it"
        for key, hosts in lacking.items()
    ]


def _missing(pki: PkiIdentity, wanted: t.Mapping[str, t.Iterable[str]]) -> list[str]:
    """Return one sentence about all files that hosts have and the directory lacks.

    :param wanted: hosts by file of the directory.
    """
    there = {*pki["skipped"], *pki["keys"]}
    there |= {_ENCRYPTION} if pki["encryption_keys"] is not None else set()
    there |= {WEAVE_PASSWORD} if pki["weave_password"] is not None else set()
    files = [name for name in wanted if name not in there]
    if not files:
        return []
    hosts = list(dict.fromkeys(host for name in files for host in wanted[name]))
    verb, them = ("is", "it") if len(files) == 1 else ("are", "them")
    return [
        f"cluster_pki_directory {pki['directory']}: {', '.join(files)} {verb} missing there, and the cluster on "
        f"{', '.join(hosts)} has {them}; new ones would not fit. Bring the directory back, whole, from the machine "
        f"that built the cluster or from a backup; {RECOVER}. For a new cluster, take hosts that do not belong to one"
    ]


def _secret_files(
    identities: t.Mapping[str, t.Mapping[str, t.Any]], *, weave_password: bool
) -> dict[str, t.Iterable[str]]:
    """Return the hosts whose cluster has what is in a file that is not a certificate or its key, by file."""
    encrypting = [host for host, identity in identities.items() if identity["encryption_keys"] is not None]
    holding = [host for host, identity in identities.items() if (identity.get("weave") or {}).get("password")]
    found = {_ENCRYPTION: encrypting, WEAVE_PASSWORD: holding if weave_password else []}
    return {name: hosts for name, hosts in found.items() if hosts}


def identity_problems(
    shape: Topology,
    readings: t.Mapping[str, Reading],
    pki: PkiIdentity | None,
    *,
    new_front_proxy: bool = False,
    weave_password: bool = False,
) -> list[str]:
    """Return what differs between the keys of the PKI directory and those of the hosts, one sentence each.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param pki: None where the directory is not known.
    :param new_front_proxy: the run makes a new authority for the front proxy, so the old one is not compared.
    :param weave_password: the password of Weave Net is taken from the directory.
    """
    if pki is None:
        return []
    identities = _judged(shape, readings)
    problems = _shared_authority(identities)
    if problems:
        return problems
    wanted: dict[str, t.Iterable[str]] = {}
    for name, what in {**_AUTHORITIES, _ACCOUNT: "service account's key"}.items():
        if new_front_proxy and name == "front-proxy-ca.pem":
            continue
        hosts = _host_keys(identities, name)
        compared = _ACCOUNT_KEY if name == _ACCOUNT else name
        if hosts:
            wanted[compared] = hosts
        problems += _file_problems(pki, compared, what, hosts)
        problems += _turned_back(pki, name, identities) if name in _AUTHORITIES else []
    wanted.update(_secret_files(identities, weave_password=weave_password))
    return problems + _encryption_problems(pki, identities) + _missing(pki, wanted)
