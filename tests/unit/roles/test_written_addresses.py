# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles write about addresses and networks, with one address family and with both."""

from __future__ import annotations

import json
import subprocess
import typing as t

import pytest
import yaml
from ansible_collections.hardway.kubernetes.tests.unit.roles.written_addresses import GOLDEN, lab_hosts, written

ONE = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
FOUR_ALONE = written(lab_hosts(), [["10.200.0.0/24"], ["10.200.1.0/24"]])


def test_the_same_is_compared():
    assert FOUR_ALONE.keys() == ONE.keys()


@pytest.mark.parametrize("name", ONE)
def test_hosts_of_ipv4_alone_get_what_they_got_before_there_were_two_families(name):
    assert FOUR_ALONE[name] == ONE[name]


def both(address: str) -> str:
    return f"{address},fd00:10:240::{address.rpartition('.')[2]}"


DUAL = written(
    lab_hosts(both),
    [["10.200.0.0/24", "fd00:200::/64"], ["10.200.1.0/24", "fd00:200:0:1::/64"]],
    cluster_pod_cidr=["10.200.0.0/16", "fd00:200::/48"],
    cluster_service_cidr="10.32.0.0/24,fd00:32::/112",
    cluster_dns_address="10.32.0.10,fd00:32::a",
)
SIX = written(
    lab_hosts(lambda address: both(address).split(",")[1]),
    [["fd00:200::/64"], ["fd00:200:0:1::/64"]],
    cluster_pod_cidr="fd00:200::/48",
    cluster_service_cidr="fd00:32::/112",
    cluster_dns_address="fd00:32::a",
)


def file(found: dict[str, t.Any], name: str) -> str:
    """Return the file whose name begins like this."""
    (text,) = (text for key, text in found.items() if key.startswith(name))
    return str(text)


def lines(found: dict[str, t.Any], name: str, begin: str) -> list[str]:
    """Return what follows the beginning of lines of a file."""
    stripped = (line.strip() for line in file(found, name).splitlines())
    return [line.removeprefix(begin).strip() for line in stripped if line.startswith(begin)]


def test_flags_of_two_families():
    assert DUAL["apiserver flags"] == {
        "advertise-address": "10.240.0.11",
        "bind-address": "::",
        "etcd-servers": "https://10.240.0.11:2379,https://10.240.0.12:2379",
        "service-cluster-ip-range": "10.32.0.0/24,fd00:32::/112",
    }
    assert DUAL["controller_manager flags"] == {
        "bind-address": "127.0.0.1",
        "cluster-cidr": "10.200.0.0/16,fd00:200::/48",
        "node-cidr-mask-size-ipv4": 24,
        "node-cidr-mask-size-ipv6": 64,
        "service-cluster-ip-range": "10.32.0.0/24,fd00:32::/112",
    }
    assert DUAL["etcd flags"] == ONE["etcd flags"]
    assert DUAL["kubelet flags"] == {"node-ip": "10.240.0.21,fd00:10:240::21"}
    assert DUAL["kubelet"] == {
        "address": "::",
        "clusterDNS": ["10.32.0.10", "fd00:32::a"],
        "healthzBindAddress": "127.0.0.1",
    }
    assert DUAL["kube-proxy"] == {
        **ONE["kube-proxy"],
        "bindAddress": "::",
        "clusterCIDR": "10.200.0.0/16,fd00:200::/48",
    }


def test_flags_of_ipv6_alone():
    assert SIX["apiserver flags"] == {
        "advertise-address": "fd00:10:240::11",
        "bind-address": "::",
        "etcd-servers": "https://[fd00:10:240::11]:2379,https://[fd00:10:240::12]:2379",
        "service-cluster-ip-range": "fd00:32::/112",
    }
    assert SIX["controller_manager flags"] == {
        "bind-address": "127.0.0.1",
        "cluster-cidr": "fd00:200::/48",
        "node-cidr-mask-size": 64,
        "service-cluster-ip-range": "fd00:32::/112",
    }
    assert SIX["etcd flags"] == {
        "advertise-client-urls": "https://[fd00:10:240::12]:2379",
        "listen-client-urls": "https://[fd00:10:240::12]:2379,https://127.0.0.1:2379",
        "initial-advertise-peer-urls": "https://[fd00:10:240::12]:2380",
        "listen-peer-urls": "https://[fd00:10:240::12]:2380",
    }
    assert SIX["kubelet flags"] == {"node-ip": "fd00:10:240::21"}
    assert SIX["kubeconfigs"]["wrk01.kubeconfig"] == "https://[fd00:10:240::10]:6443"
    assert SIX["peers"]["etcd"]["ctl01"] == ["https://[fd00:10:240::12]:2379/health?exclude=NOSPACE"]


def test_certificates_have_every_address():
    assert DUAL["certificates"]["wrk01-server"] == ["wrk01", "10.240.0.21", "fd00:10:240::21"]
    assert DUAL["certificates"]["etcd-ctl01"] == ["ctl01", "10.240.0.11", "fd00:10:240::11", "127.0.0.1", "localhost"]
    wanted = {"10.32.0.1", "fd00:32::1", "10.240.0.11", "fd00:10:240::11", "10.240.0.10", "fd00:10:240::10"}
    assert wanted <= set(DUAL["certificates"]["kubernetes"])


