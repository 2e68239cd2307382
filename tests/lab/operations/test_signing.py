# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificate requests: nobody signs them, until a setting says so. What is signed then opens nothing but the API."""

from __future__ import annotations

import base64
import pathlib
import subprocess
import typing as t

import pytest
from playbook import run, variables
from support import local, wait_until

if t.TYPE_CHECKING:
    from support import Cluster

pytestmark = pytest.mark.disruptive

NAME = "hardway-lab-test"
SIGNER = "kubernetes.io/kube-apiserver-client"
KEY = "/var/lib/kubernetes/ca-key.pem"


@pytest.fixture
def request_of_nobody(cluster: Cluster, tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """An approved request for a user without rights; the directory has its key."""
    asked = (
        "openssl",
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "nobody-key.pem",
        "-subj",
        "/CN=nobody",
    )
    made = subprocess.run(asked, cwd=tmp_path, capture_output=True, check=True)
    described = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": NAME},
        "spec": {"request": base64.b64encode(made.stdout).decode(), "signerName": SIGNER, "usages": ["client auth"]},
    }
    cluster.apply(described)
    cluster.kubectl("certificate", "approve", NAME)
    yield tmp_path
    cluster.kubectl("delete", "csr", NAME, "--ignore-not-found")


def _signed(cluster: Cluster) -> str:
    return str(cluster.get("csr", NAME)["status"].get("certificate", ""))


def _curl(directory: pathlib.Path, url: str) -> subprocess.CompletedProcess[str]:
    pair = ("--cert", str(directory / "nobody.pem"), "--key", str(directory / "nobody-key.pem"))
    return local("curl", "--silent", "--insecure", "--max-time", "5", *pair, url)


def test_signing_is_a_choice(cluster: Cluster, inventory: str, request_of_nobody: pathlib.Path) -> None:
    assert {node.run("test", "-e", KEY).rc for node in cluster.controllers} == {1}
    assert _signed(cluster) == ""
    signing = variables(controller_manager_sign_certificates=True)
    run(inventory, *signing)
    held = {node.out("stat", "--format=%a %U", KEY).strip() for node in cluster.controllers}
    assert held == {"600 kube-controller-manager"}
    assert run(inventory, *signing).changed == []
    certificate = wait_until(lambda: _signed(cluster), seconds=60, what="the request is signed")
    (request_of_nobody / "nobody.pem").write_bytes(base64.b64decode(certificate))
    # It is a client of the API without rights, and not a server.
    shown = local("openssl", "x509", "-in", str(request_of_nobody / "nobody.pem"), "-noout", "-ext", "extendedKeyUsage")
    assert shown.stdout.split("\n")[1].strip() == "TLS Web Client Authentication"
    controller, member, worker = cluster.controllers[0], cluster.members[0], cluster.workers[0]
    asked = _curl(request_of_nobody, f"https://{controller.address}:6443/api/v1/namespaces/kube-system/secrets")
    assert '"nobody\\" cannot list' in asked.stdout
    assert "nobody" in _curl(request_of_nobody, f"https://{worker.address}:10250/pods").stdout
    for port in (2379, 2380):
        refused = _curl(request_of_nobody, f"https://{member.address}:{port}/health")
        assert refused.returncode != 0
        assert refused.stdout == ""
    # Without the setting the key leaves the controllers.
    run(inventory)
    assert {node.run("test", "-e", KEY).rc for node in cluster.controllers} == {1}
    assert run(inventory).changed == []
