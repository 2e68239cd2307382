# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authorities, certificates and kubeconfigs of a cluster, as the modules take them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import networks
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("ADMINISTRATORS", "ETCD_MEMBER", "api_names", "certificates", "kubeconfigs", "service_addresses")

#: A document that a module takes as it is: a cfssl CSR, an entry of a list of options.
Document = dict[str, t.Any]

#: Group of the administrators, which the role ``apiserver`` binds to ``cluster-admin``. Unlike ``system:masters``, RBAC
#: can take its rights away.
ADMINISTRATORS = "hardway:cluster-admins"
#: Common name of the etcd members' certificates: etcd accepts no other as a peer.
ETCD_MEMBER = "etcd-member"


def service_addresses(cidrs: object) -> list[str]:
    """Return the first address of each service network. The API's own Service takes that of the primary one.

    :param cidrs: the networks, see :func:`families.networks`.
    :raises ValueError: one is not a network.
    """
    return [str(network[1]) for network in networks(cidrs)]


def _names(host: str, shape: Topology) -> list[str]:
    """Return the name and the addresses of a host."""
    return [host, *shape["all_addresses"][host]]


def _server_host(server: t.Any) -> list[str]:
    """Return the name or address of a URL; nothing where it has none."""
    found = re.match(r"https?://(?:\[([^\]]+)\]|([^/:?#\s]+))", str(server or ""))
    return [found[1] or found[2]] if found else []


def api_names(shape: Topology, settings: Settings) -> list[str]:
    """Return every name and address at which an API server is reached.

    These are the values of ``-hostname`` in the article: the API's own Service, loopback, and every controller and load
    balancer by name and by its addresses; then the load balancers' virtual address, the host of ``cluster_api_server``,
    and ``ca_extra_sans``.
    """
    names = [
        *service_addresses(settings["cluster_service_cidr"]),
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{settings['cluster_domain']}",
    ]
    for host in [*shape["controllers"], *shape["load_balancers"]]:
        names += _names(host, shape)
    names += [settings["lb_virtual_address"]] if settings["lb_virtual_address"] else []
    names += _server_host(settings["cluster_api_server"])
    return list(dict.fromkeys([*names, *settings["ca_extra_sans"]]))


def _config(settings: Settings) -> Document:
    """Return the signing configuration: one profile per use of a certificate."""
    expiry = settings["ca_expiry"]

    def profile(*purposes: str, expiry: t.Any = expiry) -> Document:
        return {"usages": ["signing", "key encipherment", *purposes], "expiry": expiry}

    return {
        "signing": {
            "default": {"expiry": expiry},
            "profiles": {
                "server": profile("server auth"),
                "client": profile("client auth"),
                "peer": profile("server auth", "client auth"),
                "administrator": profile("client auth", expiry=settings["ca_admin_expiry"]),
                # The certificate of a key pair proves no identity. Without a purpose it would be taken for any.
                "key-pair": profile("code signing"),
            },
        }
    }


