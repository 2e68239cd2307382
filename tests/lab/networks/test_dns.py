# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster DNS: where its servers run, what its settings do, and resolvers that would lead back to itself."""

from __future__ import annotations

import re
import typing as t

import pytest
from playbook import run, variables
from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster
    from web import Web

SYSTEM = "--namespace=kube-system"
SERVERS = "--selector=k8s-app=kube-dns"
ZONE = "corp.lab.test"


def _servers(cluster: Cluster) -> list[str]:
    """Return the workers of the servers that answer."""
    pods = cluster.get("pods", SYSTEM, SERVERS)["items"]
    return [
        pod["spec"]["nodeName"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
    ]


def _asked(web: Web, name: str) -> str:
    return web.run(web.pods[0], "sh", "-c", f"nslookup {name} || true")


@pytest.fixture(scope="module")
def resolver(cluster: Cluster, web: Web) -> str:
    """Address of a DNS server that knows one zone of its own."""
    deployment = cluster.get("deployment", "coredns", SYSTEM)
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    corefile = f"{ZONE}:5353 {{\n    hosts {{\n        192.0.2.7 printer.{ZONE}\n    }}\n}}\n"
    metadata = {"namespace": web.namespace, "name": "resolver"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": corefile}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "coredns",
                        "image": image,
                        "args": ["-conf", "/etc/coredns/Corefile"],
                        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
                    }
                ],
                "volumes": [{"name": "config", "configMap": {"name": "resolver"}}],
            },
        },
    )
    namespace = f"--namespace={web.namespace}"
    cluster.kubectl("wait", "pod/resolver", namespace, "--for=condition=Ready", "--timeout=60s")
    return str(cluster.get("pod", "resolver", namespace)["status"]["podIP"])


def test_zones_and_hosts_of_their_own(pytestconfig: pytest.Config, cluster: Cluster, web: Web, resolver: str) -> None:
    inventory = pytestconfig.option.ansible_inventory
    printer, registry = f"printer.{ZONE}", "registry.lab.test"
    assert "192.0.2." not in _asked(web, printer) + _asked(web, registry)
    edit = variables(addons_dns_zones={ZONE: [f"{resolver}:5353"]}, addons_dns_hosts={registry: "192.0.2.8"})
    try:
        done = run(inventory, "--tags=addons", *edit)
        assert len(done.changed) == 1, done.changed
        # At once: the run ends when the servers have the new settings.
        assert re.search(rf"Name:\s+{re.escape(printer)}\s+Address(?: 1)?:\s+192\.0\.2\.7\b", _asked(web, printer))
        assert re.search(rf"Name:\s+{re.escape(registry)}\s+Address(?: 1)?:\s+192\.0\.2\.8\b", _asked(web, registry))
        assert run(inventory, "--tags=addons", *edit).changed == []
    finally:
        run(inventory, "--tags=addons")
    assert "192.0.2." not in _asked(web, printer) + _asked(web, registry)


def test_a_resolver_on_the_host_s_loopback_is_refused(pytestconfig: pytest.Config, cluster: Cluster) -> None:
    resolvers = cluster.workers[0].out("cat", "/etc/resolv.conf")
    assert re.findall(r"^nameserver\s+(\S+)", resolvers, re.MULTILINE) == ["127.0.0.11"], (
        "the lab has another resolver now"
    )
    edit = variables(addons_dns_upstreams=["/etc/resolv.conf"])
    refused = run(pytestconfig.option.ansible_inventory, "--tags=addons", *edit, succeeds=False)
    assert refused.returncode != 0
    assert refused.changed == []
    assert f"{cluster.workers[0].name}: /etc/resolv.conf names 127.0.0.11, which pods cannot reach" in str(
        refused.failures
    )


def test_pods_are_given_the_servers_of_systemd_resolved(pytestconfig: pytest.Config, cluster: Cluster) -> None:
    worker = cluster.workers[0]
    # What systemd-resolved leaves: its own address in /etc/resolv.conf, and the servers that it asks here.
    worker.out(
        "sh", "-c", "mkdir -p /run/systemd/resolve && echo nameserver 192.0.2.53 >/run/systemd/resolve/resolv.conf"
    )
    try:
        arguments = ("--check", "--diff", "--tags=worker", f"--limit={worker.name}")
        foretold = run(pytestconfig.option.ansible_inventory, *arguments)
    finally:
        worker.out("rm", "-r", "/run/systemd/resolve")
    assert foretold.hosts("worker") == {worker.name}
    assert "+resolvConf: /run/systemd/resolve/resolv.conf" in foretold.output.replace("\\n", "\n") or (
        "resolvConf: /run/systemd/resolve/resolv.conf" in foretold.output
    )


@pytest.mark.disruptive
def test_servers_share_a_worker_only_when_there_is_no_other(cluster: Cluster) -> None:
    workers = {worker.name for worker in cluster.workers}
    assert len(workers) == 2, "the test is made for two workers"
    assert sorted(_servers(cluster)) == sorted(workers)
    gone, stays = sorted(workers)
    cluster.kubectl("cordon", gone)
    try:
        cluster.kubectl("delete", "pods", SYSTEM, SERVERS, f"--field-selector=spec.nodeName={gone}")
        wait_until(lambda: _servers(cluster) == [stays, stays], seconds=60, what=f"both servers on {stays}")
    finally:
        cluster.kubectl("uncordon", gone)
        cluster.kubectl("rollout", "restart", "deployment/coredns", SYSTEM)
        cluster.kubectl("rollout", "status", "deployment/coredns", SYSTEM, "--timeout=120s")
    wait_until(lambda: set(_servers(cluster)) == workers, seconds=60, what="one server on each worker again")
