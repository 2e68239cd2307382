# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the rotation of the service account's key is, from the PKI directory and the hosts."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.identity import PkiIdentity, beside
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.limits import seconds
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("account_files", "account_rotation", "longest_token", "rotation_problems", "rotation_warnings")

_ACCOUNT, _ACCOUNT_KEY = "service-account.pem", "service-account-key.pem"
_ON_HOSTS = "/var/lib/kubernetes/"
# Seconds from the time of the new key's file to the restart of the API server that reads it, with much to spare.
_RESTART = 600
# The tokens of pods with --service-account-extend-token-expiration.
_EXTENDED = 365 * 24 * 3600


def account_files(pki: PkiIdentity | None) -> list[str]:
    """Return the files of the PKI directory with the keys whose tokens API servers accept.

    :param pki: None where the directory is not known.
    """
    known = {*pki["keys"], *pki["skipped"]} if pki else set()
    return [_ACCOUNT, *(name for name in beside(_ACCOUNT) if name in known)]


def longest_token(own: t.Iterable[Settings]) -> float | None:
    """Return for how many seconds a service account's token can be valid; None without a limit.

    :param own: the settings of each controller.
    """
    longest = 0.0
    for settings in own:
        given = settings.get("apiserver_extra_flags")
        flags = given if isinstance(given, t.Mapping) else {}
        limit = flags.get("service-account-max-token-expiration", settings["apiserver_max_token_expiration"])
        try:
            found = seconds(str(limit))
        except ValueError:
            return None
        if not found:
            return None
        extended = str(flags.get("service-account-extend-token-expiration", False)).lower() != "false"
        longest = max(longest, found, _EXTENDED if extended else 0)
    return longest


def _on_host(facts: Reading) -> dict[str, str]:
    """Return the service account's public keys on a host, by file."""
    found = facts.get("identity", {}).get("certificates", {})
    files = {name: found.get(f"{_ON_HOSTS}{name}") for name in (_ACCOUNT, *beside(_ACCOUNT))}
    return {name: entries[0]["public_key"] for name, entries in files.items() if entries}


def _in_directory(pki: PkiIdentity) -> dict[str, str]:
    """Return the service account's public keys in the PKI directory, by file."""
    found = {name: pki["keys"].get(name) for name in account_files(pki)}
    # The key decides, not its certificate.
    found[_ACCOUNT] = pki["keys"].get(_ACCOUNT_KEY)
    return {name: keys[0] for name, keys in found.items() if keys}


def rotation_problems(shape: Topology, readings: t.Mapping[str, Reading]) -> list[str]:
    """Return why no key can be rotated now: each controller has to get the new one before it is used."""
    problems = []
    for host in shape["controllers"]:
        facts = readings.get(host)
        if not facts:
            problems.append(
                f"{host}: it is not part of this run, or cannot be reached; a key is rotated on all controllers: run "
                "without --limit"
            )
        elif facts["units"].get("kube-apiserver.service") != "active":
            state = facts["units"].get("kube-apiserver.service") or "not there"
            problems.append(f"{host}: its API server does not run ({state}); run site.yml first")
    return problems


_PHASES = {
    "next": "the new one is accepted, and does not sign yet",
    "previous": "the new one signs, and the old one is still accepted",
    "added": "the new one reads, and does not write yet",
    "first": "the new one writes, and the old one still reads",
}


def rotation_warnings(rotations: t.Mapping[str, t.Any]) -> list[str]:
    """Return the rotations that are under way, one sentence each."""
    names = {
        "service_account": ("key of service account tokens", "rotate_service_account_key.yml"),
        "encryption": ("encryption key", "rotate_encryption_key.yml"),
    }
    return [
        f"the {what} is being rotated: {_PHASES[phase]}; playbooks/{playbook} continues"
        for name, (what, playbook) in names.items()
        for phase in [rotations[name]["phase"]]
        if phase in _PHASES
    ]


def account_rotation(
    shape: Topology, readings: t.Mapping[str, Reading], pki: PkiIdentity | None, own: t.Iterable[Settings]
) -> dict[str, t.Any]:
    """Return ``phase``, ``public_keys``, ``behind`` and ``wait``, as the RETURN of the module ``cluster`` has them.

    :param readings: of ``host_facts``, by host of the run.
    :param pki: None where the directory is not known.
    :param own: the settings of each controller.
    """
    keys = _in_directory(pki) if pki else {}
    controllers = {host: readings[host] for host in shape["controllers"] if readings.get(host)}
    coming, previous = beside(_ACCOUNT)
    phase = "previous" if previous in keys else "next" if coming in keys else "none"
    return {
        "phase": phase,
        "public_keys": keys,
        "behind": [host for host, facts in controllers.items() if keys and _on_host(facts) != keys],
        "wait": _wait(controllers, keys, longest_token(own)) if phase == "previous" else None,
    }


def _wait(controllers: t.Mapping[str, Reading], keys: t.Mapping[str, str], longest: float | None) -> int | None:
    """Return the seconds until the last token of the previous key has ended; None where that is not known."""
    signed_for: list[float] = []
    for facts in controllers.values():
        since = facts.get("identity", {}).get("signing_since")
        if since is None or _on_host(facts).get(_ACCOUNT) != keys.get(_ACCOUNT):
            return None
        # Both by the host's own clock.
        signed_for.append(float(facts["read_at"]) - float(since))
    if longest is None or not signed_for:
        return None
    return max(0, round(longest + _RESTART - min(signed_for)))
