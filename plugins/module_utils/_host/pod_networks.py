# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take what pod networks and kube-proxy leave in the kernel off a host: rules, sets, interfaces and routes."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.packet_filter import (
    INTERFACES,
    SETS,
    TABLES,
    empty_tables,
    of_pods,
    restore_input,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.removal import Step

__all__ = ("Kernel",)

# The tables of iptables' first implementation, which exist when it was used.
_LEGACY = "/proc/net/{prefix}_tables_names"
_NAMESPACES = "/run/netns"


class Command(t.Protocol):
    """Runs a command, with text on its standard input, and returns (return code, stdout, stderr)."""

    def __call__(self, arguments: list[str], data: str | None = None) -> tuple[int, str, str]:
        """Run it."""


class Kernel:
    """Traces of a cluster in the kernel of this host.

    :param pods: the networks of all pods, one of each address family.
    :param run: runs a command.
    :param find: returns the path of a program, None where the host does not have it.
    """

    def __init__(self, *, pods: t.Sequence[str], run: Command, find: t.Callable[[str], str | None]) -> None:
        self._pods = pods
        self._run = run
        self._find = find

    def steps(self) -> list[Step]:
        """Return what has to be done, in its order. Nothing is changed."""
        found = self._of_links()
        for family, prefix in (("iptables", "ip"), ("ip6tables", "ip6")):
            for kind in self._kinds(family, prefix):
                found += self._of_rules(kind)
        return found + self._of_tables() + self._of_sets() + self._of_routes() + self._of_namespaces()

    def _must(self, *arguments: str, data: str | None = None) -> None:
        code, out, err = self._run(list(arguments), data=data)
        if code != 0:
            raise HardwayError(f"{' '.join(arguments)} failed: {err.strip() or out.strip()}")

    def _read(self, *arguments: str) -> str:
        if self._find(arguments[0]) is None:
            return ""
        code, out, err = self._run(list(arguments))
        if code != 0:
            raise HardwayError(f"{' '.join(arguments)} failed: {err.strip() or out.strip()}")
        return out

    def _kinds(self, family: str, prefix: str) -> list[str]:
        """Return the implementations of iptables that the host has and that may have rules."""
        found = [f"{family}-nft"] if self._find(f"{family}-nft-save") else []
        if self._find(f"{family}-legacy-save") and _has_text(_LEGACY.format(prefix=prefix)):
            found.append(f"{family}-legacy")
        return found or ([family] if self._find(f"{family}-save") else [])

    def _of_rules(self, kind: str) -> list[Step]:
        text = restore_input(self._read(f"{kind}-save"), self._pods)
        if not text:
            return []
        chains = sum(line.startswith("-X") for line in text.splitlines())
        rules = sum(line.startswith("-D") for line in text.splitlines())
        words = f"remove {chains} chains and {rules} other rules with {kind}"
        return [Step(words, lambda: self._remove_rules(kind))]

    def _remove_rules(self, kind: str) -> None:
        text = restore_input(self._read(f"{kind}-save"), self._pods)
        if text:
            self._must(f"{kind}-restore", "--noflush", "--wait", data=text)

    def _of_tables(self) -> list[Step]:
        found = []
        for line in self._read("nft", "list", "tables").splitlines():
            _word, family, name = line.split()[:3]
            if f"{family} {name}" in TABLES:
                found.append(self._delete(family, name))
        if self._find("nft"):
            # Empty ones are seen after the rules have gone.
            empty = empty_tables(self._read("nft", "list", "ruleset"))
            if empty or any(self._of_rules(kind) for kind in ("iptables-nft", "ip6tables-nft") if self._has(kind)):
                found.append(Step("remove tables of iptables that are empty", self._delete_empty))
        return found

    def _has(self, kind: str) -> bool:
        return self._find(f"{kind}-save") is not None

    def _delete(self, family: str, name: str) -> Step:
        return Step(f"remove the table {family} {name}", lambda: self._must("nft", "delete", "table", family, name))

    def _delete_empty(self) -> None:
        for family, name in empty_tables(self._read("nft", "list", "ruleset")):
            self._must("nft", "delete", "table", family, name)

    def _of_sets(self) -> list[Step]:
        names = [name for name in self._read("ipset", "list", "-name").splitlines() if name.startswith(SETS)]
        # A set of sets comes before those in it.
        return [self._destroy(name) for name in reversed(names)]

    def _destroy(self, name: str) -> Step:
        return Step(f"remove the set {name}", lambda: self._must("ipset", "destroy", name))

    def _of_links(self) -> list[Step]:
        links = json.loads(self._read("ip", "-json", "link", "show") or "[]")
        names = [link["ifname"] for link in links]
        # Ends of pods that are gone, which are connected to a bridge of the pod network.
        left = [link["ifname"] for link in links if link.get("master") in INTERFACES]
        ours = dict.fromkeys([*left, *(name for name in INTERFACES if name in names)])
        return [self._delete_link(name) for name in ours]

    def _delete_link(self, name: str) -> Step:
        def act() -> None:
            # The other end of a pair goes with it.
            if self._run(["ip", "link", "show", name])[0] == 0:
                self._must("ip", "link", "delete", name)

        return Step(f"remove the interface {name}", act)

    def _of_routes(self) -> list[Step]:
        found: list[Step] = []
        for options in [[], ["-6"]] if any(":" in network for network in self._pods) else [[]]:
            routes = json.loads(self._read("ip", *options, "-json", "route", "show") or "[]")
            mine = dict.fromkeys(route["dst"] for route in routes if of_pods(route.get("dst", ""), self._pods))
            found += [self._delete_route(destination, options) for destination in mine]
        return found

    def _delete_route(self, destination: str, options: t.Sequence[str]) -> Step:
        # One that led through an interface is gone with it.
        return Step(
            f"remove the route to {destination}",
            lambda: self._must("ip", *options, "route", "flush", "exact", destination),
        )

    def _of_namespaces(self) -> list[Step]:
        names = sorted(os.listdir(_NAMESPACES)) if os.path.isdir(_NAMESPACES) else []
        return [self._delete_namespace(name) for name in names if name.startswith("cni-")]

    def _delete_namespace(self, name: str) -> Step:
        return Step(f"remove the network namespace {name}", lambda: self._must("ip", "netns", "delete", name))


def _has_text(path: str) -> bool:
    try:
        with open(path, encoding="ascii") as stream:
            return bool(stream.read().strip())
    except OSError:
        return False
