# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a kubeconfig file."""

from __future__ import annotations

import dataclasses

from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes

__all__ = ("Cluster", "Context", "ExecPlugin", "Imported", "User", "Wanted")


@dataclasses.dataclass(frozen=True)
class Cluster:
    name: str
    server: str
    #: A path, or PEM text.
    certificate_authority: str | None = None
    tls_server_name: str | None = None
    proxy_url: str | None = None
    #: Authorities that are trusted beside it.
    further_authorities: tuple[str, ...] = ()

    @property
    def authorities(self) -> tuple[str, ...]:
        """All authorities that are trusted, as paths or PEM text."""
        return (self.certificate_authority, *self.further_authorities) if self.certificate_authority else ()


@dataclasses.dataclass(frozen=True)
class ExecPlugin:
    command: str
    args: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    api_version: str = "client.authentication.k8s.io/v1"
    interactive_mode: str = "IfAvailable"
    provide_cluster_info: bool = False
    install_hint: str | None = None


@dataclasses.dataclass(frozen=True)
class User:
    name: str
    #: Paths, or PEM text.
    client_certificate: str | None = None
    client_key: str | None = dataclasses.field(default=None, repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)
    exec_plugin: ExecPlugin | None = None


@dataclasses.dataclass(frozen=True)
class Context:
    name: str
    cluster: str
    user: str
    namespace: str | None = None


@dataclasses.dataclass(frozen=True)
class Imported:
    """One context of another kubeconfig, with its cluster and its user."""

    context: Context
    cluster: Cluster
    user: User

    def renamed(self, *, context: str | None, cluster_name: str | None, user: str | None) -> Imported:
        """Return the same under other names, as far as they are given."""
        cluster = dataclasses.replace(self.cluster, name=cluster_name or self.cluster.name)
        owner = dataclasses.replace(self.user, name=user or self.user.name)
        joined = Context(context or self.context.name, cluster.name, owner.name, self.context.namespace)
        return Imported(joined, cluster, owner)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One kubeconfig file as it is meant to be."""

    path: str
    clusters: tuple[Cluster, ...]
    users: tuple[User, ...]
    contexts: tuple[Context, ...]
    current_context: str
    embed_certs: bool
    verify: bool
    attributes: Attributes
    #: Keep what else is in the file. Then current_context may be empty, which leaves that alone as well.
    merge: bool = False
    #: A kubeconfig that it takes entries from is empty: check mode did not make it.
    content_missing: bool = False
