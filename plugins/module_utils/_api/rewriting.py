# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write every object of encrypted resources again, until etcd has none that another key encrypted."""

from __future__ import annotations

import dataclasses
import itertools
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._api import client as api
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.resources import (
    Resource,
    everything,
    resources,
    storage_path,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client as Etcd
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.values import PLAIN, encryptions

__all__ = ("RewriteError", "Survey", "Target", "rewrite", "survey")

# Changed or deleted since it was listed: whoever did that wrote it with the new key.
_DONE = (404, 409)
_PAUSE = 5.0
_EXAMPLES = 5


class RewriteError(HardwayError):
    """Something is left that another key encrypted."""


@dataclasses.dataclass(frozen=True)
class Target:
    """The resources that have to be encrypted, and the key.

    :ivar patterns: resources, as an encryption configuration names them.
    :ivar encryption: provider and name of the key, ``secretbox key2``.
    :ivar prefix: of the API server's keys in etcd, such as ``/registry``.
    """

    patterns: tuple[str, ...]
    encryption: str
    prefix: str


@dataclasses.dataclass
class Survey:
    """The state of the values in etcd.

    :ivar keys: how many keys were looked at.
    :ivar remaining: how many of them are not as they have to be, by provider and key.
    :ivar examples: some of these keys.
    :ivar storage: the paths of the resources to which they belong, as far as it is known.
    """

    keys: int = 0
    remaining: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: list[str] = dataclasses.field(default_factory=list)
    storage: set[str] = dataclasses.field(default_factory=set)

    def words(self) -> str:
        """Return what remains, for a message."""
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.remaining.items()))
        return f"{counts} ({', '.join(self.examples)}{', ...' if sum(self.remaining.values()) > _EXAMPLES else ''})"


def _storage(target: Target, known: t.Iterable[Resource]) -> list[str]:
    """Return what the keys of the resources begin with in etcd; also of one that the API server does not have."""
    named = [storage_path(*pattern.partition(".")[::2]) for pattern in target.patterns if not pattern.startswith("*")]
    return list(dict.fromkeys([*named, *(resource.storage for resource in known)]))


def survey(etcd: Etcd, target: Target, known: t.Collection[Resource]) -> Survey:
    """Look at the beginning of every value of the resources.

    With a wildcard, all keys are looked at: an API server encrypts what its API does not show too, and could not read
    it without the key. A key that does not belong to a resource may be there unencrypted.

    :param known: the resources of the API server that the patterns name.
    :raises EtcdError: etcd does not answer.
    """
    found = Survey()
    paths = _storage(target, known)
    ranges = ["/"] if everything(target.patterns) else paths
    for start in ranges:
        for key, encryption in encryptions(etcd, f"{target.prefix}{start}"):
            found.keys += 1
            path = next((path for path in paths if key.startswith(f"{target.prefix}{path}")), "")
            if encryption == target.encryption or (encryption == PLAIN and not path):
                continue
            found.remaining[encryption] = found.remaining.get(encryption, 0) + 1
            found.storage.add(path)
            if len(found.examples) < _EXAMPLES:
                found.examples.append(key)
    return found


def _write_again(client: api.Client, resource: Resource, refused: dict[str, str]) -> int:
    """Update every object of a resource as it is, and return how many. The API server writes only what is stale."""
    written = 0
    for page in client.pages(resource.path):
        for found in page:
            # Objects in a list of a built-in resource do not say what they are.
            version = f"{resource.group}/{resource.version}" if resource.group else resource.version
            entire = {"apiVersion": version, "kind": resource.kind, **found}
            path = resource.object_path(found)
            try:
                client.request("PUT", path, entire)
                written += 1
            except api.ApiError as error:
                if error.status not in _DONE:
                    refused[path] = str(error)
    return written


def rewrite(
    client: api.Client, etcd: Etcd, target: Target, *, timeout: float, sleep: t.Callable[[float], None] = time.sleep
) -> tuple[int, Survey]:
    """Update objects until nothing remains; return how many updates there were, and what etcd has in the end.

    An API server writes again what it keeps for itself, within minutes.

    :param timeout: seconds.
    :raises RewriteError: something remains; the message names it.
    :raises ApiError: the API server does not answer.
    :raises EtcdError: etcd does not answer.
    """
    deadline = time.monotonic() + timeout
    known = resources(client, target.patterns)
    updates = 0
    refused: dict[str, str] = {}
    for attempt in itertools.count():
        found = survey(etcd, target, known)
        if not found.remaining:
            break
        if attempt and time.monotonic() > deadline:
            why = "".join(f"\n- {text}" for text in list(refused.values())[:_EXAMPLES])
            raise RewriteError(
                f"{target.encryption} does not encrypt everything: {found.words()}. No key was removed. Objects that "
                "the API server refuses to update (a webhook, or rules that are stricter than the objects) have to be "
                f"corrected or deleted. Then run again.{why}"
            )
        if attempt:
            sleep(_PAUSE)
        refused.clear()
        updates += sum(_write_again(client, entry, refused) for entry in known if entry.storage in found.storage)
    return updates, found
