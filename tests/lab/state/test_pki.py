# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PKI directory, read back with openssl and kubectl."""

from __future__ import annotations

import base64
import ipaddress
import re
import typing as t

import pytest
import yaml
from support import in_url, local

if t.TYPE_CHECKING:
    import pathlib

    from support import Cluster

AUTHORITIES = {"ca": "Kubernetes", "etcd-ca": "etcd", "front-proxy-ca": "Kubernetes Front Proxy"}
# Common name and organisation that Kubernetes gives a meaning, by file.
SUBJECTS = {
    "admin": ("admin", "hardway:cluster-admins"),
    "super-admin": ("super-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", "system:kube-controller-manager"),
    "kube-proxy": ("system:kube-proxy", "system:node-proxier"),
    "kube-scheduler": ("system:kube-scheduler", "system:kube-scheduler"),
    "kubernetes": ("kubernetes", "Kubernetes"),
    "service-account": ("service-accounts", "Kubernetes"),
    "apiserver-kubelet-client": ("kubernetes", "Kubernetes"),
    "apiserver-etcd-client": ("kube-apiserver", "Kubernetes"),
    "etcdctl": ("etcdctl", "Kubernetes"),
    "front-proxy-client": ("front-proxy-client", "Kubernetes"),
}


def _openssl(*arguments: str) -> str:
    done = local("openssl", *arguments)
    assert done.returncode == 0, f"openssl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def _subjects(cluster: Cluster) -> dict[str, tuple[str, str]]:
    nodes = {
        f"{worker.name}{kind}": (f"system:node:{worker.name}", "system:nodes")
        for worker in cluster.workers
        for kind in ("", "-server")
    }
    return SUBJECTS | nodes | {f"etcd-{node.name}": ("etcd-member", "Kubernetes") for node in cluster.members}


def _authority(name: str) -> str:
    if name.startswith("front-proxy"):
        return "front-proxy-ca"
    return "etcd-ca" if "etcd" in name else "ca"


def _purposes(name: str) -> set[str]:
    """Return what a certificate may be used for, in the words of openssl's extendedKeyUsage."""
    if name == "service-account":
        return {"Code Signing"}
    server = name == "kubernetes" or name.endswith("-server")
    if name.startswith("etcd-"):
        return {"TLS Web Server Authentication", "TLS Web Client Authentication"}
    return {"TLS Web Server Authentication" if server else "TLS Web Client Authentication"}


def _subject(path: pathlib.Path) -> dict[str, str]:
    shown = _openssl("x509", "-in", str(path), "-noout", "-subject", "-nameopt", "sep_multiline,utf8")
    return dict(line.strip().split("=", 1) for line in shown.splitlines()[1:])


def _extensions(path: pathlib.Path) -> str:
    names = "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName"
    done = local("openssl", "x509", "-in", str(path), "-noout", "-ext", names)
    return done.stdout


def _sans(path: pathlib.Path) -> set[str]:
    found = re.findall(r"(?:DNS|IP Address):([^,\s]+)", _extensions(path))
    return {_canonical(name) for name in found}