def certificates(shape: Topology, settings: Settings) -> dict[str, t.Any]:
    """Return the signing configuration, the authorities and the certificates of a cluster.

    Each certificate is for one identity and one direction; only etcd's members, which are clients of each other, have
    one for both. Subjects of clients are the article's, but for administrators.

    :returns: ``config``, ``authorities`` and ``certificates`` as the module ``x509_cfssl_compat`` takes them.
    """

    def csr(common_name: str, organization: str, subject: str, key: str) -> Document:
        return {
            "CN": common_name,
            "key": dict(settings[key]),
            "names": [{**settings[subject], "O": organization}],
        }

    def authority(name: str, common_name: str, *, new: bool = False) -> Document:
        request = csr(common_name, "Kubernetes", "ca_authority_subject", "ca_authority_key")
        # It signs no further authorities.
        limits = {"expiry": settings["ca_authority_expiry"], "pathlen": 0, "pathlenzero": True}
        document: Document = {"name": name, "csr": {**request, "ca": limits}}
        if name in settings["ca_renew_authorities"]:
            document["renew"] = True
        return {**document, "force": True, "regenerate_key": True} if new else document

    def leaf(
        name: str,
        common_name: str,
        organization: str = "Kubernetes",
        *,
        profile: str = "client",
        hosts: t.Sequence[str | None] = (),
        ca: str = "ca",
    ) -> Document:
        request = csr(common_name, organization, "ca_subject", "ca_key")
        return {"name": name, "ca": ca, "profile": profile, "hosts": list(hosts), "csr": request}

    def node(host: str) -> list[Document]:
        user, group = f"system:node:{host}", "system:nodes"
        return [
            leaf(host, user, group),
            leaf(f"{host}-server", user, group, profile="server", hosts=_names(host, shape)),
        ]

    def member(host: str) -> Document:
        names = [*_names(host, shape), "127.0.0.1", "localhost"]
        return leaf(f"etcd-{host}", ETCD_MEMBER, profile="peer", hosts=names, ca="etcd-ca")

    return {
        "config": _config(settings),
        "authorities": [
            authority("ca", "Kubernetes"),
            authority("etcd-ca", "etcd"),
            authority("front-proxy-ca", "Kubernetes Front Proxy", new=settings["ca_new_front_proxy_authority"]),
        ],
        "certificates": [
            leaf("admin", "admin", ADMINISTRATORS, profile="administrator"),
            leaf("super-admin", "super-admin", "system:masters", profile="administrator"),
            *(document for host in shape["workers"] for document in node(host)),
            leaf("kube-controller-manager", "system:kube-controller-manager", "system:kube-controller-manager"),
            leaf("kube-proxy", "system:kube-proxy", "system:node-proxier"),
            leaf("kube-scheduler", "system:kube-scheduler", "system:kube-scheduler"),
            leaf("kubernetes", "kubernetes", profile="server", hosts=api_names(shape, settings)),
            leaf("apiserver-kubelet-client", "kubernetes"),
            leaf("service-account", "service-accounts", profile="key-pair"),
            *(member(host) for host in shape["etcd"]),
            leaf("apiserver-etcd-client", "kube-apiserver", ca="etcd-ca"),
            leaf("etcdctl", "etcdctl", ca="etcd-ca"),
            leaf("front-proxy-client", "front-proxy-client", ca="front-proxy-ca"),
        ],
    }


def kubeconfigs(
    shape: Topology, *, cluster_name: str, local_server: str, server: str, authorities: t.Sequence[str] = ("ca.pem",)
) -> list[Document]:
    """Return the kubeconfigs of a cluster, as the module ``kubeconfig`` takes them.

    Controllers speak to the API server on their own host; kubelets, kube-proxy and the remote administrator go through
    the load balancer. ``super-admin`` stays on the control node.

    :param local_server: URL of the API server on a controller's loopback.
    :param server: URL of the API for all other clients.
    :param authorities: files of the authorities that clients trust: more than one while one is rotated.
    """

    further = {"further_authorities": list(authorities[1:])} if authorities[1:] else {}

    def entry(
        name: str, user: str, address: str, *, certificate: str | None = None, context: str = "default"
    ) -> Document:
        certificate = certificate or name
        return {
            "path": f"{name}.kubeconfig",
            "cluster_name": cluster_name,
            "server": address,
            "certificate_authority": authorities[0],
            **further,
            "user": user,
            "client_certificate": f"{certificate}.pem",
            "client_key": f"{certificate}-key.pem",
            "context": context,
        }

    return [
        entry("admin", "admin", local_server),
        entry("super-admin", "super-admin", local_server),
        entry("kube-controller-manager", "system:kube-controller-manager", local_server),
        entry("kube-scheduler", "system:kube-scheduler", local_server),
        entry("kube-proxy", "system:kube-proxy", server),
        *(entry(host, f"system:node:{host}", server) for host in shape["workers"]),
        entry("remote-admin", "admin", server, certificate="admin", context=cluster_name),
    ]
