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


def _served(asker: Node, node: Node, port: int) -> str:
    """Return the certificate that a server shows to a member, since others do not reach etcd."""
    # TLS 1.2: etcd shows its own before it asks for one.
    asked = f"openssl s_client -connect {node.address}:{port} -tls1_2 -showcerts </dev/null"
    shown = asker.run("sh", "-c", asked).stdout
    return str(shown[shown.index("-----BEGIN") : shown.index("-----END CERTIFICATE-----") + 26])


def _verifies(authority: pathlib.Path, certificate: str) -> bool:
    return local("openssl", "verify", "-CAfile", str(authority), stdin=certificate).returncode == 0


class _Asker:
    """A member, with certificates of the old PKI directory and of the one that is in use."""

    def __init__(self, cluster: Cluster, old: pathlib.Path) -> None:
        self.node = cluster.members[0]
        self._directories = {"old": old, "new": cluster.pki}
        self._own = "/run/hardway-rotated"

    def __enter__(self) -> _Asker:
        self.node.out("install", "--directory", "--mode=0700", self._own)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.node.out("rm", "-r", self._own)

    def answers(self, urls: list[str], age: str, name: str, *options: str) -> set[str]:
        """Return the statuses of the answers, "000" where a handshake ends without one.

        :param age: "old" or "new", which tells the directory of the certificate.
        :param name: of the certificate.
        """
        words = []
        for option, file in (("--cert", f"{name}.pem"), ("--key", f"{name}-key.pem")):
            self.node.put(f"{self._own}/{file}", (self._directories[age] / file).read_bytes(), 0o600)
            words += [option, f"{self._own}/{file}"]
        # etcd does not speak HTTP/2 to its peers.
        written = ("--http1.1", "--output", "/dev/null", "--write-out", "%{http_code}")
        ask = ("curl", "--silent", "--insecure", "--max-time", "5", *words, *written, *options)
        return {str(self.node.run(*ask, url).stdout) for url in urls}


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
    """Check that nothing lets in what the old authority signed, and everything what the new one signed."""
    api = [f"https://{node.address}:6443/version" for part in ("controllers", "lb") for node in cluster.groups[part]]
    with _Asker(cluster, old) as asker:
        if name == "ca":
            forged = _forged(old, name, "/O=system:masters/CN=forged")
            assert asker.answers(api, "old", forged) == {"401"}
            assert asker.answers(api, "new", "admin") == {"200"}
            kubelets = [f"https://{node.address}:10250/pods" for node in cluster.workers]
            assert asker.answers(kubelets, "old", forged) == {"401"}
            assert asker.answers(kubelets, "new", "apiserver-kubelet-client") == {"200"}
        elif name == "etcd-ca":
            forged = _forged(old, name, "/CN=etcd-member")
            clients = [f"https://{node.address}:2379/health" for node in cluster.members]
            peers = [f"https://{node.address}:2380/members" for node in cluster.members]
            assert asker.answers(clients + peers, "old", forged) == {"000"}
            assert asker.answers(clients, "new", "etcdctl") == {"200"}
            assert asker.answers(peers, "new", f"etcd-{asker.node.name}") == {"200"}
        else:
            claim = ("--header", "X-Remote-User: claimed", "--header", "X-Remote-Group: system:masters")
            assert asker.answers(api, "old", "front-proxy-client", *claim) == {"401"}
            assert asker.answers(api, "new", "front-proxy-client", *claim) == {"200"}


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
                served = _served(cluster.members[0], node, port)
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
