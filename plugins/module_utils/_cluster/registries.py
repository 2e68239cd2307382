# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The setting ``worker_registries``, checked before anything is written: containerd would ignore a file with a mistake.

No message has a user's name, a password or a token in it.
"""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.image_names import REGISTRY
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import (
    Options,
    Settings,
    argument_problems,
    settings,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.hosts_toml import directory_name, files_of
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import load_certificates
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import PrivateKey, public_bytes

__all__ = ("registry_files", "registry_problems")

_NAME = "worker_registries"
#: Stands for every registry without an entry of its own.
_DEFAULT = "_default"
_ALLOWED_HOST = (
    "allowed: the part of images' names before the first slash, such as registry.example.com:5000, or _default"
)
_ALLOWED_URL = "allowed: https://HOST[:PORT][/PATH], or http://... for a registry without TLS"

#: Contents of files of the control node by path; None for one that cannot be read.
Files = t.Mapping[str, "str | None"]


def registry_files(known: Options, values: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the paths of all files of the control node that the registries of hosts name.

    :param known: the options of all roles.
    :param values: what the variables of each host give them.
    """
    converted = [settings({_NAME: known[_NAME]}, given) for given in values]
    registries = [registry for given in converted for registry in _entries(given.get(_NAME))]
    return sorted({path for registry in registries for path in files_of(registry).values()})


def _entries(value: t.Any) -> list[t.Mapping[str, t.Any]]:
    return [entry for entry in value if isinstance(entry, t.Mapping)] if isinstance(value, (list, tuple)) else []


def _host_problem(host: str) -> str | None:
    if not host:
        return f"is empty; {_ALLOWED_HOST}"
    if host == _DEFAULT or re.fullmatch(REGISTRY, host):
        return None
    if re.fullmatch(r"[A-Za-z0-9-]+", host):
        return (
            f"{host!r} is not a registry to containerd, for which images' names begin with a registry only if it has a "
            f"dot or a port; {_ALLOWED_HOST}"
        )
    return f"{host!r} is not a registry; {_ALLOWED_HOST}"


def _split(url: str) -> urllib.parse.SplitResult | None:
    """Return the parts of the URL of a registry; None for what is not one."""
    try:
        parts = urllib.parse.urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    plain = url.isprintable() and not any(character in ' "\\' for character in url)
    return parts if known and plain and not (parts.query or parts.fragment) else None


def _url_problem(url: str) -> str | None:
    if "@" in url:
        return f"has a user in it; give username and password beside it. {_ALLOWED_URL.capitalize()}"
    return None if _split(url) else f"{url!r} is not the URL of a registry; {_ALLOWED_URL}"


def _credential_problems(endpoint: t.Mapping[str, t.Any]) -> list[str]:
    user, password, token = (str(endpoint.get(key) or "") for key in ("username", "password", "token"))
    problems = []
    if bool(user) != bool(password):
        has, lacks = ("username", "password") if user else ("password", "username")
        problems.append(f"has a {has} without a {lacks}; give both, or a token, or none of them")
    if token and (user or password):
        problems.append("has a token and a user's name or password; give one of the two")
    if ":" in user:
        problems.append("has a username with a colon, which ends the name in a request; use another user")
    problems += [
        f"has a {key} with a line break or another character that cannot be printed; it is one line of text"
        for key, value in (("username", user), ("password", password), ("token", token))
        if not value.isprintable()
    ]
    if " " in token:
        problems.append("has a token with a blank in it; give the token alone, without a word such as Bearer")
    return problems


def _open_problems(endpoint: t.Mapping[str, t.Any], url: str) -> list[str]:
    """Return what an endpoint without TLS must not have."""
    parts = _split(url)
    if parts is None or parts.scheme != "http":
        return []
    problems = []
    if any(endpoint.get(key) for key in ("password", "token")):
        problems.append("has credentials, which others on the way could read over http://; use https://")
    if any(endpoint.get(key) for key in ("authority", "client_certificate", "client_key")):
        problems.append("has certificates, which http:// does not use; use https://, or leave them out")
    return problems


