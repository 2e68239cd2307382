# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs as YAML: what is written is read again as it was meant, and what cannot be read is said to be so."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.differences import compare, masked, same
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.document import (
    load,
    merged,
    named,
    parse,
    render,
)

#: Text that some YAML reader takes for something else, kubectl's YAML 1.1 or PyYAML's.
ODD_TEXT = [
    "y", "N", "yes", "Off", "true", "~", "null", "", " ", "1", "1e3", "0x1F", "1_000", "1:30", ".5", ".inf", "<<", "=",
    "2026-01-01", "- a", "a: b", "a #b", "a:", "*a", "&a", "!a", "%a", "@a", "`a", "{a", "[a", "'a'", '"a"', "a\nb",
    "tab\there", "ü", "\u2028", "\x07", "system:node:wrk01", "https://[::1]:6443", "two words", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", ODD_TEXT, ids=repr)
def test_text_stays_text(text):
    written = render({"users": [{"name": text, "user": {"token": text}}], "note": text})
    assert parse(written.encode()) == {"users": [{"name": text, "user": {"token": text}}], "note": text}


@pytest.mark.parametrize("text", ["y", "N", "1e3", "0o17", "2026-01-01"])
def test_text_that_only_kubectl_would_take_for_something_else_is_quoted(text):
    assert render({"note": text}) == f'note: "{text}"\n'


def test_dates_stay_what_they_are_for_kubectl():
    assert parse(b"expiry: 2026-01-01T00:00:00Z") == {"expiry": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\n", b"---\n"])
def test_a_file_without_entries_is_an_empty_kubeconfig(content):
    assert load(content, where="x", advice="") == {}


@pytest.mark.parametrize("content", [b"{", b"- a", b"text", b"\xff\xfe\x00", b"a: !!python/x y", b"[" * 3000])
def test_what_is_not_a_mapping_cannot_be_read(content):
    assert parse(content) is None
    with pytest.raises(KubeconfigError, match=r"^x is not (YAML that can be read|a kubeconfig)\. Do this\.$"):
        load(content, where="x", advice="Do this.")


def test_entries_without_a_body_are_none():
    value = {"clusters": [{"name": "a", "cluster": {"server": "s"}}, {"name": "b"}, {"name": "c", "cluster": 7}, "d"]}
    assert named(value, "clusters") == {"a": {"server": "s"}}
    assert named({"users": 5}, "users") == {}


def entries(name, token):
    return {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}"}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def test_a_merge_keeps_order_and_everything_else():
    kept = {**entries("b", "one"), "extensions": [{"name": "x"}]}
    result = merged(kept, {**entries("a", "two"), "current-context": ""})
    assert [entry["name"] for entry in result["users"]] == ["b", "a"]
    assert (result["current-context"], result["extensions"]) == ("b", [{"name": "x"}])
    again = merged(result, {**entries("b", "three"), "current-context": "b"})
    assert [entry["user"]["token"] for entry in again["users"]] == ["three", "two"]
    assert merged({}, {**entries("a", "two"), "current-context": ""})["current-context"] == "a"


def test_layout_and_empty_fields_make_no_difference():
    value = entries("a", "one")
    other = {**value, "preferences": {}, "users": [{"user": {"token": "one", "exec": None}, "name": "a"}]}
    assert same(value, other)
    assert compare(value, other) == []
    assert not same(value, entries("a", "two"))


def test_differences_are_named_and_secrets_are_not():
    found = {**entries("a", "old-secret"), "extensions": ["old-secret"]}
    wanted = {**entries("a", "new-secret"), "extensions": ["new-secret"], "current-context": "b"}
    assert compare(found, wanted) == [
        "user a: token differs",
        "current-context is a instead of b",
        "extensions differs",
    ]
    shown = render(masked(found)) + render(masked(wanted, before=found))
    assert "secret" not in shown
    assert "token: (hidden)" in shown
    assert "token: (hidden, changed)" in shown
