# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pod network with every mode of kube-proxy: smoke test and tests/lab/networks.

    networks.py                    a small lab for each network, removed when all is well
    networks.py flannel            this one
    networks.py --dual flannel     the same on hosts of both address families
    networks.py --ipv6 flannel     and of IPv6 alone
    networks.py --here INVENTORY   the lab that is there, in its own network

Each runs in the modes iptables and nftables, one after the other on the same lab, so that the change is proved as well.
The labs that are made for it have a range of pods and an MTU other than the default. With IPv6 the state of the hosts
is tested as well, and that a second run changes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[1]
CUSTOM = ROOT / "inventories" / "lab-custom"
NETWORKS: dict[str, dict[str, t.Any]] = {
    "bridge": {"cluster_pod_network": "bridge", "pod_network_mtu": 1400},
    "weave": {"cluster_pod_network": "weave", "pod_network_mtu": 1300},
    "flannel": {"cluster_pod_network": "flannel", "pod_network_mtu": 1400},
    "flannel-host-gw": {
        "cluster_pod_network": "flannel",
        "pod_network_flannel_backend": "host-gw",
        "pod_network_mtu": 1400,
    },
}
# Range of pods and prefix length of a node's part, by the families of the lab.
RANGES = {
    "ipv4": {"cluster_pod_cidr": "10.90.0.0/20", "cluster_node_prefix_length": "25"},
    "dual": {"cluster_pod_cidr": "10.90.0.0/20,fd00:10:90::/60", "cluster_node_prefix_length": "25,72"},
    "ipv6": {"cluster_pod_cidr": "fd00:10:90::/60", "cluster_node_prefix_length": "72"},
}
# With IPv6 alone, the members of etcd reach each other by it.
CONTROLLERS = {"ipv4": 1, "dual": 1, "ipv6": 2}
IPV4_ALONE = ("weave",)


def do(*command: str) -> None:
    """Run a command; its failure ends everything, and leaves the lab to be looked at."""
    print(f"\n--- {' '.join(command)}", flush=True)
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        sys.exit(f"networks: {' '.join(command)} failed; `make lab-down` removes the lab")


def playbook(inventory: pathlib.Path, *arguments: str, **variables: t.Any) -> None:
    """Run site.yml with variables of this run."""
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    do("ansible-playbook", "playbooks/site.yml", "-i", str(inventory), *arguments, *extra)


def tested(inventory: pathlib.Path, *tests: str) -> None:
    """Run tests of the network."""
    do("python", "-m", "pytest", "-q", *tests, f"--ansible-inventory={inventory}")


def check(inventory: pathlib.Path, *tests: str) -> None:
    """Run the smoke test and tests of the network."""
    do("ansible-playbook", "playbooks/smoke.yml", "-i", str(inventory))
    tested(inventory, *tests)


def both_modes(inventory: pathlib.Path) -> None:
    """Check the cluster in its own mode, in the other, and bring its own back."""
    tests = "tests/lab/networks"
    check(inventory, tests)
    playbook(inventory, "--tags=worker", cluster_kube_proxy_mode="nftables")
    check(inventory, f"{tests}/test_traffic.py", f"{tests}/test_api.py")
    playbook(inventory, "--tags=worker")
    tested(inventory, f"{tests}/test_traffic.py", f"{tests}/test_weave.py")


def size(network: str, families: str) -> list[str]:
    """Return the variables of `make lab-hosts` for the lab of a network.

    :param families: ipv4, dual or ipv6.
    """
    settings = [f"{name}={value}" for name, value in {**NETWORKS[network], **RANGES[families]}.items()]
    sized = [f"CONTROLLERS={CONTROLLERS[families]}", "WORKERS=2", f"FAMILIES={families}"]
    return [*sized, f"SETTINGS={' '.join(settings)}"]


def lab(network: str, families: str) -> None:
    """Check one network on a lab of its own."""
    do("make", "--no-print-directory", "lab-down")
    do("make", "--no-print-directory", "lab-hosts", *size(network, families))
    playbook(CUSTOM)
    both_modes(CUSTOM)
    if families != "ipv4":
        do("tests/unchanged.sh", "-i", str(CUSTOM), "playbooks/site.yml")
        tested(CUSTOM, "tests/lab/state", "tests/lab/trust")
    if network == "weave":
        do("make", "--no-print-directory", "test-weave-password")
    do("make", "--no-print-directory", "lab-down")


def read(arguments: t.Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for; without arguments, that of this process."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("network", nargs="*", choices=[[], *NETWORKS], default=[], help="all of them unless given")
    reading.add_argument("--here", metavar="INVENTORY", type=pathlib.Path, help="the running lab with this inventory")
    families = reading.add_mutually_exclusive_group()
    for name, meaning in (("dual", "hosts, pods and Services have IPv4 and IPv6"), ("ipv6", "they have IPv6 alone")):
        families.add_argument(f"--{name}", dest="families", action="store_const", const=name, help=meaning)
    reading.set_defaults(families="ipv4")
    given = reading.parse_args(arguments)
    able = [name for name in NETWORKS if given.families == "ipv4" or name not in IPV4_ALONE]
    if unable := sorted(set(given.network) - set(able)):
        reading.error(f"{', '.join(unable)}: carries IPv4 alone; with --{given.families}: {', '.join(able)}")
    given.network = given.network or able
    return given


def main() -> None:
    """Run what the command line asks for."""
    given = read()
    os.environ["PYTHONUNBUFFERED"] = "1"
    if given.here:
        both_modes(given.here)
        return
    for network in given.network:
        lab(network, given.families)


if __name__ == "__main__":
    main()
