# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from files which cluster they belong to: the settings that it was made with, and its keys.

Secrets are not returned: of a certificate its hashes, of an encryption key its name and its hash. Everything works with
the standard library alone, on hosts and on the control node.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import typing as t

__all__ = ("certificates", "encryption_keys", "flag_values", "identity", "public_key", "settings")

#: Returns the text of a file, empty where it cannot be read.
Read = t.Callable[[str], str]

_UNITS = "/etc/systemd/system"
_APISERVER = f"{_UNITS}/kube-apiserver.service"
_KUBELET_CONFIG = "/var/lib/kubelet/kubelet-config.yaml"
_ENCRYPTION = "/var/lib/kubernetes/encryption-config.yaml"
# Settings of an existing cluster, by the flag that the roles write. An API server wins over a controller manager.
_FLAGS: dict[str, dict[str, str]] = {
    f"{_UNITS}/kube-controller-manager.service": {
        "cluster-cidr": "cluster_pod_cidr",
        "service-cluster-ip-range": "cluster_service_cidr",
        "cluster-name": "cluster_name",
        "node-cidr-mask-size": "cluster_node_prefix_length",
        "node-cidr-mask-size-ipv4": "IPv4",
        "node-cidr-mask-size-ipv6": "IPv6",
    },
    _APISERVER: {
        "service-cluster-ip-range": "cluster_service_cidr",
        "service-node-port-range": "cluster_node_port_range",
    },
    f"{_UNITS}/etcd.service": {"data-dir": "etcd_data_directory"},
}
#: Certificates whose public keys tell one cluster from another.
_CERTIFICATES = (
    "/etc/etcd/ca.pem",
    "/var/lib/kubernetes/ca.pem",
    "/var/lib/kubernetes/etcd-ca.pem",
    "/var/lib/kubernetes/front-proxy-ca.pem",
    "/var/lib/kubernetes/service-account.pem",
    "/var/lib/kubernetes/service-account-next.pem",
    "/var/lib/kubernetes/service-account-previous.pem",
)

#: End of the file name of a kubelet's serving key, after the name of its node.
_SERVER_KEY = "-server-key.pem"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION = 0xA0
_SUBJECT_PUBLIC_KEY_INFO = 5
_RSA, _EC, _ED25519 = "2a864886f70d010101", "2a8648ce3d0201", "2b6570"
_CURVES = {"2a8648ce3d030107": 256, "2b81040022": 384, "2b81040023": 521}

# One word of an EncryptionConfiguration, in the block or the flow style of YAML, which has JSON's within it.
_ENCRYPTION_WORD = re.compile(
    r"""\b(?P<provider>aescbc|aesgcm|secretbox|kms|identity)["']?\s*:"""
    r"""|\b(?P<field>name|secret)["']?\s*:\s*["']?(?P<value>[^"'\s,}#]+)"""
)


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of a DER element, and where its content begins and ends."""
    try:
        tag, length, begin = data[at], data[at + 1], at + 2
    except IndexError as error:
        raise ValueError("it is not DER: it ends within an element") from error
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[begin : begin + size], "big")
        begin += size
    if begin + length > len(data):
        raise ValueError("it is not DER: an element is longer than the file")
    return tag, begin, begin + length


def _children(data: bytes, at: int) -> list[tuple[int, int, int, int]]:
    """Return where each element within an element is: where it begins, its tag, where its content begins and ends."""
    _tag, begin, end = _element(data, at)
    found = []
    while begin < end:
        child = _element(data, begin)
        found.append((begin, *child))
        begin = child[2]
    return found


def public_key(der: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of an X.509 certificate (RFC 5280, section 4.1), in DER.

    :raises ValueError: it is not a certificate.
    """
    outer = _children(der, 0)
    fields = _children(der, outer[0][0]) if outer else []
    fields = [field for field in fields if field[1] != _VERSION]
    if len(fields) <= _SUBJECT_PUBLIC_KEY_INFO:
        raise ValueError("it is not a certificate: its key is missing")
    begin, _tag, _content, end = fields[_SUBJECT_PUBLIC_KEY_INFO]
    return der[begin:end]


def _kind(key: bytes) -> str:
    """Return algorithm and size of a public key, as a CSR of cfssl names them; empty for any other kind."""
    algorithm, bits = _children(key, 0)[:2]
    identifiers = [key[begin:end].hex() for _at, _tag, begin, end in _children(key, algorithm[0])]
    if identifiers[0] == _RSA:
        # A bit string begins with the number of its unused bits.
        content = key[bits[2] + 1 : bits[3]]
        _at, _tag, begin, end = _children(content, 0)[0]
        return f"rsa {int.from_bytes(content[begin:end], 'big').bit_length()}"
    if identifiers[0] == _EC and identifiers[1] in _CURVES:
        return f"ecdsa {_CURVES[identifiers[1]]}"
    return "ed25519 256" if identifiers[0] == _ED25519 else ""


