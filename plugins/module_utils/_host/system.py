# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what else is on a host: swap, left-overs of other clusters, and the owners of ports. Nothing is changed."""

from __future__ import annotations

import os
import re
import time
import typing as t

__all__ = (
    "fstab_swap",
    "left_overs",
    "listeners",
    "package_lock",
    "resolved_runs",
    "started_at",
    "states",
    "swap_units",
)

#: Returns the content of a file, empty where it cannot be read.
Text = t.Callable[[str], str]
#: Returns the output of a command, empty where the host does not have the program.
Output = t.Callable[["list[str]"], str]

_RESOLVED = "systemd-resolved.service"
_RESOLVED_FILE = "/run/systemd/resolve/resolv.conf"
# Packages that turn swap on without a unit of the type swap.
_SWAP_SERVICES = ("dphys-swapfile.service", "zramswap.service")
_OWN_UNITS = "/etc/systemd/system/"
_LISTEN = "0A"
# Programs of the cluster, as the kernel names their processes: with at most 15 characters.
_COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "nginx",
    "containerd",
    "kubelet",
    "kube-proxy",
)
_PACKAGE_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")
_STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
# Paths that other tools make, and that mean nothing else.
_LEFT_OVERS = (
    *(f"/etc/kubernetes/manifests/{name}.yaml" for name in _STATIC_PODS),
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
    "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
    "/var/lib/rancher",
    "/var/lib/k0s",
    "/var/snap/microk8s",
)


def started_at(monotonic: str) -> float | None:
    """Return a time of systemd in seconds since 1970; None for a unit that did not start.

    :param monotonic: a property such as ``ExecMainStartTimestampMonotonic``, in microseconds.
    """
    microseconds = int(monotonic) if monotonic.strip().isdigit() else 0
    if not microseconds:
        return None
    return time.time() - (time.clock_gettime(time.CLOCK_MONOTONIC) - microseconds / 1e6)


def states(output: Output) -> list[dict[str, str]]:
    """Return the properties of the units that have to do with swap or resolvers, one entry for each unit."""
    wanted = "--property=Id,LoadState,ActiveState,UnitFileState,FragmentPath"
    text = output(["systemctl", "show", wanted, "*.swap", *_SWAP_SERVICES, _RESOLVED])
    blocks = (dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n"))
    return [block for block in blocks if "Id" in block]


def swap_units(found: t.Iterable[t.Mapping[str, str]]) -> dict[str, str]:
    """Return the units that turn swap on now or at the next boot, by name, and how each is turned off for good.

    :param found: as :func:`states` returns them.
    :returns: ``disable`` for a unit of the administrator, which cannot be masked where it is; ``mask`` for all others.
    """
    result = {}
    for unit in found:
        name, enabled = unit["Id"], unit.get("UnitFileState", "").startswith("enabled")
        if unit.get("LoadState") != "loaded" or not (name.endswith(".swap") or name in _SWAP_SERVICES):
            continue
        own = unit.get("FragmentPath", "").startswith(_OWN_UNITS)
        active = unit.get("ActiveState") in ("active", "activating")
        # One that a generator makes is never enabled, and comes back at the next boot.
        returns = enabled or (name.endswith(".swap") and not own)
        if active or returns:
            result[name] = "disable" if own else "mask"
    return result


def resolved_runs(found: t.Iterable[t.Mapping[str, str]]) -> bool:
    """Return whether systemd-resolved runs and keeps its list of upstream resolvers. The list stays when it stops."""
    active = any(unit["Id"] == _RESOLVED and unit.get("ActiveState") == "active" for unit in found)
    return active and os.path.exists(_RESOLVED_FILE)


def fstab_swap(text: str) -> bool:
    """Return whether the text of ``/etc/fstab`` has swap."""
    return bool(re.search(r"^[ \t]*[^#\s]\S*[ \t]+\S+[ \t]+swap(\s|$)", text, re.MULTILINE))


def left_overs(paths: t.Iterable[str] = _LEFT_OVERS) -> list[str]:
    """Return those paths of other tools that are there."""
    return [path for path in paths if os.path.lexists(path)]


def _sockets(table: str) -> dict[str, int]:
    """Return ports that are listened on, by inode, from the text of ``/proc/net/tcp``."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[9]: int(row[1].rsplit(":", 1)[1], 16) for row in rows if len(row) > 9 and row[3] == _LISTEN}


def _held(process: str) -> list[str]:
    """Return the inodes of the sockets that a process holds."""
    try:
        names = os.listdir(f"{process}/fd")
    except OSError:  # it has ended
        return []
    inodes = []
    for name in names:
        try:
            found = re.fullmatch(r"socket:\[(\d+)]", os.readlink(f"{process}/fd/{name}"))
        except OSError:
            continue
        if found:
            inodes.append(found[1])
    return inodes


def _owner(process: str, text: Text) -> str:
    """Return the unit of a process, else its name."""
    units = re.findall(r"/([^/\n]+\.(?:service|scope))$", text(f"{process}/cgroup"), re.MULTILINE)
    return units[-1] if units else text(f"{process}/comm").strip()


def _processes(root: str, text: Text) -> list[str]:
    """Return the directories of all processes: components first, and last process 1, which may listen for others."""
    paths = [f"{root}/{name}" for name in os.listdir(root) if name.isdigit()]
    return sorted(paths, key=lambda path: (text(f"{path}/comm").strip() not in _COMPONENTS, path == f"{root}/1"))


def listeners(text: Text, root: str = "/proc", *, ports: t.Collection[int] | None = None) -> dict[str, str]:
    """Return the owners of TCP ports that are listened on: a unit, else a program; by port.

    :param ports: those ports alone, so that on a host whose own components listen there no other process is looked at;
        None for all.
    """
    sockets = {**_sockets(text(f"{root}/net/tcp")), **_sockets(text(f"{root}/net/tcp6"))}
    missing = {inode: port for inode, port in sockets.items() if ports is None or port in ports}
    found: dict[str, str] = {}
    for process in _processes(root, text) if missing else ():
        mine = [inode for inode in _held(process) if inode in missing]
        owner = _owner(process, text) if mine else ""
        found.update({str(missing.pop(inode)): owner for inode in mine if owner})
        if not missing:
            break
    return dict(sorted(found.items(), key=lambda entry: int(entry[0])))


def package_lock(text: Text, paths: t.Iterable[str] = _PACKAGE_LOCKS) -> str:
    """Return the unit, else the program, that holds a lock of the package manager, with its process; else nothing."""
    # Kernel: "1: POSIX  ADVISORY  WRITE 4321 08:01:131077 0 EOF"; a waiting process has "->" after the number.
    rows = (line.split() for line in text("/proc/locks").splitlines())
    holders = {row[5].rsplit(":", 1)[1]: row[4] for row in rows if len(row) == 8 and row[1] == "POSIX"}
    for path in paths:
        try:
            process = holders.get(str(os.stat(path).st_ino), "")
        except OSError:
            continue
        if process.isdigit() and process != "0":
            return f"{_owner(f'/proc/{process}', text)} (process {process})"
    return ""
