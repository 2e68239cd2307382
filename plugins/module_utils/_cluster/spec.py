# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The specification: inventory, settings and release catalogue as one value."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import (
    Catalogue,
    catalogue_digests,
    images,
    programs,
    publishers_files,
    release_versions,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.certificates import (
    ADMINISTRATORS,
    ETCD_MEMBER,
    api_names,
    certificates,
    kubeconfigs,
    service_addresses,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import (
    canonical,
    entries,
    family,
    host_port,
    networks,
    node_prefix_lengths,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.proxies import environment
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.systems import PACKAGES
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import ETCD_PEER_PORT, Topology, url
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.trust import trust
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.virtual_address import (
    entrances,
    leads_to_one,
    virtual_address,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.weave import weave_spec

__all__ = ("API_PORT", "ETCD_CLIENT_PORT", "TLS_CIPHER_SUITES", "Spec", "specification")

#: The documented value: see the RETURN of the action plugin ``cluster``.
Spec = dict[str, t.Any]

#: Where API servers and load balancers listen.
API_PORT = 6443
# The administrator's kubectl on a controller asks the API server beside it. It caches the description of the API in a
# directory that the next boot clears, and so leaves nothing in root's home directory.
_LOCAL_KUBECTL = (
    "/usr/local/bin/kubectl",
    "--kubeconfig=/var/lib/kubernetes/admin.kubeconfig",
    "--cache-dir=/run/kubectl",
)
#: Where etcd's members listen for clients.
ETCD_CLIENT_PORT = 2379
#: The cipher suites of every server in TLS 1.2, by the names of Go's crypto/tls: authenticated encryption, and a new
#: key for each connection. TLS 1.3 has nothing else, and its suites cannot be chosen.
TLS_CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
#: Health endpoint of kube-proxy; it answers 200 once its rules are in place.
_KUBE_PROXY_HEALTH_URL = "http://127.0.0.1:10256/healthz"


def _etcd(shape: Topology) -> dict[str, t.Any]:
    members = {
        host: {
            "peer_url": url(shape["addresses"][host], ETCD_PEER_PORT),
            "client_url": url(shape["addresses"][host], ETCD_CLIENT_PORT),
        }
        for host in shape["etcd"]
    }
    count = "one member" if len(members) == 1 else f"{len(members)} members"
    return {
        "members": members,
        "member_common_name": ETCD_MEMBER,
        "client_urls": [member["client_url"] for member in members.values()],
        "initial_cluster": ",".join(f"{host}={member['peer_url']}" for host, member in members.items()),
        # One or two members do not tolerate a failure, and a restart is one.
        "interrupts": ""
        if len(members) > 2
        else f"etcd has {count} and needs all of them: no writes while one restarts, mostly less than 10 seconds",
    }


def _api(shape: Topology, settings: Settings, readings: t.Mapping[str, Reading]) -> dict[str, t.Any]:
    virtual = virtual_address(shape, settings, readings)
    server = settings["cluster_api_server"]
    if not server:
        server = url(virtual["address"] or shape["addresses"][entrances(shape, settings)[0]], API_PORT)
    pki = settings["cluster_pki_directory"]
    return {
        "server": server,
        "local_server": f"https://127.0.0.1:{API_PORT}",
        "endpoints": {host: host_port(shape["addresses"][host], API_PORT) for host in shape["controllers"]},
        "local_kubectl": list(_LOCAL_KUBECTL),
        "names": api_names(shape, settings),
        "administrators": ADMINISTRATORS,
        "balanced": len(shape["controllers"]) > 1 and not leads_to_one(server, shape["controllers"], shape),
        "virtual": virtual,
        "client_host": settings["cluster_api_client_host"],
        "kubeconfig": settings["cluster_api_kubeconfig"] or posixpath.join(str(pki), "remote-admin.kubeconfig"),
    }


def _networks(settings: Settings) -> dict[str, t.Any]:
    """Return the networks, the primary one of each kind alone and all of them.

    :raises ValueError: one is not a network.
    """
    pods, services = networks(settings["cluster_pod_cidr"]), networks(settings["cluster_service_cidr"])
    lengths = node_prefix_lengths(settings["cluster_node_prefix_length"], settings["cluster_pod_cidr"])
    own = service_addresses(settings["cluster_service_cidr"])
    dns = [canonical(entry) for entry in entries(settings["cluster_dns_address"])]
    return {
        "ip_families": [family(str(network)) for network in pods],
        "pod_cidr": str(pods[0]),
        "pod_cidrs": [str(network) for network in pods],
        "node_prefix_length": lengths[0],
        "node_prefix_lengths": lengths,
        "service_cidr": str(services[0]),
        "service_cidrs": [str(network) for network in services],
        "api_service_address": own[0],
        "api_service_addresses": own,
        "dns_address": dns[0],
        "dns_addresses": dns,
    }


def _host(host: str, shape: Topology) -> dict[str, t.Any]:
    addresses = shape["all_addresses"][host]
    return {
        "address": shape["addresses"][host],
        "addresses": addresses,
        # Every address of the host, of both families with IPv6.
        "listen_address": "::" if any(":" in address for address in addresses) else "0.0.0.0",
    }


def specification(
    shape: Topology,
    settings: Settings,
    catalogue: Catalogue,
    readings: t.Mapping[str, Reading],
    files: t.Container[str] = (),
) -> Spec:
    """Return the specification of the cluster.

    :param settings: of all roles, see :func:`settings.settings`.
    :param readings: of ``host_facts`` by host; a host that was not read has no programs.
    :param files: names of the files of the PKI directory, see :data:`trust.FILES`.
    :raises CatalogueError: the catalogue does not have the release, a component or an image.
    :raises ValueError: a network of the settings is not a network.
    """
    architectures = {host: reading.get("architecture") for host, reading in readings.items()}
    release = settings["cluster_release"] or catalogue["default_release"]
    versions = settings["cluster_versions"]
    published = {
        architecture: programs(
            catalogue,
            release=release,
            architecture=architecture,
            versions=versions,
            checksums=settings["cluster_checksums"],
            published=publishers_files(settings["cluster_mirror_checksums"], settings["cluster_mirror"]),
            mirror=settings["cluster_mirror"],
        )
        for architecture in sorted({found for found in architectures.values() if found})
    }
    pinned = catalogue_digests(catalogue, release=release, versions=versions) if settings["cluster_pin_images"] else {}
    api = _api(shape, settings, readings)
    trusted = trust(str(settings["cluster_pki_directory"]), files)
    return {
        "name": settings["cluster_name"],
        "release": release,
        "versions": release_versions(catalogue, release, versions=versions),
        "domain": settings["cluster_domain"],
        **_networks(settings),
        "node_port_range": settings["cluster_node_port_range"],
        "pod_network": settings["cluster_pod_network"],
        "weave": weave_spec(settings),
        "kube_proxy_mode": settings["cluster_kube_proxy_mode"],
        "kube_proxy_health_url": _KUBE_PROXY_HEALTH_URL,
        "pki_directory": settings["cluster_pki_directory"],
        "tls_cipher_suites": list(TLS_CIPHER_SUITES),
        "packages": {purpose: list(names) for purpose, names in PACKAGES.items()},
        "proxy": environment(shape, settings),
        "topology": shape,
        "hosts": {
            host: {
                **_host(host, shape),
                "programs": published.get(architectures.get(host) or "", {}),
            }
            for host in shape["hosts"]
        },
        "api": api,
        "etcd": _etcd(shape),
        "encryption": {
            "provider": settings["ca_encryption_provider"],
            "resources": list(settings["ca_encryption_resources"]),
        },
        "certificates": certificates(shape, settings),
        "trust": trusted,
        "kubeconfigs": kubeconfigs(
            shape,
            cluster_name=settings["cluster_name"],
            local_server=api["local_server"],
            server=api["server"],
            authorities=[posixpath.basename(path) for path in trusted["ca"]],
        ),
        "images": images(
            catalogue,
            release=release,
            pod_network=settings["cluster_pod_network"],
            versions=versions,
            digests={**pinned, **settings["cluster_image_digests"]},
            names=settings["cluster_images"],
        ),
    }
