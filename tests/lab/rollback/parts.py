# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The components of the cluster, and changes that break them."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from support import Cluster, Node

# Serves the hosts, in the place of the lab's mirror, the versions that do not run.
MIRROR = "/var/tmp/broken-mirror"
_KUBERNETES = "9"


@dataclasses.dataclass(frozen=True)
class Part:
    """A component on its hosts.

    :ivar check: address and files of its health, as watch.py takes them.
    :ivar paths: its files on a host; a directory stands for all files in it.
    """

    name: str
    unit: str
    group: str
    tag: str
    paths: tuple[str, ...]
    check: tuple[str | None, str | None, str | None, str | None] = (None, None, None, None)

    def hosts(self, cluster: Cluster) -> list[Node]:
        return cluster.groups[self.group]


_BIN = "/usr/local/bin/"
_UNITS = "/etc/systemd/system/"
PARTS = {
    part.name: part
    for part in (
        Part(
            "etcd", "etcd.service", "etcd", "etcd", (_BIN + "etcd", _UNITS + "etcd.service", "/etc/etcd"),
            ("https://127.0.0.1:2379/health", "/etc/etcd/ca.pem", "/etc/etcd/etcdctl.pem",
             "/etc/etcd/etcdctl-key.pem"),
        ),
        Part(
            "kube-apiserver", "kube-apiserver.service", "controllers", "apiserver",
            (_BIN + "kube-apiserver", _BIN + "kubectl", _UNITS + "kube-apiserver.service", "/etc/kubernetes",
             "/var/lib/kubernetes"),
            ("https://127.0.0.1:6443/readyz", "/var/lib/kubernetes/ca.pem", None, None),
        ),
        Part(
            "kube-controller-manager", "kube-controller-manager.service", "controllers", "controller_manager",
            (_BIN + "kube-controller-manager", _UNITS + "kube-controller-manager.service", "/var/lib/kubernetes"),
            ("https://127.0.0.1:10257/healthz", None, None, None),
        ),
        Part(
            "kube-scheduler", "kube-scheduler.service", "controllers", "scheduler",
            (_BIN + "kube-scheduler", _UNITS + "kube-scheduler.service", "/etc/kubernetes", "/var/lib/kubernetes"),
            ("https://127.0.0.1:10259/healthz", None, None, None),
        ),
        Part("health proxy", "nginx.service", "controllers", "healthz_nginx", ("/etc/nginx",)),
        Part("load balancer", "nginx.service", "lb", "lb", ("/etc/nginx",)),
        Part(
            "containerd", "containerd.service", "workers", "worker",
            (_BIN + "containerd", _BIN + "runc", _UNITS + "containerd.service", "/etc/containerd"),
        ),
        Part(
            "kubelet", "kubelet.service", "workers", "worker",
            (_BIN + "kubelet", _BIN + "kubectl", _UNITS + "kubelet.service", "/var/lib/kubelet/kubelet-config.yaml",
             "/var/lib/kubelet/kubeconfig"),
            ("http://127.0.0.1:10248/healthz", None, None, None),
        ),
        Part(
            "kube-proxy", "kube-proxy.service", "workers", "worker",
            (_BIN + "kube-proxy", _UNITS + "kube-proxy.service", "/var/lib/kube-proxy"),
        ),
    )
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Break:
    """A change that breaks a component.

    :ivar variables: extra variables of the run.
    :ivar program: the program that a version does not run of, and the version's component.
    :ivar said: what the failure has to say of the cause.
    """

    part: str
    kind: str
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    program: str = ""
    said: str = ""

    def __str__(self) -> str:
        return f"{self.part} {self.kind}".replace(" ", "-")


def _flag(part: str, role: str) -> Break:
    return Break(part, "flag", {f"{role}_extra_flags": {"no-such-flag": "1"}}, said="no-such-flag")


def _program(part: str, versions: str) -> Break:
    return Break(part, "program", program=versions, said="this version does not run")


BREAKS = (
    _flag("etcd", "etcd"),
    _program("etcd", "etcd"),
    Break("etcd", "value", {"etcd_extra_flags": {"heartbeat-interval": "often"}}, said="heartbeat-interval"),
    _flag("kube-apiserver", "apiserver"),
    _program("kube-apiserver", "kubernetes"),
    Break("kube-apiserver", "file", {"apiserver_extra_flags": {"admission-control-config-file": "/etc/hostname"}},
          said="admission"),
    # Neither preflight nor the program's check of itself compiles expressions.
    Break("kube-apiserver", "value", {"apiserver_authentication": {"jwt": [{
        "issuer": {"url": "https://login.example.com", "audiences": ["a"]},
        "claimMappings": {"username": {"expression": "claims.("}}}]}}, said="invalid authentication configuration"),
    _flag("kube-controller-manager", "controller_manager"),
    _program("kube-controller-manager", "kubernetes"),
    _flag("kube-scheduler", "scheduler"),
    _program("kube-scheduler", "kubernetes"),
    Break("health proxy", "file", {"healthz_nginx_server_name": "a;b {"}, said="nginx"),
    Break("load balancer", "file", {"lb_connect_timeout": "never"}, said="proxy_connect_timeout"),
    _program("containerd", "containerd"),
    Break("kubelet", "file", {"worker_kubelet_config": {"maxPods": "many"}}, said="maxPods"),
    Break("kubelet", "value", {"worker_kubelet_config": {"cpuManagerPolicy": "no-such-policy"}}, said="no-such-policy"),
    _program("kubelet", "kubernetes"),
    Break("kube-proxy", "file", {"worker_kube_proxy_config": {"conntrack": {"maxPerCore": "many"}}}, said="maxPerCore"),
    _program("kube-proxy", "kubernetes"),
)  # fmt: skip
