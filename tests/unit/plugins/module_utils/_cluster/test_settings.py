# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings come from the roles' options: values, defaults, wrong types, and differences between hosts."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import settings as module
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import KNOWN

OPTIONS = {
    "cluster_size": {"type": "int", "default": 3},
    "cluster_names": {"type": "list", "elements": "str", "default": ["a"]},
    "cluster_directory": {"type": "path"},
    "cluster_pod_network": {"type": "str", "choices": ["flannel"], "default": "flannel"},
    "worker_mode": {"type": "str", "choices": ["on", "off"], "default": "on"},
}
DEFAULTS = {
    "cluster_size": 3,
    "cluster_names": ["a"],
    "cluster_pod_network": "flannel",
    "worker_mode": "on",
}


def test_options_of_all_entry_points():
    first = {"argument_specs": {"main": {"options": {"a": {"type": "str"}}}, "again": {"options": {"b": {}}}}}
    second = {"argument_specs": {"main": {"options": {"c": {}}}, "other": {}}}
    assert module.options([first, second]) == {"a": {"type": "str"}, "b": {}, "c": {}}
    assert {"cluster_name", "ca_expiry", "worker_timeout"} <= KNOWN.keys()


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({}, {}),
        (
            {"cluster_size": "5", "cluster_directory": "/x", "unknown": 1},
            {"cluster_size": 5, "cluster_directory": "/x"},
        ),
        ({"cluster_names": "b,c"}, {}),
        # A wrong value does not count, so that everything else can be looked at.
        ({"cluster_size": "many", "cluster_names": ["b"]}, {"cluster_names": ["b"]}),
        # There is more to say about this one than that it is not among the choices.
        ({"cluster_pod_network": "calico", "worker_mode": "maybe"}, {"cluster_pod_network": "calico"}),
    ],
)
def test_values(given, changed):
    assert module.settings(OPTIONS, given) == {**DEFAULTS, **changed}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cluster_size": "5", "unknown": 1}, []),
        ({"cluster_names": "b,c"}, ["argument 'cluster_names' is the text 'b,c', a list is needed; "]),
        ({"cluster_size": [60]}, ["argument 'cluster_size' is of type list and we were unable to convert to int: "]),
        ({"worker_mode": "maybe"}, ["value of worker_mode must be one of: on, off, got: maybe"]),
        # Preflight says more about it.
        ({"cluster_pod_network": "calico"}, []),
        ({"cluster_size": "many", "worker_mode": "maybe"}, ["argument 'cluster_size'", "value of worker_mode"]),
    ],
)
def test_wrong_arguments(given, words):
    found = module.wrong_arguments(OPTIONS, given)
    assert len(found) == len(words)
    assert all(text.startswith(begin) for text, begin in zip(found, words, strict=True))


def test_each_wrong_argument_is_told_once_with_the_hosts_that_have_it():
    errors = {
        "wrk01": ["a is\nnot an int", "b is not a list"],
        "wrk02": ["a is not an int"],
        "client": [],
    }
    assert module.argument_problems(errors) == ["wrk01, wrk02: a is not an int", "wrk01: b is not a list"]


def test_settings_of_the_cluster_that_a_host_has_differently():
    values = {
        "ctl01": {"cluster_size": 3, "cluster_directory": "/x"},
        "wrk01": {"cluster_size": 4, "worker_mode": "off"},
        "wrk02": {},
    }
    whole = "it is a setting of the cluster as a whole: set it once, in group_vars/all"
    assert module.differences(DEFAULTS, values) == [
        f"ctl01: cluster_directory is '/x', the cluster has None; {whole}",
        f"wrk01: cluster_size is 4, the cluster has 3; {whole}",
    ]
