# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units run, start at boot, and run as whom they should."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from support import Cluster, Node

CONTROL_PLANE = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "nginx"]
WORKER = ["containerd", "kubelet", "kube-proxy"]


def _runs(node: Node, unit: str) -> None:
    shown = node.out("systemctl", "show", unit, "--property=ActiveState,SubState,UnitFileState,NeedDaemonReload")
    state = dict(line.split("=", 1) for line in shown.splitlines())
    assert state == {
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "NeedDaemonReload": "no",
    }


def test_etcd_runs(member: Node) -> None:
    _runs(member, "etcd")
    assert member.out("ps", "-o", "user=", "-C", "etcd").split() == ["etcd"]


@pytest.mark.parametrize("program", CONTROL_PLANE[:3])
def test_control_plane_runs_as_users_of_its_own(controller: Node, program: str) -> None:
    (process,) = controller.out("systemctl", "show", program, "--property=MainPID", "--value").split()
    assert controller.out("ps", "-o", "user:32=", "-p", process).split() == [program]
    status = controller.out("cat", f"/proc/{process}/status")
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status


def _exposed(node: Node, unit: str, most: float) -> None:
    """systemd's own measure, of 10, is at most this: its command fails otherwise."""
    node.out("systemd-analyze", "security", "--no-pager", f"--threshold={most * 10:.0f}", f"{unit}.service")


@pytest.mark.parametrize("unit", ["etcd", *CONTROL_PLANE])
def test_exposure_of_the_control_plane(controller: Node, cluster: Cluster, unit: str) -> None:
    if unit == "etcd" and controller not in cluster.members:
        return
    _exposed(controller, unit, 3)


def test_exposure_of_the_load_balancer(balancer: Node) -> None:
    _exposed(balancer, "nginx", 3)


# docs/operate/security.md explains what stays open.
@pytest.mark.parametrize(("unit", "most"), [("kube-proxy", 3.5), ("kubelet", 8.5), ("containerd", 9.6)])
def test_exposure_of_a_worker(worker: Node, unit: str, most: float) -> None:
    _exposed(worker, unit, most)


@pytest.mark.parametrize("unit", CONTROL_PLANE)
def test_control_plane_runs(controller: Node, unit: str) -> None:
    _runs(controller, unit)


def test_load_balancer_runs(balancer: Node) -> None:
    _runs(balancer, "nginx")


@pytest.mark.parametrize("unit", WORKER)
def test_worker_runs(worker: Node, unit: str) -> None:
    _runs(worker, unit)


def test_no_unit_has_failed(node: Node) -> None:
    assert node.out("systemctl", "list-units", "--state=failed", "--plain", "--no-legend") == ""


def test_swap_is_off_and_forwarding_on(worker: Node, family: str) -> None:
    forwarding = {"IPv4": "ipv4/ip_forward", "IPv6": "ipv6/conf/all/forwarding"}[family]
    assert worker.out("cat", f"/proc/sys/net/{forwarding}").strip() == "1"
    assert worker.run("grep", "-E", r"^[^#]\S*\s+\S+\s+swap\s", "/etc/fstab").rc == 1
