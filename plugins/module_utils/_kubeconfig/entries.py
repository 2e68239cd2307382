# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's option ``kubeconfigs``, turned into the files that it describes."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import (
    Cluster,
    Context,
    ExecPlugin,
    Imported,
    User,
    Wanted,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import is_text

__all__ = ("Entry", "ExecEntry", "wanted_files")

CLUSTER_NAME = "kubernetes-the-hard-way"
CONTEXT_NAME = "default"


class ExecEntry(t.TypedDict):
    """The option ``exec`` of the module."""

    command: str
    args: list[str]
    env: dict[str, object]
    api_version: str
    interactive_mode: str
    provide_cluster_info: bool
    install_hint: str | None


class Entry(t.TypedDict):
    """One entry of the option ``kubeconfigs`` of the module, where ``exec`` is a key and not a Python name."""

    path: str
    content: str | None
    cluster_name: str | None
    server: str | None
    certificate_authority: str | None
    further_authorities: list[str] | None
    tls_server_name: str | None
    proxy_url: str | None
    user: str | None
    client_certificate: str | None
    client_key: str | None
    token: str | None
    exec: ExecEntry | None
    context: str | None
    namespace: str | None
    current_context: str | None
    embed_certs: bool
    merge: bool
    verify: bool
    mode: str
    owner: str | None
    group: str | None