def certificates(text: str) -> list[dict[str, str]]:
    """Return ``certificate`` and ``public_key`` (SHA-256 of the DER, hexadecimal) and ``key`` of each certificate.

    :param text: PEM; what is not a certificate is left out. ``key`` is algorithm and size, such as ``rsa 2048``.
    """
    found = []
    for block in _PEM.findall(text):
        try:
            der = base64.b64decode("".join(block.split()), validate=True)
            key = public_key(der)
            kind = _kind(key)
        except (ValueError, IndexError):
            continue
        found.append(
            {
                "certificate": hashlib.sha256(der).hexdigest(),
                "public_key": hashlib.sha256(key).hexdigest(),
                "key": kind,
            }
        )
    return found


def encryption_keys(text: str) -> list[dict[str, str]]:
    """Return ``provider``, ``name`` and ``sha256`` (of the decoded secret, hexadecimal) of each encryption key.

    :param text: an EncryptionConfiguration, YAML or JSON. It is read without PyYAML, which a host may not have.
    """
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: list[dict[str, str]] = []
    provider = ""
    fields: dict[str, str] = {}
    for word in _ENCRYPTION_WORD.finditer("\n".join(lines)):
        if word["provider"]:
            provider, fields = word["provider"], {}
            continue
        fields[word["field"]] = word["value"]
        if len(fields) < 2:
            continue
        secret = fields["secret"]
        try:
            decoded = base64.b64decode(secret, validate=True)
        except ValueError:
            decoded = secret.encode("utf-8")
        entry = {"provider": provider, "name": fields["name"], "sha256": hashlib.sha256(decoded).hexdigest()}
        if entry not in found:
            found.append(entry)
        fields = {}
    return found


def flag_values(unit: str, flags: t.Mapping[str, str]) -> dict[str, str]:
    """Return the values of command line flags in the text of a unit file, by the mapped name."""
    found = {}
    for flag, name in flags.items():
        match = re.search(rf"--{re.escape(flag)}=(\S+)", unit)
        if match:
            found[name] = match.group(1)
    return found


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _flannel_backend(directory: str = "/run/flannel") -> str:
    """Return the backend that flannel set up last on this host: each has a file of its name."""
    paths = [os.path.join(directory, name) for name in _names(directory) if name.endswith(".env")]
    newest = max(paths, key=os.path.getmtime, default="")
    return os.path.basename(newest)[: -len(".env")] if newest else ""


def _with_lengths(found: dict[str, str]) -> dict[str, str]:
    """Return settings with the prefix lengths of both families as one setting, in the order of the pod networks."""
    lengths: dict[str, str] = {family: found.pop(family) for family in ("IPv4", "IPv6") if family in found}
    networks = found.get("cluster_pod_cidr", "").split(",")
    families = ["IPv6" if ":" in network else "IPv4" for network in networks]
    if lengths.keys() >= set(families):
        found["cluster_node_prefix_length"] = ",".join(lengths[family] for family in families)
    return found


def _kubelet(text: str) -> dict[str, str]:
    """Return domain and DNS addresses of a kubelet's configuration file, as the role writes it."""
    found = {}
    domain = re.search(r"^clusterDomain:\s*[\"']?([^\"'\s]+)", text, re.MULTILINE)
    addresses = re.search(r"^clusterDNS:\s*\n((?:\s*-\s*\S+\n?)+)", text, re.MULTILINE)
    if domain:
        found["cluster_domain"] = domain.group(1)
    if addresses:
        found["cluster_dns_address"] = ",".join(re.findall(r"-\s*[\"']?([^\"'\s]+)", addresses.group(1)))
    return found


def settings(read: Read) -> dict[str, str]:
    """Return the settings that the cluster on this host was made with, by variable.

    :param read: see :data:`Read`.
    """
    found: dict[str, str] = {}
    for path, flags in _FLAGS.items():
        found.update(flag_values(read(path), flags))
    found = _with_lengths(found)
    found.update(_kubelet(read(_KUBELET_CONFIG)))
    backend = _flannel_backend()
    if backend:
        found["pod_network_flannel_backend"] = backend
    return found


def identity(read: Read) -> dict[str, t.Any]:
    """Return what tells the cluster on this host from another one.

    :param read: see :data:`Read`.
    :returns: ``certificates`` by path, ``encryption_keys`` (None without a file of them), ``issuers`` of service
        account tokens, ``etcd_prefix``, ``api_server`` of the kubelet and ``kubelet_names``, the names for which the
        host has a certificate of a node.
    """
    apiserver, encryption = read(_APISERVER), read(_ENCRYPTION)
    server = re.search(r"^\s*server:\s*[\"']?([^\"'\s]+)", read("/var/lib/kubelet/kubeconfig"), re.MULTILINE)
    prefix = flag_values(apiserver, {"etcd-prefix": "found"}).get("found", "/registry" if apiserver else "")
    keys = [name[: -len(_SERVER_KEY)] for name in _names("/var/lib/kubelet") if name.endswith(_SERVER_KEY)]
    return {
        "certificates": {path: found for path in _CERTIFICATES if (found := certificates(read(path)))},
        "encryption_keys": encryption_keys(encryption) if encryption else None,
        "issuers": re.findall(r"--service-account-issuer=(\S+)", apiserver),
        "etcd_prefix": prefix,
        "api_server": server.group(1) if server else "",
        "kubelet_names": keys,
    }
