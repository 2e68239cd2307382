# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of two stops, the other goes on. Each test starts again what it stopped."""

from __future__ import annotations

import contextlib
import time
import typing as t

import pytest
from support import in_url, wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

# A lease lasts 15 s; a stopped leader that does not give it up is waited for.
TAKEOVER_SECONDS = 40
# A little more than lb_fail_timeout.
LEFT_OUT_SECONDS = 6


@contextlib.contextmanager
def _stopped(node: Node, *units: str) -> t.Iterator[None]:
    try:
        node.out("systemctl", "stop", *units)
        yield
    finally:
        node.out("systemctl", "start", *units)


def _holder(cluster: Cluster, lease: str) -> str:
    """Host name of the one that holds a lease now."""
    identity = cluster.get("lease", lease, "--namespace=kube-system")["spec"]["holderIdentity"]
    return str(identity).partition("_")[0]


def test_other_controllers_take_the_leases(cluster: Cluster) -> None:
    if len(cluster.controllers) < 2:
        pytest.skip("one controller: nobody could take over")
    hosts = {node.out("hostname").strip(): node for node in cluster.controllers}
    programs = ("kube-controller-manager", "kube-scheduler")
    leaders = {program: hosts[_holder(cluster, program)] for program in programs}
    with contextlib.ExitStack() as stack:
        # Both at once: the wait for a lease to run out is the same.
        for program, leader in leaders.items():
            stack.enter_context(_stopped(leader, program))
        for program, leader in leaders.items():
            holder = wait_until(
                lambda program=program, leader=leader: (
                    hosts[now] if (now := _holder(cluster, program)) and hosts.get(now, leader) != leader else None
                ),
                seconds=TAKEOVER_SECONDS,
                what=f"another controller than {leader.name} holds the lease of {program}",
            )
            assert holder.name != leader.name
    for program, leader in leaders.items():
        assert leader.out("systemctl", "is-active", program).strip() == "active"


def test_api_goes_on_and_health_tells(cluster: Cluster, controller: Node) -> None:
    if len(cluster.controllers) < 2:
        pytest.skip("one controller: nothing could go on")
    name = f"kubernetes.default.svc.{cluster.domain}"

    def health() -> tuple[str, str]:
        asked = cluster.client.run(
            "curl", "--silent", "--max-time", "5", "--write-out", "\n%{http_code}", "--header", f"Host: {name}",
            f"http://{in_url(controller.address)}/healthz",
        )  # fmt: skip
        body, _newline, status = asked.stdout.rpartition("\n")
        return status, body

    assert health() == ("200", "ok")
    with _stopped(controller, "kube-apiserver"):
        status, _body = health()
        assert status in ("502", "503", "504")
        # More requests than there are API servers: each of them could meet the stopped one.
        for _attempt in range(3 * len(cluster.controllers)):
            assert cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=5s") == "ok"
        assert "Ready" in cluster.kubectl("get", "nodes", "--request-timeout=5s")
    wait_until(lambda: health() == ("200", "ok"), seconds=60, what=f"{controller.name} is healthy again")
    # Only now does the load balancer try it again, and the next one may stop.
    time.sleep(LEFT_OUT_SECONDS)
