# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A context merged into somebody's kubeconfig as text."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.merging import (
    kubeconfig_contexts,
    kubeconfig_merge,
)

THERE = """\
# prod is sacred
clusters: [{name: prod, cluster: {server: "https://prod", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {auth-provider: {name: oidc, config: {expiry: 2026-01-01T00:00:00Z}}}}]
contexts: [{name: prod, context: {cluster: prod, user: admin}}]
current-context: prod
preferences: {colors: true}
"""
MADE = """\
clusters: [{name: default, cluster: {server: "https://10.0.0.13:6443"}}]
users: [{name: admin, user: {token: one}}]
contexts: [{name: default, context: {cluster: default, user: admin}}]
current-context: default
"""
NAMES = {"context": "lab", "cluster_name": "lab", "user": "lab-admin"}


def read(text):
    return yaml.load(text, Loader=yaml.BaseLoader)


@pytest.mark.parametrize(
    ("text", "contexts"),
    [
        (THERE, ["prod"]),
        (kubeconfig_merge(THERE, MADE, **NAMES), ["prod", "lab"]),
        ("", []),
        ("# nothing\n", []),
        ("contexts: null\n", []),
    ],
)
def test_contexts(text, contexts):
    assert kubeconfig_contexts(text) == contexts


@pytest.mark.parametrize("text", ["{secret: [", "secret", "contexts: [secret]"])
def test_what_is_not_a_kubeconfig_is_not_shown(text):
    with pytest.raises(KubeconfigError, match=r"the kubeconfig that is there.* Repair it or move it away\.$") as caught:
        kubeconfig_contexts(text)
    assert "secret" not in str(caught.value)


def test_every_other_entry_stays():
    before, after = read(THERE), read(kubeconfig_merge(THERE, MADE, **NAMES))
    assert after["clusters"] == [*before["clusters"], {"name": "lab", "cluster": {"server": "https://10.0.0.13:6443"}}]
    assert after["users"] == [*before["users"], {"name": "lab-admin", "user": {"token": "one"}}]
    lab = {"name": "lab", "context": {"cluster": "lab", "user": "lab-admin"}}
    assert after["contexts"] == [*before["contexts"], lab]
    assert (after["current-context"], after["preferences"]) == ("prod", {"colors": "true"})


def test_a_second_merge_leaves_the_text_as_it_is():
    once = kubeconfig_merge(THERE, MADE, **NAMES)
    assert kubeconfig_merge(once, MADE, **NAMES) is once
    other_layout = f"# mine\n{once}"
    assert kubeconfig_merge(other_layout, MADE, **NAMES) is other_layout
    renewed = read(kubeconfig_merge(once, MADE.replace("token: one", "token: two"), **NAMES))
    assert renewed["users"][1]["user"] == {"token": "two"}
    assert renewed["users"][0] == read(THERE)["users"][0]


def test_nothing_is_there():
    after = read(kubeconfig_merge("", MADE))
    assert after["current-context"] == "default"
    assert after["users"] == [{"name": "admin", "user": {"token": "one"}}]


@pytest.mark.parametrize(
    ("there", "made", "message"),
    [
        ("{", MADE, "the kubeconfig to merge into is not YAML"),
        ("kind: Pod", MADE, "the kubeconfig to merge into is not a kubeconfig"),
        (THERE, "", "the context in use is ''"),
        (THERE, MADE.replace("https", "http"), "server is 'http://10.0.0.13:6443': it must begin with https://"),
        (THERE, MADE.replace("token: one", ""), "has nothing to log in with"),
    ],
)
def test_what_cannot_be_merged_is_refused_in_words(there, made, message):
    with pytest.raises(KubeconfigError) as refused:
        kubeconfig_merge(there, made, **NAMES)
    assert message in str(refused.value)
