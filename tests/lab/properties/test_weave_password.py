# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weave Net's password: given, changed, taken away and brought back. The inventory leaves it to the role ca."""

from __future__ import annotations

import base64
import secrets
import typing as t

import pytest
from playbook import run, variables
from support import wait_until
from weave import report

if t.TYPE_CHECKING:
    from support import Cluster

pytestmark = [pytest.mark.disruptive, pytest.mark.usefixtures("only_weave")]

# Sends a text to an address, and says whether it left the interface as it is.
WATCH = """
import socket, sys, time
interface, address, text = sys.argv[1], sys.argv[2], sys.argv[3].encode()
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
wire.bind((interface, 0))
wire.settimeout(0.2)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
left = seen = 0
end = time.monotonic() + 3
while time.monotonic() < end:
    sender.sendto(text, (address, 9))
    try:
        packet = wire.recv(65535)
    except TimeoutError:
        continue
    left += 1
    seen += text in packet
print("nothing left" if not left else "in the clear" if seen else "not to be read")
"""


def test_a_password_is_given_changed_taken_away_and_brought_back(cluster: Cluster, inventory: str) -> None:
    created = (cluster.pki / "weave-password").read_text().rstrip()
    _runs_with(cluster, created)
    back = {"pod_network_weave_password": created}
    try:
        for password in (secrets.token_urlsafe(24), secrets.token_urlsafe(24)):
            _give(cluster, inventory, password, pod_network_weave_password=password)
        _refused(inventory, "weave-password has another password than the Secret weave-net")
        _give(cluster, inventory, "", pod_network_weave_encryption=False)
        _refused(inventory, "sends in the clear")
        _give(cluster, inventory, created, **back)
    except BaseException:
        # Otherwise every later run is refused.
        run(inventory, "--tags=pod_network", *variables(**back))
        raise
    assert run(inventory).changed == []
    run(inventory, playbook="playbooks/smoke.yml")


def test_a_password_that_is_lost_comes_back_from_the_cluster(cluster: Cluster, inventory: str) -> None:
    path = cluster.pki / "weave-password"
    created = path.read_text()
    path.unlink()
    try:
        _refused(inventory, "weave-password is missing there")
        run(inventory, playbook="playbooks/pki_recover.yml")
        assert path.read_text() == created
        assert path.stat().st_mode & 0o777 == 0o600
        assert run(inventory, "--tags=pod_network").changed == []
    finally:
        path.write_text(created)
        path.chmod(0o600)


def _refused(inventory: str, words: str) -> None:
    for tags in ((), ("--tags=pod_network",)):
        ran = run(inventory, *tags, succeeds=False)
        assert ran.changed == []
        assert words in " ".join(ran.failures)


def _give(cluster: Cluster, inventory: str, password: str, **settings: t.Any) -> None:
    asked = ("--tags=pod_network", *variables(**settings))
    ran = run(inventory, *asked)
    assert "hardway.kubernetes.pod_network : Run Weave Net on every node" in ran.tasks
    _runs_with(cluster, password)
    if password:
        _hidden(cluster, password, ran.output)
    assert run(inventory, *asked).changed == []


def _runs_with(cluster: Cluster, password: str) -> None:
    wait_until(lambda: _connected(cluster, bool(password)), seconds=60, what="every peer uses the password")
    assert _secret(cluster) == password
    assert _sent(cluster) == ("not to be read" if password else "in the clear")


def _connected(cluster: Cluster, encrypted: bool) -> bool:
    said = [report(worker)["Router"] for worker in cluster.workers]
    connections = [one for router in said for one in router["Connections"]]
    return (
        all(router["Encryption"] is encrypted for router in said)
        and len(connections) == len(cluster.workers) * (len(cluster.workers) - 1)
        and all(one["State"] == "established" for one in connections)
        and all(bool(one["Attrs"].get("encrypted")) is encrypted for one in connections)
    )


def _secret(cluster: Cluster) -> str:
    """The password in the cluster's only Secret for it; none is left when there is none."""
    found = cluster.get("secrets", "--namespace=kube-system")["items"]
    kept = [one["data"]["password"] for one in found if "password" in one.get("data", {})]
    assert len(kept) <= 1
    return base64.b64decode(kept[0]).decode() if kept else ""


def _sent(cluster: Cluster) -> str:
    """How what a worker sends to a pod of another one looks on the way."""
    worker, other = cluster.workers[:2]
    servers = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    address = next(pod["status"]["podIP"] for pod in servers if pod["spec"]["nodeName"] == other.name)
    text = "nobody-else-may-read-this" * 4
    return worker.out("python3", "-c", WATCH, worker.interface(other.address), address, text).strip()


def _hidden(cluster: Cluster, password: str, output: str) -> None:
    """The password is in the Secret alone: no output, manifest, command line or log has it."""
    forms = (password, base64.b64encode(password.encode()).decode())
    manifests = cluster.kubectl("get", "daemonsets,configmaps,pods", "--all-namespaces", "--output=json")
    seen = {"output of the run": output, "manifests": manifests}
    for worker in cluster.workers:
        seen[f"processes of {worker.name}"] = worker.out("ps", "-A", "-o", "args=")
        seen[f"logs of {worker.name}"] = worker.out(
            "sh", "-c", "journalctl --no-pager; cat /var/log/pods/kube-system_weave-net-*/*/*.log"
        )
    assert not [place for place, text in seen.items() if any(form in text for form in forms)]
