# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP proxies: the environment of hosts, what is reached without them, and where the environment goes."""

from __future__ import annotations

import http.server
import pathlib

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import download, url_opener
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    computed,
    empty,
)

ROOT = pathlib.Path(__file__).resolve().parents[5]
PROXY = "http://proxy.example.com:3128"
DOWNLOADING = {"Data store", "Control plane", "Load balancer for the API", "Remote access", "Workers"}


def proxy(**settings) -> dict[str, str]:
    found = computed(empty(), **settings)
    assert found["plan"]["problems"] == []
    return found["spec"]["proxy"]


def test_without_a_proxy():
    assert proxy() == proxy(cluster_no_proxy=["example.com"]) == {}


def test_both_cases_of_each_variable():
    found = proxy(cluster_http_proxy=PROXY)
    assert found["http_proxy"] == found["HTTP_PROXY"] == PROXY
    assert found["no_proxy"] == found["NO_PROXY"]
    assert found.keys() == {"http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"}
    assert proxy(cluster_https_proxy=PROXY).keys() == {"https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"}


def test_what_is_reached_without_the_proxy():
    found = proxy(
        cluster_https_proxy=PROXY,
        cluster_no_proxy=["mirror.example.com", "10.0.0.11"],
        cluster_api_server="https://api.example.com:6443",
        cluster_domain="k8s.test",
    )["no_proxy"].split(",")
    assert set(found) == {
        *("localhost", "127.0.0.1", "::1", *ADDRESSES, *ADDRESSES.values()),
        *("10.200.0.0/16", "10.32.0.0/24", ".svc", ".k8s.test", "api.example.com", "mirror.example.com"),
    }
    assert len(found) == len(set(found))


@pytest.mark.parametrize("value", ["proxy.example.com:3128", "socks5://p:1", "http://", "http://a b:1"])
def test_what_is_not_a_proxy(value):
    (problem,) = computed(empty(), cluster_http_proxy=value)["plan"]["problems"]
    assert problem.startswith("cluster_http_proxy: it is not the URL of a proxy")


@pytest.mark.parametrize("name", ["a,b", "a b", ""])
def test_what_is_not_one_exception(name):
    (problem,) = computed(empty(), cluster_no_proxy=[name])["plan"]["problems"]
    assert problem.startswith(f"cluster_no_proxy: {name!r} is not one name")


def test_the_environment_reaches_every_play_that_downloads():
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))
    assert {play["name"] for play in plays if "environment" in play} == DOWNLOADING
    assert {play["environment"] for play in plays if "environment" in play} == {
        "{{ cluster.spec.proxy | default({}) }}"
    }


def test_a_download_goes_through_the_proxy(monkeypatch, tmp_path, serving):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a program")

        def log_message(self, *_):
            pass

    with serving(Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        for name, value in proxy(cluster_http_proxy=address).items():
            monkeypatch.setenv(name, value)
        download("http://downloads.invalid/tool", str(tmp_path / "tool"), opener=url_opener(timeout=5))
        # An exception: the server is asked itself, and sees a path.
        download(f"{address}/direct", str(tmp_path / "tool"), opener=url_opener(timeout=5))
    assert asked == ["http://downloads.invalid/tool", "/direct"]
