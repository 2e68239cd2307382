# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the facts of a host that the roles need. Nothing is changed."""

from __future__ import annotations

import functools
import glob
import json
import os
import platform
import re
import shutil
import socket
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.damage import damage
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.data import identity
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import identity as cluster_identity
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import registries, system, virtual_addresses
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.annotations import FROM_INVENTORY
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.drop_ins import drop_ins
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.weave import Weave, weave

__all__ = ("CORDON", "UNITS", "cni_configurations", "collect", "flannel_mtu", "nodes")

#: Units whose state is read.
UNITS = (
    "etcd.service",
    "etcd-backup.timer",
    "etcd-firewall.service",
    "kube-apiserver.service",
    "kube-controller-manager.service",
    "kube-scheduler.service",
    "nginx.service",
    "containerd.service",
    "kubelet.service",
    "kube-proxy.service",
)
#: Annotation of a node that a run cordoned. A node that somebody else cordoned does not have it.
CORDON = "hardway.kubernetes/cordoned"
#: Annotation of a node: how many seconds its turn took in the last upgrade that moved its pods away.
TURN = "hardway.kubernetes/turn-seconds"

_PROGRAMS_RECORD = "/var/lib/hardway/programs.json"
_IMAGES_RECORD = "/var/lib/hardway/images.json"
_SIGNING_KEY = "/var/lib/kubernetes/service-account-key.pem"
_KUBECTL = ["/usr/local/bin/kubectl", "--request-timeout=3s"]
_ADMIN = "--kubeconfig=/var/lib/kubernetes/admin.kubeconfig"
_KUBELET = "--kubeconfig=/var/lib/kubelet/kubeconfig"

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_CAP_SYS_RESOURCE = 24


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _output(run: Run, command: list[str]) -> str:
    """Return the output of a command, empty on a host without the program: preflight reports that."""
    try:
        return run(command)[1]
    except OSError:
        return ""


def _os_release() -> dict[str, str]:
    pairs = (line.split("=", 1) for line in _text("/etc/os-release").splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, value in pairs}


def _memory_mib() -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    return int(match.group(1)) // 1024 if match else 0


def _free_mib(path: str) -> int:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free // (1024 * 1024)


def _has_module(name: str) -> bool:
    """Return whether the kernel has a module: loaded, built in, or there to be loaded."""
    directory = f"/lib/modules/{platform.release()}"
    listed = (_text(f"{directory}/{listing}") for listing in ("modules.dep", "modules.builtin"))
    return os.path.isdir(f"/sys/module/{name}") or any(f"/{name}.ko" in text for text in listed)


def _effective_capability(bit: int) -> bool:
    match = re.search(r"^CapBnd:\s*([0-9a-f]+)", _text("/proc/1/status"), re.MULTILINE)
    return bool(match and int(match.group(1), 16) >> bit & 1)


def cni_configurations(directory: str = "/etc/cni/net.d") -> list[str]:
    """Return the names of the files that a container runtime would take a network from."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(name for name in names if name.endswith((".conf", ".conflist", ".json")))


def flannel_mtu(directory: str = "/run/flannel") -> dict[str, int]:
    """Return the MTU that flannel wrote when it had set up the host's network, in bytes, by backend."""
    found = {}
    for path in glob.glob(os.path.join(directory, "*.env")):
        match = re.search(r"^FLANNEL_MTU=(\d+)$", _text(path), re.MULTILINE)
        if match:
            found[os.path.basename(path)[: -len(".env")]] = int(match.group(1))
    return found


