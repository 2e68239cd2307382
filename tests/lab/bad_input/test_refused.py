# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight on real hosts: it names each problem, and no file of any host and of the PKI directory is touched."""

from __future__ import annotations

import re
import typing as t

import pytest
from site_runs import POD_NETWORKS, RELEASES

if t.TYPE_CHECKING:
    from site_runs import Site
    from support import Node

REFUSAL = "hardway.kubernetes.preflight : Check that a working cluster can be built: "


def refusal(site: Site, **variables: t.Any) -> list[str]:
    """The problems that a run is refused for."""
    failure = site.refuses(**variables)
    assert failure.startswith(REFUSAL)
    head, *problems = failure.removeprefix(REFUSAL).partition(": ")[2].splitlines()
    assert head == f"{len(problems)} problem(s) found. Nothing was changed."
    return [problem.removeprefix("- ") for problem in problems]


def test_settings(site: Site) -> None:
    variables = {
        "cluster_pod_cidr": "10.239.0.0/16",
        "cluster_release": "1.18",
        "cluster_pod_network": "carrier-pigeon",
        "cluster_dns_address": "10.96.0.10",
    }
    assert refusal(site, **variables) == [
        *(
            f"{node.name}: node_address {node.address} lies in cluster_pod_cidr 10.239.0.0/16; host, pod and service "
            "networks must be apart"
            for node in site.hosts.values()
        ),
        "cluster_dns_address 10.96.0.10 is outside cluster_service_cidr 10.32.0.0/24",
        f"cluster_release: '1.18' is unknown; known: {', '.join(RELEASES)}",
        f"cluster_pod_network: 'carrier-pigeon' is unknown; known: {', '.join(POD_NETWORKS)}",
    ]


@pytest.fixture
def hour_ahead(site: Site) -> t.Iterator[Node]:
    """A host whose Python, which the modules run in, reads a clock that is an hour ahead.

    The containers have the machine's clock, which a test cannot set for one of them.
    """
    node = site.cluster.workers[0]
    directory = node.out("python3", "-c", "import site; print(site.getsitepackages()[0])").strip()
    ahead = "import time; time.time = lambda read=time.time: read() + 3600"
    node.out("sh", "-c", f'mkdir -p "{directory}" && echo "{ahead}" >"{directory}/hour-ahead.pth"')
    yield node
    node.out("rm", f"{directory}/hour-ahead.pth")


def test_a_clock_that_is_an_hour_ahead(site: Site, hour_ahead: Node) -> None:
    (problem,) = refusal(site)
    found = re.fullmatch(
        rf"{hour_ahead.name} and (ctl01|client): their clocks are at least (\d+\.\d) s apart, at most 5 s are allowed; "
        r"synchronise them \(chrony, systemd-timesyncd\)",
        problem,
    )
    assert found, problem
    # Least for sure: asking takes some seconds.
    assert 3500 < float(found[2]) <= 3600


@pytest.mark.parametrize(
    ("path", "setting", "asked"),
    [("/usr/local", "preflight_free_mib", 1500), ("/var/lib/etcd", "preflight_etcd_free_mib", 256)],
)
def test_a_small_disk(
    site: Site, small_disk: t.Callable[[Node, str, int], None], path: str, setting: str, asked: int
) -> None:
    node = site.cluster.controllers[0]
    small_disk(node, path, 16)
    assert refusal(site) == [f"{node.name}: has 16 MiB free under {path}; {setting} requires {asked}"]
