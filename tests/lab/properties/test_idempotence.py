# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a finished cluster touches nothing: no process is another one, no file is written."""

from __future__ import annotations

import os
import typing as t

import pytest
import yaml
from playbook import ROOT, run

if t.TYPE_CHECKING:
    from support import Cluster, Node

# Inode, size and time of the last change of what the roles write, and the units' processes.
_STATE = r"""
find /etc/etcd /etc/kubernetes /etc/containerd /etc/cni /etc/nginx /etc/sysctl.d /etc/systemd/system /etc/crictl.yaml \
    /opt/cni /usr/local /root/.kube /var/lib/hardway /var/lib/kubernetes /var/lib/kube-proxy \
    -printf '%p %i %s %C@ %m %u\n' 2>/dev/null
find /var/lib/kubelet -maxdepth 1 -type f -not -name '*_state' -printf '%p %i %s %C@ %m %u\n' 2>/dev/null
for unit in etcd kube-apiserver kube-controller-manager kube-scheduler nginx containerd kubelet kube-proxy \
    pod-network systemd-sysctl; do
    systemctl show "$unit" --property=Id,MainPID,ExecMainStartTimestampMonotonic,NRestarts
    # nginx reads its files again in new children.
    main=$(systemctl show "$unit" --property=MainPID --value)
    [ "$unit" = nginx ] && [ "$main" -gt 0 ] && pgrep --parent "$main"
done
true
"""


def _tags() -> list[str]:
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    parts = [*plays, *(role for play in plays for role in play.get("roles", []) if isinstance(role, dict))]
    listed = [tag for part in parts for tag in part.get("tags", [])]
    return [tag for tag in dict.fromkeys(listed) if tag != "always"]


def _state(cluster: Cluster) -> dict[str, list[str]]:
    def read(node: Node) -> list[str]:
        return node.out("sh", "-c", _STATE).splitlines()

    hosts = dict.fromkeys(node for part in cluster.groups.values() for node in part)
    found = {node.name: read(node) for node in hosts}
    found["the PKI directory"] = [
        f"{entry.name} {entry.stat().st_ino} {entry.stat().st_mtime_ns}"
        for entry in sorted(os.scandir(cluster.pki), key=lambda entry: entry.name)
    ]
    return found


@pytest.mark.parametrize("option", ["--tags=all", "--check", *(f"--tags={tag}" for tag in _tags())])
def test_a_run_touches_nothing(pytestconfig: pytest.Config, cluster: Cluster, option: str) -> None:
    before = _state(cluster)
    done = run(pytestconfig.option.ansible_inventory, option)
    assert done.changed == []
    assert _state(cluster) == before


def test_every_role_has_its_tag() -> None:
    called = set(_tags())
    not_in_the_sequence = {"cluster", "lab", "smoke_test"}
    assert {role.name for role in (ROOT / "roles").iterdir()} - not_in_the_sequence == called


def test_the_state_notices_a_touched_file(cluster: Cluster) -> None:
    """The measure itself: a file written with the same content counts."""
    before = _state(cluster)
    cluster.client.out("sh", "-c", "cp -p /root/.kube/config /root/.kube/new && mv /root/.kube/new /root/.kube/config")
    after = _state(cluster)
    assert after != before
    assert {name for name in after if after[name] != before[name]} == {cluster.client.name}
