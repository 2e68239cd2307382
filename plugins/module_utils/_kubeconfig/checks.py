# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse before anything is written what kubectl or the API server would refuse later."""

from __future__ import annotations

import datetime as dt
import re
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import Document, named
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import Cluster, User, Wanted
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import Sources

__all__ = ("check",)

HOW_TO_GIVE = {
    "cluster": "Give 'server'.",
    "user": "Give 'user'.",
    "context": "Give 'user' and 'server'.",
}


def check(wanted: Wanted, sources: Sources, kept: Document | None = None) -> dt.datetime | None:
    """Check everything about one file.

    :param kept: the file that is merged with. Its entries can be named, and are not checked.
    :returns: when the first of its client certificates expires.
    :raises KubeconfigError: with file and field.
    """
    where = wanted.path
    if wanted.merge and not (wanted.clusters or wanted.users or wanted.contexts or wanted.current_context):
        raise KubeconfigError(f"{where}: the entry is empty. Give server, user, content or current_context.")
    for kind, names in (
        ("cluster", [entry.name for entry in wanted.clusters]),
        ("user", [entry.name for entry in wanted.users]),
        ("context", [entry.name for entry in wanted.contexts]),
    ):
        _check_names(names, kind, wanted)
    for cluster in wanted.clusters:
        _check_cluster(cluster, f"{where}: cluster {cluster.name}")
    for user in wanted.users:
        _check_user(user, f"{where}: user {user.name}")
    _check_references(wanted, kept or {})
    if sources.changing(wanted):
        return None  # The present content does not matter: an earlier task changes it.
    return _check_certificates(wanted, sources)


def _check_names(names: list[str], kind: str, wanted: Wanted) -> None:
    where = wanted.path
    if not names and not wanted.merge:
        raise KubeconfigError(f"{where}: there is no {kind}. {HOW_TO_GIVE[kind]}")
    for name in names:
        if not name or not name.isprintable():
            raise KubeconfigError(f"{where}: the {kind} name {name!r} is empty or has control characters.")
        if names.count(name) > 1:
            raise KubeconfigError(
                f"{where}: {kind} {name!r} occurs twice. Give each its own name, and each file its own path."
            )


def _check_references(wanted: Wanted, kept: Document) -> None:
    where = wanted.path
    clusters = dict.fromkeys((*(entry.name for entry in wanted.clusters), *named(kept, "clusters")))
    users = dict.fromkeys((*(entry.name for entry in wanted.users), *named(kept, "users")))
    for context in wanted.contexts:
        for kind, name, known in (("cluster", context.cluster, clusters), ("user", context.user, users)):
            if name not in known:
                raise KubeconfigError(
                    f"{where}: context {context.name} names the {kind} {name!r}. "
                    f"There is only: {', '.join(known) or 'none'}."
                )
    contexts = dict.fromkeys((*(entry.name for entry in wanted.contexts), *named(kept, "contexts")))
    if wanted.current_context not in contexts and not (wanted.merge and not wanted.current_context):
        raise KubeconfigError(
            f"{where}: current_context {wanted.current_context!r} is not among the contexts: "
            f"{', '.join(contexts) or 'none'}."
        )


def _check_certificates(wanted: Wanted, sources: Sources) -> dt.datetime | None:
    where = wanted.path
    ends = []
    for cluster in wanted.clusters:
        if cluster.authorities:
            place = f"{where}: cluster {cluster.name}: certificate_authority"
            sources.authority(cluster, where=place)
            if wanted.verify:
                sources.check_authority(cluster, where=place)
    for user in wanted.users:
        if user.client_certificate and user.client_key:
            place = f"{where}: user {user.name}"
            sources.read(user.client_certificate, where=f"{place}: client_certificate")
            sources.read(user.client_key, where=f"{place}: client_key")
            if wanted.verify:
                ends.append(sources.check_client(user.client_certificate, user.client_key, where=place))
    clusters = {entry.name: entry for entry in wanted.clusters}
    users = {entry.name: entry for entry in wanted.users}
    for context in wanted.contexts if wanted.verify else ():
        if context.user in users and context.cluster in clusters:
            sources.check_chain(users[context.user], clusters[context.cluster], where=f"{where}: user {context.user}")
    return min(ends, default=None)


def _check_cluster(cluster: Cluster, where: str) -> None:
    _check_url(cluster.server, ("https",), f"{where}: server")
    if cluster.proxy_url:
        _check_url(cluster.proxy_url, ("http", "https", "socks5"), f"{where}: proxy_url")


def _check_url(url: str, schemes: tuple[str, ...], where: str) -> None:
    # The URL may hold a password, so that messages show it without.
    shown = re.sub(r"//[^/@]*@", "//...@", url)
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise KubeconfigError(f"{where} is {shown!r}, which is not a URL ({error}).") from error
    if parts.scheme not in schemes:
        raise KubeconfigError(
            f"{where} is {shown!r}: it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}."
        )
    if not host or port == 0 or any(character.isspace() for character in url):
        raise KubeconfigError(f"{where} is {shown!r}: there is no host in it.")


def _check_user(user: User, where: str) -> None:
    if bool(user.client_certificate) != bool(user.client_key):
        given, lacking = (
            ("client_certificate", "client_key") if user.client_certificate else ("client_key", "client_certificate")
        )
        raise KubeconfigError(f"{where} has {given} but no {lacking}. They go together.")
    if not (user.client_certificate or user.token or user.exec_plugin):
        raise KubeconfigError(
            f"{where} has nothing to log in with: give client_certificate and client_key, token or exec."
        )
    if user.token and user.exec_plugin:
        raise KubeconfigError(f"{where} has both token and exec. Give one of them.")
