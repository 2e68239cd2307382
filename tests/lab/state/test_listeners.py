# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening addresses: on the host as ss sees it, and from another host."""

from __future__ import annotations

import typing as t

import pytest
from support import in_url

if t.TYPE_CHECKING:
    from support import Cluster, Node

EVERYWHERE = {"*", "0.0.0.0", "[::]"}
LOOPBACK = {"127.0.0.1", "[::1]"}


def _listeners(node: Node) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for line in node.out("ss", "--no-header", "--listening", "--tcp", "--numeric").splitlines():
        address, _colon, port = line.split()[3].rpartition(":")
        found.setdefault(int(port), set()).add(address)
    return found


def _answers(asker: Node, address: str, port: int) -> bool:
    return asker.run("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}").rc == 0


def test_etcd(member: Node) -> None:
    listeners = _listeners(member)
    assert listeners[2379] == {in_url(member.address), "127.0.0.1"}
    assert listeners[2380] == {in_url(member.address)}


@pytest.mark.parametrize("port", [80, 6443])
def test_controller_serves(cluster: Cluster, controller: Node, port: int, host_family: str) -> None:
    assert _listeners(controller)[port] <= EVERYWHERE
    assert _answers(cluster.client, controller.of(host_family), port)


@pytest.mark.parametrize("port", [10257, 10259])
def test_controller_keeps_to_loopback(cluster: Cluster, controller: Node, port: int) -> None:
    assert _listeners(controller)[port] <= LOOPBACK
    assert not any(_answers(cluster.client, address, port) for address in controller.addresses)


@pytest.mark.parametrize("port", [443, 6443])
def test_load_balancer_serves(cluster: Cluster, balancer: Node, port: int, host_family: str) -> None:
    assert _listeners(balancer)[port] <= EVERYWHERE
    assert _answers(cluster.client, balancer.of(host_family), port)


def test_load_balancer_serves_nothing_else(balancer: Node) -> None:
    open_ports = {port for port, addresses in _listeners(balancer).items() if not _loopback_only(addresses)}
    # 22: how one comes to work on the host.
    assert open_ports - {22} == {443, 6443}


@pytest.mark.parametrize("port", [10248, 10249, 10256])
def test_worker_keeps_to_loopback(cluster: Cluster, worker: Node, port: int) -> None:
    assert _listeners(worker)[port] <= LOOPBACK
    assert not any(_answers(cluster.client, address, port) for address in worker.addresses)


def test_worker_serves_the_kubelet_but_not_its_read_only_port(cluster: Cluster, worker: Node, host_family: str) -> None:
    listeners = _listeners(worker)
    assert 10255 not in listeners
    assert listeners[10250] <= EVERYWHERE | {in_url(address) for address in worker.addresses}
    assert _answers(cluster.client, worker.of(host_family), 10250)
    assert not _answers(cluster.client, worker.of(host_family), 10255)


def _loopback_only(addresses: set[str]) -> bool:
    # systemd-resolved, where it runs, listens on other addresses of the loopback network.
    return all(address.startswith("127.") or address == "[::1]" for address in addresses)
