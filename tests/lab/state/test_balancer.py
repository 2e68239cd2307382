# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One address that opens silent connections does not take the API from the others."""

from __future__ import annotations

import re
import time
import typing as t

import pytest
from support import in_url, local, wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

# Opens connections and says nothing on them. Prints how many the balancer left open, and ends with its input.
_FLOOD = """
import select, socket, sys, time
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
opened = [socket.create_connection((address, port), timeout=10) for _ in range(count)]
time.sleep(2)
# A connection that was closed can be read.
watched = select.poll()
for one in opened:
    watched.register(one, select.POLLIN)
print(count - len(watched.poll(0)), flush=True)
time.sleep(10)
"""
FLOOD = 1000


def _limit(balancer: Node) -> int:
    found = re.findall(r"limit_conn +addresses (\d+);", balancer.out("cat", "/etc/nginx/tcpconf.d/kubernetes.conf"))
    return int(found[0]) if found else 0


def _flooded(cluster: Cluster, balancer: Node) -> tuple[int, Node, Node]:
    """Return the limit of one address, the worker with the flood, and one that goes on working."""
    limit = _limit(balancer)
    if not 0 < limit < FLOOD or len(cluster.workers) < 2:
        pytest.skip("no limit for one address, or no second worker")
    flooding, other = cluster.workers[:2]
    return limit, flooding, other


def _named_in_the_journal(balancer: Node, client: Node) -> int:
    """Count the connections that the balancer's journal says it refused of a host."""
    said = rf'limiting connections by zone "addresses" .*client: {re.escape(client.address)},'
    return len(re.findall(said, balancer.out("journalctl", "--unit=nginx", "--no-pager", "--output=cat")))


def _reaches_the_api(worker: Node) -> None:
    """Ask for the worker's node as its kubelet does."""
    kubelet = "--kubeconfig=/var/lib/kubelet/kubeconfig"
    asked = worker.run("kubectl", kubelet, "get", "node", worker.name, "--request-timeout=2s")
    assert asked.rc == 0, asked.stderr


def test_nginx_has_files_for_its_connections(balancer: Node) -> None:
    limits = balancer.out("sh", "-c", "cat /proc/$(pgrep --oldest --parent $(cat /run/nginx.pid))/limits")
    (found,) = re.findall(r"^Max open files +(\d+)", limits, re.MULTILINE)
    connections = balancer.out(
        "grep", "--only-matching", "--perl-regexp", r"worker_connections \K\d+", "/etc/nginx/nginx.conf"
    )
    assert int(found) >= 2 * int(connections)


@pytest.mark.disruptive
def test_a_flood_from_one_node_leaves_the_api_to_the_others(cluster: Cluster, balancer: Node) -> None:
    limit, flooding, other = _flooded(cluster, balancer)
    log = "/var/tmp/flood.log"
    before = _named_in_the_journal(balancer, flooding)
    command = f"python3 -c '{_FLOOD}' {balancer.address} 6443 {FLOOD} >{log} 2>&1 &"
    flooding.out("sh", "-c", f"ulimit -n {2 * FLOOD}; {command}")
    try:
        for _attempt in range(8):
            _reaches_the_api(other)
        left = flooding.out("sh", "-c", f"for i in $(seq 30); do test -s {log} && break; sleep 1; done; cat {log}")
        # The node's own programs have some of the allowed ones.
        assert 0 < int(left) <= limit
        # docs/operate/troubleshooting.md tells the operator to look there.
        assert _named_in_the_journal(balancer, flooding) - before >= FLOOD - 2 * limit
    finally:
        flooding.run("rm", "--force", log)


@pytest.mark.disruptive
def test_a_flood_from_one_pod_leaves_the_api_to_the_other_nodes(
    cluster: Cluster, balancer: Node, namespace: str
) -> None:
    """What a pod sends to a host has its node's address."""
    limit, flooding, other = _flooded(cluster, balancer)
    silent = f"for i in $(seq {FLOOD}); do (sleep 60 | nc {balancer.address} 6443) & done; wait"

    def refused() -> int:
        """Count what the balancer refused of this address: 503 in its log."""
        pattern = f"^{flooding.address} .* TCP 503 "
        return int(balancer.run("grep", "-c", pattern, "/var/log/nginx/kubernetes.log").stdout.strip() or 0)

    before = refused()
    cluster.start(namespace, "flood", "sh", "-c", silent, node=flooding.name)
    try:
        wait_until(lambda: refused() > before, seconds=30, what="the flood reaches the limit")
        for _attempt in range(8):
            _reaches_the_api(other)
            time.sleep(1)
        # The API server ends silent connections after some seconds, which makes room for a few more.
        assert refused() - before >= FLOOD - 2 * limit
    finally:
        cluster.kubectl("delete", "pod", "flood", f"--namespace={namespace}", "--wait=true")


def test_health_proxy_does_not_name_its_version(cluster: Cluster, controller: Node) -> None:
    asked = local("curl", "--silent", "--include", "--max-time", "5", f"http://{in_url(controller.address)}/none-such")
    assert re.search(r"^Server: nginx\r?$", asked.stdout, re.MULTILINE | re.IGNORECASE), asked.stdout
