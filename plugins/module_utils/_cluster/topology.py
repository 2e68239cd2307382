# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the inventory to plain data: who is where, which certificates, which kubeconfigs."""

from __future__ import annotations

import datetime
import ipaddress
import typing as t

__all__ = (
    "apiserver_addresses",
    "certificate_plan",
    "etcd_initial_cluster",
    "host_urls",
    "kubeconfig_plan",
    "node_address",
    "service_address",
    "topology",
    "unready_nodes",
)

_ROLES = ("controllers", "etcd", "load_balancers", "workers", "clients")


def node_address(variables: t.Mapping[str, t.Any]) -> str | None:
    """Return a host's address: ``node_address``, else ``ansible_host`` when that is an IP address."""
    address = variables.get("node_address")
    if address:
        return str(address)
    candidate = variables.get("ansible_host")
    try:
        return str(ipaddress.ip_address(str(candidate)))
    except ValueError:
        return None


def topology(hostvars: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]]) -> dict[str, t.Any]:
    """Return the hosts of each part of the cluster and every host's address.

    :param groups: hosts by part: ``controllers``, ``etcd``, ``load_balancers``, ``workers``, ``clients``.
    """
    hosts: list[str] = []
    for role in _ROLES:
        hosts += [host for host in groups[role] if host not in hosts]
    result: dict[str, t.Any] = {role: list(groups[role]) for role in _ROLES}
    result["hosts"] = hosts
    result["addresses"] = {host: node_address(hostvars[host]) for host in hosts}
    return result


def _literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def host_urls(plan: t.Mapping[str, t.Any], role: str, port: int, *, scheme: str = "https") -> list[str]:
    """Return the addresses of a part's hosts as URLs, in inventory order."""
    return [f"{scheme}://{_literal(plan['addresses'][host])}:{port}" for host in plan[role]]


def etcd_initial_cluster(plan: t.Mapping[str, t.Any], *, port: int = 2380) -> str:
    """Return etcd's ``--initial-cluster``: ``NAME=PEER_URL`` of every member, comma-separated."""
    urls = host_urls(plan, "etcd", port)
    return ",".join(f"{host}={url}" for host, url in zip(plan["etcd"], urls, strict=True))


def service_address(cidr: str) -> str:
    """Return the first address of the service network, which the API's own Service takes."""
    return str(ipaddress.ip_network(cidr)[1])


def apiserver_addresses(
    plan: t.Mapping[str, t.Any],
    service_cidr: str,
    *,
    domain: str = "cluster.local",
    extra: t.Sequence[str] | None = None,
) -> list[str]:
    """Return every name and address at which an API server, or the etcd beside it, is reached.

    They are what ``-hostname`` gets in the article: the API's own Service, loopback, and every
    controller, etcd host and load balancer by name and by address.

    :param extra: further ones, such as the name that a load balancer has outside.
    """
    names = [
        service_address(service_cidr),
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{domain}",
    ]
    for role in ("controllers", "etcd", "load_balancers"):
        for host in plan[role]:
            names += [host, plan["addresses"][host]]
    return list(dict.fromkeys([*names, *(extra or [])]))


