# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and booleans that `--extra-vars` gives arrive in the roles as text: each use converts them."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"
OPERATOR = r"(?://|\*|\+|-|%|<=?|>=?|==|!=)"
TYPES = {
    name: option["type"]
    for path in ROLES.glob("*/meta/argument_specs.yml")
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values()
    for name, option in entry.get("options", {}).items()
    if option["type"] in ("int", "float", "bool")
}
FILES = [path for path in ROLES.glob("*/*/*") if path.parent.name in ("tasks", "templates", "vars")]


def unconverted(line: str) -> list[str]:
    """Return the settings that a line calculates, compares or decides with as they are."""
    found = []
    for name in re.findall(r"\b[a-z]\w+\b", line):
        kind = TYPES.get(name)
        decides = rf"(\{{\{{|when:|if|not|and|or|-) +{name}\b(?! *\| *bool)"
        calculates = rf"\b{name} *{OPERATOR} |[\w)] {OPERATOR} *{name}\b(?! *\| *int)"
        if (kind == "bool" and re.search(decides, line)) or (kind and re.search(calculates, line)):
            found.append(name)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROLES)))
def test_every_use_converts(path):
    assert [found for line in path.read_text(encoding="utf-8").splitlines() for found in unconverted(line)] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("retries: '{{ worker_timeout // 2 }}'", ["worker_timeout"]),
        ("retries: '{{ worker_timeout | int // 2 }}'", []),
        ("that: mtu <= pod_network_mtu", ["pod_network_mtu"]),
        ("that: pod_network_mtu | int <= mtu | int", []),
        ("when: worker_swap_off", ["worker_swap_off"]),
        ("  - worker_swap_off", ["worker_swap_off"]),
        ("  - worker_swap_off | bool", []),
        ("x: '{{ worker_swap_off }}'", ["worker_swap_off"]),
        ("timeout: '{{ worker_timeout }}'", []),
    ],
)
def test_the_measure(line, found):
    assert unconverted(line) == found
