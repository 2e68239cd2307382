# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment with which hosts download through an HTTP proxy."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import entries
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("environment", "proxy_problems")

_PROXIES = ("cluster_http_proxy", "cluster_https_proxy")


def _exceptions(shape: Topology, settings: Settings) -> list[str]:
    """Return what is reached without the proxy: this host, all hosts, pods, Services, and the user's own exceptions."""
    names = ["localhost", "127.0.0.1", "::1"]
    for host in shape["hosts"]:
        names += [host, *shape["all_addresses"][host]]
    names += [*entries(settings["cluster_pod_cidr"]), *entries(settings["cluster_service_cidr"])]
    names += [".svc", f".{settings['cluster_domain']}"]
    server = urllib.parse.urlsplit(str(settings["cluster_api_server"])).hostname
    names += [name for name in (settings["lb_virtual_address"], server) if name]
    return list(dict.fromkeys([*names, *(str(name) for name in settings["cluster_no_proxy"])]))


def environment(shape: Topology, settings: Settings) -> dict[str, str]:
    """Return the variables, empty without a proxy. Programs differ in which of the two cases they read."""
    found = {
        "http_proxy": str(settings["cluster_http_proxy"]),
        "https_proxy": str(settings["cluster_https_proxy"]),
    }
    found = {name: value for name, value in found.items() if value}
    if found:
        found["no_proxy"] = ",".join(_exceptions(shape, settings))
    return {**found, **{name.upper(): value for name, value in found.items()}}


def proxy_problems(settings: Settings) -> list[str]:
    """Return what is wrong with the proxies, one sentence each."""
    problems = []
    for name in _PROXIES:
        value = str(settings[name])
        parts = urllib.parse.urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, value))):
            problems.append(
                f"{name}: it is not the URL of a proxy; allowed: a URL such as http://proxy.example.com:3128"
            )
    names: t.Iterable[t.Any] = settings["cluster_no_proxy"]
    problems += [
        f"cluster_no_proxy: {name!r} is not one name; give each name, address or network as an entry of its own"
        for name in names
        if not str(name) or any(character.isspace() or character == "," for character in str(name))
    ]
    return problems
