# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml with a wrong inventory: one refusal that names everything, and nothing is changed.

No host of these inventories exists. That each of them could not be reached is reported too.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing as t

import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UNREACHABLE = ": could not be reached; check its connection variables and that it runs"
APART = "host, pod and service networks must be apart"
RESOLVERS = "allowed: addresses such as 10.0.0.53, 10.0.0.53:5353 or tls://9.9.9.9, and paths of files"
NO_POLICY = (
    "cluster_pod_network flannel does not enforce NetworkPolicy: the API takes such objects, and every pod still "
    "reaches every other"
)


class Case(t.NamedTuple):
    """The differences of an inventory from the one beside this file, and the expected message."""

    #: Variables of all hosts.
    variables: dict[str, t.Any]
    #: Hosts and their variables by group; None for a group that is not there.
    groups: dict[str, dict[str, t.Any] | None]
    said: list[str]


REFUSED = {
    "hosts, choices, DNS and wrong types": Case(
        {
            "scheduler_verbosity": "loud",
            "cluster_service_cidr": "10.200.255.0/24",
            "cluster_dns_address": "10.32.0.10",
            "cluster_release": "1.18",
            "cluster_pod_network": "carrier-pigeon",
            "cluster_kube_proxy_mode": "ipvs",
            "addons_dns_upstreams": ["9.9.9.9", "dns.example.com"],
            "addons_dns_zones": {
                "corp.example.com": "10.0.0.53",
                "lab.example.com": [],
                "no zone": ["10.0.0.53"],
            },
            "addons_dns_hosts": {"registry.example.com": "10.0.0.500"},
        },
        {
            "controllers": {"ctl01": {"node_address": "10.0.0.11"}, "ctl02": {"node_address": "10.0.0.11"}},
            "lb": {"kubelb": {"node_address": "127.0.0.1"}},
            "workers": {
                "wrk01": {"worker_timeout": [60]},
                # The role alone knows what this refers to, and will look at it.
                "wrk02": {
                    "node_address": "wrk02.example.com",
                    "worker_timeout": "{{ worker_of_its_own_role }}",
                },
                "Worker_3": {"node_address": "10.0.0.17"},
            },
            "clients": {"client": {"node_address": "10.200.0.16", "cluster_domain": "x.test"}},
        },
        [
            "ctl01, ctl02, kubelb, wrk01, wrk02, Worker_3, client: argument 'scheduler_verbosity' is of type str and "
            "we were unable to convert to int: \"'loud'\" cannot be converted to an int",
            "wrk01: argument 'worker_timeout' is of type list and we were unable to convert to int: \"[60]\" cannot be "
            "converted to an int",
            "client: cluster_domain is 'x.test', the cluster has 'cluster.local'; it is a setting of the cluster as a "
            "whole: set it once, in group_vars/all",
            "kubelb: node_address 127.0.0.1 cannot be reached by other hosts; give its own address",
            "wrk01: has no address; set node_address to the IP address other hosts reach it at",
            "wrk02: node_address 'wrk02.example.com' is not an IP address",
            "Worker_3: the inventory name is used as node name and must be a DNS name: lower-case letters, digits, '-' "
            "and '.', at most 63 characters",
            "ctl01 and ctl02: have the same node_address 10.0.0.11; each host needs its own",
            "cluster_pod_cidr 10.200.0.0/16 and cluster_service_cidr 10.200.255.0/24 overlap; they must be apart",
            f"client: node_address 10.200.0.16 lies in cluster_pod_cidr 10.200.0.0/16; {APART}",
            "cluster_dns_address 10.32.0.10 is outside cluster_service_cidr 10.200.255.0/24",
            "cluster_kube_proxy_mode: 'ipvs' is deprecated since Kubernetes 1.35, has no maintainers and will be "
            "removed; use nftables, which replaces it; allowed: iptables, nftables",
            "cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35",
            "cluster_pod_network: 'carrier-pigeon' is unknown; known: bridge, flannel, weave, none",
            f"addons_dns_upstreams: 'dns.example.com' is not a resolver; {RESOLVERS}",
            f"addons_dns_zones.corp.example.com: '10.0.0.53' is not a list of resolvers; {RESOLVERS}",
            "addons_dns_zones.lab.example.com has no resolver; it needs at least one",
            "addons_dns_zones: 'no zone' is not a DNS zone; allowed: a name such as corp.example.com",
            "addons_dns_hosts.registry.example.com: '10.0.0.500' is not an IP address",
        ],
    ),
    "groups, and networks that are none": Case(
        {"cluster_pod_cidr": "10.200.0.1/16", "cluster_dns_address": "dns.cluster.local"},
        {"controllers": None, "workers": {}, "lb": {"kubelb": {"node_address": "10.32.0.20"}}},
        [
            "group 'controllers' has no host; it needs at least one (API servers run there)",
            "group 'etcd' has no host; it needs at least one (etcd members run there)",
            "group 'workers' has no host; it needs at least one (nodes run there)",
            "cluster_pod_cidr: '10.200.0.1/16' is not a network (10.200.0.1/16 has host bits set); allowed: a CIDR "
            "such as 10.200.0.0/16",
            f"kubelb: node_address 10.32.0.20 lies in cluster_service_cidr 10.32.0.0/24; {APART}",
            "cluster_dns_address: 'dns.cluster.local' is not an IP address",
        ],
    ),
    "a virtual address that a host has, set for the group alone": Case(
        {},
        {
            "lb": {
                "kubelb": {"node_address": "10.0.0.13", "lb_virtual_address": "10.0.0.11"},
                "kubelb02": {"node_address": "10.0.0.18", "lb_virtual_address": "10.0.0.11"},
            },
        },
        ["lb_virtual_address: 10.0.0.11 is the node_address of ctl01; give an address that no host has"],
    ),
    "a virtual address without load balancers": Case(
        {"lb_virtual_address": "10.0.0.100"},
        {"lb": None},
        [
            "lb_virtual_address is 10.0.0.100, and group 'lb' has no host that could have it; add two hosts to the "
            "group, or leave the setting empty",
        ],
    ),
    "settings of the API servers and the nodes": Case(
        {
            "apiserver_pod_security": "base",
            "apiserver_authentication": {"jwt": [{"issuer": {"url": "http://login.example.com"}}]},
            "apiserver_extra_flags": {"anonymous-auth": True},
            "apiserver_max_token_expiration": "5m",
            "worker_system_reserved": {"memory": "1 GB"},
        },
        {},
        [
            "ctl01, ctl02, kubelb, wrk01, wrk02, client: value of apiserver_pod_security must be one of: privileged, "
            "baseline, restricted, got: base",
            "ctl01, ctl02, kubelb, wrk01, wrk02, client: apiserver_max_token_expiration: 5m is too short; allowed: 1h "
            "and more",
            "wrk01, wrk02: worker_system_reserved.memory: '1 GB' is not a quantity; allowed: for example 100m, 0.5, "
            "128Mi or 1Gi",
            "ctl01, ctl02: apiserver_authentication.jwt[0].issuer.url: 'http://login.example.com' is not allowed; "
            "allowed: https://HOST/PATH without user, query and fragment",
            "ctl01, ctl02: apiserver_authentication.jwt[0].issuer.audiences: has no entry; name the client that the "
            "tokens are issued for",
            "ctl01, ctl02: apiserver_authentication.jwt[0].claimMappings: is missing; it is a mapping of username, "
            "groups, uid, extra",
            "ctl01, ctl02: apiserver_extra_flags.anonymous-auth: an API server does not take it together with the file "
            "that the role writes; leave it out and set apiserver_authentication.anonymous, or set "
            "authentication-config to null beside it for an API server without that file",
        ],
    ),
    "registries": Case(
        {
            "worker_registries": [
                {"host": "https://registry.example.com", "authority": "/nowhere/ca.pem"},
                {"host": "docker.io", "mirrors": [{"url": "mirror.example.com", "username": "robot"}]},
            ]
        },
        {},
        [
            "wrk01, wrk02: worker_registries[0].host: 'https://registry.example.com' is not a registry; allowed: the "
            "part of images' names before the first slash, such as registry.example.com:5000, or _default",
            "wrk01, wrk02: worker_registries[0]: authority /nowhere/ca.pem cannot be read on the control node; name a "
            "file with PEM text",
            "wrk01, wrk02: worker_registries[1].mirrors[0].url: 'mirror.example.com' is not the URL of a registry; "
            "allowed: https://HOST[:PORT][/PATH], or http://... for a registry without TLS",
            "wrk01, wrk02: worker_registries[1].mirrors[0]: has a username without a password; give both, or a token, "
            "or none of them",
        ],
    ),
    "address families that do not fit": Case(
        {
            "cluster_pod_network": "weave",
            "cluster_pod_cidr": ["10.200.0.0/16", "fd00:200::/64"],
            "cluster_service_cidr": "10.32.0.0/24,fd00:32::/64",
            "cluster_dns_address": "10.32.0.10,fd00:32::a",
        },
        {
            "controllers": {
                "ctl01": {"node_address": ["10.0.0.11", "fd00::11"]},
                "ctl02": {"node_address": "fd00::12,10.0.0.12"},
            },
            "lb": {"kubelb": {"node_address": "10.0.0.13,10.0.0.113"}},
            "workers": {
                "wrk01": {"node_address": "10.0.0.14,fe80::14%eth0"},
                "wrk02": {"node_address": "10.0.0.15"},
            },
            "clients": {"client": {"node_address": "10.0.0.16,fd00::16"}},
        },
        [
            "kubelb: node_address has 10.0.0.13 and 10.0.0.113; allowed: one address, or one of each family (IPv4 and "
            "IPv6)",
            "wrk01: node_address fe80::14%eth0 has a zone; give an address that is the same for all hosts, without '%'",
            "ctl02: the first address of node_address is IPv6, and the first networks of cluster_pod_cidr and "
            "cluster_service_cidr are IPv4; put 10.0.0.12 first",
            "wrk02: node_address 10.0.0.15 is IPv4, and pods and Services have IPv6; give the host an IPv6 address "
            "too, or cluster_pod_cidr and cluster_service_cidr networks of IPv4 alone",
            "cluster_pod_network: weave carries IPv4 alone, and cluster_pod_cidr has fd00:200::/64; take flannel or "
            "bridge, or give pods and Services IPv4 networks alone",
            "cluster_pod_cidr fd00:200::/64 has 1 node networks of /64, and there are 2 workers",
            "cluster_service_cidr fd00:32::/64 is larger than the API server takes; allowed: /108 to /124",
        ],
    ),
    "networks that are too small": Case(
        {"cluster_pod_cidr": "10.200.0.0/24", "cluster_service_cidr": "10.32.0.8/29"},
        {},
        [
            "cluster_pod_cidr 10.200.0.0/24 has 1 node networks of /24, and there are 2 workers",
            "cluster_service_cidr 10.32.0.8/29 has 8 addresses; at least 16 are needed",
        ],
    ),
    "addresses that are taken": Case(
        {
            "cluster_pod_cidr": "10.0.0.0/16",
            "cluster_node_prefix_length": 15,
            "cluster_dns_address": "10.32.0.1",
            "cluster_versions": {"kubernets": "1.37.1"},
        },
        {},
        [
            *(
                f"{host}: node_address 10.0.0.{number} lies in cluster_pod_cidr 10.0.0.0/16; {APART}"
                for number, host in enumerate(("ctl01", "ctl02", "kubelb", "wrk01", "wrk02", "client"), 11)
            ),
            "cluster_node_prefix_length: 15 does not fit cluster_pod_cidr 10.0.0.0/16; allowed: 16 to 30",
            "cluster_dns_address 10.32.0.1 is taken (network address, or the API's own Service 10.32.0.1)",
            "cluster_versions: component 'kubernets' is not in the release catalogue; known: cni_plugins, containerd, "
            "coredns, crictl, etcd, flannel, kubernetes, pause, runc, weave",
        ],
    ),
}
WARNED = {
    "two etcd members": Case(
        {},
        {},
        [
            NO_POLICY,
            "etcd has 2 members: that survives 0 failures, no more than 1 would; 1, 3 or 5 members are usual",
        ],
    ),
    "three API servers without a load balancer": Case(
        {},
        {"controllers": {f"ctl0{number}": {"node_address": f"10.0.0.3{number}"} for number in (1, 2, 3)}, "lb": None},
        [
            NO_POLICY,
            "group 'lb' is empty: nodes and clients use ctl01 alone of 3 API servers; add a host to the group, or name "
            "an external load balancer in cluster_api_server",
        ],
    ),
    "two load balancers without a virtual address": Case(
        {},
        {"lb": {"kubelb": {"node_address": "10.0.0.13"}, "kubelb02": {"node_address": "10.0.0.18"}}},
        [
            NO_POLICY,
            "etcd has 2 members: that survives 0 failures, no more than 1 would; 1, 3 or 5 members are usual",
            "group 'lb' has 2 hosts, and nodes and clients use kubelb alone: without that host they do not reach the "
            "API; set lb_virtual_address",
        ],
    ),
}
UNKNOWN_RELEASE = Case({"cluster_release": "1.18"}, {}, ["cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35"])


