# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests with a kubeconfig, lists in pages, and the keys of tokens."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import tempfile
import urllib.parse

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import ApiError, Client
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.tokens import key_of_token, legacy_tokens

KUBECONFIG = """apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {certificate}
    server: {server}
  name: lab
users:
- name: admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"""


@pytest.fixture(scope="session")
def credentials(openssl, tmp_path_factory):
    """A certificate and its key, as a kubeconfig has them."""
    directory = tmp_path_factory.mktemp("credentials")
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2),
        *("-subj", "/CN=admin", "-keyout", "key", "-out", "certificate"),
        cwd=directory,
    )
    return {name: base64.b64encode((directory / name).read_bytes()).decode() for name in ("certificate", "key")}


@pytest.fixture
def client(credentials, serving, tmp_path):
    """A client of an API server that answers with a function of method, path, parameters and body."""

    def make(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                path, _mark, query = self.path.partition("?")
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                parameters = {name: value[0] for name, value in urllib.parse.parse_qs(query).items()}
                status, found = answer(self.command, path, parameters, body)
                content = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = respond

            def log_message(self, *_arguments):
                pass

        server = stack.enter_context(serving(Handler))
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG.format(server=f"http://127.0.0.1:{server.server_port}", **credentials))
        made.append(Client(str(path)))
        return made[-1]

    made: list[Client] = []
    with contextlib.ExitStack() as stack:
        yield make
        for entry in made:
            entry.close()


def test_a_list_is_read_in_pages(client):
    def answer(method, path, parameters, body):
        assert (method, path, body) == ("GET", "/api/v1/secrets", None)
        start = int(parameters.get("continue", 0))
        rest = {"continue": str(start + 2)} if start < 4 else {}
        return 200, {"metadata": rest, "items": [{"n": start}, {"n": start + 1}]}

    pages = list(client(answer).pages("/api/v1/secrets"))
    assert [entry["n"] for page in pages for entry in page] == [0, 1, 2, 3, 4, 5]


def test_a_list_whose_history_is_gone_begins_again(client):
    asked = []

    def answer(_method, _path, parameters, _body):
        asked.append(parameters.get("continue"))
        if asked.count("x") == 1 and asked[-1] == "x":
            return 410, {}
        return 200, {"metadata": {} if asked[-1] else {"continue": "x"}, "items": [{}]}

    assert len(list(client(answer).pages("/x"))) == 3
    assert asked == [None, "x", None, "x"]


def test_an_error_has_no_content_in_it(client):
    with pytest.raises(ApiError, match=r"GET /api/v1/secrets: HTTP 403$") as caught:
        list(client(lambda *_request: (403, {"message": "a secret"})).pages("/api/v1/secrets"))
    assert caught.value.status == 403


def test_an_api_server_that_does_not_answer(client):
    api = client(lambda *_request: (200, {}))
    api.server = "http://127.0.0.1:1"
    with pytest.raises(ApiError, match=r"GET /api: .*refused"):
        api.request("GET", "/api")


def test_an_api_server_that_starts_is_waited_for(client, tmp_path):
    asked = []

    def answer(_method, path, _parameters, _body):
        asked.append(path)
        return (200 if len(asked) > 2 else 500), {}

    client(answer)
    ready = Client.when_ready(str(tmp_path / "kubeconfig"), seconds=30)
    ready.close()
    assert asked == ["/readyz"] * 3


def test_an_api_server_that_never_gets_ready(client, tmp_path):
    client(lambda *_request: (500, {}))
    with pytest.raises(ApiError, match=r"not ready within 0 s \(HTTP 500\)\. Look at .*run site\.yml"):
        Client.when_ready(str(tmp_path / "kubeconfig"), seconds=0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("clusters: []\n", "no usable certificates|cannot be used"),
        ("server: x\n", "kubeconfig"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(tmp_path, text, words):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ApiError, match=words):
        Client(str(path))


def test_the_key_is_not_left_on_the_disk(client, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client(lambda *_request: (200, {}))
    assert os.listdir(tmp_path) == ["kubeconfig"]


# --- tokens ---------------------------------------------------------------------------------------


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


DIGEST = hashlib.sha256(b"a public key").digest()
TOKEN = f"{encoded(json.dumps({'alg': 'RS256', 'kid': encoded(DIGEST)}).encode())}.e30.x"


@pytest.mark.parametrize(
    ("token", "key"), [(TOKEN, DIGEST.hex()), ("", ""), ("x.y.z", ""), ("e30.y.z", ""), ("W10.y", ""), ("\u00e4", "")]
)
def test_the_key_of_a_token(token, key):
    assert key_of_token(token) == key


def test_secrets_with_tokens(client):
    def secret(name, token):
        return {
            "metadata": {"namespace": "ci", "name": name},
            "data": {"token": base64.b64encode(token.encode()).decode()},
        }

    def answer(_method, path, parameters, _body):
        assert (path, parameters["fieldSelector"]) == ("/api/v1/secrets", "type=kubernetes.io/service-account-token")
        return 200, {"items": [secret("a", TOKEN), secret("b", "x"), {"metadata": {"name": "c"}}]}

    assert legacy_tokens(client(answer)) == [{"namespace": "ci", "name": "a", "key": DIGEST.hex()}]