def _etcd(*, runs: bool) -> dict[str, t.Any]:
    """Return the owner of this host's data and the members: from its own etcd, else from its bootstrap file."""
    unit = cluster_identity.flag_values(_text("/etc/systemd/system/etcd.service"), {"data-dir": "data"})
    directory = unit.get("data", "/var/lib/etcd")
    bootstrap = _text("/etc/etcd/bootstrap.env")
    started = re.search(r"^ETCD_INITIAL_CLUSTER=(\S+)", bootstrap, re.MULTILINE)
    was_healthy = bool(re.search(r"^ETCD_INITIAL_CLUSTER_STATE=existing$", bootstrap, re.MULTILINE))
    data = identity(directory)
    # A first start that failed, on a full disk for example, leaves a directory without a log: etcd begins again in it.
    begun = was_healthy or os.path.isdir(os.path.join(directory, "member", "wal"))
    broken = damage(directory) if data and begun and not runs else ""
    if data and broken:
        data["damaged"] = broken
    found: dict[str, t.Any] = {"members": [], "alarms": [], "database": {}}
    if runs:
        # Imported late: TLS takes a tenth of the start of a module.
        from ansible_collections.hardway.kubernetes.plugins.module_utils._host import servers

        found.update(servers.etcd())
    return {
        "directory": directory,
        "data": data,
        **found,
        "free_mib": {directory: _free_mib(directory)},
        "started_with": [entry.split("=", 1)[0] for entry in started.group(1).split(",")] if started else [],
        "was_healthy": was_healthy,
    }


def _programs(path: str = _PROGRAMS_RECORD) -> dict[str, str]:
    try:
        record = json.loads(_text(path) or "{}")
    except ValueError:
        return {}
    return {name: str(entry.get("version", "")) for name, entry in record.items()}


def _image_archives(run: Run, *, runs: bool) -> list[str]:
    """Return the archives whose images containerd has. A host that imported none, or does not run it, is not asked."""
    if not runs or not os.path.exists(_IMAGES_RECORD):
        return []
    # Imported late: most hosts import no archives.
    from ansible_collections.hardway.kubernetes.plugins.module_utils._host.images import imported

    return imported(_IMAGES_RECORD, run)


def _number(text: t.Any) -> int:
    """Return a number of an annotation, which anybody may have edited; 0 where there is none."""
    return int(text) if str(text).isdecimal() else 0


