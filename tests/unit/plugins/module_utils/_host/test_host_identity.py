# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's files say about its cluster, compared with cryptography and, where it is there, openssl."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import shutil
import subprocess

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import identity as module
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

KEYS = {
    "rsa 2048": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ecdsa 256": ec.generate_private_key(ec.SECP256R1()),
    "ecdsa 384": ec.generate_private_key(ec.SECP384R1()),
    "ecdsa 521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519 256": ed25519.Ed25519PrivateKey.generate(),
    "": ec.generate_private_key(ec.SECP256K1()),
}


def certificate(kind: str, *, days: int = 10) -> x509.Certificate:
    key = KEYS[kind]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kubernetes")])
    start = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start)
    builder = builder.not_valid_after(start + datetime.timedelta(days=days))
    return builder.sign(key, None if kind.startswith("ed") else hashes.SHA256())


def pem(found: x509.Certificate) -> str:
    return found.public_bytes(serialization.Encoding.PEM).decode()


def public(kind: str) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return KEYS[kind].public_key().public_bytes(serialization.Encoding.DER, form)


@pytest.mark.parametrize("kind", KEYS)
def test_a_certificate_and_its_key(kind):
    made = certificate(kind)
    assert module.public_key(made.public_bytes(serialization.Encoding.DER)) == public(kind)
    assert module.certificates(f"Subject: C=US\n{pem(made)}") == [
        {
            "certificate": made.fingerprint(hashes.SHA256()).hex(),
            "public_key": hashlib.sha256(public(kind)).hexdigest(),
            "key": kind,
        }
    ]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_says_the_same(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text(pem(certificate("rsa 2048")))
    said = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-pubkey"], capture_output=True, text=True, check=True
    ).stdout
    der = base64.b64decode("".join(said.splitlines()[1:-1]))
    (found,) = module.certificates(path.read_text())
    assert found["public_key"] == hashlib.sha256(der).hexdigest()


def test_a_renewed_certificate_has_the_same_key():
    (old,) = module.certificates(pem(certificate("ecdsa 256")))
    (new,) = module.certificates(pem(certificate("ecdsa 256", days=20)))
    assert old["public_key"] == new["public_key"]
    assert old["certificate"] != new["certificate"]


def test_a_bundle():
    text = pem(certificate("rsa 2048")) + pem(certificate("ecdsa 256"))
    assert [found["key"] for found in module.certificates(text)] == ["rsa 2048", "ecdsa 256"]


def wrapped(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(der).decode()}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("kind", KEYS)
def test_what_is_not_a_certificate_is_left_out(kind):
    der = certificate(kind).public_bytes(serialization.Encoding.DER)
    for length in range(0, len(der), 7):
        assert module.certificates(wrapped(der[:length])) == []
    for text in (
        "",
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----",
        wrapped(b"\x30\x02\x05\x00"),
    ):
        assert module.certificates(text) == []


ONE, TWO = b"0" * 32, b"1" * 32
CONFIGURATION = {
    "kind": "EncryptionConfiguration",
    "apiVersion": "apiserver.config.k8s.io/v1",
    "resources": [
        {
            "resources": ["secrets"],
            "providers": [
                {"secretbox": {"keys": [{"name": "key2", "secret": base64.b64encode(TWO).decode()}]}},
                {"kms": {"apiVersion": "v2", "name": "vault", "endpoint": "unix:///run/kms.sock"}},
                {"aescbc": {"keys": [{"secret": base64.b64encode(ONE).decode(), "name": "key1"}]}},
                {"identity": {}},
            ],
        },
    ],
}
FOUND = [
    {"provider": "secretbox", "name": "key2", "sha256": hashlib.sha256(TWO).hexdigest()},
    {"provider": "aescbc", "name": "key1", "sha256": hashlib.sha256(ONE).hexdigest()},
]


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(CONFIGURATION, sort_keys=False),
        yaml.safe_dump(CONFIGURATION, default_flow_style=True, sort_keys=False),
        yaml.safe_dump(CONFIGURATION, default_style='"', sort_keys=False),
        json.dumps(CONFIGURATION),
        json.dumps(CONFIGURATION, indent=2),
    ],
    ids=["block", "flow", "quoted", "json", "json with lines"],
)
def test_encryption_keys(text):
    assert module.encryption_keys(f"# secret: of a comment\n{text}") == FOUND


def test_the_roles_own_encryption_configuration():
    text = """kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
    providers:
      - aescbc:
          keys:
            - name: key1
              secret: MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=
      - identity: {}
"""
    assert module.encryption_keys(text) == FOUND[1:]
    assert "MDAw" not in json.dumps(module.encryption_keys(text))
    assert module.encryption_keys("") == []


