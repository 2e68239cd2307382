# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load balancers' keepalived: its configuration on each host, and the check that decides who has the address."""

from __future__ import annotations

import http.server
import re
import ssl
import subprocess
import threading

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.virtual_addresses import keepalived
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster import examples
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import ROLES, Role

VIP = "10.0.0.100"
# Hosts of the article, so that they are in the inventory.
BALANCERS = ["kubelb", "wrk01"]
CHECK = ROLES / "lb" / "files" / "check-api.sh"


@pytest.fixture
def networks(monkeypatch):
    """Hosts whose interfaces were read."""
    read = examples.empty()
    for host, found in read.items():
        found["networks"] = {examples.ADDRESSES[host]: {"interface": f"eth-{host}", "prefix_length": 24}}
    monkeypatch.setattr("ansible_collections.hardway.kubernetes.tests.unit.roles.rendering.empty", lambda: read)


def configuration(host, balancers=None, address=VIP):
    role = Role(
        "lb", host, parts={"load_balancers": balancers or BALANCERS}, lb_virtual_address=address, lb_ports=[8443, 443]
    )
    return role.template("keepalived.conf.j2")


def blocks(text):
    """Return the directives of each block of a configuration, innermost blocks alone by their name."""
    return {
        name.split()[0]: [line.strip() for line in body.splitlines() if line.strip()]
        for name, body in re.findall(r"^ *(\w[^{\n]*) \{\n([^{}]*)\}", text, re.MULTILINE)
    }


def test_each_speaks_to_the_others_alone(networks):
    for host, other in (BALANCERS, BALANCERS[::-1]):
        text = configuration(host)
        assert blocks(text)["unicast_peer"] == [examples.ADDRESSES[other]]
        assert f"  unicast_src_ip {examples.ADDRESSES[host]}\n" in text
        assert f"  interface eth-{host}\n" in text
    assert "unicast_peer" not in configuration("kubelb", ["kubelb"])


def test_the_address_moves_only_when_it_has_to(networks):
    """Equal priorities and a check that lowers them: the one that comes back does not take the address back."""
    priorities = {re.search(r"priority (\d+)", configuration(host))[1] for host in BALANCERS}
    text = configuration("kubelb")
    assert len(priorities) == 1
    assert "state BACKUP" in text
    assert int(re.search(r"weight (-?\d+)", text)[1]) < 0


def test_both_have_the_same_router(networks):
    first, second = (re.search(r"virtual_router_id (\d+)", configuration(host))[1] for host in BALANCERS)
    assert first == second
    assert 1 <= int(first) <= 255


@pytest.mark.parametrize("address", [VIP, "10.0.0.7"])
def test_the_next_run_reads_the_address_back(networks, address):
    assert keepalived(configuration("kubelb", address=address)) == {"addresses": [address], "foreign": False}


@pytest.mark.parametrize(
    ("text", "foreign"),
    [("", False), ("\n", False), ("vrrp_instance web {\n  virtual_ipaddress {\n    10.0.0.9/24\n  }\n}\n", True)],
)
def test_another_configuration_is_not_the_roles(text, foreign):
    assert keepalived(text) == {"addresses": [], "foreign": foreign}


def test_an_ipv6_address_is_read_back():
    text = "vrrp_instance kubernetes_api {\n  virtual_ipaddress {\n    fd00::100/128\n  }\n}\n"
    assert keepalived(text)["addresses"] == ["fd00::100"]


def test_the_check_uses_the_port_of_the_load_balancer(networks):
    assert 'script "/etc/keepalived/check-api 8443 3"' in configuration("kubelb")


# --- the check --------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(tmp_path):
    """Return the port of a server with TLS that answers each request with the next status; the last one stays."""
    statuses, asked = [200], []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a", "-keyout", "key", "-out", "crt"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class Api:
        port = server.server_address[1]

        def check(self, *answers, attempts=3):
            statuses[:] = answers
            asked.clear()
            return well(self.port, attempts), list(asked)

    yield Api()
    server.shutdown()
    server.server_close()


def well(port, attempts=3):
    return subprocess.run(["sh", str(CHECK), str(port), str(attempts)], check=False).returncode == 0


def test_a_ready_api_server(api):
    assert api.check(200) == (True, ["/readyz"])


def test_one_of_several_is_ready(api):
    assert api.check(500, 503, 200) == (True, ["/readyz"] * 3)


def test_none_is_ready(api):
    assert api.check(500) == (False, ["/readyz"] * 3)


def test_an_api_server_that_closes_its_health_to_strangers(api):
    assert api.check(401)[0]
    assert not api.check(404)[0]


def test_nothing_listens(api):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as closed:
        port = closed.server_address[1]
    assert not well(port)


def test_a_proxy_of_the_host_is_not_asked(api, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert api.check(200)[0]
