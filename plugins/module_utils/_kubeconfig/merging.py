# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contexts of kubeconfigs as text, and one merged into another: for files of hosts that have python3 alone."""

from __future__ import annotations

import datetime as dt

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.checks import check
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.differences import same
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import (
    YAML_ERROR,
    document,
    load,
    merged,
    render,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.imports import imported
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import Wanted
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.sources import Sources
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.requirements import (
    CRYPTOGRAPHY,
    CRYPTOGRAPHY_ERROR,
)

__all__ = ("kubeconfig_contexts", "kubeconfig_merge")

_ADVICE = "Repair it or move it away."


def kubeconfig_contexts(kubeconfig: str) -> list[str]:
    """Return the names of a kubeconfig's contexts.

    :raises KubeconfigError: it cannot be read.
    """
    if YAML_ERROR is not None:
        raise KubeconfigError(f"PyYAML is needed on the control node: {YAML_ERROR}.")
    found = load(kubeconfig, where="the kubeconfig that is there", advice=_ADVICE)
    return [context["name"] for context in found.get("contexts") or []]


def kubeconfig_merge(
    kubeconfig: str,
    content: str,
    *,
    context: str | None = None,
    cluster_name: str | None = None,
    user: str | None = None,
) -> str:
    """Return a kubeconfig with the context in use of another one; unchanged when that is in it already.

    :param kubeconfig: the text whose other entries, and whose context in use, stay.
    :param content: the text of the other one. Certificates and keys must be embedded.
    :param context: the name to give the context.
    :param cluster_name: the name to give its cluster.
    :param user: the name to give its user.
    :raises KubeconfigError: when one of them cannot be read, or credentials cannot be used.
    """
    for library, error in ((CRYPTOGRAPHY, CRYPTOGRAPHY_ERROR), ("PyYAML", YAML_ERROR)):
        if error is not None:
            raise KubeconfigError(f"{library} is needed on the control node: {error}.")
    kept = load(kubeconfig, where="the kubeconfig to merge into", advice=_ADVICE)
    # PyYAML writes plain text alone, and text of a template is tagged.
    taken = imported(content, "content").renamed(
        context=context and str(context), cluster_name=cluster_name and str(cluster_name), user=user and str(user)
    )
    wanted = Wanted(
        path="content",
        clusters=(taken.cluster,),
        users=(taken.user,),
        contexts=(taken.context,),
        current_context="",
        embed_certs=True,
        verify=True,
        attributes=Attributes(),
        merge=True,
    )
    sources = Sources(None, now=dt.datetime.now(dt.timezone.utc))
    check(wanted, sources, kept)
    result = merged(kept, document(wanted, sources))
    return kubeconfig if same(kept, result) else render(result)
