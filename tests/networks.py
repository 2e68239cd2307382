# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pod network with every mode of kube-proxy: smoke test and tests/lab/networks.

    networks.py            a small lab for each network, removed when all is well
    networks.py flannel    this one
    networks.py --here     the lab that is there, in its own network

Each runs in the modes iptables and nftables, one after the other on the same lab, so that the change is proved as well.
The labs that are made for it have a range of pods and an MTU other than the default.
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
RANGE = {"cluster_pod_cidr": "10.90.0.0/20", "cluster_node_prefix_length": 25}
MODES = ("iptables", "nftables")


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


def lab(network: str) -> None:
    """Check one network on a lab of its own."""
    settings = [f"{name}={value}" for name, value in {**NETWORKS[network], **RANGE}.items()]
    do("make", "--no-print-directory", "lab-down")
    do("make", "--no-print-directory", "lab-hosts", "CONTROLLERS=1", "WORKERS=2", f"SETTINGS={' '.join(settings)}")
    playbook(CUSTOM)
    both_modes(CUSTOM)
    if network == "weave":
        do("make", "--no-print-directory", "test-weave-password")
    do("make", "--no-print-directory", "lab-down")


def main() -> None:
    """Read the command line."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("network", nargs="*", choices=[[], *NETWORKS], default=[], help="all of them unless given")
    reading.add_argument("--here", metavar="INVENTORY", type=pathlib.Path, help="the running lab with this inventory")
    given = reading.parse_args()
    os.environ["PYTHONUNBUFFERED"] = "1"
    if given.here:
        both_modes(given.here)
        return
    for network in given.network or NETWORKS:
        lab(network)


if __name__ == "__main__":
    main()
