# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster DNS: where its servers run, what its settings do, and resolvers that would lead back to itself."""

from __future__ import annotations

import re
import typing as t

import pytest
from playbook import run, variables
from support import in_url, wait_until

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


def _settled(cluster: Cluster, question: t.Callable[[], bool], what: str) -> None:
    """A run ends when the servers have its settings. kube-proxy forgets those that leave a moment later."""
    said = cluster.kubectl("rollout", "status", "deployment/coredns", SYSTEM, "--watch=false")
    assert "successfully rolled out" in said
    wait_until(question, seconds=10, what=what)


def test_zones_and_hosts_of_their_own(cluster: Cluster, inventory: str, web: Web, resolver: str) -> None:
    printer, registry = f"printer.{ZONE}", "registry.lab.test"

    def unknown() -> bool:
        return not any("192.0.2." in _asked(web, name) for name in (printer, registry) for _attempt in range(3))

    def known() -> bool:
        found = {printer: r"192\.0\.2\.7", registry: r"192\.0\.2\.8"}
        return all(
            re.search(rf"Name:\s+{re.escape(name)}\s+Address(?: 1)?:\s+{address}\b", _asked(web, name))
            for name, address in found.items()
            for _attempt in range(3)
        )

    assert unknown()
    edit = variables(addons_dns_zones={ZONE: [f"{in_url(resolver)}:5353"]}, addons_dns_hosts={registry: "192.0.2.8"})
    try:
        done = run(inventory, "--tags=addons", *edit)
        assert len(done.changed) == 1, done.changed
        _settled(cluster, known, "the zone and the host are known")
        assert run(inventory, "--tags=addons", *edit).changed == []
    finally:
        run(inventory, "--tags=addons")
    _settled(cluster, unknown, "the zone and the host are forgotten")


def test_a_resolver_on_the_host_s_loopback_is_refused(cluster: Cluster, inventory: str) -> None:
    resolvers = cluster.workers[0].out("cat", "/etc/resolv.conf")
    assert re.findall(r"^nameserver\s+(\S+)", resolvers, re.MULTILINE) == ["127.0.0.11"], (
        "the lab has another resolver now"
    )
    edit = variables(addons_dns_upstreams=["/etc/resolv.conf"])
    refused = run(inventory, "--tags=addons", *edit, succeeds=False)
    assert refused.returncode != 0
    assert refused.changed == []
    assert f"{cluster.workers[0].name}: /etc/resolv.conf names 127.0.0.11, which pods cannot reach" in str(
        refused.failures
    )


def test_pods_are_given_the_servers_of_systemd_resolved(cluster: Cluster, inventory: str) -> None:
    worker = cluster.workers[0]
    arguments = ("--check", "--diff", "--tags=worker", f"--limit={worker.name}")
    # The files of systemd-resolved: its own address in /etc/resolv.conf, and the servers that it asks here.
    worker.out(
        "sh", "-c", "mkdir -p /run/systemd/resolve && echo nameserver 192.0.2.53 >/run/systemd/resolve/resolv.conf"
    )
    try:
        left_over = run(inventory, *arguments)
        worker.out("systemd-run", "--unit=systemd-resolved", "--collect", "--quiet", "sleep", "infinity")
        predicted = run(inventory, *arguments)
    finally:
        worker.run("systemctl", "stop", "systemd-resolved")
        worker.out("rm", "-r", "/run/systemd/resolve")
    kubelet = ("hardway.kubernetes.worker : Run the kubelet, one worker at a time", worker.name)
    assert kubelet not in left_over.changed
    assert kubelet in predicted.changed
    assert "+resolvConf: /run/systemd/resolve/resolv.conf" in predicted.output.replace("\\n", "\n") or (
        "resolvConf: /run/systemd/resolve/resolv.conf" in predicted.output
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
