# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP and HTTPS with client certificates: what is sent, and what is not followed."""

from __future__ import annotations

import http.server
import ssl

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils import _http


@pytest.fixture
def server(serving):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, f"{self.path} {self.headers['Host']} {body.decode()}".encode())

        def do_GET(self):
            if self.path == "/moved":
                self.answer(302, b"", Location="/elsewhere")
            else:
                self.answer(200, self.path.encode())

        def answer(self, status, body, **headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    with serving(Handler) as running:
        yield f"http://127.0.0.1:{running.server_port}"


def test_a_request(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert _http.request(server) == (200, b"/")
    assert _http.request(f"{server}/a?b=c") == (200, b"/a?b=c")
    assert _http.request(f"{server}/abcdef", limit=3).body == b"/ab"
    answer = _http.request(f"{server}/v3", method="POST", body=b"{}", headers={"Host": "lb"})
    assert answer.text() == "/v3 lb {}"


def test_a_redirect_is_an_answer(server):
    assert _http.request(f"{server}/moved").status == 302


def test_the_errors_are_those_of_the_library(server, tmp_path):
    with pytest.raises(ConnectionRefusedError):
        _http.request("http://127.0.0.1:1/")
    with pytest.raises(ssl.SSLError):
        _http.request(server.replace("http:", "https:"), context=_http.tls_context(verify=False))
    with pytest.raises(FileNotFoundError):
        _http.tls_context(ca_cert=str(tmp_path / "missing.pem"))


def test_text_that_is_not_text():
    assert _http.Answer(500, b" \xff\n" + b"x" * 500).text(4) == "\ufffd\nx"
