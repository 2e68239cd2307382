# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drop-ins on hosts: refused where they replace the command line, named otherwise."""

from __future__ import annotations

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.drop_ins import (
    _UNITS,
    drop_in_problems,
    drop_in_warnings,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.facts import UNITS
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    KNOWN,
    computed,
    running,
    topology,
)

KUBEADM = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
PROXY = "/etc/systemd/system/containerd.service.d/http-proxy.conf"
REFUSED = (
    f"wrk01, wrk02: {KUBEADM} replaces ExecStart= of kubelet.service, so that the role's flags would not be used; "
    "remove the file, and put its settings into worker_kubelet_config"
)
NAMED = (
    f"wrk02: {PROXY} sets Environment of containerd.service, in addition to the role's unit file or in the place of "
    "its settings"
)


def with_drop_ins():
    """Readings of a cluster whose workers, and a controller without a kubelet of ours, have drop-ins."""
    found = running()
    for host in ("wrk01", "wrk02", "ctl01"):
        found[host]["drop_ins"] = {"kubelet.service": [{"path": KUBEADM, "directives": ["Environment", "ExecStart"]}]}
    found["wrk02"]["drop_ins"]["containerd.service"] = [{"path": PROXY, "directives": ["Environment"]}]
    return found


def test_a_drop_in_that_replaces_the_command_line_is_a_problem():
    assert drop_in_problems(topology(), with_drop_ins()) == [REFUSED]


def test_another_drop_in_is_a_warning():
    assert drop_in_warnings(topology(), with_drop_ins()) == [NAMED]


def test_hosts_that_were_not_read_have_none():
    assert drop_in_problems(topology(), {"wrk01": {}}) == drop_in_warnings(topology(), {}) == []


def test_preflight_has_the_problems_and_warnings():
    plan = computed(with_drop_ins())["plan"]
    assert REFUSED in plan["problems"]
    assert NAMED in plan["warnings"]


def test_every_unit_of_the_roles_is_looked_at():
    # nginx runs with the distribution's own unit; a timer has no command line, and rules of the firewall no program.
    assert set(_UNITS) == set(UNITS) - {"nginx.service", "etcd-backup.timer", "etcd-firewall.service"}


def test_a_setting_that_is_named_exists():
    named = [words.rpartition(" into ")[2] for _part, words in _UNITS.values() if " into " in words]
    assert len(named) == 6
    assert set(named) <= set(KNOWN)
