# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet's configuration file: safe defaults, settings, and what a user's own content wins over."""

from __future__ import annotations

import tomllib
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import ROLES, Role


def configuration(**settings: t.Any) -> dict[str, t.Any]:
    """Return the content of the kubelet's configuration file."""
    (task,) = DataLoader().load_from_file(str(ROLES / "worker" / "tasks" / "kubelet.yml"), trusted_as_template=True)
    (file,) = (
        one for one in task["hardway.kubernetes.component"]["files"] if one["path"].endswith("kubelet-config.yaml")
    )
    role = Role("worker", "wrk01", **settings)
    return t.cast(dict[str, t.Any], yaml.safe_load(role.value(file["content"].strip("{} "))))


def test_safe_defaults():
    found = configuration()
    assert found["seccompDefault"] is True
    assert found["podPidsLimit"] == 4096
    assert found["kubeReserved"]["memory"] and found["systemReserved"]["memory"]
    assert found["tlsCipherSuites"]
    assert found["readOnlyPort"] == 0


def test_settings_reach_the_file_as_the_kubelet_takes_them():
    # As --extra-vars and YAML give them; the kubelet takes no number as a quantity.
    found = configuration(worker_pod_pids_limit="100", worker_kube_reserved={"cpu": 1, "memory": "64Mi"})
    assert found["podPidsLimit"] == 100
    assert found["kubeReserved"] == {"cpu": "1", "memory": "64Mi"}


def test_pods_end_before_the_host_does():
    found = configuration(worker_shutdown_grace_period=90, worker_shutdown_grace_period_critical="20")
    assert found["shutdownGracePeriod"] == "90s"
    assert found["shutdownGracePeriodCriticalPods"] == "20s"


def test_times_by_priority_take_the_place_of_the_two_times():
    # The kubelet refuses a file that has both.
    own = {"shutdownGracePeriodByPodPriority": [{"priority": 0, "shutdownGracePeriodSeconds": 30}]}
    found = configuration(worker_kubelet_config=own)
    assert {name for name in found if name.startswith("shutdown")} == set(own)


@pytest.mark.parametrize("own", [{"seccompDefault": False}, {"podPidsLimit": -1}, {"kubeReserved": {"cpu": "50m"}}])
def test_the_users_own_content_wins(own):
    found = configuration(worker_kubelet_config=own)
    [(name, value)] = own.items()
    assert found[name] == (configuration()[name] | value if isinstance(value, dict) else value)


@pytest.mark.parametrize(("own", "wanted"), [({}, "1h0m0s"), ({"streamingConnectionIdleTimeout": "30m"}, "30m")])
def test_containerd_ends_silent_connections_when_the_kubelet_says_so(own, wanted):
    found = tomllib.loads(Role("worker", "wrk01", worker_kubelet_config=own).template("containerd.toml.j2"))
    idle = found["plugins"]["io.containerd.grpc.v1.cri"]["stream_idle_timeout"]
    assert idle == configuration(worker_kubelet_config=own)["streamingConnectionIdleTimeout"] == wanted