def inventory(case: Case) -> str:
    """Return the text of the inventory that a case has."""
    found = yaml.safe_load((HERE / "inventory.yml").read_text(encoding="utf-8"))["all"]
    children = {**found["children"], **{group: {"hosts": hosts} for group, hosts in case.groups.items()}}
    children = {group: content for group, content in children.items() if content["hosts"] is not None}
    return yaml.safe_dump({"all": {"vars": {**found["vars"], **case.variables}, "children": children}}, sort_keys=False)


class Run(t.NamedTuple):
    """One run of the playbook."""

    code: int
    output: str
    tasks: list[str]
    # Results of tasks that failed or spoke, by task.
    results: dict[str, dict[str, t.Any]]


def parse(code: int, output: str) -> Run:
    tasks: list[str] = []
    results: dict[str, dict[str, t.Any]] = {}
    decoder = json.JSONDecoder()
    # A result is JSON on one line, or on several when debug printed it.
    for found in re.finditer(
        r"^TASK \[(?:[\w.]+ : )?(?P<task>.*)\] \*+$|^(?:fatal|ok): \[[^\]]+\](?:: FAILED!)? => (?={)",
        output,
        re.MULTILINE,
    ):
        if found["task"]:
            tasks.append(found["task"])
        else:
            results[tasks[-1]] = decoder.raw_decode(output, found.end())[0]
    return Run(code, output, tasks, results)


