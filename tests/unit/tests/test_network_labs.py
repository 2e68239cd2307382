# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The labs that tests/networks.py makes, and its command line."""

from __future__ import annotations

import ipaddress
import pathlib
import sys

import pytest
from inventory import FAMILIES, inventory

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

import networks


def test_a_network_alone_is_tested_with_ipv4() -> None:
    given = networks.read(["flannel"])
    assert (given.network, given.families) == (["flannel"], "ipv4")
    assert networks.read([]).network == list(networks.NETWORKS)


@pytest.mark.parametrize("families", ["dual", "ipv6"])
def test_an_option_adds_ipv6(families: str) -> None:
    given = networks.read([f"--{families}", "bridge"])
    assert (given.network, given.families) == (["bridge"], families)
    assert networks.read([f"--{families}"]).network == ["bridge", "flannel", "flannel-host-gw"]


@pytest.mark.parametrize("families", ["dual", "ipv6"])
def test_weave_is_refused_with_ipv6(families: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        networks.read([f"--{families}", "weave"])
    said = capsys.readouterr().err
    assert f"weave: carries IPv4 alone; with --{families}: bridge, flannel, flannel-host-gw" in said


@pytest.mark.parametrize("families", FAMILIES)
@pytest.mark.parametrize("network", ["bridge", "flannel"])
def test_the_settings_reach_the_inventory_of_the_lab(network: str, families: str) -> None:
    given = dict(variable.split("=", 1) for variable in networks.size(network, families))
    made = inventory(int(given["CONTROLLERS"]), 2, 1, "", *given["SETTINGS"].split(), families=given["FAMILIES"])
    host = made["all"]["children"]["workers"]["hosts"]["wrk01"]
    assert host["cluster_pod_network"] == network
    pods = [ipaddress.ip_network(one) for one in host["cluster_pod_cidr"].split(",")]
    lengths = [int(one) for one in str(host["cluster_node_prefix_length"]).split(",")]
    assert [f"ipv{one.version}" for one in pods] == list(FAMILIES[families])
    # Room for both workers; kube-controller-manager takes 16 bits at most.
    assert all(1 <= length - one.prefixlen <= 16 for one, length in zip(pods, lengths, strict=True))
