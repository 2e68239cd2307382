# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The article's six hosts as plain data: inventory, settings, and what is read on hosts before and after."""

from __future__ import annotations

import copy
import functools
import json
import pathlib
import typing as t

import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import identity, releases
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import settings as settings_module
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import topology as topology_module
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import read_catalogue
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.value import cluster

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[4]
CATALOGUE = read_catalogue()
KNOWN = settings_module.options(
    yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))
)
ADDRESSES = {
    "ctl01": "10.0.0.11",
    "ctl02": "10.0.0.12",
    "kubelb": "10.0.0.13",
    "wrk01": "10.0.0.14",
    "wrk02": "10.0.0.15",
    "client": "10.0.0.16",
}
PARTS = {
    "controllers": ["ctl01", "ctl02"],
    "etcd": ["ctl01", "ctl02"],
    "load_balancers": ["kubelb"],
    "workers": ["wrk01", "wrk02"],
    "clients": ["client"],
}
# Their defaults are templates of the role.
MADE = {"cluster_pki_directory": "/srv/lab/.cluster/pki"}


def topology(*, addresses: t.Mapping[str, str | None] | None = None, **parts: list[str]) -> topology_module.Topology:
    """Return the topology of the six hosts, with other addresses or parts where they are given."""
    found = {**ADDRESSES, **(addresses or {})}
    variables = {host: {"node_address": address} for host, address in found.items()}
    return topology_module.topology(variables, {**PARTS, **parts})


def settings(**changes: t.Any) -> dict[str, t.Any]:
    """Return all settings: the defaults of the roles, and changes to them as they are."""
    return {**settings_module.settings(KNOWN, MADE), **changes}


@functools.cache
def _recorded(name: str) -> dict[str, t.Any]:
    return json.loads((HERE / "readings" / f"{name}.json").read_text(encoding="utf-8"))


def reading(name: str = "empty", **changes: t.Any) -> dict[str, t.Any]:
    """Return a recorded reading (``empty``, ``controller`` or ``worker``) with changes, dictionaries merged."""
    found = copy.deepcopy(_recorded(name))
    for key, value in changes.items():
        found[key] = {**found[key], **value} if isinstance(value, dict) else value
    return found


def empty() -> dict[str, dict[str, t.Any]]:
    """Return readings of the six hosts before anything is built."""
    return {host: reading(hostname=host, addresses=["127.0.0.1", ADDRESSES[host]]) for host in ADDRESSES}


def running() -> dict[str, dict[str, t.Any]]:
    """Return readings of the six hosts of a finished cluster."""
    kinds = {
        "ctl01": reading("controller"),
        "ctl02": reading("controller", etcd={"data": {"cluster_id": "d1cfaf999eb97a2a", "member_id": "b2"}}),
        "kubelb": reading(units={"nginx.service": "active"}),
        "wrk01": reading("worker"),
        "wrk02": reading("worker"),
        "client": reading(programs={"kubectl": "1.37.2"}),
    }
    return {host: {**found, "addresses": ["127.0.0.1", ADDRESSES[host]]} for host, found in kinds.items()}


def computed(
    readings: t.Mapping[str, t.Mapping[str, t.Any]],
    *,
    hosts: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
    parts: t.Mapping[str, list[str]] | None = None,
    play: t.Mapping[str, t.Any] | None = None,
    pki: identity.PkiIdentity | None = None,
    runs: releases.Chapters | None = None,
    encryption: tuple[str, str] | None = None,
    made: t.Collection[str] = (),
    **everywhere: t.Any,
) -> dict[str, t.Any]:
    """Return the cluster that the action plugin computes from an inventory.

    :param hosts: variables of single hosts; a new host is part of the inventory too.
    :param parts: hosts by part, where they are others than the article's.
    :param play: variables of the play, which are not among those of the hosts.
    :param pki: the identity of the PKI directory.
    :param encryption: path and content of the encryption configuration.
    :param runs: the chapters of the run.
    :param made: names of files that the run would have made in the PKI directory.
    :param everywhere: variables of all hosts.
    """
    shared = {**MADE, "cluster_hosts": {**PARTS, **(parts or {})}, **(play or {}), **everywhere}
    own = {host: {"node_address": address} for host, address in ADDRESSES.items()}
    for host, variables in (hosts or {}).items():
        own[host] = {**own.get(host, {}), **variables}
    return cluster(
        known=KNOWN,
        values=shared,
        host_variables={host: {**everywhere, **variables} for host, variables in own.items()},
        readings=readings,
        catalogue=CATALOGUE,
        encryption=encryption,
        pki=pki,
        runs=runs,
        made=made,
    )
