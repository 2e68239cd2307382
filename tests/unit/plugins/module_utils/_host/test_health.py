# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health endpoints, asked on loopback."""

from __future__ import annotations

import http.server

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import UnitError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.health import Health


@pytest.fixture
def server(serving):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = {"/healthz": (200, b"ok"), "/ill": (500, b"[-]etcd failed\n")}.get(self.path, (204, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    with serving(Handler) as running:
        yield f"http://127.0.0.1:{running.server_port}"


def test_a_healthy_endpoint(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # a proxy of the host is not asked
    assert Health(url=f"{server}/healthz").problem() is None


def test_an_ill_endpoint_says_what_it_answers(server):
    assert Health(url=f"{server}/ill").problem() == f"{server}/ill answers 500: [-]etcd failed"
    assert Health(url=f"{server}/other").problem() == f"{server}/other answers 204"


def test_nobody_listens():
    problem = Health(url="http://127.0.0.1:1/healthz").problem()
    assert problem.startswith("http://127.0.0.1:1/healthz: ")
    assert "refused" in problem


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:6443/readyz", "https://localhost:6443/readyz", "https://[::1]:6443/readyz"]
)
def test_an_unverified_certificate_is_accepted_from_loopback(url):
    Health(url=url)


@pytest.mark.parametrize("url", ["https://10.0.0.1:6443/readyz", "https://ctl01/readyz", "https://128.127.0.1/"])
def test_an_unverified_certificate_is_accepted_from_nobody_else(url):
    with pytest.raises(UnitError, match="only an address on loopback may be asked without ca_cert"):
        Health(url=url)
    Health(url=url, ca_cert="/etc/etcd/ca.pem")
