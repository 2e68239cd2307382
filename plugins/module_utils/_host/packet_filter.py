# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a packet filter that belong to a cluster, told from those of others.

Chains, sets and tables are known by their names. A rule in another chain belongs to the cluster when it leads to one of
its chains, uses one of its sets, is about one of its interfaces, or is one of those that a role writes.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
import typing as t

__all__ = ("INTERFACES", "SETS", "TABLES", "empty_tables", "of_pods", "restore_input")

#: kube-proxy and the kubelet; the CNI plugin portmap; flannel; Weave Net.
CHAINS = ("KUBE-", "CNI-", "FLANNEL-", "WEAVE")
#: Sets of kube-proxy and Weave Net, by the beginning of the name.
SETS = ("KUBE-", "weave-", "weaver-")
#: Tables of nft: kube-proxy, the CNI plugins portmap and bridge, the role etcd.
TABLES = ("ip kube-proxy", "ip6 kube-proxy", "inet cni_hostport", "inet cni_plugins_masquerade", "inet etcd")
#: Interfaces of the pod networks.
INTERFACES = (
    "cni0",
    "flannel.1",
    "flannel-v6.1",
    "weave",
    "vethwe-bridge",
    "vethwe-datapath",
    "vxlan-6784",
    "datapath",
    "kube-ipvs0",
)

_BASE = re.compile(r"^table (?P<family>\S+) (?P<name>\S+) \{$")
_IPTABLES = ("filter", "nat", "mangle", "raw", "security")


def _value(words: t.Sequence[str], *options: str) -> str:
    """Return the argument of the first of these options, empty without it."""
    return next((words[place + 1] for place, word in enumerate(words[:-1]) if word in options), "")


def _ours(rule: str, pods: t.Collection[str]) -> bool:
    words = shlex.split(rule)
    source, destination = _value(words, "-s"), _value(words, "-d")
    target = _value(words, "-j", "-g")
    if target.startswith(CHAINS) or _value(words, "-i") in INTERFACES or _value(words, "-o") in INTERFACES:
        return True
    if _value(words, "--match-set").startswith(SETS):
        return True
    # The unit pod-network.service, and flannel before it has chains.
    if (source in pods or destination in pods) and target in ("ACCEPT", "MASQUERADE", "RETURN"):
        return True
    # Weave Net's own API.
    return target == "DROP" and destination == "127.0.0.1/32" and _value(words, "--dport") == "6784"


def restore_input(saved: str, pods: t.Collection[str]) -> str:
    """Return what ``iptables-restore --noflush`` has to read so that the cluster's rules go; empty without any.

    :param saved: the output of ``iptables-save`` or ``ip6tables-save``.
    :param pods: the networks of all pods.
    """
    blocks: list[str] = []
    table = ""
    chains: list[str] = []
    rules: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains, rules = line, [], []
        elif line.startswith(":") and line[1:].split()[0].startswith(CHAINS):
            chains.append(line[1:].split()[0])
        elif line.startswith("-A ") and line.split()[1] not in chains and _ours(line, pods):
            rules.append(f"-D {line[3:]}")
        elif line == "COMMIT" and (chains or rules):
            # A chain that is declared is emptied. One that rules lead to cannot be deleted.
            declared = [f":{chain} - [0:0]" for chain in chains]
            blocks += [table, *declared, *rules, *(f"-X {chain}" for chain in chains), line]
    return "".join(f"{line}\n" for line in blocks)


def empty_tables(ruleset: str) -> list[tuple[str, str]]:
    """Return tables of iptables, as family and name, that have no rule and refuse nothing: iptables made them.

    :param ruleset: the output of ``nft list ruleset``.
    """
    found: list[tuple[str, str]] = []
    table: tuple[str, str] | None = None
    empty = True
    for line in ruleset.splitlines():
        start = _BASE.match(line)
        if start:
            table, empty = (start["family"], start["name"]), True
        elif line == "}" and table:
            if empty and table[0] in ("ip", "ip6") and table[1] in _IPTABLES:
                found.append(table)
            table = None
        elif table and line.strip() and not _is_frame(line.strip()):
            empty = False
    return found


def _is_frame(line: str) -> bool:
    """Whether a line is not a rule: a chain of the kernel's hooks that accepts, or the end of one."""
    return line == "}" or bool(re.match(r"chain [A-Z]+ \{$|type \w+ hook .*policy accept;$", line))


def of_pods(destination: str, pods: t.Iterable[str]) -> bool:
    """Whether a route's destination is a part of a network of pods.

    :param destination: as ``ip route`` prints it.
    :param pods: the networks of all pods.
    """
    try:
        network = ipaddress.ip_network(destination, strict=False)
        parsed = [ipaddress.ip_network(text, strict=False) for text in pods]
    except ValueError:
        return False
    return any(network.version == one.version and network.subnet_of(t.cast("t.Any", one)) for one in parsed)
