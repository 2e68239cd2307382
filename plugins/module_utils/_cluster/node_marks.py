# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and taints that the inventory gives to nodes: are they right, and what has to change in a Node object.

A Node also has labels and taints of others: the kubelet, controllers, administrators. An annotation of the Node
remembers which ones came from the inventory, so that these alone are changed and removed.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings, argument_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.annotations import FROM_INVENTORY

__all__ = ("mark_problems", "node_patch")


_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY_WORDS = "a name of at most 63 letters, digits, '-', '_' and '.', with an optional DNS name and '/' before it"
_VALUE_WORDS = "at most 63 letters, digits, '-', '_' and '.', the first and last a letter or digit"
# The kubelet sets these of a Node from its host, and again after each change.
_KUBELETS = (
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
)
# The control plane sets and removes taints of these prefixes itself.
_CONTROLLERS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")

Taint = t.Mapping[str, t.Any]


def _wrong_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        return True
    return not _NAME.fullmatch(name)


def _wrong_value(value: t.Any) -> bool:
    return not isinstance(value, str) or bool(value and not _NAME.fullmatch(value))


def _labels(labels: t.Any) -> list[str]:
    problems = []
    for key, value in labels.items() if isinstance(labels, t.Mapping) else ():
        if _wrong_key(str(key)):
            problems.append(f"worker_labels: {key!r} is not the key of a label; allowed: {_KEY_WORDS}")
        elif key in _KUBELETS:
            problems.append(f"worker_labels: {key} belongs to the kubelet, which sets it itself; use another key")
        elif _wrong_value(value):
            problems.append(
                f"worker_labels.{key}: {value!r} is not the value of a label; allowed: text in quotes, empty or "
                f"{_VALUE_WORDS}"
            )
    return problems


def _taint(taint: Taint) -> list[str]:
    key, value, effect = str(taint.get("key")), taint.get("value") or "", taint.get("effect")
    if _wrong_key(key):
        return [f"worker_taints: {key!r} is not the key of a taint; allowed: {_KEY_WORDS}"]
    if key.startswith(_CONTROLLERS):
        return [f"worker_taints: {key} belongs to Kubernetes' own controllers, which would remove it; use another key"]
    problems = []
    if _wrong_value(value):
        problems.append(f"worker_taints: {key} has the value {value!r}; allowed: empty or {_VALUE_WORDS}")
    if effect not in _EFFECTS:
        problems.append(f"worker_taints: {key} has the effect {effect!r}; allowed: {', '.join(_EFFECTS)}")
    return problems


def _taints(taints: t.Any) -> list[str]:
    given = [taint for taint in taints if isinstance(taint, t.Mapping)] if isinstance(taints, (list, tuple)) else []
    problems = [problem for taint in given for problem in _taint(taint)]
    names = [_identity(taint) for taint in given]
    problems += [
        f"worker_taints: {name} is there twice; a node has one taint of the same key and effect"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    return problems


def mark_problems(values: t.Mapping[str, Settings]) -> list[str]:
    """Return which labels and taints Kubernetes would refuse or change, each problem once with its hosts.

    :param values: settings by host.
    """
    return argument_problems(
        {
            host: _labels(given.get("worker_labels")) + _taints(given.get("worker_taints"))
            for host, given in values.items()
        }
    )


def _identity(taint: Taint) -> str:
    return f"{taint.get('key')}:{taint.get('effect')}"


def _remembered(annotations: t.Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the label keys and taints that came from the inventory; none where the annotation cannot be read."""
    try:
        found = json.loads(annotations.get(FROM_INVENTORY, "{}"))
        return [str(key) for key in found.get("labels", [])], [str(name) for name in found.get("taints", [])]
    except (ValueError, AttributeError, TypeError):
        return [], []


def _clean(taint: Taint) -> dict[str, t.Any]:
    return {key: taint[key] for key in ("key", "value", "effect", "timeAdded") if taint.get(key)}


def _wanted_taints(
    present: t.Sequence[Taint], wanted: t.Sequence[Taint], ours: t.Container[str]
) -> list[dict[str, t.Any]]:
    """Return all taints of a node: others' as they are, and the wanted ones."""
    by_name = {_identity(taint): _clean(taint) for taint in wanted}
    result = []
    for taint in present:
        name = _identity(taint)
        if name in by_name:
            new = by_name.pop(name)
            same = (taint.get("value") or "") == new.get("value", "")
            result.append(_clean(taint) if same else new)
        elif name not in ours:
            result.append(_clean(taint))
    return result + list(by_name.values())


def _changed_labels(
    present: t.Mapping[str, str], wanted: t.Mapping[str, str], ours: t.Iterable[str]
) -> dict[str, str | None]:
    """Return the labels that have to change; None for one that goes."""
    changed: dict[str, str | None] = {key: value for key, value in wanted.items() if present.get(key) != value}
    changed.update({key: None for key in ours if key not in wanted and key in present})
    return changed


def _memory(labels: t.Mapping[str, str], taints: t.Sequence[Taint]) -> str | None:
    """Return the text of the annotation; None where there is nothing to remember."""
    if not labels and not taints:
        return None
    return json.dumps({"labels": sorted(labels), "taints": sorted(_identity(taint) for taint in taints)})


def node_patch(node: t.Mapping[str, t.Any], labels: t.Mapping[str, str], taints: t.Sequence[Taint]) -> dict[str, t.Any]:
    """Return the JSON merge patch that brings a node to its labels and taints; empty where nothing has to change.

    Labels and taints that the annotation does not name, and that are not wanted, belong to others and stay. A patch of
    taints replaces the whole list, so that it has the node's ``resourceVersion``: the API refuses it after a change in
    between.

    :param node: Node object of the API.
    :param labels: wanted ones, by key.
    :param taints: wanted ones: ``key``, ``effect`` and optionally ``value``.
    """
    metadata = node.get("metadata", {})
    annotations = metadata.get("annotations") or {}
    our_labels, our_taints = _remembered(annotations)
    patch: dict[str, t.Any] = {}
    changed = _changed_labels(metadata.get("labels") or {}, labels, our_labels)
    if changed:
        patch["labels"] = changed
    text = _memory(labels, taints)
    if annotations.get(FROM_INVENTORY) != text:
        patch["annotations"] = {FROM_INVENTORY: text}
    result: dict[str, t.Any] = {"metadata": patch} if patch else {}
    before = [_clean(taint) for taint in node.get("spec", {}).get("taints") or []]
    after = _wanted_taints(before, taints, our_taints)
    if after != before:
        result["metadata"] = {**patch, "resourceVersion": metadata.get("resourceVersion")}
        result["spec"] = {"taints": after or None}
    return result