def nodes(objects: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Return the state of each node from a list of the API's Node objects, by name.

    :param objects: a NodeList, as ``kubectl get --raw=/api/v1/nodes`` prints it, which writes no cache.
    """
    found = {}
    for node in objects.get("items", []):
        annotations = node["metadata"].get("annotations") or {}
        conditions = {entry["type"]: entry["status"] for entry in node.get("status", {}).get("conditions", [])}
        found[node["metadata"]["name"]] = {
            "ready": conditions.get("Ready") == "True",
            "version": node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "").lstrip("v"),
            "pod_cidr": node.get("spec", {}).get("podCIDR", ""),
            "pod_cidrs": node.get("spec", {}).get("podCIDRs", []),
            "unschedulable": bool(node.get("spec", {}).get("unschedulable", False)),
            "from_inventory": FROM_INVENTORY in annotations,
            "cordoned_by_run": CORDON in annotations,
            "turn_seconds": _number(annotations.get(TURN)),
        }
    return found


def _signing_since(run: Run) -> float | None:
    """Return since when the API server signs with the key of its host; None where there is no key, or it does not run.

    A process that is older than the key's file goes on with the key before: both times count.
    """
    try:
        written = os.stat(_SIGNING_KEY).st_mtime
    except OSError:
        return None
    shown = ["systemctl", "show", "--value", "--property=ExecMainStartTimestampMonotonic", "kube-apiserver.service"]
    started = system.started_at(_output(run, shown))
    return None if started is None or started < written else started


def _api(run: Run, path: str) -> str:
    """Return the answer of the API server of this host; empty where it does not answer."""
    return _output(run, [*_KUBECTL, _ADMIN, "get", f"--raw={path}"])


def _weave(run: Run) -> Weave | None:
    return weave(functools.partial(_api, run))


def _nodes(run: Run) -> dict[str, dict[str, t.Any]]:
    try:
        return nodes(json.loads(_api(run, "/api/v1/nodes")))
    except ValueError:
        # It does not answer.
        return {}


def _api_servers(run: Run) -> list[str]:
    """Return the addresses of the API servers that run, as the one of this host knows them."""
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
    try:
        found = json.loads(_output(run, [*_KUBECTL, _ADMIN, "get", f"--raw={path}"]))
    except ValueError:
        # It does not answer.
        return []
    return [str(address) for entry in found.get("endpoints") or [] for address in entry["addresses"]]


def _own_node(run: Run, names: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the state of the node of this host, as its kubelet may read it; empty where the API does not answer."""
    try:
        shown = _output(run, [*_KUBECTL, _KUBELET, "get", f"--raw=/api/v1/nodes/{names[0]}"])
        return nodes({"items": [json.loads(shown)]})[names[0]]
    except (ValueError, LookupError, TypeError):
        return {}


def _api_version(run: Run, server: str, *flags: str) -> str:
    """Return the version of the API server that the kubelet of this host reaches; empty where none answers."""
    if not server:
        return ""
    try:
        shown = _output(run, [*_KUBECTL, _KUBELET, *flags, "get", "--raw=/version"])
        return str(json.loads(shown)["gitVersion"]).lstrip("v")
    except (ValueError, KeyError, TypeError):
        return ""


def _api_versions(run: Run, server: str, urls: t.Mapping[str, str]) -> dict[str, str]:
    """Return the versions of single API servers by host, as the kubelet of this host reaches them."""
    found = {host: _api_version(run, server, f"--server={url}") for host, url in urls.items()}
    return {host: version for host, version in found.items() if version}


def collect(
    *,
    run: Run,
    ports: t.Collection[int] | None = None,
    ask_api: bool = True,
    api_servers: t.Mapping[str, str] | None = None,
    ask_weave: bool = True,
) -> dict[str, t.Any]:
    """Return the reading of this host.

    :param run: see :data:`Run`.
    :param ports: TCP ports whose owners are read; None for all.
    :param ask_api: ask the API server that the kubelet reaches for its version.
    :param api_servers: URLs of API servers that are not part of the run, by host.
    :param ask_weave: ask the API server of this host for Weave Net and its password.
    """
    release = _os_release()
    machine = platform.machine()
    resolv = _text("/etc/resolv.conf")
    unit_states = system.states(functools.partial(_output, run))
    units = dict(zip(UNITS, _output(run, ["systemctl", "is-active", *UNITS]).split()))
    identity_read = cluster_identity.identity(_text)
    etcd = _etcd(runs=units.get("etcd.service") == "active")
    addresses = virtual_addresses.networks(_output(run, ["ip", "-oneline", "address", "show"]))
    serves = units.get("kube-apiserver.service") == "active"
    return {
        "read_at": time.time(),
        "hostname": socket.gethostname(),
        "architecture": _ARCHITECTURES.get(machine, machine),
        "distribution": release.get("ID", ""),
        "distribution_version": release.get("VERSION_ID", ""),
        "service_manager": _text("/proc/1/comm").strip(),
        "memory_mib": _memory_mib(),
        "free_mib": {path: _free_mib(path) for path in ("/usr/local", "/var/lib")},
        "addresses": list(addresses),
        "networks": addresses,
        "keepalived": virtual_addresses.keepalived(_text("/etc/keepalived/keepalived.conf")),
        "container": os.path.exists("/run/systemd/container"),
        "cgroup_version": 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
        "may_lower_oom_score": _effective_capability(_CAP_SYS_RESOURCE),
        "active_swaps": [line.split()[0] for line in _text("/proc/swaps").splitlines()[1:]],
        "fstab_swap": system.fstab_swap(_text("/etc/fstab")),
        "swap_units": system.swap_units(unit_states),
        "nameservers": re.findall(r"^nameserver\s+(\S+)", resolv, re.MULTILINE),
        "systemd_resolved": system.resolved_runs(unit_states),
        "listeners": system.listeners(_text, ports=ports),
        "left_overs": system.left_overs(),
        "package_lock": system.package_lock(_text),
        "units": units,
        "drop_ins": drop_ins(UNITS),
        "programs": _programs(),
        "registries": registries.own(),
        "image_archives": _image_archives(run, runs=units.get("containerd.service") == "active"),
        "etcd": etcd,
        "cluster": cluster_identity.settings(_text),
        "identity": {
            **identity_read,
            "signing_since": _signing_since(run),
            "api_version": _api_version(run, identity_read["api_server"]) if ask_api else "",
            "api_versions": _api_versions(run, identity_read["api_server"], api_servers or {}),
            "weave": _weave(run) if serves and ask_weave else None,
        },
        "own_node": _own_node(run, identity_read["kubelet_names"]) if ask_api else {},
        "nodes": _nodes(run) if serves else {},
        "api_servers": _api_servers(run) if serves else [],
        "cni_configurations": cni_configurations(),
        "flannel_mtu": flannel_mtu(),
        "openvswitch": _has_module("openvswitch"),
    }
