# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is prepared to become a node."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from support import Node


def test_forwarding_is_on_now_and_after_a_reboot(worker: Node) -> None:
    assert worker.out("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
    assert "net.ipv4.ip_forward = 1" in worker.out("cat", "/etc/sysctl.d/99-kubernetes.conf")
    assert worker.out("systemctl", "is-enabled", "systemd-sysctl").strip() == "static"


@pytest.mark.parametrize("program", ["socat", "conntrack", "ipset", "iptables"])
def test_programs_of_the_distribution(worker: Node, program: str) -> None:
    worker.out("sh", "-c", f"command -v {program}")


def test_a_controller_is_left_alone(controller: Node) -> None:
    assert controller.run("test", "-e", "/etc/sysctl.d/99-kubernetes.conf").rc == 1


def test_preflight_leaves_nothing(controller: Node, worker: Node) -> None:
    for node in (controller, worker):
        for path in ("/etc/kubernetes", "/var/lib/kubernetes", "/var/lib/hardway/programs.json"):
            assert node.run("test", "-e", path).rc == 1, path
    assert controller.run("test", "-e", "/var/lib/hardway").rc == 1
    # The journal of the component that prepared the host went when that was done.
    assert worker.out("find", "/var/lib/hardway", "-mindepth", "1") == "/var/lib/hardway/journal\n"
