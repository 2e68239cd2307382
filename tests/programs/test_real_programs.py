# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real programs check their own command lines and configuration files, and start or write nothing."""

from __future__ import annotations

import os
import re
import socket
import subprocess

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.flags import command_flags
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import TLS_CIPHER_SUITES
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import dry_run
from conftest import NAMES, ROOT

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: a, user: {}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
current-context: a
"""
# Values for the templates' expressions: what a program parses, not what a cluster needs.
VALUES = {
    "kube-apiserver": {
        "advertise-address": "127.0.0.1",
        "audit-log-maxage": 30,
        "audit-log-maxbackup": 3,
        "audit-log-maxsize": 100,
        "bind-address": "0.0.0.0",
        "enable-admission-plugins": "NodeRestriction",
        "etcd-servers": "https://127.0.0.1:1",
        "event-ttl": "1h",
        "goaway-chance": 0.001,
        "runtime-config": None,
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-max-token-expiration": "24h",
        "service-cluster-ip-range": "10.32.0.0/24",
        "service-node-port-range": "30000-32767",
    },
    "kube-controller-manager": {
        "cluster-cidr": "10.200.0.0/16",
        "cluster-name": "kubernetes",
        "node-cidr-mask-size": 24,
        "node-cidr-mask-size-ipv4": None,
        "node-cidr-mask-size-ipv6": None,
        "terminated-pod-gc-threshold": 1000,
        "service-cluster-ip-range": "10.32.0.0/24",
    },
    "kube-scheduler": {},
    "kubelet": {"hostname-override": "wrk01", "node-ip": "127.0.0.1"},
    "kube-proxy": {},
    "etcd": {
        "name": "ctl01",
        "advertise-client-urls": "https://127.0.0.1:1",
        "listen-client-urls": "https://127.0.0.1:1",
        "initial-advertise-peer-urls": "https://127.0.0.1:2",
        "listen-peer-urls": "https://127.0.0.1:2",
    },
    "containerd": {},
}
FLAGS = {
    "kube-apiserver": ("apiserver", "flags"),
    "kube-controller-manager": ("controller_manager", "flags"),
    "kube-scheduler": ("scheduler", "flags"),
    "kubelet": ("worker", "kubelet_flags"),
    "kube-proxy": ("worker", "kube_proxy_flags"),
    "etcd": ("etcd", "flags"),
}
CONFIGURATIONS = {
    "kube-scheduler": {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "enableProfiling": False,
        "leaderElection": {"leaderElect": True},
    },
    "kube-proxy": {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clusterCIDR": "10.200.0.0/16",
        "mode": "nftables",
        "conntrack": {"maxPerCore": 0},
    },
    "kubelet": {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        "clusterDomain": "cluster.local",
        "clusterDNS": ["10.32.0.10"],
        "containerRuntimeEndpoint": "unix:///run/none-such.sock",
        "failCgroupV1": False,
        "readOnlyPort": 0,
        "registerNode": True,
        "runtimeRequestTimeout": "15m",
        "seccompDefault": True,
        "podPidsLimit": 4096,
        "streamingConnectionIdleTimeout": "1h0m0s",
        "kubeReserved": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "256Mi"},
        "tlsCipherSuites": list(TLS_CIPHER_SUITES),
        "tlsMinVersion": "VersionTLS12",
    },
}
SCHEDULER_PORT = 10259


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory):
    """A certificate and its key, which stand for all that the flags name."""
    directory = tmp_path_factory.mktemp("pki")
    subject = ["-subj", "/CN=a", "-days", "2"]
    files = ["-keyout", directory / "a-key.pem", "-out", directory / "a.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files], check=True, capture_output=True
    )
    return directory / "a.pem", directory / "a-key.pem"


@pytest.fixture
def check(programs, tmp_path, key_pair):
    """Check a program of the release with the flags of its role, further ones, and its configuration."""

    def value(program, name, given):
        if name.endswith(("-key", "keyfile")) or "-key-file" in name or "private-key" in name:
            return str(key_pair[0] if name == "service-account-key-file" else key_pair[1])
        if str(given).endswith(".pem"):
            return str(key_pair[0])
        if name == "config":
            return str(tmp_path / "config")
        if str(given).endswith("kubeconfig"):
            return str(tmp_path / "kubeconfig")
        if name in ("data-dir", "audit-log-path"):
            return str(tmp_path / "data" / name)
        if name == "v":
            return 2
        if name.endswith("cipher-suites"):
            return ",".join(TLS_CIPHER_SUITES)
        return VALUES[program].get(name, given)

    def check(program, configuration=None, **extra):
        (tmp_path / "kubeconfig").write_text(KUBECONFIG)
        whole = {**CONFIGURATIONS.get(program, {}), **(configuration or {})}
        if program == "kubelet":
            whole |= {"tlsCertFile": str(key_pair[0]), "tlsPrivateKeyFile": str(key_pair[1])}
        elif program in ("kube-scheduler", "kube-proxy"):
            whole["clientConnection"] = {"kubeconfig": str(tmp_path / "kubeconfig")}
        (tmp_path / "config").write_text(yaml.safe_dump(whole))
        flags = {}
        if program in FLAGS:
            role, name = FLAGS[program]
            own = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text())[f"__{role}_{name}"]
            flags = {name: value(program, name, given) for name, given in own.items()}
        if program == "kubelet":
            flags |= {"root-dir": str(tmp_path / "data"), "cert-dir": str(tmp_path / "data")}
        flags |= {name.replace("_", "-"): given for name, given in extra.items()}
        words = " ".join(command_flags(flags))
        unit = tmp_path / "unit.service"
        unit.write_text(f"[Service]\nExecStart={programs.path(program)} {words}\n")
        return dry_run.problem(str(unit), run)

    return check


@pytest.mark.parametrize("program", [name for name in NAMES if name != "containerd"])
def test_the_flags_of_our_roles_are_accepted_and_nothing_is_started_or_written(check, program, tmp_path):
    with socket.socket() as listening:
        # The program whose place this one would take has the port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", SCHEDULER_PORT))
        listening.listen()
        assert check(program) is None
    assert sorted(os.listdir(tmp_path)) == ["config", "kubeconfig", "unit.service"]


@pytest.mark.parametrize(
    ("program", "flags"),
    [
        ("kube-apiserver", {"service_cluster_ip_range": "10.32.0.0/24,fd00:32::/112", "bind_address": "::"}),
        (
            "kube-controller-manager",
            {
                "cluster_cidr": "10.200.0.0/16,fd00:200::/48",
                "service_cluster_ip_range": "10.32.0.0/24,fd00:32::/112",
                "node_cidr_mask_size": None,
                "node_cidr_mask_size_ipv4": 24,
                "node_cidr_mask_size_ipv6": 64,
            },
        ),
        ("kubelet", {"node_ip": "10.240.0.21,fd00:10:240::21"}),
    ],
)
def test_the_flags_of_both_address_families_are_accepted(check, program, flags):
    assert check(program, **flags) is None


@pytest.mark.parametrize("program", ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"])
def test_the_cipher_suites_are_among_those_that_the_program_prefers(programs, program):
    done = subprocess.run([programs.path(program), "--help"], capture_output=True, text=True, check=False)
    (known,) = re.findall(r"--tls-cipher-suites.*?Preferred values: ([\w, ]+)\.", done.stdout + done.stderr, re.DOTALL)
    assert set(TLS_CIPHER_SUITES) <= set(known.split(", "))


@pytest.mark.parametrize("program", list(FLAGS))
def test_a_flag_that_the_program_does_not_know(check, program):
    found = check(program, no_such_flag="1")
    assert found and "no-such-flag" in found and dry_run.PROGRAMS[program].settings in found


def test_a_mistyped_flag_is_answered_with_the_right_one(check):
    assert "(similar: --event-ttl" in check("kube-apiserver", event_tll="1h")


@pytest.mark.parametrize(
    ("program", "flag", "value"),
    [
        ("kube-apiserver", "event_ttl", "soon"),
        ("kube-apiserver", "authorization_mode", "Nodes"),
        ("kube-apiserver", "goaway_chance", "0.5"),
        ("kube-apiserver", "service_account_max_token_expiration", "30m"),
        ("kube-apiserver", "enable_admission_plugins", "NoSuchPlugin"),
        ("kube-apiserver", "feature_gates", "NoSuchGate=true"),
        ("kube-controller-manager", "node_cidr_mask_size", "wide"),
        ("kube-controller-manager", "feature_gates", "NoSuchGate=true"),
        ("kube-scheduler", "leader_elect", "perhaps"),
        ("etcd", "heartbeat_interval", "often"),
    ],
)
def test_a_value_that_the_program_cannot_use(check, program, flag, value):
    found = check(program, **{flag: value})
    assert found and (value.partition("=")[0] in found or flag.replace("_", "-") in found)


def test_the_other_errors_of_an_api_server_are_reported_without_the_one_that_stops_it(check):
    found = check("kube-apiserver", authorization_mode="Nodes", enable_admission_plugins="NoSuchPlugin")
    assert "Nodes" in found and "NoSuchPlugin" in found and "max-requests-inflight" not in found


@pytest.mark.parametrize(
    ("program", "change", "words"),
    [
        ("kube-scheduler", {"leaderElekt": True}, "leaderElekt"),
        ("kube-scheduler", {"parallelism": "many"}, "parallelism"),
        ("kube-proxy", {"mood": "nftables"}, "mood"),
        ("kube-proxy", {"mode": "nft"}, "nft"),
        ("kube-proxy", {"conntrack": {"maxPerCore": "many"}}, "maxPerCore"),
        ("kubelet", {"klusterDomain": "a"}, "klusterDomain"),
        ("kubelet", {"maxPods": "many"}, "maxPods"),
        ("kubelet", {"podPidsLimit": "many"}, "podPidsLimit"),
        ("kubelet", {"imageGCHighThresholdPercent": 101}, "imageGCHighThresholdPercent"),
        ("kubelet", {"featureGates": {"NoSuchGate": True}}, "NoSuchGate"),
    ],
)
def test_a_configuration_that_the_program_refuses_or_would_not_read(check, program, change, words):
    found = check(program, change)
    assert found and words in found and dry_run.PROGRAMS[program].settings in found


@pytest.mark.parametrize(
    ("content", "accepted"),
    [("version = 3\n", True), ("version = 3\ngrpc = tru\n", False), ("version = 9\n", False)],
)
def test_the_configuration_of_containerd(programs, tmp_path, content, accepted):
    (tmp_path / "config.toml").write_text(content)
    unit = tmp_path / "unit.service"
    unit.write_text(f"ExecStart={programs.path('containerd')} --config {tmp_path}/config.toml")
    found = dry_run.problem(str(unit), run)
    assert (found is None) is accepted, found
