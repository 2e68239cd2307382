# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a running cluster as fixtures, from its inventory: --ansible-inventory, else inventories/lab.

A test that takes `controller`, `member`, `balancer`, `worker` or `client` runs once for each host of that part.
With two address families, one that takes `family` runs once for each family of pods and Services, and one that takes
`host_family` once for each family of hosts.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
import typing as t

import pytest
import testinfra
from support import Cluster, Node, local, one_per_family, own_namespace
from support import family as family_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMESPACE = "hardway-lab-test"
# Fixture -> part of the cluster.
PARTS = {
    "controller": "controllers",
    "member": "etcd",
    "balancer": "lb",
    "worker": "workers",
    "client": "clients",
    "node": "all",
}


# The variables of each host that the tests need, with all templates filled in.
_ASKED = """{{ {
  'groups': groups,
  'container': lab_container
    | default((ansible_connection | default('ssh') is search('docker$')) | ternary(ansible_host, '')),
  'address': node_address | default(ansible_host | default('')),
  'pki': cluster_pki_directory | default(inventory_dir ~ '/pki'),
  'pod_cidr': cluster_pod_cidr | default('10.200.0.0/16'),
  'service_cidr': cluster_service_cidr | default('10.32.0.0/24'),
  'dns_address': cluster_dns_address | default('10.32.0.10'),
  'domain': cluster_domain | default('cluster.local'),
  'name': cluster_name | default('kubernetes-the-hard-way')} | to_json }}"""


@functools.cache
def _inventory(path: str) -> dict[str, dict[str, t.Any]]:
    """The variables of each host, by name."""
    # Nothing is asked of the hosts: debug runs on the control node.
    done = subprocess.run(
        [
            "ansible",
            "all",
            "--inventory",
            path,
            "--one-line",
            "--module-name=ansible.builtin.debug",
            "--args",
            f"msg={_ASKED!r}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        # molecule asks for colours.
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        check=False,
    )
    hosts = {}
    for line in done.stdout.splitlines():
        name, success, answer = line.partition(" | SUCCESS => ")
        if success:
            message = json.loads(answer)["msg"]
            hosts[name] = json.loads(message) if isinstance(message, str) else message
    if done.returncode != 0 or not hosts:
        raise pytest.UsageError(f"ansible cannot read {path}: {done.stderr.strip()}\n{done.stdout.strip()}")
    return hosts


def _names(path: str, part: str) -> list[str]:
    groups: dict[str, list[str]] = next(iter(_inventory(path).values()))["groups"]
    groups["etcd"] = groups.get("etcd") or groups["controllers"]
    if part == "all":
        known = ("controllers", "etcd", "lb", "workers", "clients")
        return list(dict.fromkeys(name for group in known for name in groups.get(group, [])))
    return list(groups.get(part, []))


def _node(path: str, name: str) -> Node:
    known = _inventory(path)[name]
    # Whatever way Ansible has to a host of the lab: the tests look at it as root.
    if known["container"]:
        host = testinfra.get_host(f"docker://{known['container']}")
    else:
        host = testinfra.get_host(f"ansible://{name}?ansible_inventory={path}")
    return Node(name, one_per_family(known["address"]), host)


def _families(path: str, fixture: str) -> list[str]:
    """The families of pods and Services, or of hosts; the primary one first."""
    known = _inventory(path)[_names(path, "controllers")[0]]
    given = known["pod_cidr"] if fixture == "family" else known["address"]
    return [family_of(one) for one in one_per_family(given)]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "disruptive: stops a part of the cluster, and starts it again")
    if not config.option.ansible_inventory:
        config.option.ansible_inventory = str(ROOT / "inventories" / "lab")
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Tests that stop a program come last: a permanent failure would otherwise blur the other results.
    items.sort(key=lambda item: item.get_closest_marker("disruptive") is not None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = metafunc.config.option.ansible_inventory
    for fixture, part in PARTS.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, _names(path, part), indirect=True, scope="session")
    for fixture in ("family", "host_family"):
        if fixture in metafunc.fixturenames and len(families := _families(path, fixture)) > 1:
            metafunc.parametrize(fixture, families, indirect=True, scope="session")


@pytest.fixture(scope="session")
def nodes(pytestconfig: pytest.Config) -> dict[str, Node]:
    path = pytestconfig.option.ansible_inventory
    return {name: _node(path, name) for name in _names(path, "all")}


def _fixture(name: str) -> t.Any:
    @pytest.fixture(name=name, scope="session")
    def pick(request: pytest.FixtureRequest, nodes: dict[str, Node]) -> Node:
        return nodes[request.param]

    return pick


controller = _fixture("controller")
member = _fixture("member")
balancer = _fixture("balancer")
worker = _fixture("worker")
client = _fixture("client")
node = _fixture("node")


def _family_fixture(name: str) -> t.Any:
    @pytest.fixture(name=name, scope="session")
    def pick(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> str:
        only = _families(pytestconfig.option.ansible_inventory, name)[0]
        return str(getattr(request, "param", only))

    return pick


family = _family_fixture("family")
host_family = _family_fixture("host_family")


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config, nodes: dict[str, Node]) -> Cluster:
    path = pytestconfig.option.ansible_inventory
    groups = {part: [nodes[name] for name in _names(path, part)] for part in PARTS.values()}
    known = _inventory(path)[groups["controllers"][0].name]
    networks = (one_per_family(known[name]) for name in ("pod_cidr", "service_cidr", "dns_address"))
    return Cluster(groups, pathlib.Path(known["pki"]).resolve(), *networks, known["domain"], known["name"])


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> t.Iterator[str]:
    """A namespace for what the tests make; it goes with them."""
    yield from own_namespace(cluster, NAMESPACE)


@pytest.fixture(scope="session")
def inventory(pytestconfig: pytest.Config) -> str:
    """The path of the cluster's inventory, for runs of playbooks."""
    return str(pytestconfig.option.ansible_inventory)


@pytest.fixture
def container() -> t.Callable[..., None]:
    """Return a function that does to a host what the power button does: ``container("stop", node)``."""

    def act(action: str, node: Node) -> None:
        name = node.host.backend.name
        done = local("docker", action, *(["--time=5"] if action in ("stop", "restart") else []), name)
        assert done.returncode == 0, f"docker {action} {name}: {done.stderr}"

    return act


@pytest.fixture(scope="session")
def pod_network(cluster: Cluster) -> str:
    """Return the pod network of the workers, from the name of their only CNI configuration."""
    found = {worker.out("ls", "/etc/cni/net.d").strip() for worker in cluster.workers}
    assert len(found) == 1, found
    return found.pop().removeprefix("10-").removesuffix(".conflist")


@pytest.fixture
def only_two_families(cluster: Cluster) -> None:
    """For tests of what the second family adds."""
    if len(cluster.families) < 2:
        pytest.skip(f"pods and Services have {cluster.families[0]} alone")


@pytest.fixture
def only_weave(pod_network: str) -> None:
    """For tests that ask Weave Net: with another pod network there is nothing to ask."""
    if pod_network != "weave":
        pytest.skip(f"the pod network is {pod_network}")
