# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what stands in the way on a host: another cluster's tool, or a port that is taken."""

from __future__ import annotations

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("PORTS", "occupied", "shared_ports")

#: Ports of each part, without the load balancers', which are a setting: component and unit.
PORTS: dict[str, dict[int, tuple[str, str]]] = {
    "controllers": {
        6443: ("kube-apiserver", "kube-apiserver.service"),
        10257: ("kube-controller-manager", "kube-controller-manager.service"),
        10259: ("kube-scheduler", "kube-scheduler.service"),
        80: ("the health proxy", "nginx.service"),
    },
    "etcd": {2379: ("etcd", "etcd.service"), 2380: ("etcd", "etcd.service")},
    "workers": {
        10248: ("the kubelet", "kubelet.service"),
        10249: ("kube-proxy", "kube-proxy.service"),
        10250: ("the kubelet", "kubelet.service"),
        10256: ("kube-proxy", "kube-proxy.service"),
    },
}
_NODES = ("controllers", "etcd", "workers")


def _load_balancer(settings: Settings) -> dict[int, tuple[str, str]]:
    return {int(port): ("the load balancer", "nginx.service") for port in settings["lb_ports"]}


def _ports(host: str, shape: Topology) -> dict[int, tuple[str, str]]:
    """Return component and unit of each port on which a host listens, apart from the load balancer's."""
    return {
        port: owner
        for part, ports in PORTS.items()
        if host in shape[part]  # type: ignore[literal-required]
        for port, owner in ports.items()
    }


def shared_ports(shape: Topology, settings: Settings) -> list[str]:
    """Return the ports that the load balancer would take from another component of its host."""
    return [
        f"{host}: the load balancer (lb_ports) and {components[port][0]} would both listen on port {port}; give the "
        "load balancer a host of its own, or other ports in lb_ports together with cluster_api_server"
        for host in shape["load_balancers"]
        for components in [_ports(host, shape)]
        for port in _load_balancer(settings)
        if port in components
    ]


def occupied(host: str, facts: Reading, shape: Topology, settings: Settings) -> list[str]:
    """Return what others have on a host that the cluster needs for itself.

    :param facts: the reading of the host.
    """
    problems = []
    wanted = _ports(host, shape)
    if host in shape["load_balancers"]:
        wanted = {**_load_balancer(settings), **wanted}
    for number, owner in facts["listeners"].items():
        component, unit = wanted.get(int(number), ("", owner))
        if owner != unit:
            problems.append(
                f"{host}: port {number}, on which {component} listens, is taken by {owner}; stop and disable that, or "
                "give the cluster another host"
            )
    # Where this collection has installed programs, the cluster is its own.
    node = any(host in shape[part] for part in _NODES)  # type: ignore[literal-required]
    if node and not facts["programs"] and facts["left_overs"]:
        problems.append(
            f"{host}: has {', '.join(facts['left_overs'])} of another cluster or its tool; remove that cluster from "
            "the host with the tool that made it (kubeadm reset, k3s-uninstall.sh), remove what it leaves, or give the "
            "cluster another host"
        )
    return problems
