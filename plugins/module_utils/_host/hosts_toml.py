# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of containerd's hosts.toml for a registry, and the files that it names. Functions of texts alone."""

from __future__ import annotations

import base64
import json
import posixpath
import re
import typing as t

__all__ = ("CAPABILITIES", "MARK", "OWN", "Endpoint", "directory_name", "files_of", "hosts_toml")

#: The requests that a mirror is trusted with.
CAPABILITIES = ("pull", "resolve")

#: The first line of files that are written here.
MARK = "# Written by hardway.kubernetes from worker_registries. Changes are lost with the next run.\n"
# Files of an endpoint: the key in the setting, and the name's end.
_FILES = {"authority": "ca.pem", "client_certificate": "client.pem", "client_key": "client-key.pem"}
#: Names of files that are written here.
OWN = re.compile(r"(server|mirror-\d+)-(ca|client|client-key)\.pem|hosts\.toml")

#: An entry of ``worker_registries``, or of its ``mirrors``.
Endpoint = t.Mapping[str, t.Any]


def directory_name(host: str) -> str:
    """Return the directory of a registry. containerd looks for ``NAME_PORT_`` before ``NAME:PORT``."""
    found = re.fullmatch(r"(.+):(\d+)", host)
    return f"{found.group(1)}_{found.group(2)}_" if found else host


def _endpoints(registry: Endpoint) -> list[tuple[str, Endpoint]]:
    mirrors = enumerate(registry.get("mirrors") or [], 1)
    return [("server", registry), *((f"mirror-{number}", mirror) for number, mirror in mirrors)]


def files_of(registry: Endpoint) -> dict[str, str]:
    """Return the files of the control node that a registry needs, by their name on the host."""
    return {
        f"{name}-{end}": str(endpoint[key])
        for name, endpoint in _endpoints(registry)
        for key, end in _FILES.items()
        if endpoint.get(key)
    }


def _text(value: t.Any) -> str:
    # JSON's text is one of TOML's, for all that preflight lets through.
    return json.dumps(str(value), ensure_ascii=False)


def _credentials(endpoint: Endpoint) -> str:
    if endpoint.get("token"):
        return f"Bearer {endpoint['token']}"
    if endpoint.get("username"):
        pair = f"{endpoint['username']}:{endpoint.get('password') or ''}"
        return f"Basic {base64.b64encode(pair.encode('utf-8')).decode('ascii')}"
    return ""


def _fields(endpoint: Endpoint, name: str, directory: str) -> list[str]:
    paths = {key: _text(posixpath.join(directory, f"{name}-{end}")) for key, end in _FILES.items() if endpoint.get(key)}
    lines = []
    if "authority" in paths:
        lines.append(f"ca = {paths['authority']}")
    if "client_certificate" in paths:
        lines.append(f"client = [[{paths['client_certificate']}, {paths['client_key']}]]")
    if endpoint.get("override_path"):
        lines.append("override_path = true")
    return lines


def _header(endpoint: Endpoint, table: str) -> list[str]:
    credentials = _credentials(endpoint)
    return ["", f"[{table}]", f"Authorization = {_text(credentials)}"] if credentials else []


def hosts_toml(registry: Endpoint, directory: str) -> str:
    """Return the content of a registry's hosts.toml.

    :param registry: an entry of ``worker_registries``.
    :param directory: directory of the registry on the host.
    """
    lines = [f"server = {_text(registry['server'])}"] if registry.get("server") else []
    lines += _fields(registry, "server", directory) + _header(registry, "header")
    for name, mirror in _endpoints(registry)[1:]:
        table = f"host.{_text(mirror['url'])}"
        capabilities = ", ".join(_text(one) for one in mirror.get("capabilities") or CAPABILITIES)
        lines += ["", f"[{table}]", f"capabilities = [{capabilities}]"]
        lines += _fields(mirror, name, directory) + _header(mirror, f"{table}.header")
    return MARK + "\n".join(lines) + "\n"
