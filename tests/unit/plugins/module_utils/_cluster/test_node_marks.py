# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and taints from the inventory: others' stay, and what leaves the inventory leaves the node."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.node_marks import node_patch
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.annotations import FROM_INVENTORY
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, empty

GPU = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
OTHERS = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
NODE = {
    "metadata": {"name": "wrk01", "resourceVersion": "7", "labels": {"kubernetes.io/os": "linux", "zone": "a"}},
    "spec": {"taints": [OTHERS]},
}


def patched(node, change):
    """Return the node after a JSON merge patch (RFC 7396)."""

    def merge(target, new):
        if not isinstance(new, dict):
            return new
        result = dict(target) if isinstance(target, dict) else {}
        for key, value in new.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merge(result.get(key), value)
        return result

    return merge(copy.deepcopy(node), change)


def patch(node, labels, taints=()):
    return node_patch(node, labels, taints)


def brought(node, labels, taints=()):
    return patched(node, patch(node, labels, taints))


def test_a_node_gets_them_and_keeps_those_of_others():
    found = brought(NODE, {"disk": "ssd"}, [GPU])
    assert found["metadata"]["labels"] == {"kubernetes.io/os": "linux", "zone": "a", "disk": "ssd"}
    assert found["spec"]["taints"] == [OTHERS, GPU]
    assert patch(found, {"disk": "ssd"}, [GPU]) == {}


def test_what_leaves_the_inventory_leaves_the_node():
    found = brought(brought(NODE, {"disk": "ssd", "rack": "1"}, [GPU]), {"rack": "1"})
    assert found["metadata"]["labels"] == {"kubernetes.io/os": "linux", "zone": "a", "rack": "1"}
    assert found["spec"]["taints"] == [OTHERS]
    assert json.loads(found["metadata"]["annotations"][FROM_INVENTORY]) == {"labels": ["rack"], "taints": []}
    last = brought(found, {})
    assert last["metadata"] == {**NODE["metadata"], "annotations": {}}
    assert patch(last, {}) == {}


def test_a_node_without_any_of_them_is_left_alone():
    assert patch(NODE, {}) == {}
    assert patch({"metadata": {"name": "wrk01"}}, {}) == {}


def test_a_label_of_the_same_key_and_value_becomes_the_inventorys():
    taken = brought(NODE, {"zone": "a"})
    assert "zone" not in brought(taken, {})["metadata"]["labels"]


def test_values_change_in_place():
    found = brought(brought(NODE, {"disk": "ssd"}, [GPU]), {"disk": "hdd"}, [{**GPU, "value": "fpga"}])
    assert found["metadata"]["labels"]["disk"] == "hdd"
    assert found["spec"]["taints"] == [OTHERS, {**GPU, "value": "fpga"}]


def test_a_taint_without_value_is_not_set_again():
    # The API leaves an empty value out, and the argument specification gives one.
    given = {"key": "dedicated", "value": "", "effect": "NoSchedule"}
    found = brought(NODE, {}, [given])
    assert found["spec"]["taints"][-1] == {"key": "dedicated", "effect": "NoSchedule"}
    assert patch(found, {}, [given]) == {}


def test_the_list_of_taints_is_replaced_only_if_nobody_changed_the_node_meanwhile():
    assert patch(NODE, {}, [GPU])["metadata"]["resourceVersion"] == "7"
    assert "resourceVersion" not in patch(NODE, {"disk": "ssd"})["metadata"]


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"labels": 1}', "null"])
def test_an_annotation_that_cannot_be_read_owns_nothing(text):
    node = {**NODE, "metadata": {**NODE["metadata"], "annotations": {FROM_INVENTORY: text}}}
    assert brought(node, {})["metadata"]["labels"] == NODE["metadata"]["labels"]


def problems(**settings):
    return computed(empty(), hosts={"wrk01": settings})["plan"]["problems"]


@pytest.mark.parametrize(
    "labels",
    [
        {"disk": "ssd"},
        {"node-role.kubernetes.io/worker": ""},
        {"example.com/a_b.C-1": "x" * 63},
        {"topology.kubernetes.io/zone": "a"},
    ],
)
def test_labels_that_kubernetes_takes(labels):
    assert problems(worker_labels=labels) == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"a b": "x"}, "worker_labels: 'a b' is not the key of a label"),
        ({"Example.com/a": "x"}, "'Example.com/a' is not the key"),
        ({"a/b/c": "x"}, "'a/b/c' is not the key"),
        ({"/a": "x"}, "'/a' is not the key"),
        ({"x" * 64: ""}, "is not the key of a label"),
        ({"disk": True}, "worker_labels.disk: True is not the value of a label; allowed: text in quotes"),
        ({"disk": "-ssd"}, "worker_labels.disk: '-ssd' is not the value"),
        ({"disk": "x" * 64}, "is not the value of a label"),
        ({"kubernetes.io/hostname": "x"}, "kubernetes.io/hostname belongs to the kubelet"),
    ],
)
def test_labels_that_are_refused(labels, words):
    (found,) = problems(worker_labels=labels)
    assert found.startswith("wrk01: ")
    assert words in found


@pytest.mark.parametrize(
    ("taints", "words"),
    [
        (
            [{**GPU, "effect": "NoRun"}],
            "dedicated has the effect 'NoRun'; allowed: NoSchedule, PreferNoSchedule, NoExecute",
        ),
        ([{**GPU, "value": "a b"}], "dedicated has the value 'a b'"),
        ([{**GPU, "key": "a b"}], "'a b' is not the key of a taint"),
        ([{**GPU, "key": "node.kubernetes.io/not-ready"}], "belongs to Kubernetes' own controllers"),
        ([GPU, {**GPU, "value": "fpga"}], "dedicated:NoSchedule is there twice"),
        ([{"key": "dedicated"}], "effect"),
    ],
)
def test_taints_that_are_refused(taints, words):
    (found,) = problems(worker_taints=taints)
    assert words in found


def test_taints_that_kubernetes_takes():
    assert problems(worker_taints=[GPU, {"key": "dedicated", "effect": "NoExecute"}]) == []
