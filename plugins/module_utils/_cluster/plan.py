# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a run: the changes from the status to the specification."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd import Membership, surplus
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import API_PORT, Spec
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading, Status
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import url

__all__ = ("DRAIN", "MEMBERSHIP", "Change", "changes", "report", "summary")

#: Component of changes to the list of etcd's members.
MEMBERSHIP = "etcd membership"
#: Component of the turns of workers whose pods are moved away.
DRAIN = "drain"
_ON_WORKERS = ("containerd", "kubelet", "kube-proxy")

# The components of each part, in the order of a run.
_CHAPTERS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("etcd", "etcd", "etcd.service", ("etcd",)),
    ("kube-apiserver", "controllers", "kube-apiserver.service", ("kube-apiserver",)),
    ("kube-controller-manager", "controllers", "kube-controller-manager.service", ("kube-controller-manager",)),
    ("kube-scheduler", "controllers", "kube-scheduler.service", ("kube-scheduler",)),
    ("health proxy", "controllers", "nginx.service", ()),
    ("load balancer", "load_balancers", "nginx.service", ()),
    ("kubectl", "clients", "", ("kubectl",)),
    ("containerd", "workers", "containerd.service", ("containerd", "runc", "crictl", "cni-plugins")),
    ("kubelet", "workers", "kubelet.service", ("kubelet",)),
    ("kube-proxy", "workers", "kube-proxy.service", ("kube-proxy",)),
)

# Said where files are not compared yet.
_COMPARED_LATER = "Versions, units and members are as the inventory says; files are compared on the way."


class Change(t.TypedDict):
    """One difference, in words."""

    #: Inventory names, in the order in which they change.
    hosts: list[str]
    component: str
    change: str
    #: The effect on users of the cluster; empty without one.
    effect: str


def _versions(name: str, reading: Reading, spec: Spec, host: str) -> str:
    wanted = spec["hosts"][host]["programs"].get(name, {}).get("version")
    found = reading["programs"].get(name)
    if not wanted or found == wanted:
        return ""
    return f"{name} {found} -> {wanted}" if found else f"install {name} {wanted}"


def _effect(component: str, spec: Spec, *, runs: bool, drained: bool) -> str:
    if not runs:
        return ""
    if component == "etcd":
        return str(spec["etcd"]["interrupts"]) or "one member at a time: no interruption"
    if component == "kube-apiserver":
        first = spec["topology"]["controllers"][0]
        if len(spec["topology"]["controllers"]) == 1:
            return "the API does not answer while it restarts"
        if spec["api"]["server"] == url(spec["topology"]["addresses"][first], API_PORT):
            return f"the API does not answer while {first} restarts: nodes and clients use it alone"
        return "one at a time: no interruption"
    if component in ("containerd", "kubelet"):
        return "after its pods have moved to other workers" if drained else "pods go on running"
    return ""


def _component_changes(spec: Spec, status: Status, drained: t.Container[str]) -> list[Change]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for component, part, unit, names in _CHAPTERS:
        for host in spec["topology"][part]:
            reading = status["hosts"][host]
            if not reading:
                continue
            runs = reading["units"].get(unit) == "active"
            words = [text for name in names if (text := _versions(name, reading, spec, host))]
            if unit and not runs:
                words.append("start")
            if words:
                key = (component, ", ".join(words), _effect(component, spec, runs=runs, drained=host in drained))
                found.setdefault(key, []).append(host)
    return [
        {"hosts": hosts, "component": component, "change": change, "effect": effect}
        for (component, change, effect), hosts in found.items()
    ]


def _membership_changes(spec: Spec, status: Status, membership: Membership) -> list[Change]:
    found: list[Change] = [
        {
            "hosts": [host],
            "component": MEMBERSHIP,
            "change": "join the etcd cluster, as a learner first",
            "effect": "no interruption",
        }
        for host in membership["joining"]
    ]
    if membership["surplus"]:
        leaving = surplus(spec["topology"], status["etcd"]["members"])
        found.append(
            {
                "hosts": [member["name"] or member["id"] for member in leaving],
                "component": MEMBERSHIP,
                "change": "remove from the etcd cluster: the inventory does not have it",
                "effect": "no interruption",
            }
        )
    return found


def _node_changes(spec: Spec, status: Status) -> list[Change]:
    joining = [host for host in spec["topology"]["workers"] if status["nodes"] and host not in status["nodes"]]
    return [{"hosts": joining, "component": "node", "change": "join the cluster", "effect": ""}] if joining else []


def _backup_changes(spec: Spec, status: Status, directory: str) -> list[Change]:
    source = next(host for host in spec["topology"]["etcd"] if status["hosts"][host])
    place = directory or ".etcd-backup beside the inventory"
    return [
        {
            "hosts": [source],
            "component": "etcd backup",
            "change": f"save a snapshot first, and keep it on the control node in {place}",
            "effect": "no interruption",
        }
    ]


def _seconds(batches: t.Sequence[t.Sequence[str]], status: Status) -> int:
    """Return how many seconds the turns of the workers will take, as in the last upgrade; 0 where none was measured."""
    turns = {host: int(node.get("turn_seconds") or 0) for host, node in status["nodes"].items()}
    measured = [seconds for seconds in turns.values() if seconds]
    if not measured:
        return 0
    usual = round(sum(measured) / len(measured))
    return sum(max(turns.get(host) or usual for host in batch) for batch in batches)