def _file_problems(endpoint: t.Mapping[str, t.Any], files: Files) -> list[str]:
    authority, certificate, key = (
        str(endpoint.get(name) or "") for name in ("authority", "client_certificate", "client_key")
    )
    problems = []
    if bool(certificate) != bool(key):
        has, lacks = ("client_certificate", "client_key") if certificate else ("client_key", "client_certificate")
        problems.append(f"has a {has} without a {lacks}; give both or none")
    for name, path in (("authority", authority), ("client_certificate", certificate), ("client_key", key)):
        if path and files.get(path) is None:
            problems.append(f"{name} {path} cannot be read on the control node; name a file with PEM text")
    problems += [
        f"{name} {path} is not a certificate; name a file with PEM text"
        for name, path in (("authority", authority), ("client_certificate", certificate))
        if path and _public(files.get(path), certificate=True) is None
    ]
    if certificate and key and not problems and _public(files[certificate], certificate=True) != _public(files[key]):
        problems.append(f"client_key {key} is not the private key of {certificate}; name its key, without a passphrase")
    return problems


def _public(text: str | None, *, certificate: bool = False) -> bytes | None:
    """Return the public key of a certificate or of a private key; None for what is not one, and b"" for no text."""
    if text is None:
        return b""
    try:
        if certificate:
            return public_bytes(load_certificates(text.encode("utf-8"))[0].public_key())
        return public_bytes(PrivateKey.load(text.encode("utf-8")).public)
    except ValueError:
        return None
    except NameError:
        # A control node without cryptography: containerd will judge.
        return b""


def _endpoint_problems(endpoint: t.Mapping[str, t.Any], url: str, files: Files) -> list[str]:
    return _credential_problems(endpoint) + _open_problems(endpoint, url) + _file_problems(endpoint, files)


def _mirrors(registry: t.Mapping[str, t.Any], field: str, files: Files) -> list[str]:
    problems = []
    seen: set[str] = set()
    for number, mirror in enumerate(_entries(registry.get("mirrors"))):
        place, url = f"{field}.mirrors[{number}]", str(mirror.get("url") or "")
        wrong = _url_problem(url)
        if wrong:
            problems.append(f"{place}.url: {wrong}")
        elif url in seen:
            problems.append(f"{place}.url: {url} is there twice; each mirror may be there once")
        seen.add(url)
        if not mirror.get("capabilities", True):
            problems.append(f"{place}.capabilities: is empty; allowed: pull, resolve, or both")
        problems += [f"{place}: {text}" for text in _endpoint_problems(mirror, url, files)]
    return problems


def _problems(value: t.Any, files: Files) -> list[str]:
    problems = []
    directories: dict[str, str] = {}
    for number, registry in enumerate(_entries(value)):
        field, host, server = f"{_NAME}[{number}]", str(registry.get("host") or ""), str(registry.get("server") or "")
        wrong = _host_problem(host)
        if wrong:
            problems.append(f"{field}.host: {wrong}")
        elif directory_name(host) in directories:
            problems.append(f"{field}.host: {host} is there twice; put its mirrors into one entry")
        directories[directory_name(host)] = host
        wrong = _url_problem(server) if server else None
        if wrong:
            problems.append(f"{field}.server: {wrong}")
        if host == _DEFAULT and not server and any(registry.get(key) for key in ("password", "token", "client_key")):
            problems.append(
                f"{field}: {_DEFAULT} without a server would show its credentials to every registry; set server, or "
                "give them to a mirror or to an entry of its own"
            )
        problems += [f"{field}: {text}" for text in _endpoint_problems(registry, server, files)]
        problems += _mirrors(registry, field, files)
    return problems


def registry_problems(shape: Topology, values: t.Mapping[str, Settings], files: Files) -> list[str]:
    """Return what is wrong with the registries of the workers, each problem once with the hosts that have it.

    :param values: all settings, by host.
    :param files: contents of the files that :func:`registry_files` names.
    """
    return argument_problems({host: _problems(values[host].get(_NAME), files) for host in shape["workers"]})
