# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers refuse old TLS, plain text and unknown clients before authentication."""

from __future__ import annotations

import typing as t

import pytest
from support import ETCD_CREDENTIALS, in_url, local

if t.TYPE_CHECKING:
    from support import Cluster, Node

PORTS = {
    "kube-apiserver": ("controllers", 6443),
    "etcd": ("etcd", 2379),
    "etcd-peer": ("etcd", 2380),
    "kubelet": ("workers", 10250),
}


# Prints the cipher of a handshake in TLS 1.2 with one cipher, or why there is none.
_CIPHER = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.maximum_version = ssl.TLSVersion.TLSv1_2
context.set_ciphers(sys.argv[2])
try:
    with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)) as connection:
        print(connection.cipher()[0])
except ssl.SSLError as error:
    print(error.reason)
"""
GCM, CBC = "ECDHE+AESGCM", "ECDHE+AES128+SHA1"


def _handshake(node: Node, port: int, version: str, ciphers: str = "DEFAULT") -> str:
    """Return openssl's output for a handshake with one protocol version, which it may use itself, on the host."""
    asked = f"openssl s_client -connect {in_url(node.address)}:{port} -{version} -cipher {ciphers}:@SECLEVEL=0"
    done = node.run("sh", "-c", f"{asked} </dev/null 2>&1")
    return str(done.stdout)


@pytest.mark.parametrize("program", PORTS)
def test_tls_1_2_is_spoken_and_1_1_refused(cluster: Cluster, program: str) -> None:
    part, port = PORTS[program]
    for node in cluster.groups[part]:
        assert "BEGIN CERTIFICATE" in _handshake(node, port, "tls1_2")
        refused = _handshake(node, port, "tls1_1")
        assert "BEGIN CERTIFICATE" not in refused
        assert "alert protocol version" in refused


@pytest.mark.parametrize("program", PORTS)
def test_ciphers_without_authentication_of_the_data_are_refused(cluster: Cluster, program: str) -> None:
    part, port = PORTS[program]
    for node in cluster.groups[part]:
        assert "BEGIN CERTIFICATE" in _handshake(node, port, "tls1_2", GCM)
        refused = _handshake(node, port, "tls1_2", CBC)
        assert "BEGIN CERTIFICATE" not in refused
        assert "alert handshake failure" in refused


@pytest.mark.parametrize("port", [10257, 10259])
def test_ciphers_on_loopback(controller: Node, port: int) -> None:
    assert "GCM" in controller.out("python3", "-c", _CIPHER, str(port), GCM)
    assert controller.out("python3", "-c", _CIPHER, str(port), CBC).strip() == "SSLV3_ALERT_HANDSHAKE_FAILURE"


def test_etcd_refuses_plain_http(member: Node) -> None:
    done = member.run(
        "curl", "--silent", "--show-error", "--max-time", "5", f"http://{in_url(member.address)}:2379/health"
    )
    assert done.rc != 0
    assert "healthy" not in done.stdout and "true" not in done.stdout
    endpoint = f"--endpoints=https://{in_url(member.address)}:2379"
    secured = member.run("etcdctl", endpoint, *ETCD_CREDENTIALS, "endpoint", "health")
    assert secured.rc == 0, secured.stderr


@pytest.mark.parametrize("port", [2379, 2380])
def test_etcd_refuses_those_without_certificate(member: Node, port: int) -> None:
    # TLS 1.2 says it in the handshake; with 1.3 the refusal comes only after it.
    command = f"openssl s_client -connect {in_url(member.address)}:{port} -tls1_2 -CAfile /etc/etcd/ca.pem"
    refused = member.run("sh", "-c", f"{command} </dev/null 2>&1")
    assert " alert " in refused.stdout
    known = member.out(
        "sh", "-c", f"{command} -cert /etc/etcd/member.pem -key /etc/etcd/member-key.pem </dev/null 2>&1"
    )
    assert " alert " not in known
    assert "Verification: OK" in known


def _status(url: str, *options: str) -> str:
    done = local(
        "curl",
        "--silent",
        "--insecure",
        "--max-time",
        "5",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        *options,
        url,
    )
    return done.stdout


@pytest.mark.parametrize("path", ["pods", "metrics", "logs/", "run/a/b/c"])
def test_kubelet_refuses_anonymous_requests(worker: Node, path: str, host_family: str) -> None:
    assert _status(f"https://{in_url(worker.of(host_family))}:10250/{path}") == "401"


def test_kubelet_refuses_a_known_user_without_the_right(cluster: Cluster, worker: Node) -> None:
    # The scheduler's certificate is of the cluster's CA, but RBAC gives it nothing at the kubelet.
    kubeconfig = cluster.pki / "kube-scheduler.kubeconfig"
    assert kubeconfig.exists()
    options = ("--cert", str(cluster.pki / "kube-scheduler.pem"), "--key", str(cluster.pki / "kube-scheduler-key.pem"))
    assert _status(f"https://{in_url(worker.address)}:10250/pods", *options) == "403"


@pytest.mark.parametrize("path", ["livez", "readyz", "healthz"])
def test_api_gives_strangers_health(controller: Node, path: str, host_family: str) -> None:
    assert _status(f"https://{in_url(controller.of(host_family))}:6443/{path}") == "200"


@pytest.mark.parametrize("path", ["version", "api", "livez/ping", "metrics", "api/v1/namespaces/default/secrets"])
def test_api_gives_strangers_nothing_else(cluster: Cluster, path: str) -> None:
    nodes = [node for part in ("controllers", "lb") for node in cluster.groups[part]]
    servers = [address for node in nodes for address in node.addresses]
    assert {_status(f"https://{in_url(address)}:6443/{path}") for address in servers} == {"401"}


def test_profiling_is_off(cluster: Cluster, controller: Node) -> None:
    options = ("--cert", str(cluster.pki / "admin.pem"), "--key", str(cluster.pki / "admin-key.pem"))
    assert _status(f"https://{in_url(controller.address)}:6443/debug/pprof/", *options) == "404"