APISERVER = """ExecStart=/usr/local/bin/kube-apiserver \\
  --service-account-issuer=https://new.example.com \\
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \\
  --service-cluster-ip-range=10.32.0.0/24 \\
  --service-node-port-range=30000-32767
"""
KUBELET = """apiVersion: kubelet.config.k8s.io/v1beta1
clusterDNS:
{indent}- 10.32.0.10
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
"""


@pytest.mark.parametrize("indent", ["", "  "])
def test_settings_of_a_cluster(indent):
    files = {
        "/etc/systemd/system/kube-apiserver.service": APISERVER,
        "/etc/systemd/system/kube-controller-manager.service": "--cluster-cidr=10.200.0.0/16 --node-cidr-mask-size=24",
        "/etc/systemd/system/etcd.service": "  --data-dir=/srv/etcd \\\n",
        "/var/lib/kubelet/kubelet-config.yaml": KUBELET.format(indent=indent),
    }
    assert module.settings(lambda path: files.get(path, "")) == {
        "cluster_pod_cidr": "10.200.0.0/16",
        "cluster_node_prefix_length": "24",
        "cluster_service_cidr": "10.32.0.0/24",
        "cluster_node_port_range": "30000-32767",
        "etcd_data_directory": "/srv/etcd",
        "cluster_domain": "cluster.local",
        "cluster_dns_address": "10.32.0.10",
    }


@pytest.mark.parametrize(
    ("networks", "lengths"), [("10.200.0.0/16,fd00:200::/48", "24,64"), ("fd00:200::/48,10.200.0.0/16", "64,24")]
)
def test_settings_of_a_cluster_of_two_families(networks, lengths):
    flags = f"--cluster-cidr={networks} --node-cidr-mask-size-ipv4=24 --node-cidr-mask-size-ipv6=64"
    found = module.settings(lambda path: flags if path.endswith("kube-controller-manager.service") else "")
    assert found == {"cluster_pod_cidr": networks, "cluster_node_prefix_length": lengths}


def test_identity():
    ca = pem(certificate("rsa 2048"))
    files = {
        "/etc/systemd/system/kube-apiserver.service": APISERVER,
        "/var/lib/kubernetes/ca.pem": ca,
        "/var/lib/kubernetes/encryption-config.yaml": json.dumps(CONFIGURATION),
        "/var/lib/kubelet/kubeconfig": "clusters:\n- cluster:\n    server: https://10.0.0.13:6443\n  name: x\n",
    }
    found = module.identity(lambda path: files.get(path, ""))
    assert found == {
        "certificates": {"/var/lib/kubernetes/ca.pem": module.certificates(ca)},
        "encryption_keys": FOUND,
        "issuers": ["https://new.example.com", "https://kubernetes.default.svc.cluster.local"],
        "etcd_prefix": "/registry",
        "api_server": "https://10.0.0.13:6443",
        "kubelet_names": [],
    }
    files["/etc/systemd/system/kube-apiserver.service"] += "  --etcd-prefix=/other"
    assert module.identity(lambda path: files.get(path, ""))["etcd_prefix"] == "/other"


def test_a_host_without_anything():
    assert module.settings(lambda path: "") == {}
    assert module.identity(lambda path: "") == {
        "certificates": {},
        "encryption_keys": None,
        "issuers": [],
        "etcd_prefix": "",
        "api_server": "",
        "kubelet_names": [],
    }


def test_names_of_kubelets(monkeypatch):
    names = ["wrk01-server-key.pem", "wrk01-server.pem", "pki", "wrk.example.com-server-key.pem", "another-key.pem"]
    monkeypatch.setattr(os, "listdir", lambda path: names if path == "/var/lib/kubelet" else [])
    assert module.identity(lambda path: "")["kubelet_names"] == ["wrk.example.com", "wrk01"]


def test_the_backend_of_flannel_is_the_one_of_its_newest_lease(tmp_path):
    assert module._flannel_backend(str(tmp_path / "none")) == ""
    for age, name in enumerate(("host-gw.env", "vxlan.env", "note.txt")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert module._flannel_backend(str(tmp_path)) == "host-gw"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("--cluster-cidr=10.0.0.0/16 \\\n --v=2", {"x": "10.0.0.0/16"}),
        ("--cluster-cidr=10.0.0.0/16", {"x": "10.0.0.0/16"}),
        ("--service-cluster-cidr=10.0.0.0/16", {}),
        ("--cluster-cidr-size=1", {}),
        ("", {}),
    ],
)
def test_flag_values(unit, expected):
    assert module.flag_values(unit, {"cluster-cidr": "x"}) == expected
