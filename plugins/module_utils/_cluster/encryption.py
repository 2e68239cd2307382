# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The encryption configuration of the API servers, checked as they check it when they start.

No message has the file's content in it: the content is keys.
"""

from __future__ import annotations

import base64
import binascii
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.identity import encryption_keys
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki import encryption as rotating

__all__ = ("encryption_problems", "encryption_rotation", "encryption_warnings", "setting_differences")

_API = "apiserver.config.k8s.io/v1"
_KIND = "EncryptionConfiguration"
#: Lengths of keys in bytes, by provider.
_LENGTHS: t.Mapping[str, tuple[int, ...]] = {"aescbc": (16, 24, 32), "aesgcm": (16, 24, 32), "secretbox": (32,)}
#: Providers of the files that the role ca creates: the choices of ca_encryption_provider.
_CREATED = ("secretbox", "aescbc")
_PROVIDERS = (*_LENGTHS, "kms", "identity")


def _words(value: t.Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _parsed(text: str) -> tuple[t.Any, str]:
    """Return the document, or the place at which it is not YAML."""
    # Needed on the control node alone, where Ansible has it; the rest of this package is plain data.
    import yaml

    try:
        return yaml.safe_load(text), ""
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return None, f"it is not YAML{place}"
    except yaml.YAMLError:
        return None, "it is not YAML"


def _items(value: t.Any, field: str, problems: list[str]) -> list[t.Any]:
    if isinstance(value, list) and value:
        return value
    problems.append(f"{field} is missing or empty; it is a list with at least one entry")
    return []


def _secret(value: t.Any, provider: str, field: str) -> list[str]:
    allowed = " or ".join(str(length) for length in _LENGTHS[provider])
    try:
        found = len(base64.b64decode(str(value or ""), validate=True))
    except (binascii.Error, ValueError):
        return [f"{field} is not base64; allowed: {allowed} bytes, encoded (head -c 32 /dev/urandom | base64)"]
    if found not in _LENGTHS[provider]:
        return [f"{field} has {found} bytes when decoded; allowed for {provider}: {allowed}"]
    return []


def _keys(provider: str, options: t.Any, field: str) -> list[str]:
    problems: list[str] = []
    names: list[str] = []
    given = options.get("keys") if isinstance(options, dict) else None
    for number, key in enumerate(_items(given, f"{field}.keys", problems)):
        place = f"{field}.keys[{number}]"
        name = key.get("name") if isinstance(key, dict) else None
        if not name or not isinstance(name, str):
            problems.append(f"{place}.name is missing, or is not text")
            continue
        if name in names:
            problems.append(f"{place}.name {name!r} is there twice; a value names the key that it was written with")
        names.append(name)
        problems += _secret(key.get("secret"), provider, f"{place}.secret")
    return problems


def _provider(entry: t.Any, field: str) -> list[str]:
    if not isinstance(entry, dict) or len(entry) != 1:
        return [f"{field} needs exactly one provider; known: {', '.join(_PROVIDERS)}"]
    name, options = next(iter(entry.items()))
    if name not in _PROVIDERS:
        return [f"{field}: the provider {name!r} is unknown; known: {', '.join(_PROVIDERS)}"]
    if name in _LENGTHS:
        return _keys(name, options, f"{field}.{name}")
    if name == "kms":
        needed = ("name", "endpoint")
        return [
            f"{field}.kms.{key} is missing" for key in needed if not (isinstance(options, dict) and options.get(key))
        ]
    return []


def encryption_problems(path: str, text: str) -> list[str]:
    """Return why API servers would not start with an encryption configuration, one sentence each.

    :param path: of the file, for the messages.
    :param text: its content.
    """
    document, wrong = _parsed(text)
    if wrong:
        return [f"{path}: {wrong}"]
    if not isinstance(document, dict) or document.get("kind") != _KIND or document.get("apiVersion") != _API:
        return [f"{path}: kind and apiVersion have to be {_KIND} and {_API}"]
    problems: list[str] = []
    for number, entry in enumerate(_items(document.get("resources"), "resources", problems)):
        field = f"resources[{number}]"
        given = entry if isinstance(entry, dict) else {}
        _items(given.get("resources"), f"{field}.resources", problems)
        for place, provider in enumerate(_items(given.get("providers"), f"{field}.providers", problems)):
            problems += _provider(provider, f"{field}.providers[{place}]")
    return [f"{path}: {problem}" for problem in problems]


def _made_with(document: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the settings with which a document would be created, as far as there are any."""
    found: dict[str, t.Any] = {"ca_encryption_resources": rotating.resources(document)}
    try:
        key = rotating.newest(document)
    except PkiError:
        key = None
    # A file with a provider that the setting does not offer is the user's own.
    if key and key.provider in _CREATED:
        found["ca_encryption_provider"] = key.provider
    return found


def setting_differences(path: str, text: str, settings: Settings, *, exists: bool) -> list[str]:
    """Return the settings that a file does not have.

    The newest key decides: a rotation to what the settings say may be under way.

    :param path: of the file, for the messages.
    :param text: its content.
    :param settings: those with which the file would be created.
    :param exists: whether there is a cluster whose objects the file encrypts.
    """
    if encryption_problems(path, text):
        return []
    way = (
        "to change that on a running cluster, run playbooks/rotate_encryption_key.yml; to keep it, set {name}: {value}"
        if exists
        else "the file decides"
    )
    return [
        f"{path} has {_words(value)}, {name} of the inventory says {_words(settings[name])}; "
        + way.format(name=name, value=f"[{_words(value)}]" if isinstance(value, list) else value)
        for name, value in sorted(_made_with(_parsed(text)[0]).items(), reverse=True)
        if (sorted(value) != sorted(settings[name]) if isinstance(value, list) else value != settings[name])
    ]


def encryption_rotation(
    shape: Topology, readings: t.Mapping[str, Reading], file: tuple[str, str] | None, settings: Settings
) -> dict[str, t.Any]:
    """Return ``phase``, ``key``, ``behind`` and ``differences``, as the RETURN of the module ``cluster`` has them.

    :param readings: of ``host_facts``, by host of the run.
    :param file: path and content of the encryption configuration; None where there is none, or no cluster.
    :param settings: those with which the file would be created.
    """
    found: dict[str, t.Any] = {"phase": "settled", "key": "", "behind": [], "differences": []}
    if not file or encryption_problems(*file):
        return found
    path, text = file
    found["differences"] = setting_differences(path, text, settings, exists=True)
    document = _parsed(text)[0]
    try:
        key = rotating.newest(document)
        found.update(phase=rotating.phase(document), key=str(key or ""))
    except PkiError:
        return found
    own = encryption_keys(text)
    for host in shape["controllers"]:
        read = (readings.get(host) or {}).get("identity", {}).get("encryption_keys")
        if read is not None and read != own:
            found["behind"].append(host)
    return found


def encryption_warnings(path: str, text: str) -> list[str]:
    """Return what API servers accept and should be known.

    :param path: of the file, for the messages.
    :param text: its content, without a problem.
    """
    if encryption_problems(path, text):
        return []
    return [
        f"{path}: the first provider of {', '.join(map(str, entry['resources']))} is identity, so that they are "
        "written to etcd unencrypted; the first provider writes, all of them read"
        for entry in _parsed(text)[0]["resources"]
        if "identity" in entry["providers"][0]
    ]
