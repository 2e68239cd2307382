# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One context of another kubeconfig, read into the model."""

from __future__ import annotations

import base64

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import (
    LISTS,
    Document,
    load,
    named,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import (
    Cluster,
    Context,
    ExecPlugin,
    Imported,
    User,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import is_text

__all__ = ("imported",)


def imported(content: str, where: str) -> Imported:
    """Return the context in use of a kubeconfig, or its only one, with its cluster and its user.

    :param content: its text. Certificates and keys must be embedded.
    :param where: what the text is called in messages.
    :raises KubeconfigError: for a text that is not such a kubeconfig, or has fields that would be lost.
    """
    value = load(content, where=where, advice="Give the text of a kubeconfig.")
    contexts = named(value, "contexts")
    name = str(value.get("current-context") or (next(iter(contexts)) if len(contexts) == 1 else ""))
    if name not in contexts:
        raise KubeconfigError(
            f"{where}: the context in use is {name!r}, and the contexts are: {', '.join(contexts) or 'none'}. "
            "Set its current-context with `kubectl config use-context`."
        )
    chosen = _Fields(contexts[name], f"{where}: context {name}")
    context = Context(name, chosen.text("cluster") or "", chosen.text("user") or "", chosen.text("namespace"))
    chosen.check_all_taken()
    bodies: list[_Fields] = []
    for kind, entry in (("clusters", context.cluster), ("users", context.user)):
        known = named(value, kind)
        if entry not in known:
            raise KubeconfigError(f"{where}: context {name} names {entry!r}, which is not among its {kind}.")
        bodies.append(_Fields(known[entry], f"{where}: {LISTS[kind]} {entry}"))
    of_cluster, of_user = bodies
    cluster = Cluster(
        context.cluster,
        of_cluster.text("server") or "",
        of_cluster.pem("certificate-authority-data"),
        of_cluster.text("tls-server-name"),
        of_cluster.text("proxy-url"),
    )
    user = User(
        context.user,
        of_user.pem("client-certificate-data"),
        of_user.pem("client-key-data"),
        of_user.text("token"),
        of_user.exec_plugin(),
    )
    of_cluster.check_all_taken()
    of_user.check_all_taken()
    return Imported(context, cluster, user)


class _Fields:
    """The fields of an entry, each taken once."""

    def __init__(self, body: Document, where: str) -> None:
        self.left = {name: value for name, value in body.items() if value not in (None, "", [], {})}
        self.where = where

    def text(self, name: str) -> str | None:
        value = self.left.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise KubeconfigError(f"{self.where}: {name} is not text.")
        return value

    def pem(self, name: str) -> str | None:
        data = self.text(name)
        try:
            text = None if data is None else base64.b64decode(data, validate=True).decode("utf-8")
        except ValueError as error:
            raise KubeconfigError(f"{self.where}: {name} is not base64 of PEM text.") from error
        if text is not None and not is_text(text):
            raise KubeconfigError(f"{self.where}: {name} is not base64 of PEM text.")
        return text

    def exec_plugin(self) -> ExecPlugin | None:
        body = self.left.pop("exec", None)
        if body is None:
            return None
        where = f"{self.where}: exec"
        if not isinstance(body, dict):
            raise KubeconfigError(f"{where} is not a mapping.")
        call = _Fields(body, where)
        args, env = call.left.pop("args", []), call.left.pop("env", [])
        try:
            variables = tuple((str(entry["name"]), str(entry["value"])) for entry in env)
            plugin = ExecPlugin(
                command=call.text("command") or "",
                args=tuple(str(argument) for argument in args),
                env=variables,
                api_version=call.text("apiVersion") or "",
                interactive_mode=call.text("interactiveMode") or "IfAvailable",
                provide_cluster_info=bool(call.left.pop("provideClusterInfo", False)),
                install_hint=call.text("installHint"),
            )
        except (TypeError, KeyError) as error:
            raise KubeconfigError(f"{where}: args or env is not a list as kubectl reads it.") from error
        call.check_all_taken()
        return plugin

    def check_all_taken(self) -> None:
        if self.left:
            raise KubeconfigError(
                f"{self.where} has {', '.join(map(str, self.left))}, which would be lost. Embed certificates and keys "
                "(`kubectl config view --raw --flatten`), and leave other fields out."
            )
