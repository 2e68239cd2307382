# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line flags of the programs that run as units, as people give them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import argument_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("EXTRA_FLAGS", "command_flags", "flag_problems", "flag_warnings")

#: The settings with flags, and the group of the topology whose hosts read each.
EXTRA_FLAGS: t.Mapping[str, str] = {
    "apiserver_extra_flags": "controllers",
    "controller_manager_extra_flags": "controllers",
    "scheduler_extra_flags": "controllers",
    "etcd_extra_flags": "etcd",
}

_NAME = re.compile(r"[A-Za-z0-9]+([.-][A-Za-z0-9]+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# systemd would end the word, or read more into it.
_QUOTED = re.compile(r"[\s\"'\\]")

_ROLES_OWN = "leave it out: the role sets it"
_PORT = "leave it out: health checks and the load balancer use this port and address"
# Flags on which other parts of the cluster rely, with what is meant for a change of them.
_RELIED_ON: t.Mapping[str, t.Mapping[str, str]] = {
    "apiserver_extra_flags": {
        "admission-control-config-file": "set apiserver_pod_security",
        "advertise-address": "set node_address",
        "bind-address": _PORT,
        "secure-port": _PORT,
        "authentication-config": "set apiserver_authentication",
        "audit-log-path": "set apiserver_audit_log_directory",
        "authorization-mode": "leave it out: nodes need Node, everything else RBAC",
        "client-ca-file": _ROLES_OWN,
        "encryption-provider-config": _ROLES_OWN,
        "etcd-cafile": _ROLES_OWN,
        "etcd-certfile": _ROLES_OWN,
        "etcd-keyfile": _ROLES_OWN,
        "etcd-servers": "set the hosts of group etcd",
        "kubelet-certificate-authority": _ROLES_OWN,
        "kubelet-client-certificate": _ROLES_OWN,
        "kubelet-client-key": _ROLES_OWN,
        "service-account-key-file": _ROLES_OWN,
        "service-account-signing-key-file": _ROLES_OWN,
        "service-cluster-ip-range": "set cluster_service_cidr",
        "service-node-port-range": "set cluster_node_port_range",
        "tls-cert-file": _ROLES_OWN,
        "tls-private-key-file": _ROLES_OWN,
    },
    "controller_manager_extra_flags": {
        "allocate-node-cidrs": _ROLES_OWN,
        "bind-address": _PORT,
        "secure-port": _PORT,
        "cluster-cidr": "set cluster_pod_cidr",
        "cluster-name": "set cluster_name",
        "cluster-signing-cert-file": "set controller_manager_sign_certificates",
        "cluster-signing-key-file": "set controller_manager_sign_certificates",
        "kubeconfig": _ROLES_OWN,
        "node-cidr-mask-size": "set cluster_node_prefix_length",
        "node-cidr-mask-size-ipv4": "set cluster_node_prefix_length",
        "node-cidr-mask-size-ipv6": "set cluster_node_prefix_length",
        "root-ca-file": _ROLES_OWN,
        "service-account-private-key-file": _ROLES_OWN,
        "service-cluster-ip-range": "set cluster_service_cidr",
    },
    "scheduler_extra_flags": {"bind-address": _PORT, "secure-port": _PORT, "config": _ROLES_OWN},
    "etcd_extra_flags": {
        "name": "leave it out: a member has its host's name",
        "data-dir": "set etcd_data_directory",
        "advertise-client-urls": "set node_address",
        "initial-advertise-peer-urls": "set node_address",
        "listen-client-urls": "set node_address",
        "listen-peer-urls": "set node_address",
        "initial-cluster": _ROLES_OWN,
        "initial-cluster-state": _ROLES_OWN,
        "force-new-cluster": "leave it out: every start would make a new cluster of one member",
        "cert-file": _ROLES_OWN,
        "key-file": _ROLES_OWN,
        "trusted-ca-file": _ROLES_OWN,
        "client-cert-auth": _ROLES_OWN,
        "peer-cert-file": _ROLES_OWN,
        "peer-key-file": _ROLES_OWN,
        "peer-trusted-ca-file": _ROLES_OWN,
        "peer-cert-allowed-cn": _ROLES_OWN,
        "peer-cert-allowed-hostname": "leave it out: members are known by the common name of their certificates",
        "peer-client-cert-auth": _ROLES_OWN,
    },
}


def _text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _word(name: str, value: t.Any) -> str:
    """Return a flag as one word of ``ExecStart=``: systemd resolves quotes, escapes, specifiers and variables."""
    word = f"--{name}={_text(value)}".replace("%", "%%").replace("$", "$$")
    if not _QUOTED.search(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_name(name: t.Any) -> None:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return
    right = re.sub(r"[_\s]+", "-", str(name).partition("=")[0].strip().lstrip("-"))
    hint = f"; write {right}" if _NAME.fullmatch(right) else ""
    raise ValueError(f"flag {name}: a name is without dashes in front, has '-' for '_', and no '='{hint}")


def _check_value(name: str, value: t.Any) -> None:
    if isinstance(value, t.Mapping):
        pairs = ",".join(f"{key}={_text(entry)}" for key, entry in value.items())
        raise ValueError(
            f"flag {name}: a value is a string, number, boolean, null or a list of them, found a dictionary; a flag "
            f"of pairs is a string such as {pairs or 'A=true,B=false'}"
        )
    if isinstance(value, (list, tuple)):
        raise ValueError(
            f"flag {name}: a value is a string, number, boolean, null or a list of them, found a list in a list"
        )
    if isinstance(value, str) and _CONTROL.search(value):
        raise ValueError(f"flag {name}: {value!r} has a line break or another control character; a unit file cannot")


def _words(name: t.Any, value: t.Any) -> list[str]:
    """Return one flag as a command line takes it.

    :raises ValueError: it is not a flag.
    """
    _check_name(name)
    singles = value if isinstance(value, (list, tuple)) else [value]
    for single in singles:
        _check_value(name, single)
    return [_word(name, single) for single in singles if single is not None]


def command_flags(flags: t.Mapping[str, t.Any]) -> list[str]:
    """Return flags as ``ExecStart=`` of a unit file takes them, sorted by name.

    :param flags: values by name without dashes. A list repeats the flag, booleans become ``true`` and ``false``,
        None leaves the flag out. Characters that systemd interprets are quoted.
    :raises ValueError: the input is not a dictionary, or has something that is not a flag.
    """
    if not isinstance(flags, t.Mapping):
        raise ValueError(f"flags are a dictionary of values by name, found {type(flags).__name__}")
    return [
        word for name, value in sorted(flags.items(), key=lambda flag: str(flag[0])) for word in _words(name, value)
    ]


def _given(shape: Topology, values: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[tuple[str, str, t.Any, t.Any]]:
    """Return host, setting, name and value of each further flag that a host of its part reads."""
    for setting, part in EXTRA_FLAGS.items():
        for host in shape[part]:  # type: ignore[literal-required]
            flags = values.get(host, {}).get(setting)
            for name, value in (flags or {}).items():
                yield host, setting, name, value


def flag_problems(shape: Topology, values: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return what is wrong with the ``*_extra_flags`` settings, each problem once with the hosts that have it.

    :param values: settings by host.
    """
    found: dict[str, list[str]] = {}
    for host, setting, name, value in _given(shape, values):
        try:
            _words(name, value)
        except ValueError as error:
            found.setdefault(host, []).append(f"{setting}: {error}")
    return argument_problems(found)


def flag_warnings(shape: Topology, values: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return the flags on which other parts of the cluster rely, with what to do instead.

    :param values: settings by host.
    """
    found: dict[str, list[str]] = {}
    for host, setting, name, _value in _given(shape, values):
        instead = _RELIED_ON[setting].get(name)
        if instead:
            found.setdefault(host, []).append(
                f"{setting} overrides --{name}, on which other parts of the cluster rely; {instead}"
            )
    return argument_problems(found)
