# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the lab ask with, in each address family."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "lab"))
sys.path.insert(0, str(ROOT / "tests" / "lab" / "networks"))

import web
from support import Node, family, in_url, of_family, one_per_family

BOTH = ("10.240.0.11", "fd00:10:240::11")


@pytest.mark.parametrize("given", ["10.240.0.11,fd00:10:240::11", "10.240.0.11, fd00:10:240::11", list(BOTH)])
def test_addresses_are_a_list_or_text_with_commas(given: t.Any) -> None:
    assert one_per_family(given) == BOTH


def test_a_host_has_an_address_of_each_family() -> None:
    node = Node("ctl01", BOTH, t.cast(t.Any, None))
    assert (node.address, node.of("IPv4"), node.of("IPv6")) == (BOTH[0], *BOTH)
    with pytest.raises(ValueError, match="not enough values"):
        of_family(BOTH[:1], "IPv6")


def test_addresses_stand_in_brackets_before_a_port() -> None:
    assert [in_url(address) for address in BOTH] == ["10.240.0.11", "[fd00:10:240::11]"]
    assert [family(network) for network in ("10.200.0.0/16", "fd00:10:200::/56")] == ["IPv4", "IPv6"]


@pytest.mark.parametrize("families", [["IPv4"], ["IPv6"], ["IPv4", "IPv6"]])
def test_web_servers_listen_in_each_family(families: list[str]) -> None:
    config = web.nginx(families)
    wanted = {"IPv4": {"80", "443 ssl"}, "IPv6": {"[::]:80", "[::]:443 ssl"}}
    listened = {line.strip().removeprefix("listen ").rstrip(";") for line in config.splitlines() if "listen " in line}
    assert listened == {"127.0.0.1:81"}.union(*(wanted[one] for one in families))
    assert "LISTEN" not in config


def test_services_ask_for_all_families_and_keep_what_else_they_are_given() -> None:
    made = web.objects("apart", ["IPv4"], b"", b"")
    services = {one["metadata"]["name"]: one["spec"] for one in made if one["kind"] == "Service"}
    assert {spec["ipFamilyPolicy"] for spec in services.values()} == {"PreferDualStack"}
    assert services["web-headless"]["clusterIP"] == "None"
    only = web.service("only", "web", ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"])["spec"]
    assert (only["ipFamilyPolicy"], only["ipFamilies"]) == ("SingleStack", ["IPv6"])


# As Debian's busybox prints it, and as older ones do.
ANSWERS = [
    "Server:\t\tfd00:10:32::a\nAddress:\t[fd00:10:32::a]:53\n\nName:\tweb.a.svc.cluster.local\nAddress: 10.32.0.7\n\n"
    "Name:\tweb.a.svc.cluster.local\nAddress: fd00:10:32::7\n",
    "Server:    10.32.0.10\nAddress 1: 10.32.0.10 kube-dns\n\nName:      web.a.svc.cluster.local\n"
    "Address 1: 10.32.0.7 web.a.svc.cluster.local\nAddress 2: fd00:10:32::7 web.a.svc.cluster.local\n",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_all_addresses_of_a_name_are_found(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(web.Web, "run", lambda *_arguments: answer)
    servers = web.Web(t.cast(t.Any, None), "a", [], t.cast(t.Any, None))
    pod = t.cast(t.Any, None)
    assert servers.found(pod, "web.a.svc.cluster.local", "10.32.0.10") == {"10.32.0.7", "fd00:10:32::7"}
    monkeypatch.setattr(web.Web, "run", lambda *_arguments: answer.partition("Name:")[0])
    assert servers.found(pod, "web.a.svc.cluster.local") == set()
