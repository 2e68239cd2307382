# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles write about addresses and networks, for the lab's hosts with addresses of one family or of both."""

from __future__ import annotations

import pathlib
import typing as t

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, empty
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import ROLES, Role

INVENTORY = ROLES.parent / "inventories" / "lab" / "hosts.yml"
#: What roles write for the lab of one family; see test_written_addresses.py.
GOLDEN = pathlib.Path(__file__).resolve().parent / "one_family.yml"

# Flags about addresses and networks, by the variable of a role that has them.
FLAGS = {
    "apiserver": ("ctl01", ("advertise-address", "bind-address", "etcd-servers", "service-cluster-ip-range")),
    "controller_manager": (
        "ctl01",
        (
            "bind-address",
            "cluster-cidr",
            "node-cidr-mask-size",
            "node-cidr-mask-size-ipv4",
            "node-cidr-mask-size-ipv6",
            "service-cluster-ip-range",
        ),
    ),
    "scheduler": ("ctl01", ("bind-address",)),
    "etcd": (
        "ctl02",
        ("advertise-client-urls", "listen-client-urls", "initial-advertise-peer-urls", "listen-peer-urls"),
    ),
}
# Templates of which every line is about addresses and networks: role, template, host, and the pod network.
FILES = (
    ("lb", "kubernetes.conf.j2", "kubelb", "flannel"),
    ("healthz_nginx", "healthz.conf.j2", "ctl01", "flannel"),
    ("etcd", "firewall.nft.j2", "ctl01", "flannel"),
    ("worker", "sysctl.conf.j2", "wrk01", "flannel"),
    ("addons", "Corefile.j2", "ctl01", "flannel"),
    ("pod_network", "pod-network.conflist.j2", "wrk01", "bridge"),
    ("pod_network", "pod-network.routes.j2", "ctl01", "flannel"),
    ("pod_network", "pod-network.routes.j2", "wrk01", "bridge"),
    ("pod_network", "pod-network.routes.j2", "ctl01", "weave"),
    ("pod_network", "pod-network-ipv6.routes.j2", "ctl01", "flannel"),
    ("pod_network", "pod-network-ipv6.routes.j2", "wrk01", "bridge"),
    ("pod_network", "pod-network.service.j2", "ctl01", "flannel"),
    ("pod_network", "pod-network.service.j2", "wrk01", "bridge"),
    ("pod_network", "pod-network.service.j2", "wrk01", "weave"),
)


def lab_hosts(addresses: t.Callable[[str], t.Any] = lambda address: address) -> dict[str, dict[str, t.Any]]:
    """Return the variables of the lab's hosts.

    :param addresses: returns what ``node_address`` of a host is instead of its IPv4 address.
    """
    groups = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["all"]["children"]
    return {
        host: {"node_address": addresses(variables["node_address"])}
        for group in groups.values()
        for host, variables in group.get("hosts", {}).items()
    }


def nodes(*networks: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the variable with the Node objects of the workers, each with its part of the pod networks."""
    loaded = DataLoader().load_from_file(str(ROLES / "pod_network" / "tasks" / "main.yml"), trusted_as_template=True)
    (task,) = (one for one in loaded if one["name"].startswith("Read the nodes"))
    return {
        task["register"]: {
            "resources": [
                {"metadata": {"name": f"wrk0{number}"}, "spec": {"podCIDR": parts[0], "podCIDRs": list(parts)}}
                for number, parts in enumerate(networks, 1)
            ]
        }
    }


def written(
    hosts: t.Mapping[str, t.Mapping[str, t.Any]], parts: t.Sequence[t.Sequence[str]], **settings: t.Any
) -> dict[str, t.Any]:
    """Return what roles write about addresses and networks, by the role and its file.

    :param parts: the parts of the pod networks that the two workers have.
    :param settings: variables of all hosts.
    """
    found: dict[str, t.Any] = {}
    for name, (host, flags) in FLAGS.items():
        given = Role(name, host, hosts=hosts, **settings).flags()
        found[f"{name} flags"] = {flag: given[flag] for flag in flags if given.get(flag) is not None}
    # Weave Net does not carry IPv6, without which a file of its own is not there.
    six = any(":" in network for part in parts for network in part)
    for name, template, host, network in FILES:
        if network == "weave" if six else "ipv6" in template:
            continue
        extra: dict[str, t.Any] = {"cluster_pod_network": network}
        if name == "pod_network":
            extra |= {**nodes(*parts), "own": {"interface_mtu": 0}}
        role = Role(name, host, hosts=hosts, **settings, **extra)
        found[f"{template} of {host} with {network}"] = role.template(template)
    return {**found, **_worker(hosts, **settings), **_objects(hosts, **settings), **_spec(hosts, **settings)}


def _worker(hosts: t.Mapping[str, t.Mapping[str, t.Any]], **settings: t.Any) -> dict[str, t.Any]:
    worker = Role("worker", "wrk01", hosts=hosts, **settings)
    kubelet = {**worker.own("kubelet_config"), **worker.own("kubelet_address")}
    proxy = {**worker.own("kube_proxy_config"), **worker.own("kube_proxy_address")}
    return {
        "kubelet flags": {"node-ip": worker.own("kubelet_flags")["node-ip"]},
        "kubelet": {key: kubelet[key] for key in ("address", "clusterDNS", "healthzBindAddress") if key in kubelet},
        "kube-proxy": {key: value for key, value in proxy.items() if key.endswith(("Address", "CIDR", "Addresses"))},
    }


def _objects(hosts: t.Mapping[str, t.Mapping[str, t.Any]], **settings: t.Any) -> dict[str, t.Any]:
    # Other objects look up files, for which a whole run of Ansible is needed.
    coredns = (ROLES / "addons" / "templates" / "coredns.yaml.j2").read_text(encoding="utf-8").split("---\n")
    (text,) = (one for one in coredns if "kind: Service\n" in one)
    service = yaml.safe_load(Role("addons", "ctl01", hosts=hosts, **settings).filled_in(text))
    network = Role("pod_network", "ctl01", hosts=hosts, own={"authorities": ""}, **settings)
    flannel = {one["kind"]: one for one in yaml.safe_load_all(network.template("flannel.yaml.j2"))}
    container = flannel["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]
    return {
        "CoreDNS": {key: value for key, value in service["spec"].items() if key not in ("ports", "selector")},
        "flannel": {
            "net-conf.json": flannel["ConfigMap"]["data"]["net-conf.json"],
            **{key: container[key] for key in ("command", "args", "env")},
        },
    }


def _spec(hosts: t.Mapping[str, t.Mapping[str, t.Any]], **settings: t.Any) -> dict[str, t.Any]:
    proxy = {"cluster_http_proxy": "http://proxy.example.com:3128"}
    spec = computed(empty(), hosts=hosts, **proxy, **settings)["spec"]
    return {
        "certificates": {
            entry["name"]: entry["hosts"] for entry in spec["certificates"]["certificates"] if entry["hosts"]
        },
        "kubeconfigs": {entry["path"]: entry["server"] for entry in spec["kubeconfigs"]},
        "no_proxy": spec["proxy"]["no_proxy"],
        "initial cluster": spec["etcd"]["initial_cluster"],
        "peers": computed(empty(), hosts=hosts, **settings)["plan"]["peers"],
    }
