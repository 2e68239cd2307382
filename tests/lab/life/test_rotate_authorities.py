# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each authority gets a new key while a client writes. openssl says afterwards who signed what, and who is let in."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import typing as t

import pytest
from playbook import run, variables
from support import local

if t.TYPE_CHECKING:
    from serving import Serving
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

PLAYBOOK = "playbooks/rotate_authorities.yml"
# Ports of the servers whose certificates an authority signs, by part of the cluster.
LISTENERS = {
    "ca": {"controllers": [6443], "lb": [6443], "workers": [10250]},
    "etcd-ca": {"etcd": [2379, 2380]},
    "front-proxy-ca": {},
}
_POD_FILES = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/kube-api-access-*"
# With the authority and the token of each pod of a worker, through the Service of the API.
_AS_PODS = f"""
for volume in {_POD_FILES}; do
    curl --silent --output /dev/null --max-time 10 --write-out '%{{http_code}}\\n' --cacert "$volume/ca.crt" \\
        --header "Authorization: Bearer $(cat "$volume/token")" "https://$1/version" || echo failed
done
"""


@pytest.fixture
def old(cluster: Cluster, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the PKI directory before the rotation."""
    return pathlib.Path(shutil.copytree(cluster.pki, tmp_path / "old"))


def _served(node: Node, port: int) -> str:
    """Return the certificate that a server shows."""
    # TLS 1.2: etcd shows its own before it asks for one.
    done = local("openssl", "s_client", "-connect", f"{node.address}:{port}", "-tls1_2", "-showcerts")
    return done.stdout[done.stdout.index("-----BEGIN") : done.stdout.index("-----END CERTIFICATE-----") + 26]


def _verifies(authority: pathlib.Path, certificate: str) -> bool:
    return local("openssl", "verify", "-CAfile", str(authority), stdin=certificate).returncode == 0


def _status(url: str, directory: pathlib.Path, name: str, *options: str) -> str:
    pair = ("--cert", str(directory / f"{name}.pem"), "--key", str(directory / f"{name}-key.pem"))
    written = ("--output", "/dev/null", "--write-out", "%{http_code}")
    return local("curl", "--silent", "--insecure", "--max-time", "5", *pair, *written, *options, url).stdout


def _forged(directory: pathlib.Path, authority: str, subject: str) -> str:
    """Sign a client's certificate with an authority of a directory, and return its name there."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "forged-key.pem", "-subj", subject,
            "-out", "forged.csr")  # fmt: skip
    (directory / "forged.ext").write_text("extendedKeyUsage=clientAuth\n")
    openssl("x509", "-req", "-in", "forged.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}-key.pem",
            "-days", "1", "-extfile", "forged.ext", "-out", "forged.pem")  # fmt: skip
    return "forged"


def _check_refusals(cluster: Cluster, name: str, old: pathlib.Path) -> None:
    """Check that nothing lets in what the old authority signed."""
    api = [f"https://{node.address}:6443/version" for part in ("controllers", "lb") for node in cluster.groups[part]]
    if name == "ca":
        forged = _forged(old, name, "/O=system:masters/CN=forged")
        assert {_status(url, old, forged) for url in api} == {"401"}
        assert {_status(url, cluster.pki, "admin") for url in api} == {"200"}
        kubelets = [f"https://{node.address}:10250/pods" for node in cluster.workers]
        assert {_status(url, old, forged) for url in kubelets} == {"401"}
    elif name == "etcd-ca":
        forged = _forged(old, name, "/CN=etcd-member")
        members = [f"https://{node.address}:{port}/health" for node in cluster.members for port in (2379, 2380)]
        assert {_status(url, old, forged) for url in members} == {"000"}
        assert {_status(url, cluster.pki, "etcdctl") for url in members if ":2379" in url} == {"200"}
    else:
        claim = ("--header", "X-Remote-User: claimed", "--header", "X-Remote-Group: system:masters")
        assert {_status(url, old, "front-proxy-client", *claim) for url in api} == {"401"}
        assert {_status(url, cluster.pki, "front-proxy-client", *claim) for url in api} == {"200"}


def _check_pods(cluster: Cluster) -> None:
    """Check that namespaces and pods have the new authority alone, and that pods are let in with their tokens."""
    own = (cluster.pki / "ca.pem").read_text().strip()
    listed = cluster.get("configmaps", "--all-namespaces", "--field-selector=metadata.name=kube-root-ca.crt")
    assert {found["data"]["ca.crt"].strip() for found in listed["items"]} == {own}
    service = cluster.get("service", "kubernetes", "--namespace=default")["spec"]["clusterIP"]
    asked = 0
    for worker in cluster.workers:
        answers = worker.out("sh", "-c", _AS_PODS, "sh", service).split()
        assert set(answers) <= {"200"}, (worker.name, answers)
        asked += len(answers)
    assert asked > 0
    for kind in ("deployments", "daemonsets"):
        for found in cluster.get(kind, "--namespace=kube-system")["items"]:
            status = found["status"]
            ready = status.get("readyReplicas", status.get("numberReady"))
            assert ready == status.get("replicas", status.get("desiredNumberScheduled")), found["metadata"]["name"]


def _published(cluster: Cluster) -> dict[str, str]:
    found = cluster.get("configmap", "extension-apiserver-authentication", "--namespace=kube-system")["data"]
    return {name: str(found[name]).strip() for name in ("client-ca-file", "requestheader-client-ca-file")}


@pytest.mark.parametrize("name", ["front-proxy-ca", "etcd-ca", "ca"])
def test_a_rotation_under_load(
    cluster: Cluster, inventory: str, serving: Serving, old: pathlib.Path, name: str
) -> None:
    asked = variables(rotate_authorities_name=name, rotate_authorities_restart_workloads=True)
    # The client of the API reads its kubeconfig at each request, as people's kubectl does.
    way = "kubectl" if name == "ca" else "http"
    with serving.during(f"{name} rotated", way=way, costs_a_member=name == "etcd-ca"):
        run(inventory, *asked, playbook=PLAYBOOK)
    left = {path.name for path in cluster.pki.iterdir() if path.name.startswith((f"{name}-next", f"{name}-previous"))}
    assert left == set()
    assert (cluster.pki / f"{name}.pem").read_text() != (old / f"{name}.pem").read_text()
    for part, ports in LISTENERS[name].items():
        for node in cluster.groups[part]:
            for port in ports:
                served = _served(node, port)
                assert _verifies(cluster.pki / f"{name}.pem", served), (node.name, port)
                assert not _verifies(old / f"{name}.pem", served), (node.name, port)
    _check_refusals(cluster, name, old)
    _check_pods(cluster)
    assert _published(cluster) == {
        "client-ca-file": (cluster.pki / "ca.pem").read_text().strip(),
        "requestheader-client-ca-file": (cluster.pki / "front-proxy-ca.pem").read_text().strip(),
    }
    assert run(inventory).changed == []


def test_an_unknown_authority_changes_nothing(cluster: Cluster, inventory: str) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in cluster.pki.iterdir()}
    refused = run(inventory, *variables(rotate_authorities_name="etcd"), playbook=PLAYBOOK, succeeds=False)
    assert refused.returncode != 0
    assert "name one of ca, etcd-ca, front-proxy-ca" in refused.output
    assert {path.name: path.stat().st_mtime_ns for path in cluster.pki.iterdir()} == before
