# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify every option of every role by the effect of a change on an existing cluster.

- ``safe``: no program of the cluster is disturbed.
- ``rolling``: carried through, one host at a time.
- ``fixed``: another value is refused before anything is changed.
- ``checked``: some values are refused; the entry names what decides.
"""

from __future__ import annotations

import typing as t

__all__ = ("CLASSES", "Class")


class Class(t.NamedTuple):
    """The class of a setting, and why it has it."""

    kind: t.Literal["safe", "rolling", "fixed", "checked"]
    why: str


_RUN = Class("safe", "it concerns the run, not what runs")
_NEXT = Class("safe", "it holds for what is created next")
_OBJECT = Class("safe", "an object of the API, which Kubernetes rolls out")
_SYSTEM = Class("safe", "a setting of the host's system")
_UNIT = Class("rolling", "its program restarts, one host at a time")
_CERTIFICATE = Class("rolling", "certificates are issued again; what reads them reloads or restarts")
_NGINX = Class("rolling", "nginx reloads")
_MADE = Class("fixed", "existing.py compares it with the units and files of the hosts")
_ROTATED = "another value than the file's is refused, and rotate_encryption_key.yml changes the file"
_FLAGS = "existing.py compares the flags that cannot change; the others are carried through"

#: By option, in the order of the roles' argument specifications.
CLASSES: dict[str, Class] = {
    # addons
    "addons_dns_replicas": _OBJECT,
    "addons_dns_upstreams": _OBJECT,
    "addons_dns_zones": _OBJECT,
    "addons_dns_hosts": _OBJECT,
    "addons_timeout": _RUN,
    # apiserver
    "apiserver_admission_plugins": _UNIT,
    "apiserver_pod_security": Class("rolling", "the API servers restart; pods that run stay"),
    "apiserver_runtime_config": _UNIT,
    "apiserver_authentication": _UNIT,
    "apiserver_max_token_expiration": Class("rolling", "the API servers restart; tokens that exist keep their time"),
    "apiserver_audit_log_directory": _UNIT,
    "apiserver_audit_log_maxage": _UNIT,
    "apiserver_audit_log_maxbackup": _UNIT,
    "apiserver_audit_log_maxsize": _UNIT,
    "apiserver_event_ttl": _UNIT,
    "apiserver_verbosity": _UNIT,
    "apiserver_extra_flags": Class("checked", f"issuer, etcd prefix, service network, port range: {_FLAGS}"),
    "apiserver_timeout": _RUN,
    "apiserver_removed": _RUN,
    # ca
    "ca_subject": _CERTIFICATE,
    "ca_authority_subject": Class("fixed", "x509_cfssl_compat refuses an authority that differs from its CSR"),
    "ca_key": Class("checked", "existing.py: the service account's key is never replaced by one of another kind"),
    "ca_authority_key": Class("fixed", "x509_cfssl_compat refuses an authority that differs from its CSR"),
    "ca_authority_expiry": Class("safe", "it holds for an authority that is issued or renewed next"),
    "ca_expiry": _CERTIFICATE,
    "ca_admin_expiry": _CERTIFICATE,
    "ca_new_front_proxy_authority": Class("rolling", "API servers read the new authority by themselves"),
    "ca_renew_authorities": Class("rolling", "programs that trust the authority restart, one host at a time"),
    "ca_encryption_provider": Class("checked", f"encryption.py: {_ROTATED}"),
    "ca_encryption_resources": Class("checked", f"encryption.py: {_ROTATED}"),
    "ca_extra_sans": _CERTIFICATE,
    # client
    "client_home": _SYSTEM,
    "client_user": _SYSTEM,
    "client_group": _SYSTEM,
    # cluster
    "cluster_name": _MADE,
    "cluster_release": Class("checked", "releases.py compares it with the versions on the hosts"),
    "cluster_versions": Class("checked", "releases.py compares it with the versions on the hosts"),
    "cluster_checksums": _NEXT,
    "cluster_image_digests": _OBJECT,
    "cluster_pin_images": Class("rolling", "objects of the API are rolled out; for pause containerd restarts"),
    "cluster_images": Class("rolling", "objects of the API are rolled out; for pause containerd restarts"),
    "cluster_mirror": _NEXT,
    "cluster_mirror_checksums": _NEXT,
    "cluster_http_proxy": _UNIT,
    "cluster_https_proxy": _UNIT,
    "cluster_no_proxy": _UNIT,
    "cluster_pod_cidr": _MADE,
    "cluster_node_prefix_length": _MADE,
    "cluster_service_cidr": _MADE,
    "cluster_dns_address": _MADE,
    "cluster_domain": _MADE,
    "cluster_node_port_range": Class(
        "checked", "existing.py: a wider range is carried through, a narrower one refused"
    ),
    "cluster_pod_network": Class("fixed", "problems.py compares it with the CNI configurations of the workers"),
    "cluster_kube_proxy_mode": _UNIT,
    "cluster_pki_directory": Class("checked", "identity.py compares its keys with those of the hosts"),
    "cluster_hosts": Class("checked", "etcd.py decides on members, existing.py on addresses and names"),
    "cluster_api_server": Class("rolling", "its name is put into the certificate, kubelets and kube-proxy restart"),
    "cluster_api_client_host": _RUN,
    "cluster_api_kubeconfig": _RUN,
    # controller_manager
    "controller_manager_sign_certificates": _UNIT,
    "controller_manager_terminated_pod_gc_threshold": _UNIT,
    "controller_manager_verbosity": _UNIT,
    "controller_manager_extra_flags": Class("checked", f"pod network, prefix length, cluster name: {_FLAGS}"),
    "controller_manager_timeout": _RUN,
    # etcd
    "etcd_data_directory": _MADE,
    "etcd_cluster_token": Class("safe", "etcd reads it while it has no data"),
    "etcd_extra_flags": Class("checked", f"data directory: {_FLAGS}"),
    "etcd_timeout": _RUN,
    "etcd_backup_directory": _RUN,
    "etcd_backup_keep": _RUN,
    "etcd_firewall": _SYSTEM,
    "etcd_firewall_clients": _SYSTEM,
    "etcd_backup_schedule": _SYSTEM,
    "etcd_backup_member_directory": _SYSTEM,
    "etcd_backup_member_keep": _SYSTEM,
    "etcd_keep_revisions": _RUN,
    "etcd_maintenance_timeout": _RUN,
    "etcd_snapshot": _RUN,
    "etcd_restore_id": _RUN,
    "etcd_lost": _RUN,
    "etcd_confirm": _RUN,
    # healthz_nginx
    "healthz_nginx_server_name": _NGINX,
    # lb
    "lb_ports": _NGINX,
    "lb_connections_per_address": _NGINX,
    "lb_max_fails": _NGINX,
    "lb_fail_timeout": _NGINX,
    "lb_connect_timeout": _NGINX,
    "lb_timeout": _NGINX,
    "lb_virtual_address": Class("checked", "virtual_address.py refuses to take it away from nodes that use it"),
    # pod_network
    "pod_network_mtu": Class("safe", "pods that run keep theirs"),
    "pod_network_flannel_backend": Class("fixed", "existing.py compares it with the lease that flannel wrote"),
    "pod_network_weave_encryption": Class(
        "checked", "weave.py refuses to encrypt what runs in the clear; off, one peer after the other restarts"
    ),
    "pod_network_weave_password": Class("rolling", "one peer after the other restarts"),
    "pod_network_weave_fast_datapath": Class("checked", "problems.py asks whether the kernel has openvswitch"),
    "pod_network_weave_connection_limit": Class("rolling", "one peer after the other restarts"),
    "pod_network_weave_no_masq_local": Class("rolling", "one peer after the other restarts"),
    "pod_network_weave_extra_peers": Class("rolling", "one peer after the other restarts"),
    "pod_network_timeout": _RUN,
    # preflight
    "preflight_memory_mib": _RUN,
    "preflight_free_mib": _RUN,
    "preflight_etcd_free_mib": _RUN,
    "preflight_clock_seconds": _RUN,
    "preflight_systems": _RUN,
    # scheduler
    "scheduler_verbosity": _UNIT,
    "scheduler_extra_flags": _UNIT,
    "scheduler_timeout": _RUN,
    # smoke_test
    "smoke_test_namespace": _RUN,
    "smoke_test_kubeconfig": _RUN,
    "smoke_test_nginx_image": _RUN,
    "smoke_test_busybox_image": _RUN,
    "smoke_test_forwarded_port": _RUN,
    "smoke_test_health_name": _RUN,
    "smoke_test_timeout": _RUN,
    # worker
    "worker_labels": _OBJECT,
    "worker_taints": Class("safe", "an object of the API; NoExecute evicts pods, which is its purpose"),
    "worker_packages": _SYSTEM,
    "worker_sysctls": _SYSTEM,
    "worker_registries": Class("safe", "containerd reads them at the next pull; pods that run stay"),
    "worker_image_archives": _NEXT,
    "worker_swap_off": _UNIT,
    "worker_resolv_conf": _UNIT,
    "worker_shutdown_grace_period": Class("rolling", "the kubelet restarts; pods that run stay"),
    "worker_shutdown_grace_period_critical": Class("rolling", "the kubelet restarts; pods that run stay"),
    "worker_pod_pids_limit": Class("rolling", "the kubelet restarts; pods that run keep theirs"),
    "worker_kube_reserved": Class("rolling", "the kubelet restarts; pods that run stay"),
    "worker_system_reserved": Class("rolling", "the kubelet restarts; pods that run stay"),
    "worker_kubelet_config": Class(
        "checked", "existing.py compares clusterDNS and clusterDomain; the kubelet restarts"
    ),
    "worker_kube_proxy_config": _UNIT,
    "worker_verbosity": _UNIT,
    "worker_timeout": _RUN,
    "worker_drain_timeout": _RUN,
    "worker_max_unavailable": _RUN,
    "worker_drain_on_runtime_change": _RUN,
    "worker_drain_accepts": _RUN,
}