def test_no_proxy_for_any_address_or_network():
    found = DUAL["no_proxy"].split(",")
    assert {"10.240.0.21", "fd00:10:240::21", "10.200.0.0/16", "fd00:200::/48", "fd00:32::/112"} <= set(found)


@pytest.mark.parametrize(
    ("found", "servers"),
    [
        (DUAL, ["10.240.0.11:6443", "10.240.0.12:6443"]),
        (SIX, ["[fd00:10:240::11]:6443", "[fd00:10:240::12]:6443"]),
    ],
)
def test_nginx_listens_for_both_and_reaches_api_servers_at_their_first_address(found, servers):
    assert lines(found, "kubernetes.conf", "listen ") == ["6443;", "[::]:6443;", "443;", "[::]:443;"]
    assert [line.split()[0] for line in lines(found, "kubernetes.conf", "server ") if " " in line] == servers
    assert lines(found, "healthz.conf", "listen ") == ["80;", "[::]:80;"]


def test_routes_of_each_family_have_a_file():
    six = ["replace proto 201 fd00:200:0:1::/64 via fd00:10:240::22"]
    assert lines(DUAL, "pod-network.routes.j2 of wrk01", "route ") == [
        "flush proto 201",
        "replace proto 201 10.200.1.0/24 via 10.240.0.22",
    ]
    assert lines(DUAL, "pod-network-ipv6.routes.j2 of wrk01", "route ") == ["flush proto 201", *six]
    assert lines(SIX, "pod-network.routes.j2 of wrk01", "route ") == ["flush proto 201"]
    assert lines(SIX, "pod-network-ipv6.routes.j2 of wrk01", "route ") == ["flush proto 201", *six]
    assert lines(DUAL, "pod-network.service.j2 of ctl01", "ExecStart=") == [
        "/sbin/ip -force -batch /etc/kubernetes/config/pod-network.routes",
        "/sbin/ip -6 -force -batch /etc/kubernetes/config/pod-network-ipv6.routes",
    ]


def test_bridge():
    (plugin, _portmap) = json.loads(file(DUAL, "pod-network.conflist"))["plugins"]
    assert plugin["ipam"] == {
        "type": "host-local",
        "ranges": [[{"subnet": "10.200.0.0/24"}], [{"subnet": "fd00:200::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
    }
    commands = lines(DUAL, "pod-network.service.j2 of wrk01", "ExecStart=/bin/sh -c ")
    assert len(commands) == 6
    for program, network in (("iptables", "10.200.0.0/16"), ("ip6tables", "fd00:200::/48")):
        mine = [line for line in commands if network in line]
        assert len(mine) == 3
        assert all(line.startswith(f"'{program} ") and f"|| {program} " in line for line in mine)


def test_nodes_forward_ipv6():
    for found in (DUAL, SIX):
        text = file(found, "sysctl.conf")
        assert "\nnet.ipv6.conf.all.forwarding = 1\n" in text
        assert "\n-net.bridge.bridge-nf-call-ip6tables = 1\n" in text


def test_the_cluster_dns_has_an_address_of_each_family():
    assert DUAL["CoreDNS"] == {
        "clusterIP": "10.32.0.10",
        "clusterIPs": ["10.32.0.10", "fd00:32::a"],
        "ipFamilies": ["IPv4", "IPv6"],
        "ipFamilyPolicy": "PreferDualStack",
    }
    assert SIX["CoreDNS"] == {"clusterIP": "fd00:32::a"}


def test_flannel_of_ipv6_alone():
    assert json.loads(SIX["flannel"]["net-conf.json"]) == {
        "Backend": {"Type": "vxlan"},
        "EnableIPv4": False,
        "EnableIPv6": True,
        "IPv6Network": "fd00:200::/48",
    }
    assert {key: SIX["flannel"][key] for key in ("command", "args", "env")} == {
        key: ONE["flannel"][key] for key in ("command", "args", "env")
    }


@pytest.mark.parametrize("addresses", ["10.240.0.21,fd00:10:240::21", "fd00:10:240::21,10.240.0.21"])
def test_flannel_of_two_families_is_told_both_addresses_of_its_node(addresses, tmp_path):
    assert json.loads(DUAL["flannel"]["net-conf.json"]) == {
        "Backend": {"Type": "vxlan"},
        "EnableIPv6": True,
        "IPv6Network": "fd00:200::/48",
        "Network": "10.200.0.0/16",
    }
    shell, option, script, name = DUAL["flannel"]["command"]
    assert DUAL["flannel"]["env"][1]["valueFrom"] == {"fieldRef": {"fieldPath": "status.hostIPs"}}
    program = tmp_path / "flanneld"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    done = subprocess.run(
        [shell, option, script.replace("/opt/bin/flanneld", str(program)), name, *DUAL["flannel"]["args"]],
        env={"NODE_ADDRESSES": addresses},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        *DUAL["flannel"]["args"],
        "--iface=10.240.0.21",
        "--public-ipv6=fd00:10:240::21",
    ]
