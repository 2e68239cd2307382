# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags and files of the API server, where they depend on settings or on the inventory."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import identity
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, empty
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import Role

CONFIG = "admission-config.yaml"
PKI: identity.PkiIdentity = {
    "directory": "/srv/lab/.cluster/pki",
    "keys": {"service-account.pem": ["01" * 32]},
    "encryption_keys": None,
    "retired_keys": [],
    "weave_password": None,
    "skipped": [],
}


def flags(parts: t.Mapping[str, list[str]] | None = None, **settings: t.Any) -> dict[str, t.Any]:
    """Return the flags of the unit file that are there."""
    own = Role("apiserver", "ctl01", parts=parts, **settings).flags()
    return {name: value for name, value in own.items() if value is not None}


def rendered(name: str, **settings: t.Any) -> t.Any:
    """Return the content of a file in /etc/kubernetes/config."""
    return yaml.safe_load(Role("apiserver", "ctl01", **settings).files()[f"/etc/kubernetes/config/{name}"])


def test_files_that_flags_name_are_on_the_host():
    written = set(Role("apiserver", "ctl01").files())
    named = {str(value) for value in flags().values() if str(value).startswith(("/etc/kubernetes", "/var/lib"))}
    assert named and named <= written, named - written
    assert {pathlib.Path(name).name for name in named} >= {"admission-config.yaml", "audit-policy.yaml"}


def test_the_key_of_service_accounts_outside_of_a_rotation():
    path = "/var/lib/kubernetes/service-account.pem"
    assert flags()["service-account-key-file"] == [path]
    assert {name for name in Role("apiserver", "ctl01").files() if "service-account" in name} == {
        path,
        "/var/lib/kubernetes/service-account-key.pem",
    }


@pytest.mark.parametrize("file", ["service-account-next.pem", "service-account-previous.pem"])
def test_the_keys_of_service_accounts_during_a_rotation(file):
    role = Role("apiserver", "ctl01", pki={**PKI, "keys": {**PKI["keys"], file: ["02" * 32]}})
    paths = [f"/var/lib/kubernetes/{name}" for name in ("service-account.pem", file)]
    assert role.flags()["service-account-key-file"] == paths
    assert set(paths) <= set(role.files())


@pytest.mark.parametrize(
    ("parts", "settings", "there"),
    [
        (None, {}, True),
        ({"load_balancers": []}, {}, False),
        ({"load_balancers": []}, {"cluster_api_server": "https://api.example.com"}, True),
        ({"controllers": ["ctl01"], "etcd": ["ctl01"]}, {}, False),
    ],
)
def test_clients_connect_again_behind_a_balancer_of_several(parts, settings, there):
    assert ("goaway-chance" in flags(parts, **settings)) is there


def test_only_stable_groups_are_served_unless_asked_for():
    assert "runtime-config" not in flags()
    assert flags(apiserver_runtime_config="api/all=true")["runtime-config"] == "api/all=true"


@pytest.mark.parametrize(
    ("level", "warned"), [("baseline", "restricted"), ("restricted", "restricted"), ("privileged", "privileged")]
)
def test_levels_of_pod_security(level, warned):
    found = {
        plugin["name"]: plugin["configuration"] for plugin in rendered(CONFIG, apiserver_pod_security=level)["plugins"]
    }
    levels = found["PodSecurity"]["defaults"]
    assert (levels["enforce"], levels["warn"], levels["audit"]) == (level, warned, warned)
    assert found["PodSecurity"]["exemptions"] == {"namespaces": ["kube-system"]}


def test_an_unknown_level_is_refused_before_anything_is_changed():
    (found,) = computed(empty(), apiserver_pod_security="base")["plan"]["problems"]
    assert "apiserver_pod_security must be one of: privileged, baseline, restricted, got: base" in found


def test_tokens_end():
    found = flags()
    assert found["service-account-extend-token-expiration"] is False
    assert found["service-account-max-token-expiration"] == "24h"
    assert flags(apiserver_max_token_expiration="2h")["service-account-max-token-expiration"] == "2h"


def test_each_configured_admission_plugin_is_enabled():
    configured = {plugin["name"] for plugin in rendered(CONFIG)["plugins"]}
    # On by default in kube-apiserver.
    assert configured - {"PodSecurity"} <= set(flags()["enable-admission-plugins"].split(","))
    assert "DenyServiceExternalIPs" in flags()["enable-admission-plugins"]