@pytest.fixture
def site(tmp_path):
    """Run the playbook with the inventory of a case, and see to it that nothing comes out of it."""
    collection = tmp_path / "collections" / "ansible_collections" / "hardway" / "kubernetes"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(ROOT, target_is_directory=True)
    (tmp_path / "lab").mkdir()
    shutil.copy(HERE / "refuse-connection", tmp_path / "lab")
    hosts = tmp_path / "lab" / "hosts.yml"

    def listing() -> list[str]:
        return sorted(str(path) for path in (tmp_path / "lab").rglob("*"))

    def run(case: Case, *options: str) -> Run:
        hosts.write_text(inventory(case), encoding="utf-8")
        before = listing()
        finished = subprocess.run(
            [
                str(pathlib.Path(sys.executable).parent / "ansible-playbook"),
                "playbooks/site.yml",
                "--inventory",
                str(hosts),
                *options,
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
                "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "ansible"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert listing() == before, "a refused run makes nothing on the control node"
        return parse(finished.returncode, finished.stdout)

    return run


def refusal(run: Run) -> list[str]:
    """The problems in the one message that refuses the run."""
    assert run.code != 0, run.output
    assert "changed=0" in run.output
    assert not re.search(r"changed=[1-9]", run.output)
    assert list(run.tasks)[-1] == "Check that a working cluster can be built", "the run goes on"
    head, *lines = run.results["Check that a working cluster can be built"]["msg"].strip().splitlines()
    assert head == f"{len(lines)} problem(s) found. Nothing was changed."
    assert all(line.startswith("- ") for line in lines)
    return [line.removeprefix("- ") for line in lines]


def apart(problems: list[str]) -> tuple[list[str], list[str]]:
    """Return the hosts that could not be reached, and what else is wrong."""
    unreached = [problem.removesuffix(UNREACHABLE) for problem in problems if problem.endswith(UNREACHABLE)]
    return unreached, [problem for problem in problems if not problem.endswith(UNREACHABLE)]


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_refused(site, case):
    unreached, others = apart(refusal(site(case)))
    assert others == case.said
    assert unreached, "hosts that do not answer are reported beside the rest"


@pytest.mark.parametrize("case", WARNED.values(), ids=list(WARNED))
def test_warned(site, case):
    run = site(case)
    unreached, others = apart(refusal(run))
    assert others == [], "what is allowed is not a problem"
    groups = yaml.safe_load(inventory(case))["all"]["children"].values()
    hosts = [host for group in groups for host in group.get("hosts") or ()]
    assert sorted(unreached) == sorted(set(hosts)), "every host is reported"
    said = run.results["Show the plan of this run"]["msg"]
    assert [line.removeprefix("Warning: ") for line in said if line.startswith("Warning: ")] == case.said
    assert said[0].startswith("kubernetes-the-hard-way: Kubernetes 1.37.")


def test_an_inventory_that_the_playbook_does_not_know(site):
    run = site(Case({}, {**dict.fromkeys(["controllers", "lb", "workers", "clients"]), "others": {"stranger": {}}}, []))
    assert run.code != 0, "a run that did nothing must not look like one that worked"
    message = run.results["Check that the inventory has hosts"]["msg"]
    assert "hosts.yml" in message
    assert "controllers, etcd, lb, workers, clients" in message


@pytest.mark.parametrize("options", [["--tags", "etcd"], ["--tags", "worker", "--limit", "wrk02"], ["--check"]])
def test_one_chapter_alone_is_refused_as_well(site, options):
    unreached, others = apart(refusal(site(UNKNOWN_RELEASE, *options)))
    assert others == UNKNOWN_RELEASE.said
    assert unreached == (
        ["wrk02"] if "--limit" in options else ["ctl01", "ctl02", "kubelb", "wrk01", "wrk02", "client"]
    )
