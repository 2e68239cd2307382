# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotate the key of an encryption configuration, as data.

Keys have ordinals, ``key1``, ``key2``: the highest is the newest. The first key of a resource writes, all of them read.
A rotation has three steps, each of which all API servers have to have before the next one:

- ``add``: the new key reads.
- ``first``: it writes. Then every object is written again.
- ``remove``: the old keys are gone.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError

__all__ = ("Key", "Phase", "add", "covers", "first", "newest", "phase", "remove", "resources")

#: An EncryptionConfiguration, as YAML has it.
Document = dict[str, t.Any]
#: ``settled``: each resource has one key, which writes. ``added``: the newest key does not write, or is not everywhere.
#: ``first``: it writes everywhere.
Phase = t.Literal["settled", "added", "first"]
_ORDINAL = re.compile(r"key([1-9][0-9]{0,8})")
_IDENTITY = "identity"


class Key(t.NamedTuple):
    """A key, or the provider ``identity``, which does not encrypt and does not have one."""

    provider: str
    name: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"{self.provider} {self.name}".strip()

    @property
    def ordinal(self) -> int:
        """The number in its name; 0 without one."""
        found = _ORDINAL.fullmatch(self.name)
        return int(found[1]) if found else 0


def _chain(entry: t.Mapping[str, t.Any]) -> list[Key]:
    """Return the keys of an entry, in the order in which they are read.

    :raises PkiError: a provider keeps its keys elsewhere.
    """
    found = []
    for provider in entry["providers"]:
        for name, options in provider.items():
            if name == _IDENTITY:
                found.append(Key(_IDENTITY))
                continue
            if "keys" not in (options or {}):
                raise PkiError(
                    f"the provider {name} of {', '.join(entry['resources'])} keeps its keys elsewhere; rotate "
                    "them there. Nothing was changed."
                )
            found += [Key(name, str(key["name"]), str(key["secret"])) for key in options["keys"]]
    return found


def _keys(entry: t.Mapping[str, t.Any]) -> list[Key]:
    return [key for key in _chain(entry) if key.provider != _IDENTITY]


def _entry(names: t.Sequence[str], chain: t.Iterable[Key]) -> Document:
    providers: list[Document] = []
    for key in chain:
        if key.provider == _IDENTITY:
            providers.append({_IDENTITY: {}})
            continue
        if not providers or key.provider not in providers[-1]:
            providers.append({key.provider: {"keys": []}})
        providers[-1][key.provider]["keys"].append({"name": key.name, "secret": key.secret})
    return {"resources": list(names), "providers": providers}


def _with(document: t.Mapping[str, t.Any], entries: list[Document]) -> Document:
    return {**document, "resources": entries}


def resources(document: t.Mapping[str, t.Any]) -> list[str]:
    """Return the resources that a document has providers for."""
    return [str(name) for entry in document["resources"] for name in entry["resources"]]


def covers(wanted: t.Iterable[str], name: str) -> bool:
    """Return whether a list of resources, such as ``secrets``, ``*.apps`` or ``*.*``, has one or includes it."""
    group = name.partition(".")[2]
    return any(entry in (name, "*.*", f"*.{group}") for entry in wanted)


def newest(document: t.Mapping[str, t.Any]) -> Key | None:
    """Return the key with the highest ordinal; None where nothing is encrypted.

    :raises PkiError: a provider keeps its keys elsewhere.
    """
    found = [key for entry in document["resources"] for key in _keys(entry)]
    return max(found, key=lambda key: key.ordinal, default=None)


def phase(document: t.Mapping[str, t.Any]) -> Phase:
    """Return how far the rotation of a document is.

    :raises PkiError: a provider keeps its keys elsewhere.
    """
    chains = [_chain(entry) for entry in document["resources"]]
    encrypted = [[key for key in chain if key.provider != _IDENTITY] for chain in chains]
    if all(keys in ([], chain[:1]) for chain, keys in zip(chains, encrypted)):
        return "settled"
    target = newest(document)
    return "first" if all(chain[0] == target for chain in chains) else "added"


def _appended(entry: t.Mapping[str, t.Any], key: Key) -> Document:
    chain = _chain(entry)
    if key in chain:
        return _entry(entry["resources"], chain)
    # The provider identity is the last to read, unless it writes.
    at = len(chain) - 1 if len(chain) > 1 and chain[-1].provider == _IDENTITY else len(chain)
    return _entry(entry["resources"], [*chain[:at], key, *chain[at:]])


def add(document: t.Mapping[str, t.Any], *, provider: str, wanted: t.Sequence[str], secret: str) -> Document:
    """Return a document in which the new key reads, for resources that were not encrypted too.

    A rotation that is under way goes on with the key that it has.

    :param provider: of the new key.
    :param wanted: resources that are encrypted in the end.
    :param secret: base64.
    :raises PkiError: a provider keeps its keys elsewhere, or a resource would not be encrypted any more.
    """
    dropped = [name for name in resources(document) if not covers(wanted, name)]
    if dropped:
        raise PkiError(
            f"{', '.join(dropped)}: encrypted, and not in ca_encryption_resources ({', '.join(wanted)}); a rotation "
            "does not decrypt. Add what is missing there. Nothing was changed."
        )
    last = newest(document)
    fresh = Key(provider, f"key{(last.ordinal if last else 0) + 1}", secret)
    target = fresh if last is None or phase(document) == "settled" else last
    entries = [_appended(entry, target) for entry in document["resources"]]
    more = [name for name in wanted if not covers(resources(document), name)]
    if more:
        entries.append(_entry(more, [Key(_IDENTITY), target]))
    return _with(document, entries)


def _rewriting(entry: t.Mapping[str, t.Any], target: Key) -> Document:
    chain = [key for key in _chain(entry) if key != target]
    plain = [key for key in chain if key.provider == _IDENTITY]
    return _entry(entry["resources"], [target, *(key for key in chain if key.provider != _IDENTITY), *plain[:1]])


def first(document: t.Mapping[str, t.Any]) -> Document:
    """Return a document in which the newest key writes.

    :raises PkiError: not every resource can be read with it yet.
    """
    target = newest(document)
    if target is None or any(target not in _chain(entry) for entry in document["resources"]):
        raise PkiError("the new key has to be added, and served by all API servers, before it writes")
    return _with(document, [_rewriting(entry, target) for entry in document["resources"]])


def remove(document: t.Mapping[str, t.Any], *, wanted: t.Sequence[str]) -> Document:
    """Return a document with the newest key alone, and one entry for all resources where ``wanted`` includes them.

    :raises PkiError: the newest key does not write everywhere.
    """
    target = newest(document)
    chains = [_chain(entry) for entry in document["resources"]]
    if target is None or any(chain[0] != target for chain in chains):
        raise PkiError("the new key has to write, and everything has to be rewritten, before the old keys are removed")
    plain = [Key(_IDENTITY)] if any(Key(_IDENTITY) in chain for chain in chains) else []
    if all(covers(wanted, name) for name in resources(document)) and all(
        covers(resources(document), name) for name in wanted
    ):
        return _with(document, [_entry(wanted, [target, *plain])])
    entries = document["resources"]
    return _with(document, [_entry(entry["resources"], [target, *plain]) for entry in entries])
