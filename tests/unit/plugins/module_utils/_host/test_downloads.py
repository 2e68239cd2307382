# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads: where they are read, and the sums that they are held to."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import time

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import downloads
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import (
    expected_sum,
    fetch,
    find_checksum,
    mirrored,
    url_opener,
)

SUM = "0123456789abcdef" * 4
OTHER = "f" * 64


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ("", "https://dl.k8s.io/release/v1/kubelet"),
        ("file:///srv/mirror", "file:///srv/mirror/dl.k8s.io/release/v1/kubelet"),
        ("https://mirror.example.com/k8s/", "https://mirror.example.com/k8s/dl.k8s.io/release/v1/kubelet"),
    ],
)
def test_mirrored(mirror, expected):
    assert mirrored("https://dl.k8s.io/release/v1/kubelet", mirror) == expected


@pytest.mark.parametrize(
    "text",
    [
        SUM,
        f"{SUM}\n",
        f"{SUM.upper()}\n",
        f"{SUM}  tool\n",
        f"{SUM} *tool\n",
        f"{SUM}  ./out/tool\n",
        f"{OTHER}  other\n{SUM}  tool\n",
        f"{OTHER}  tool.asc\n\n{SUM}  tool\n{OTHER}  sbin-tool\n",
        f"# sums of release 1\n{SUM}  tool\n",
    ],
)
def test_find_checksum(text):
    assert find_checksum(text, "tool") == SUM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "<html><title>404 Not Found</title></html>",
        f"{SUM}  other\n",
        f"{SUM}  tool.sig\n",
        f"{SUM}\n{OTHER}\n",  # two bare sums: whose?
        f"{SUM[:-1]}  tool\n",
        f"{SUM}0  tool\n",
        f"{'g' * 64}  tool\n",
    ],
)
def test_no_checksum_for_the_file(text):
    assert find_checksum(text, "tool") is None


def test_fetch(tmp_path):
    path = tmp_path / "tool"
    expected = hashlib.sha256(b"one").hexdigest()
    fetch("https://example.com/tool", str(path), expected=expected.upper(), opener=lambda _url: io.BytesIO(b"one"))
    assert path.read_bytes() == b"one"
    with pytest.raises(DownloadError, match=f"^https://example.com/tool: .* is {expected}, expected {OTHER}$"):
        fetch("https://example.com/tool", str(path), expected=OTHER, opener=lambda _url: io.BytesIO(b"one"))


CONTENT = b"a program"
CONTENT_SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    """A server whose answers are a list: a status, "reset", "silence", "short" or "good", which the last one stays."""
    monkeypatch.setattr(downloads, "_PAUSES", (0.01, 0.01))
    answers: list = []
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            body = f"{CONTENT_SUM}  tool\n".encode() if self.path.endswith(".sha256") else CONTENT
            if answer == "silence":
                time.sleep(1.0)
            elif answer == "reset":
                self.connection.setsockopt(1, 13, bytes([1, 0, 0, 0, 0, 0, 0, 0]))  # SO_LINGER: an RST ends it
                self.connection.close()
            elif answer in ("good", "short"):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body if answer == "good" else body[:-1])
            else:
                self.send_error(answer)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    running = Server(("127.0.0.1", 0), Handler)
    try:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        running.address = f"http://127.0.0.1:{running.server_port}/tool"
        running.answers, running.asked = answers, asked
        yield running
    finally:
        running.shutdown()
        running.server_close()
        running.shutdown()


@pytest.mark.parametrize("trouble", [503, 429, "reset", "silence", "short"])
def test_trouble_that_passes(server, tmp_path, trouble):
    opener = url_opener(timeout=0.3)
    server.answers[:] = [trouble, trouble, "good"]
    fetch(server.address, str(tmp_path / "tool"), expected=CONTENT_SUM, opener=opener)
    assert (tmp_path / "tool").read_bytes() == CONTENT
    server.answers[:] = [trouble, trouble, "good"]
    listing = f"{server.address}.sha256"
    assert expected_sum(server.address, checksum_url=listing, name="tool", opener=opener) == CONTENT_SUM


def test_both_troubles_are_named(server, tmp_path):
    server.answers[:] = [503, 404]
    with pytest.raises(DownloadError, match=r"503.*; then .*404"):
        fetch(server.address, str(tmp_path / "tool"), expected=CONTENT_SUM, opener=url_opener(timeout=5))


@pytest.mark.parametrize(("trouble", "attempts"), [(503, 3), (404, 1), (403, 1)])
def test_trouble_that_stays(server, tmp_path, trouble, attempts):
    server.answers[:] = [trouble]
    with pytest.raises(DownloadError, match=f"{server.address}: the download failed .*{trouble}"):
        fetch(server.address, str(tmp_path / "tool"), expected=CONTENT_SUM, opener=url_opener(timeout=5))
    assert len(server.asked) == attempts


def test_a_wrong_sum_is_not_tried_again(server, tmp_path):
    server.answers[:] = ["good"]
    with pytest.raises(DownloadError, match="the SHA-256 sum of the download"):
        fetch(server.address, str(tmp_path / "tool"), expected=OTHER, opener=url_opener(timeout=5))
    assert len(server.asked) == 1


def test_a_refused_connection_is_not_tried_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSES", (60.0, 60.0))
    with pytest.raises(DownloadError, match="refused"):
        fetch("http://127.0.0.1:9/tool", str(tmp_path / "tool"), expected=OTHER, opener=url_opener(timeout=5))