def wanted_files(
    entries: t.Iterable[Entry], *, locate: t.Callable[[str], str], read: t.Callable[[str, str], Imported]
) -> list[Wanted]:
    """Return the files that the module's entries describe, in the order in which each is named first.

    :param locate: returns the absolute path that the option ``path`` means.
    :param read: returns the context of the kubeconfig whose text is given; its second argument names it in messages.
    :raises KubeconfigError: for entries that contradict each other.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(locate(entry["path"]), []).append(entry)
    targets: dict[str, str] = {}
    for path in groups:
        other = targets.setdefault(os.path.realpath(path), path)
        if other != path:
            raise KubeconfigError(f"{path} and {other} are the same file. Name a file in one way.")
    return [_file(path, group, read) for path, group in groups.items()]


@dataclasses.dataclass
class _Parts:
    """The clusters, users and contexts of the entries of one file."""

    clusters: list[Cluster] = dataclasses.field(default_factory=list)
    users: list[User] = dataclasses.field(default_factory=list)
    contexts: list[Context] = dataclasses.field(default_factory=list)
    content_missing: bool = False


def _file(path: str, entries: list[Entry], read: t.Callable[[str, str], Imported]) -> Wanted:
    first = entries[0]
    parts = _Parts()
    for entry in entries:
        _check_agreement(path, first, entry)
        if entry["content"] is None:
            _add_given(parts, path, entry)
        elif entry["content"].strip():
            _add_imported(parts, read(entry["content"], f"{path}: content"), entry)
        else:
            parts.content_missing = True
    current = list(dict.fromkeys(entry["current_context"] for entry in entries if entry["current_context"]))
    if len(current) > 1:
        raise KubeconfigError(f"{path}: current_context is given as {' and as '.join(current)}. Give it once.")
    if not current and not first["merge"]:
        current = [context.name for context in parts.contexts]
    return Wanted(
        path=path,
        # Entries of one file may share a cluster or a user.
        clusters=tuple(dict.fromkeys(parts.clusters)),
        users=_defined(parts.users, merge=first["merge"]),
        contexts=tuple(parts.contexts),
        current_context=current[0] if current else "",
        embed_certs=first["embed_certs"],
        verify=first["verify"],
        merge=first["merge"],
        attributes=Attributes.parse(owner=first["owner"], group=first["group"], mode=first["mode"]),
        content_missing=parts.content_missing,
    )


def _add_given(parts: _Parts, path: str, entry: Entry) -> None:
    further = tuple(entry["further_authorities"] or ())
    _check_further(path, entry, further)
    of_cluster = {
        "certificate_authority": entry["certificate_authority"],
        "tls_server_name": entry["tls_server_name"],
        "proxy_url": entry["proxy_url"],
    }
    of_user = {
        "client_certificate": entry["client_certificate"],
        "client_key": entry["client_key"],
        "token": entry["token"],
        "exec": entry["exec"],
        "namespace": entry["namespace"],
    }
    cluster_name = entry["cluster_name"] or CLUSTER_NAME
    if entry["server"]:
        parts.clusters.append(Cluster(cluster_name, entry["server"], **of_cluster, further_authorities=further))
    else:
        _refuse_left_over(of_cluster, f"{path}: {{}} is given, but there is no cluster for it. Give 'server'.")
    if entry["user"]:
        parts.users.append(_user(entry, entry["user"], path))
        parts.contexts.append(
            Context(entry["context"] or CONTEXT_NAME, cluster_name, entry["user"], entry["namespace"])
        )
    else:
        _refuse_left_over(of_user, f"{path}: {{}} is given, but there is no user for it. Give 'user'.")


def _check_further(path: str, entry: Entry, further: tuple[str, ...]) -> None:
    """Refuse further authorities that the file cannot name, or that have nothing to be beside."""
    for name in ("server", "certificate_authority", "embed_certs") if further else ():
        if not entry[name]:
            raise KubeconfigError(
                f"{path}: further_authorities is given, and {name} is {entry[name]!r}. They are trusted beside "
                "certificate_authority, and a file can have several only as embedded certificates: give "
                "certificate_authority and server, and leave out embed_certs."
            )


def _refuse_left_over(options: t.Mapping[str, object], message: str) -> None:
    for name, value in options.items():
        if value:
            raise KubeconfigError(message.format(name))


def _add_imported(parts: _Parts, found: Imported, entry: Entry) -> None:
    """Take the context of another kubeconfig under the names that the entry gives."""
    taken = found.renamed(context=entry["context"], cluster_name=entry["cluster_name"], user=entry["user"])
    parts.clusters.append(taken.cluster)
    parts.users.append(taken.user)
    parts.contexts.append(dataclasses.replace(taken.context, namespace=entry["namespace"] or taken.context.namespace))


def _check_agreement(path: str, first: Entry, other: Entry) -> None:
    """Refuse entries of one file that want different things of the file."""
    pairs: dict[str, tuple[object, object]] = {
        "embed_certs": (first["embed_certs"], other["embed_certs"]),
        "group": (first["group"], other["group"]),
        "merge": (first["merge"], other["merge"]),
        "mode": (first["mode"], other["mode"]),
        "owner": (first["owner"], other["owner"]),
        "verify": (first["verify"], other["verify"]),
    }
    for name, (one, two) in pairs.items():
        if one != two:
            raise KubeconfigError(
                f"{path}: {name} is {one!r} in one of its entries and {two!r} in another. "
                f"It is said of the file: give all entries with this path the same {name}."
            )


def _user(entry: Entry, name: str, path: str) -> User:
    key = entry["client_key"]
    if key and is_text(key):
        raise KubeconfigError(
            f"{path}: user {name}: client_key must be a path, so that the key itself stays out of variables and logs."
        )
    return User(name, entry["client_certificate"], key, entry["token"], _exec_plugin(entry["exec"]))


def _exec_plugin(entry: ExecEntry | None) -> ExecPlugin | None:
    if entry is None:
        return None
    return ExecPlugin(
        command=entry["command"],
        args=tuple(entry["args"]),
        env=tuple((name, str(value)) for name, value in entry["env"].items()),
        api_version=entry["api_version"],
        interactive_mode=entry["interactive_mode"],
        provide_cluster_info=entry["provide_cluster_info"],
        install_hint=entry["install_hint"],
    )


def _defined(users: list[User], *, merge: bool) -> tuple[User, ...]:
    """Return each user once; one without credentials is the name of another, or of one that is in the file."""
    named = {user.name for user in users if user != User(user.name)}
    return tuple(
        user for user in dict.fromkeys(users) if user != User(user.name) or (not merge and user.name not in named)
    )
