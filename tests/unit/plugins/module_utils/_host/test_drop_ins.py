# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drop-ins of units, read from directories that look like systemd's."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import drop_ins

KUBEADM = """\
# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
; comment=1
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_CONFIG_ARGS \\
  --node-labels=a=b
"""


def test_directives():
    assert drop_ins.directives(KUBEADM) == ["Environment", "EnvironmentFile", "ExecStart"]


@pytest.fixture
def host(tmp_path):
    """Directories of systemd, and a function that writes a drop-in."""
    directories = [str(tmp_path / name) for name in ("etc", "run", "usr")]

    def write(directory, unit, name, text):
        path = tmp_path / directory / f"{unit}.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    write.read = lambda *units: drop_ins.drop_ins(units, directories)
    return write


def test_a_host_without_drop_ins(host):
    assert host.read("kubelet.service", "etcd.service") == {}


def test_drop_ins_by_unit(host):
    proxy = host("etc", "containerd.service", "http-proxy.conf", "[Service]\nEnvironment=HTTP_PROXY=http://p:3128\n")
    kubeadm = host("usr", "kubelet.service", "10-kubeadm.conf", KUBEADM)
    limits = host("run", "kubelet.service", "limits.conf", "[Service]\nLimitNOFILE=1\n")
    host("etc", "kubelet.service", "notes.txt", "ExecStart=/bin/false")
    host("etc", "ssh.service", "a.conf", "User=a")
    assert host.read("kubelet.service", "containerd.service") == {
        "containerd.service": [{"path": proxy, "directives": ["Environment"]}],
        "kubelet.service": [
            {"path": kubeadm, "directives": ["Environment", "EnvironmentFile", "ExecStart"]},
            {"path": limits, "directives": ["LimitNOFILE"]},
        ],
    }


def test_a_file_hides_that_of_the_same_name_of_a_package(host):
    host("usr", "kubelet.service", "10-kubeadm.conf", KUBEADM)
    host("etc", "kubelet.service", "10-kubeadm.conf", "")
    assert host.read("kubelet.service") == {}