def _csr(common_name: str, organization: str, settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    name = {**settings["name"], "O": organization}
    return {"CN": common_name, "key": dict(settings["key"]), "names": [name]}


def certificate_plan(
    plan: t.Mapping[str, t.Any],
    settings: t.Mapping[str, t.Any],
) -> dict[str, list[dict[str, t.Any]]]:
    """Return the authorities and certificates of a cluster, as ``x509_cfssl_compat`` takes them.

    Subjects are the article's. The API server's certificate, which etcd uses too, names every
    address at which either is reached.

    :param plan: result of :func:`topology`.
    :param settings: ``service_cidr``, ``domain``, ``name`` and ``ca_name`` (C, L, OU, ST of the
        subjects), ``key`` and ``ca_key`` (algo, size), ``ca_expiry``, ``extra_sans``.
    """
    ca = {"expiry": settings["ca_expiry"]}

    def authority(name: str, common_name: str) -> dict[str, t.Any]:
        names = [{**settings["ca_name"], "O": "Kubernetes"}]
        return {"name": name, "csr": {"CN": common_name, "key": dict(settings["ca_key"]), "names": names, "ca": ca}}

    def leaf(
        name: str, common_name: str, organization: str, *, hosts: list[str] | None = None, ca_name: str = "ca"
    ) -> dict[str, t.Any]:
        return {
            "name": name,
            "ca": ca_name,
            "profile": "kubernetes",
            "hosts": hosts or [],
            "csr": _csr(common_name, organization, settings),
        }

    api_sans = apiserver_addresses(
        plan, settings["service_cidr"], domain=settings["domain"], extra=settings.get("extra_sans", [])
    )
    certificates = [leaf("admin", "admin", "system:masters")]
    certificates += [
        leaf(host, f"system:node:{host}", "system:nodes", hosts=[host, plan["addresses"][host]])
        for host in plan["workers"]
    ]
    certificates += [
        leaf("kube-controller-manager", "system:kube-controller-manager", "system:kube-controller-manager"),
        leaf("kube-proxy", "system:kube-proxy", "system:node-proxier"),
        leaf("kube-scheduler", "system:kube-scheduler", "system:kube-scheduler"),
        leaf("kubernetes", "kubernetes", "Kubernetes", hosts=api_sans),
        leaf("service-account", "service-accounts", "Kubernetes"),
        leaf("front-proxy-client", "front-proxy-client", "Kubernetes", ca_name="front-proxy-ca"),
    ]
    return {
        "authorities": [authority("ca", "Kubernetes"), authority("front-proxy-ca", "Kubernetes Front Proxy")],
        "certificates": certificates,
    }


def kubeconfig_plan(
    plan: t.Mapping[str, t.Any],
    *,
    cluster_name: str,
    local_server: str,
    server: str,
) -> list[dict[str, t.Any]]:
    """Return the kubeconfigs of a cluster, as the module ``kubeconfig`` takes them.

    Controllers speak to the API server on their own host; kubelets, kube-proxy and the remote
    administrator go through the load balancer.

    :param local_server: URL of the API server on a controller's loopback.
    :param server: URL of the API for everybody else.
    """

    def entry(name: str, user: str, url: str, *, certificate: str | None = None, context: str = "default") -> dict:
        certificate = certificate or name
        return {
            "path": f"{name}.kubeconfig",
            "cluster_name": cluster_name,
            "server": url,
            "certificate_authority": "ca.pem",
            "user": user,
            "client_certificate": f"{certificate}.pem",
            "client_key": f"{certificate}-key.pem",
            "context": context,
        }

    return [
        entry("admin", "admin", local_server),
        entry("kube-controller-manager", "system:kube-controller-manager", local_server),
        entry("kube-scheduler", "system:kube-scheduler", local_server),
        entry("kube-proxy", "system:kube-proxy", server),
        *(entry(host, f"system:node:{host}", server) for host in plan["workers"]),
        entry("remote-admin", "admin", server, certificate="admin", context=cluster_name),
    ]


def unready_nodes(
    nodes: t.Iterable[t.Mapping[str, t.Any]],
    names: t.Iterable[str],
    readings: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
) -> list[str]:
    """Return those of the named nodes that the API does not call Ready, or does not know.

    :param nodes: Node objects of the API.
    :param names: nodes that matter.
    :param readings: what ``host_facts`` read, by host. If the kubelet did not run when a host was
        read, only a later heartbeat counts: the API's knowledge of the node is older than that,
        and the host may have been rebuilt.
    """
    heartbeats = {
        node["metadata"]["name"]: condition.get("lastHeartbeatTime")
        for node in nodes
        for condition in node.get("status", {}).get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }

    def ready(name: str) -> bool:
        if name not in heartbeats:
            return False
        reading = (readings or {}).get(name, {})
        if reading.get("units", {}).get("kubelet.service", "active") == "active":
            return True
        # Heartbeats are whole seconds.
        return bool(heartbeats[name]) and _epoch(heartbeats[name]) >= int(reading["read_at"])

    return [name for name in names if not ready(name)]


def _epoch(timestamp: str) -> float:
    """Return an RFC 3339 time of the Kubernetes API in seconds since the epoch."""
    return datetime.datetime.fromisoformat(timestamp).timestamp()
