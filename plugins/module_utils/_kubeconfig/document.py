# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs as YAML: read, made from the model, merged and rendered as `kubectl config` writes them."""

from __future__ import annotations

import base64
import functools
import os
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import (
    Cluster,
    Context,
    User,
    Wanted,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import Sources, is_text

YAML_ERROR: ImportError | None = None
try:
    import yaml
except ImportError as _error:
    YAML_ERROR = _error

__all__ = ("Document", "LISTS", "YAML_ERROR", "document", "load", "merged", "named", "parse", "render")

#: A kubeconfig as YAML gives it.
Document = dict[str, t.Any]
#: The lists of a kubeconfig, and the field that holds the body of each entry.
LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}

# Text that every YAML reader takes for text. All other text is quoted.
_PLAIN = re.compile(r"[A-Za-z_/(][A-Za-z0-9_./:@+=,()-]*(?: [A-Za-z0-9_./:@+=,()-]+)*")
_RESERVED = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


# --- YAML ------------------------------------------------------------------------------------------


@functools.cache
def _loader() -> type:
    """Return a loader for which dates are the text that they are for kubectl."""
    resolvers = {
        first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {"yaml_implicit_resolvers": resolvers})


@functools.cache
def _dumper() -> type:
    """Return a dumper that quotes what kubectl's reader would take for something else than text, such as y."""

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _is_plain(text) else '"')

    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda _self, _data: True})
    yaml.add_representer(str, represent, Dumper=dumper)
    return dumper


def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text) or text.endswith(":") or ": " in text:
        return False
    return text.lower() not in _RESERVED


def render(value: Document) -> str:
    """Return a kubeconfig in block style with sorted keys, as kubectl writes it."""
    text: str = yaml.dump(value, Dumper=_dumper(), allow_unicode=True, default_flow_style=False, width=1 << 20)
    return text


def _value(content: bytes | str) -> t.Any:
    try:
        # Bytes, because libyaml takes no text that Ansible has tagged.
        encoded = content if isinstance(content, bytes) else content.encode("utf-8")
        return yaml.load(encoded, Loader=_loader())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ValueError("it is not YAML") from error


def parse(content: bytes) -> Document | None:
    """Return what is in a file, or None when it does not hold a YAML mapping."""
    try:
        value = _value(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def load(content: bytes | str, *, where: str, advice: str) -> Document:
    """Return a kubeconfig whose entries are going to be used; an empty one has none.

    :param where: the file, in messages.
    :param advice: the next step, in messages.
    :raises KubeconfigError: for what kubectl would not read either.
    """
    try:
        value = _value(content)
    except ValueError as error:
        raise KubeconfigError(f"{where} is not YAML that can be read. {advice}") from error
    value = {} if value is None else value
    if not isinstance(value, dict) or value.get("kind", "Config") != "Config":
        raise KubeconfigError(f"{where} is not a kubeconfig. {advice}")
    for name in LISTS:
        entries = value.get(name)
        if entries is not None and not (
            isinstance(entries, list) and all(isinstance(entry, dict) and "name" in entry for entry in entries)
        ):
            raise KubeconfigError(f"{where}: {name} is not a list of entries with names. {advice}")
        # kubectl refuses it as well: "cannot unmarshal number into Go struct field NamedCluster.clusters.name".
        for number, entry in enumerate(entries or [], 1):
            if not isinstance(entry["name"], str):
                raise KubeconfigError(f"{where}: the name of entry {number} of {name} is not text. {advice}")
    return value


def named(value: Document, name: str) -> dict[str, Document]:
    """Return the bodies of one of the lists by the names of their entries; what is not an entry is left out."""
    field = LISTS[name]
    entries = value.get(name)
    return {
        str(entry.get("name")): entry[field]
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get(field), dict)
    }


def merged(kept: Document, ours: Document) -> Document:
    """Return what is there, with our entries in the place of those of the same name."""
    result: Document = {"apiVersion": "v1", "kind": "Config", "preferences": {}, **kept}
    for name in LISTS:
        fresh = {entry["name"]: entry for entry in ours[name]}
        result[name] = [fresh.pop(entry["name"], entry) for entry in kept.get(name) or []]
        result[name] += fresh.values()
    if ours["current-context"]:
        result["current-context"] = ours["current-context"]
    elif not kept.get("current-context"):
        result["current-context"] = ours["contexts"][0]["name"] if ours["contexts"] else ""
    return result


# --- from the model --------------------------------------------------------------------------------


def document(wanted: Wanted, sources: Sources) -> Document:
    """Return a file as data.

    :raises KubeconfigError: for a certificate or key that cannot be read.
    """
    embed = _Embedding(wanted, sources)
    clusters = {entry.name: _cluster(entry, embed) for entry in wanted.clusters}
    contexts = {entry.name: _context(entry) for entry in wanted.contexts}
    users = {entry.name: _user(entry, embed) for entry in wanted.users}
    return {
        "apiVersion": "v1",
        "clusters": [{"cluster": body, "name": name} for name, body in sorted(clusters.items())],
        "contexts": [{"context": body, "name": name} for name, body in sorted(contexts.items())],
        "current-context": wanted.current_context,
        "kind": "Config",
        "preferences": {},
        "users": [{"name": name, "user": body} for name, body in sorted(users.items())],
    }


class _Embedding:
    """Certificates and keys in a file, or their paths."""

    def __init__(self, wanted: Wanted, sources: Sources) -> None:
        self.wanted = wanted
        self.sources = sources

    def __call__(self, name: str, value: str | None) -> Document:
        if not value:
            return {}
        if self.wanted.embed_certs or is_text(value):
            return {f"{name}-data": base64.b64encode(self.sources.read(value, where=name)).decode("ascii")}
        path = os.path.expanduser(value)
        if not os.path.isabs(path):
            # client-go starts relative paths at the kubeconfig's own directory, and does not resolve a link before.
            path = os.path.relpath(self.sources.path(value, where=name), os.path.dirname(self.wanted.path))
        return {name: path}

    def authority(self, cluster: Cluster) -> Document:
        """Return all authorities that clients trust."""
        if not cluster.further_authorities:
            return self("certificate-authority", cluster.certificate_authority)
        pem = self.sources.authority(cluster, where="certificate-authority")
        return {"certificate-authority-data": base64.b64encode(pem).decode("ascii")}


def _cluster(entry: Cluster, embed: _Embedding) -> Document:
    body = {"server": entry.server, **embed.authority(entry)}
    if entry.proxy_url:
        body["proxy-url"] = entry.proxy_url
    if entry.tls_server_name:
        body["tls-server-name"] = entry.tls_server_name
    return body


def _context(entry: Context) -> Document:
    body = {"cluster": entry.cluster, "user": entry.user}
    if entry.namespace:
        body["namespace"] = entry.namespace
    return body


def _user(entry: User, embed: _Embedding) -> Document:
    body = {**embed("client-certificate", entry.client_certificate), **embed("client-key", entry.client_key)}
    plugin = entry.exec_plugin
    if plugin:
        call: Document = {"apiVersion": plugin.api_version, "command": plugin.command}
        if plugin.args:
            call["args"] = list(plugin.args)
        if plugin.env:
            call["env"] = [{"name": name, "value": value} for name, value in plugin.env]
        if plugin.install_hint:
            call["installHint"] = plugin.install_hint
        call["interactiveMode"] = plugin.interactive_mode
        call["provideClusterInfo"] = plugin.provide_cluster_info
        body["exec"] = call
    if entry.token:
        body["token"] = entry.token
    return body