def _drain_changes(batches: t.Sequence[t.Sequence[str]], status: Status) -> list[Change]:
    """Return the turns of the workers whose pods are moved away."""
    hosts = [host for batch in batches for host in batch]
    if not hosts:
        return []
    order = "one worker after the other"
    if len(hosts) > len(batches):
        order = f"in batches, one after the other: {'; '.join(', '.join(batch) for batch in batches)}"
    seconds = _seconds(batches, status)
    lasts = f"; about {seconds} s, as in the last upgrade" if seconds else ""
    return [
        {
            "hosts": hosts,
            "component": DRAIN,
            "change": f"cordon, drain, change, wait until node and pods are ready, uncordon, {order}",
            "effect": f"pods move to other workers; disruption budgets are kept{lasts}",
        }
    ]


def changes(
    spec: Spec,
    status: Status,
    membership: Membership,
    *,
    batches: t.Sequence[t.Sequence[str]] = (),
    backup: str | None = None,
) -> list[Change]:
    """Return the differences that inventory and readings show, in the order in which a run deals with them.

    Files are compared when a run gets to them: ``playbooks/plan.yml`` adds what each component would change.

    :param batches: the workers that are drained, see :func:`rollout.batches`.
    :param backup: directory for the snapshot that is saved first, empty for the role's own; None to save none.
    """
    drain = _drain_changes(batches, status)
    components = _component_changes(spec, status, [host for batch in batches for host in batch])
    etcd = [change for change in components if change["component"] == "etcd"]
    nodes = [change for change in components if change["component"] in _ON_WORKERS]
    others = [change for change in components if change not in etcd and change not in nodes]
    first = [] if backup is None else _backup_changes(spec, status, backup)
    members = _membership_changes(spec, status, membership)
    return first + etcd + members + others + drain + nodes + _node_changes(spec, status)


def summary(spec: Spec, status: Status, plan: t.Mapping[str, t.Any], *, nothing: str = _COMPARED_LATER) -> list[str]:
    """Return the plan as lines of text.

    :param plan: ``changes``, ``warnings`` and ``problems``.
    :param nothing: what to say without changes.
    """
    name = f"{spec['name']}: Kubernetes {spec['versions']['kubernetes']}"
    hosts = len(spec["topology"]["hosts"])
    lines = [f"{name} on {hosts} hosts" if status["exists"] else f"{name} is built on {hosts} hosts"]
    for change in plan["changes"]:
        text = f"{', '.join(change['hosts'])}: {change['component']}: {change['change']}"
        lines.append(text + (f" ({change['effect']})" if change["effect"] else ""))
    if not plan["changes"]:
        lines.append(nothing)
    return lines + [f"Warning: {warning}" for warning in plan["warnings"]]


def _noted(notes: t.Iterable[t.Mapping[str, t.Any]], order: t.Sequence[str]) -> list[Change]:
    """Return what components said, hosts with the same steps together.

    Hosts that work at the same time leave their notes in any order: components come in the order of the run, hosts in
    that of the inventory.
    """
    components: list[str] = []
    found: dict[tuple[str, str, str], list[str]] = {}
    for note in notes:
        component = str(note["component"])
        if component not in components:
            components.append(component)
        hosts = found.setdefault((component, ", ".join(note["steps"]), str(note.get("effect") or "")), [])
        if note["host"] not in hosts:
            hosts.append(str(note["host"]))
    # The control node is not part of the inventory, and comes first.
    place = {host: number for number, host in enumerate(order)}
    for hosts in found.values():
        hosts.sort(key=lambda host: place.get(host, -1))
    said: list[Change] = [
        {"hosts": hosts, "component": component, "change": change, "effect": effect}
        for (component, change, effect), hosts in found.items()
    ]
    said.sort(key=lambda change: (components.index(change["component"]), place.get(change["hosts"][0], -1)))
    return said


def report(
    cluster: t.Mapping[str, t.Any], notes: t.Iterable[t.Mapping[str, t.Any]], warnings: t.Sequence[str] = ()
) -> dict[str, t.Any]:
    """Return the plan of a whole run: ``changes``, ``warnings`` and ``problems`` as data, and ``lines`` of text.

    :param cluster: the documented value.
    :param notes: ``host``, ``component``, ``steps`` and ``effect`` of each component that would change, in order.
    :param warnings: of later tasks, which come after those of the plan.
    """
    plan = cluster["plan"]
    noted = _noted(notes, cluster["spec"].get("topology", {}).get("hosts", []))
    said = {(host, change["component"]) for change in noted for host in change["hosts"]}
    # A member that leaves may have no host of its own; another one removes it, and says so.
    members_said = any(change["component"] == MEMBERSHIP for change in noted)
    # The notes of a component are more exact than the changes that were derived from the readings.
    derived = [
        {**change, "hosts": hosts}
        for change in plan["changes"]
        if not (members_said and change["component"] == MEMBERSHIP)
        if (hosts := [host for host in change["hosts"] if (host, change["component"]) not in said])
    ]
    whole = {"changes": derived + noted, "warnings": [*plan["warnings"], *warnings], "problems": plan["problems"]}
    lines = summary(cluster["spec"], cluster["status"], whole, nothing="Nothing to do.")
    return {**whole, "lines": lines}
