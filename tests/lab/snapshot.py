# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of everything that a run may touch: the files that the roles write, and the processes that they run."""

from __future__ import annotations

import os
import typing as t

if t.TYPE_CHECKING:
    from support import Cluster, Node

PKI = "the PKI directory"

# They end when they cannot renew their lease in time, as on a machine that has too much to do, and systemd starts them
# again and counts that. A run that restarts them starts the count again.
_ELECTED = ("kube-controller-manager", "kube-scheduler")

# A component has a journal while it changes. The directory of journals then has another time, and is empty again.
# A line each: path, inode, size, time of the last change, mode, owner; unit, restarts of its own, process, its start.
_STATE = r"""
find /etc/etcd /etc/kubernetes /etc/containerd /etc/cni /etc/nginx /etc/sysctl.d /etc/systemd/system /etc/crictl.yaml \
    /opt/cni /usr/local /root/.kube /var/lib/hardway /var/lib/kubernetes /var/lib/kube-proxy \
    -not -path /var/lib/hardway/journal -printf '%p %i %s %C@ %m %u\n' 2>/dev/null
find /var/lib/kubelet -maxdepth 1 -type f -not -name '*_state' -printf '%p %i %s %C@ %m %u\n' 2>/dev/null
for unit in etcd kube-apiserver kube-controller-manager kube-scheduler nginx containerd kubelet kube-proxy \
    pod-network systemd-sysctl; do
    main=$(systemctl show "$unit" --property=MainPID --value)
    # nginx reads its files again in new children. Old ones end when their last connection does: they count no more.
    children=$([ "$unit" != nginx ] || [ "$main" -eq 0 ] || pgrep --parent "$main" --full 'worker process$')
    echo "$unit" $(systemctl show "$unit" --property=NRestarts --value) $main \
        $(systemctl show "$unit" --property=ExecMainStartTimestampMonotonic) $children
done
"""

# By host, and by path or unit.
Snapshot = dict[str, dict[str, str]]


def snapshot(cluster: Cluster) -> Snapshot:
    """Look at every host and at the PKI directory."""

    def read(node: Node) -> dict[str, str]:
        return dict(line.split(" ", 1) for line in node.out("bash", "-c", _STATE).splitlines())

    hosts = dict.fromkeys(node for part in cluster.groups.values() for node in part)
    found = {node.name: read(node) for node in hosts}
    found[PKI] = {
        entry.name: f"{entry.stat().st_ino} {entry.stat().st_mtime_ns}"
        for entry in sorted(os.scandir(cluster.pki), key=lambda entry: entry.name)
    }
    return found


def touched(before: Snapshot, after: Snapshot) -> dict[str, set[str]]:
    """Paths and units that are others, by host; hosts on which none is are left out."""
    found = {}
    for host, old in before.items():
        new = after[host]
        names = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        found[host] = {name for name in names if not (name in _ELECTED and _ended_by_itself(old[name], new[name]))}
    return {host: names for host, names in found.items() if names}


def _ended_by_itself(before: str, after: str) -> bool:
    restarts = [int(line.split(maxsplit=1)[0]) for line in (before, after)]
    return restarts[1] > restarts[0]
