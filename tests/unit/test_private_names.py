# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private parts of a role stay inside: its private names (`__ROLE_...`), registered variables and facts."""

from __future__ import annotations

import pathlib
import re
import subprocess
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Files that Ansible, Jinja or a test reads.
PLACES = ("inventories/", "lab/", "molecule/", "playbooks/", "plugins/", "roles/", "tests/")
KINDS = (".cfg", ".j2", ".py", ".sh", ".yaml", ".yml")
_ROLE = re.compile(r"(?:lab/)?roles/([^/]+)/")
_SET_FACT = ("set_fact", "ansible.builtin.set_fact")

# Path below the root -> content.
Texts = t.Mapping[str, str]


class _Loader(yaml.SafeLoader):
    """Reads YAML with Ansible's own tags in it."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def role_of(path: str) -> str:
    """Return the role that a file belongs to; the empty string for a file of none."""
    found = _ROLE.match(path)
    return found.group(1) if found else ""


def roles_of(texts: Texts) -> set[str]:
    return {role for role in map(role_of, texts) if role}


def owner(name: str, roles: t.Iterable[str]) -> str:
    """Return the role whose prefix a name has, with or without two underscores in front."""
    found = [role for role in roles if name.removeprefix("__").startswith(f"{role}_")]
    return max(found, key=len, default="")


def private_names_elsewhere(texts: Texts) -> list[str]:
    """Return a line for each private name of a role that stands in a file outside it."""
    roles = roles_of(texts)
    found = set()
    for path, text in texts.items():
        for name in re.findall(r"\b__[a-z]\w*", text):
            role = owner(name, roles)
            if role and role != role_of(path):
                found.add(f"{path}: {name} is private to the role {role}")
    return sorted(found)


def _set_in(node: t.Any) -> t.Iterator[str]:
    """Yield the names that tasks register or set as facts."""
    if isinstance(node, list):
        for item in node:
            yield from _set_in(item)
    elif isinstance(node, dict):
        if isinstance(node.get("register"), str):
            yield node["register"]
        for key in _SET_FACT:
            if isinstance(node.get(key), dict):
                yield from (str(name) for name in node[key] if name != "cacheable")
        for item in node.values():
            yield from _set_in(item)


def results_read_elsewhere(texts: Texts) -> list[str]:
    """Return a line for each name with a role's prefix that one role sets and another one names."""
    roles = roles_of(texts)
    setters: dict[str, set[str]] = {}
    for path, text in texts.items():
        if role_of(path) and re.search(r"/(tasks|handlers)/", path) and path.endswith((".yml", ".yaml")):
            for name in _set_in(yaml.load(text, Loader=_Loader)):
                if owner(name, roles):
                    setters.setdefault(name, set()).add(role_of(path))
    found = set()
    for path, text in texts.items():
        role = role_of(path)
        if not role or path.endswith(".md"):
            continue
        for name in setters.keys() & set(re.findall(r"\b\w+\b", text)):
            others = setters[name] - {role}
            if others:
                found.add(f"{path}: {name} is set by the role {', '.join(sorted(others))}")
    return sorted(found)


@pytest.fixture(scope="module")
def repository() -> Texts:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PLACES]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    own = str(pathlib.Path(__file__).resolve().relative_to(ROOT))
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in names
        if name.endswith(KINDS) and name != own and (ROOT / name).is_file()
    }
    assert len(roles_of(texts)) > 10
    return texts


def test_private_names_stay_in_their_role(repository: Texts) -> None:
    assert private_names_elsewhere(repository) == []


def test_results_of_a_role_stay_in_it(repository: Texts) -> None:
    assert results_read_elsewhere(repository) == []


TREE = {
    "roles/etcd/tasks/main.yml": "- register: __etcd_state\n- set_fact: {etcd_members: 3, cacheable: true}\n",
    "roles/etcd/templates/it.j2": "{{ __etcd_state.x }} {{ etcd_members }}",
    "roles/lab/tasks/main.yml": "- block:\n    - ansible.builtin.set_fact:\n        __lab_x: !unsafe 'a'\n",
    "roles/lab_host/tasks/main.yml": "- debug: {msg: '{{ __lab_host_x }}'}\n",
    "lab/roles/hosts/tasks/main.yml": "- register: __hosts_made\n",
    "tests/lab/test_it.py": "assert __file__ and __name__",
    "playbooks/site.yml": "- vars: {__own: 1}\n  register: result\n  when: __own",
}


def test_what_is_allowed() -> None:
    assert private_names_elsewhere(TREE) == []
    assert results_read_elsewhere(TREE) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("roles/lab/tasks/more.yml", "- when: __etcd_state is changed"),
        ("roles/lab/templates/it.j2", "{{ hostvars[host].__etcd_state }}"),
        ("playbooks/more.yml", "- vars: {a: '{{ __etcd_state }}'}"),
        ("inventories/lab/group_vars/all.yml", "a: '{{ __etcd_state }}'"),
        ("molecule/etcd/converge.yml", "- vars: {a: '{{ __etcd_state }}'}"),
        ("lab/create.yml", "a: '{{ __etcd_state }}'"),
        ("tests/unit/test_it.py", 'load()["__etcd_state"]'),
        ("plugins/modules/it.py", "      {{ __etcd_state | it }}"),
        ("roles/etcd/tasks/more.yml", "- when: __lab_host_x"),
        ("roles/etcd/tasks/more.yml", "- when: __hosts_made is changed"),
    ],
)
def test_a_private_name_elsewhere_is_found(path: str, text: str) -> None:
    (found,) = private_names_elsewhere({**TREE, path: text})
    assert found.startswith(f"{path}: __")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("roles/lab/tasks/more.yml", "- when: etcd_members | default(1) > 2"),
        ("roles/lab/defaults/main.yml", "lab_size: '{{ etcd_members }}'"),
        ("roles/lab/tasks/more.yml", "- when: __etcd_state is changed"),
        ("roles/lab/tasks/more.yml", "- block:\n    - register: etcd_members\n"),
    ],
)
def test_a_result_read_elsewhere_is_found(path: str, text: str) -> None:
    found = results_read_elsewhere({**TREE, path: text})
    assert any(line.startswith(f"{path}: ") and line.endswith(" is set by the role etcd") for line in found)
