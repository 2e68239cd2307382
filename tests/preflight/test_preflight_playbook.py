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
NO_POLICY = (
    "addons_pod_network flannel does not enforce NetworkPolicy: the API takes such objects, and every pod still "
    "reaches every other"
)
RESOLVERS = "allowed: addresses such as 10.0.0.53, 10.0.0.53:5353 or tls://9.9.9.9, and paths of files"

REFUSED = {
    "no_controllers": [
        "group 'controllers' has no host; it needs at least one (API servers run there)",
        "group 'etcd' has no host; it needs at least one (etcd members run there)",
    ],
    "empty_workers": ["group 'workers' has no host; it needs at least one (nodes run there)"],
    "host_without_address": ["wrk02: has no address; set node_address to the IP address other hosts reach it at"],
    "address_is_no_address": ["wrk02: node_address 'wrk02.example.com' is no IP address"],
    "address_of_loopback": ["wrk02: node_address 127.0.0.1 cannot be reached by other hosts; give its own address"],
    "two_hosts_one_address": ["ctl01 and kubelb: have the same node_address 10.0.0.11; each host needs its own"],
    "node_name": [
        "Worker_2: the inventory name is used as node name and must be a DNS name: lower-case letters, digits, '-' "
        "and '.', at most 63 characters"
    ],
    "pod_and_service_network_overlap": [
        "cluster_pod_cidr 10.200.0.0/16 and cluster_service_cidr 10.200.255.0/24 overlap; they must be apart"
    ],
    "host_in_pod_network": [
        f"{host}: node_address 10.0.0.{number} lies in cluster_pod_cidr 10.0.0.0/16; host, pod and service networks "
        "must be apart"
        for host, number in (("ctl01", 11), ("kubelb", 13), ("wrk01", 14), ("wrk02", 15), ("client", 16))
    ],
    "host_in_service_network": [
        "kubelb: node_address 10.32.0.20 lies in cluster_service_cidr 10.32.0.0/24; host, pod and service networks "
        "must be apart"
    ],
    "network_is_no_network": [
        "cluster_pod_cidr: '10.200.0.1/16' is no network (10.200.0.1/16 has host bits set); allowed: a CIDR such as "
        "10.200.0.0/16"
    ],
    "dns_outside_service_network": ["cluster_dns_address 10.96.0.10 is outside cluster_service_cidr 10.32.0.0/24"],
    "dns_at_api_address": [
        "cluster_dns_address 10.32.0.1 is taken (network address, or the API's own Service 10.32.0.1)"
    ],
    "dns_is_no_address": ["cluster_dns_address: 'dns.cluster.local' is no IP address"],
    "small_service_network": ["cluster_service_cidr 10.32.0.8/29 has 8 addresses; at least 16 are needed"],
    "node_network_larger_than_pod_network": [
        "cluster_node_prefix_length: 15 does not fit cluster_pod_cidr 10.200.0.0/16; allowed: 16 to 30"
    ],
    "more_workers_than_node_networks": [
        "cluster_pod_cidr 10.200.0.0/24 has 1 node networks of /24, and there are 2 workers"
    ],
    "unknown_release": ["cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35"],
    "unknown_pod_network": ["addons_pod_network: 'carrier-pigeon' is unknown; known: bridge, flannel, weave, none"],
    "kube_proxy_ipvs": [
        "worker_kube_proxy_mode: 'ipvs' is deprecated since Kubernetes 1.35, has no maintainers and will be removed; "
        "take nftables, which was made in its place; allowed: iptables, nftables"
    ],
    "dns_settings": [
        f"addons_dns_upstreams: 'dns.example.com' is no resolver; {RESOLVERS}",
        f"addons_dns_zones.corp.example.com: '10.0.0.53' is no list of resolvers; {RESOLVERS}",
        "addons_dns_zones.lab.example.com has no resolver; it needs at least one",
        "addons_dns_zones: 'no zone' is no DNS zone; allowed: a name such as corp.example.com",
        "addons_dns_hosts.registry.example.com: '10.0.0.500' is no IP address",
    ],
    "variables_of_the_wrong_type": [
        "ctl01, wrk01, client: argument 'scheduler_verbosity' is of type str and we were unable to convert to int: "
        "\"'loud'\" cannot be converted to an int",
        "wrk01: argument 'worker_timeout' is of type list and we were unable to convert to int: \"[60]\" cannot be "
        "converted to an int",
    ],
    "several_problems": [
        "wrk01: has no address; set node_address to the IP address other hosts reach it at",
        "ctl01 and ctl02: have the same node_address 10.0.0.11; each host needs its own",
        "cluster_pod_cidr 10.200.0.0/16 and cluster_service_cidr 10.200.0.0/24 overlap; they must be apart",
        "cluster_dns_address 10.32.0.10 is outside cluster_service_cidr 10.200.0.0/24",
        "cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35",
        "addons_pod_network: 'carrier-pigeon' is unknown; known: bridge, flannel, weave, none",
    ],
}
WARNED = {
    "even_etcd_members": [
        NO_POLICY,
        "etcd has 2 members: that survives 0 failures, no more than 1 would; 1, 3 or 5 members are usual",
    ],
    "no_load_balancer": [NO_POLICY, "group 'lb' is empty: nodes and clients use ctl01 alone of 3 API servers"],
}


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
    """Run the playbook with a copy of an inventory, and see to it that nothing comes out of it."""
    collection = tmp_path / "collections" / "ansible_collections" / "hardway" / "kubernetes"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(ROOT, target_is_directory=True)
    shutil.copytree(HERE / "inventories", tmp_path / "lab" / "inventories")
    shutil.copy(HERE / "refuse-connection", tmp_path / "lab")

    def listing() -> list[str]:
        return sorted(str(path) for path in (tmp_path / "lab").rglob("*"))

    def run(name: str, *options: str) -> Run:
        before = listing()
        finished = subprocess.run(
            [
                str(pathlib.Path(sys.executable).parent / "ansible-playbook"),
                "playbooks/site.yml",
                "--inventory",
                str(tmp_path / "lab" / "inventories" / f"{name}.yml"),
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
    assert list(run.tasks)[-1] == "Refuse what cannot become a working cluster", "the run goes on"
    head, *lines = run.results["Refuse what cannot become a working cluster"]["msg"].strip().splitlines()
    assert head == f"{len(lines)} problem(s) found. Nothing was changed."
    assert all(line.startswith("- ") for line in lines)
    return [line.removeprefix("- ") for line in lines]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(site, name):
    problems = refusal(site(name))
    unreachable = [problem for problem in problems if problem.endswith(UNREACHABLE)]
    assert [problem for problem in problems if problem not in unreachable] == REFUSED[name]
    assert unreachable, "hosts that do not answer are reported beside the rest"


@pytest.mark.parametrize("name", sorted(WARNED))
def test_warned(site, name):
    run = site(name)
    problems = refusal(run)
    assert all(problem.endswith(UNREACHABLE) for problem in problems), "what is allowed is no problem"
    assert run.results["Say what is allowed but should be known"]["msg"] == WARNED[name]


def test_every_host_that_does_not_answer_is_reported(site):
    hosts = ["ctl01", "ctl02", "kubelb", "wrk01", "wrk02", "client"]
    assert sorted(refusal(site("even_etcd_members"))) == sorted(f"{host}{UNREACHABLE}" for host in hosts)


def test_an_inventory_that_the_playbook_does_not_know(site):
    run = site("no_groups")
    assert run.code != 0, "a run that did nothing must not look like one that worked"
    message = run.results["Refuse an inventory without hosts"]["msg"]
    assert "no_groups.yml" in message
    assert "controllers, etcd, lb, workers, clients" in message


@pytest.mark.parametrize("options", [["--tags", "etcd"], ["--tags", "worker", "--limit", "wrk02"], ["--check"]])
def test_one_chapter_alone_is_refused_as_well(site, options):
    assert REFUSED["unknown_release"][0] in refusal(site("unknown_release", *options))


def test_the_variables_of_every_role_are_looked_at():
    looked_at = yaml.safe_load((ROOT / "roles" / "preflight" / "vars" / "main.yml").read_text())["__preflight_roles"]
    # Ansible looks at preflight's and cluster's by itself, before anything else; lab makes hosts and is no part of it.
    elsewhere = ["preflight", "cluster", "lab"]
    assert sorted(looked_at + elsewhere) == sorted(path.name for path in (ROOT / "roles").iterdir())


def test_every_inventory_has_its_test():
    names = {path.stem for path in (HERE / "inventories").glob("*.yml")}
    assert names == {*REFUSED, *WARNED, "no_groups"}