def _canonical(name: str) -> str:
    """Return a name, or an address as the inventory has it: openssl writes every group of IPv6, in capitals."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def test_directory_holds_what_the_article_makes(cluster: Cluster) -> None:
    found = {path.name.removesuffix(".pem") for path in cluster.pki.glob("*.pem") if not path.name.endswith("-key.pem")}
    assert found == AUTHORITIES.keys() | _subjects(cluster).keys()


@pytest.mark.parametrize("name", AUTHORITIES)
def test_authority(cluster: Cluster, name: str) -> None:
    path = cluster.pki / f"{name}.pem"
    assert _subject(path)["CN"] == AUTHORITIES[name]
    assert "CA:TRUE, pathlen:0" in _extensions(path)
    assert "Certificate Sign, CRL Sign" in _extensions(path)
    assert "2048 bit" in _openssl("x509", "-in", str(path), "-noout", "-text")
    # Valid for four years at least, and for no more than five.
    assert local("openssl", "x509", "-in", str(path), "-noout", "-checkend", str(4 * 365 * 86400)).returncode == 0
    assert local("openssl", "x509", "-in", str(path), "-noout", "-checkend", str(5 * 365 * 86400)).returncode == 1


def test_certificates_verify_for_their_purpose_and_authority_alone(cluster: Cluster) -> None:
    kinds = {"sslserver": "TLS Web Server Authentication", "sslclient": "TLS Web Client Authentication"}
    verified = {
        (name, authority, purpose)
        for name in _subjects(cluster)
        for authority in AUTHORITIES
        for purpose in kinds
        if local(
            "openssl", "verify", "-x509_strict", "-purpose", purpose,
            "-CAfile", str(cluster.pki / f"{authority}.pem"), str(cluster.pki / f"{name}.pem"),
        ).returncode == 0
    }  # fmt: skip
    assert verified == {
        (name, _authority(name), purpose)
        for name in _subjects(cluster)
        for purpose, words in kinds.items()
        if words in _purposes(name)
    }


def test_subjects_usages_and_keys(cluster: Cluster) -> None:
    for name, (common_name, organisation) in _subjects(cluster).items():
        path = cluster.pki / f"{name}.pem"
        subject = _subject(path)
        assert (subject["CN"], subject["O"]) == (common_name, organisation)
        extensions = _extensions(path)
        assert "Digital Signature, Key Encipherment" in extensions
        assert set(re.findall(r"TLS Web \w+ Authentication|Code Signing", extensions)) == _purposes(name)
        assert "CA:FALSE" in extensions
        certified = _openssl("x509", "-in", str(path), "-noout", "-pubkey")
        assert _openssl("pkey", "-in", str(cluster.pki / f"{name}-key.pem"), "-pubout") == certified


def test_nodes_are_named_by_name_and_address(cluster: Cluster) -> None:
    for worker in cluster.workers:
        assert _sans(cluster.pki / f"{worker.name}-server.pem") == {worker.name, *worker.addresses}
    for node in cluster.members:
        assert _sans(cluster.pki / f"etcd-{node.name}.pem") == {node.name, *node.addresses, "127.0.0.1", "localhost"}


def test_api_is_named_by_every_name_it_has(cluster: Cluster) -> None:
    first = {str(ipaddress.ip_network(cidr)[1]) for cidr in cluster.service_cidrs}
    names = first | {"127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
    names |= {f"kubernetes.default.svc.{cluster.domain}"}
    for node in (*cluster.controllers, *cluster.groups["lb"]):
        names |= {node.name, *node.addresses}
    assert _sans(cluster.pki / "kubernetes.pem") == names


def test_client_certificates_name_no_host(cluster: Cluster) -> None:
    for name in _subjects(cluster):
        if "TLS Web Server Authentication" in _purposes(name):
            continue
        assert _sans(cluster.pki / f"{name}.pem") == set()


def test_kubeconfigs_lead_where_they_should(cluster: Cluster) -> None:
    balancers = cluster.groups["lb"] or cluster.controllers
    shared = f"https://{in_url(balancers[0].address)}:6443"
    local_server = "https://127.0.0.1:6443"
    servers = {
        "admin": local_server,
        "super-admin": local_server,
        "kube-controller-manager": local_server,
        "kube-scheduler": local_server,
        "kube-proxy": shared,
        "remote-admin": shared,
        **{worker.name: shared for worker in cluster.workers},
    }
    assert {path.stem for path in cluster.pki.glob("*.kubeconfig")} == servers.keys()
    for name, server in servers.items():
        config = yaml.safe_load((cluster.pki / f"{name}.kubeconfig").read_text())
        described = config["clusters"][0]["cluster"]
        assert described["server"] == server
        assert base64.b64decode(described["certificate-authority-data"]) == (cluster.pki / "ca.pem").read_bytes()
        certificate = cluster.pki / f"{'admin' if name == 'remote-admin' else name}.pem"
        assert base64.b64decode(config["users"][0]["user"]["client-certificate-data"]) == certificate.read_bytes()


def test_encryption_key_is_one_of_32_bytes(cluster: Cluster) -> None:
    config = yaml.safe_load((cluster.pki / "encryption-config.yaml").read_text())
    providers = config["resources"][0]["providers"]
    assert [next(iter(provider)) for provider in providers] == ["secretbox", "identity"]
    (key,) = providers[0]["secretbox"]["keys"]
    assert key["name"] == "key1"
    assert len(base64.b64decode(key["secret"], validate=True)) == 32
