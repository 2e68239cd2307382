# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's inventory and containers, with each set of address families."""

from __future__ import annotations

import ipaddress
import json
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml
from inventory import FAMILIES, inventory

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLE = ROOT / "lab" / "roles" / "lab"
VERSIONS = {"ipv4": [4], "dual": [4, 6], "ipv6": [6]}


def _hosts(found: dict[str, t.Any]) -> dict[str, dict[str, str]]:
    groups = found["all"]["children"].values()
    return {name: host for group in groups for name, host in group.get("hosts", {}).items()}


def test_the_articles_numbers_give_the_articles_inventory() -> None:
    assert inventory(2, 2, 1) == yaml.safe_load((ROOT / "inventories" / "lab" / "hosts.yml").read_text())


@pytest.mark.parametrize("families", FAMILIES)
def test_every_host_has_an_address_of_each_family_in_the_labs_network(families: str) -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    networks = [ipaddress.ip_network(defaults[name]) for name in ("lab_network", "lab_network_ipv6")]
    hosts = _hosts(inventory(9, 150, 9, families=families))
    for host in hosts.values():
        texts = host["node_address"].split(",")
        addresses = [ipaddress.ip_address(text) for text in texts]
        assert [address.version for address in addresses] == VERSIONS[families]
        assert [str(address) for address in addresses] == texts  # RFC 5952
        assert all(any(address in network for network in networks) for address in addresses)
    assert len({host["node_address"] for host in hosts.values()}) == len(hosts)


@pytest.mark.parametrize("families", ["dual", "ipv6"])
def test_networks_of_pods_and_services_have_the_hosts_families(families: str) -> None:
    variables = inventory(2, 2, 1, "1.37", families=families)["all"]["vars"]
    assert variables["cluster_release"] == "1.37"
    pods = [ipaddress.ip_network(one) for one in variables["cluster_pod_cidr"].split(",")]
    services = [ipaddress.ip_network(one) for one in variables["cluster_service_cidr"].split(",")]
    servers = [ipaddress.ip_address(one) for one in variables["cluster_dns_address"].split(",")]
    for found in (pods, services, servers):
        assert [one.version for one in found] == VERSIONS[families]
    assert all(server in network for server, network in zip(servers, services, strict=True))
    # kube-apiserver takes 20 bits at most, and kube-controller-manager 16 between its network and a node's /64.
    assert services[-1].prefixlen >= 108
    assert 48 <= pods[-1].prefixlen < 64


def test_settings_win_over_those_of_the_families() -> None:
    def networks(*settings: str) -> set[str]:
        hosts = _hosts(inventory(1, 1, 1, "", *settings, families="dual"))
        return {host["cluster_pod_network"] for host in hosts.values()}

    assert networks() == {"flannel"}
    assert networks("cluster_pod_network=bridge") == {"bridge"}


def test_the_command_names_the_families_that_there_are(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(ROOT / "lab" / "inventory.py"), "--families=both", "2", "2", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "FAMILIES=both: ipv4, dual, ipv6 are allowed\n"


# Takes the place of a module of community.docker, and keeps its arguments.
_MODULE = """#!/usr/bin/python3
# WANT_JSON
import json, sys
given = {key: value for key, value in json.load(open(sys.argv[1])).items() if not key.startswith("_ansible")}
open(SAID, "a").write(json.dumps([MODULE, given]) + "\\n")
print(json.dumps({"changed": False}))
"""


def _made(
    ansible_playbook: t.Any, folder: pathlib.Path, addresses: dict[str, t.Any]
) -> tuple[dict[str, t.Any], dict[str, dict[str, t.Any]]]:
    """Return the arguments of the modules that the role calls: of the network, and of the containers by host.

    :param addresses: node_address by host.
    """
    said = folder / "said.jsonl"
    modules = folder / "collections" / "ansible_collections" / "community" / "docker" / "plugins" / "modules"
    modules.mkdir(parents=True)
    for module in ("docker_network", "docker_container"):
        (modules / f"{module}.py").write_text(_MODULE.replace("SAID", repr(str(said))).replace("MODULE", repr(module)))
    hosts = {name: {"node_address": address} for name, address in addresses.items()}
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"vars": variables, "hosts": hosts}}))
    tasks = yaml.safe_load((ROLE / "tasks" / "present.yml").read_text())
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "tasks": [task for task in tasks if any(key.startswith("community.docker.") for key in task)],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = ansible_playbook("play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    calls = [json.loads(line) for line in said.read_text().splitlines()]
    [network] = [given for module, given in calls if module == "docker_network"]
    containers = {given["hostname"]: given for module, given in calls if module == "docker_container"}
    return network, containers


def test_hosts_of_ipv4_alone_are_made_as_ever(ansible_playbook: t.Any, tmp_path: pathlib.Path) -> None:
    network, containers = _made(ansible_playbook, tmp_path, {"one": "10.240.0.11"})
    assert network == {"name": "hardway", "ipam_config": [{"subnet": "10.240.0.0/24"}], "timeout": 180}
    assert containers["one"]["networks"] == [{"name": "hardway", "ipv4_address": "10.240.0.11", "aliases": ["one"]}]
    assert "sysctls" not in containers["one"]


def test_one_ipv6_address_gives_the_lab_ipv6(ansible_playbook: t.Any, tmp_path: pathlib.Path) -> None:
    four, six = "10.240.0.11", "fd00:10:240::12"
    addresses = {"text": f"{four}, {six}", "list": [four, six], "four": four, "six": six}
    network, containers = _made(ansible_playbook, tmp_path, addresses)
    assert network["enable_ipv6"] is True
    assert network["ipam_config"] == [{"subnet": "10.240.0.0/24"}, {"subnet": "fd00:10:240::/64"}]
    both = {"ipv4_address": four, "ipv6_address": six}
    # The engine chooses the addresses that are not given.
    wanted = {"text": both, "list": both, "four": {"ipv4_address": four}, "six": {"ipv6_address": six}}
    for name, given in wanted.items():
        assert containers[name]["networks"] == [{"name": "hardway", "aliases": [name], **given}]
        assert containers[name]["sysctls"] == {"net.ipv6.conf.all.disable_ipv6": "0"}
