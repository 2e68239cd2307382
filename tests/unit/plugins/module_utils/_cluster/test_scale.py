# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/operate/scale.md says of a thousand workers: its settings are accepted, and its arithmetic holds."""

from __future__ import annotations

import functools
import ipaddress
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    KNOWN,
    PARTS,
    computed,
    empty,
    reading,
)

TEXT = (pathlib.Path(__file__).resolve().parents[5] / "docs" / "operate" / "scale.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (10\.\S+/\d+)(?:, the default)? \| (\d+)(?:, the default)? \| ([\d,]+) \| (\d+)", re.MULTILINE)
NETWORKS = [
    (cidr, int(length), int(nodes.replace(",", "")), int(each)) for cidr, length, nodes, each in ROW.findall(TEXT)
]


@functools.cache
def settings() -> dict[str, t.Any]:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    return t.cast(dict[str, t.Any], yaml.safe_load(block))


def large(workers: int, **everywhere: t.Any) -> dict[str, t.Any]:
    """Return the cluster of the example with another number of workers."""
    addresses = ipaddress.ip_network("172.16.0.0/16")
    hosts = {f"wrk{number:04d}": {"node_address": str(addresses[number])} for number in range(1, workers + 1)}
    readings = {
        host: reading(hostname=host, addresses=["127.0.0.1", own["node_address"]]) for host, own in hosts.items()
    }
    idle = {name: found for name, found in empty().items() if name not in PARTS["workers"]}
    return computed({**idle, **readings}, hosts=hosts, parts={"workers": list(hosts)}, **everywhere)


def test_the_settings_exist_and_a_thousand_workers_fit():
    assert settings().keys() <= KNOWN.keys()
    found = large(1000, **settings())
    assert found["plan"]["problems"] == []
    assert len(found["spec"]["hosts"]) == 1000 + len(PARTS["controllers"]) + 2


def test_the_defaults_are_refused_with_so_many():
    (problem,) = large(1000)["plan"]["problems"]
    assert problem == "cluster_pod_cidr 10.200.0.0/16 has 256 node networks of /24, and there are 1000 workers"


def test_each_worker_has_two_certificates():
    (said,) = re.findall(r"\| certificates: two for each worker \| ([\d,]+) of them", TEXT)
    numbers = {count: len(large(count)["spec"]["certificates"]["certificates"]) for count in (1, 2)}
    assert numbers[2] - numbers[1] == 2
    assert numbers[2] + 998 * 2 == int(said.replace(",", ""))


@pytest.mark.parametrize(("cidr", "length", "nodes", "each"), NETWORKS)
def test_node_networks(cidr, length, nodes, each):
    network = ipaddress.ip_network(cidr)
    first = next(network.subnets(new_prefix=length))
    assert nodes == network.num_addresses // first.num_addresses
    assert each == first.num_addresses - 2


def test_the_table_of_networks_was_read():
    assert len(NETWORKS) == 5


def test_the_line_through_the_measured_runs():
    """By least squares, with other means than the page's author had: the sum of squares has its least value there."""
    (base, slope) = re.findall(r"`(\d+) s \+ ([\d.]+) s \* workers`", TEXT)[0]
    points = [(2, 23), (8, 50), (16, 93)]

    def squares(constant: float, factor: float) -> float:
        return sum((constant + factor * size - seconds) ** 2 for size, seconds in points)

    best = min(squares(constant / 10, factor / 100) for constant in range(200) for factor in range(300, 700))
    assert squares(float(base), float(slope)) <= best + 1
    assert f"{float(base) + 1000 * float(slope):,.0f} s" in TEXT
