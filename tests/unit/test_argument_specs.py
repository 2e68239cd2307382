# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role's documented options are its defaults: the same names, values and types."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The collection's roles, and those of the lab.
PLACES = {
    path.parents[1].name: path.parents[1]
    for roles in ("roles", "lab/roles")
    for path in (ROOT / roles).glob("*/meta/main.yml")
}
ROLES = sorted(PLACES)
# Roles whose variables a user may set anywhere; a role's own carry its name.
DOCUMENTED = [role for role in ROLES if (PLACES[role] / "defaults" / "main.yml").is_file()]


def load(role: str, *parts: str) -> dict[str, t.Any]:
    path = PLACES[role].joinpath(*parts)
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def entry_points(role: str) -> dict[str, dict[str, t.Any]]:
    return load(role, "meta", "argument_specs.yml").get("argument_specs", {})


def options_of(role: str) -> dict[str, dict[str, t.Any]]:
    return entry_points(role).get("main", {}).get("options", {})


def is_template(value: t.Any) -> bool:
    """Whether a value is made by Jinja, in a part of it at least."""
    if isinstance(value, dict):
        return any(is_template(item) for item in value.values())
    if isinstance(value, list):
        return any(is_template(item) for item in value)
    return isinstance(value, str) and ("{{" in value or "{%" in value)


DEFAULTS = [(role, name, value) for role in DOCUMENTED for name, value in load(role, "defaults", "main.yml").items()]
OPTIONS = [(role, name) for role in ROLES for name in options_of(role)]
# The values that are computed once for all roles: see plugins/modules/cluster.py.
LOGIC = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "plugins" / "module_utils" / "_cluster").glob("*.py")
)


def test_there_is_something_to_compare():
    assert len(DOCUMENTED) >= 12
    assert len(DEFAULTS) >= 50


@pytest.mark.parametrize("role", DOCUMENTED)
def test_spec_names_exactly_the_defaults(role):
    assert sorted(options_of(role)) == sorted(load(role, "defaults", "main.yml"))


@pytest.mark.parametrize(("role", "name", "value"), DEFAULTS, ids=[name for _role, name, _value in DEFAULTS])
def test_spec_has_the_default(role, name, value):
    option = options_of(role)[name]
    if is_template(value):
        assert "default" not in option, "a default that Jinja makes belongs in the description"
        assert "y default" in str(option["description"]), "say in the description what the default is"
    else:
        assert option["default"] == value
        assert type(option["default"]) is type(value)


@pytest.mark.parametrize(("role", "name"), OPTIONS, ids=[name for _role, name in OPTIONS])
def test_option_belongs_to_the_role(role, name):
    assert name.startswith(f"{role}_")


@pytest.mark.parametrize("role", DOCUMENTED)
def test_defaults_pass_their_own_spec(role):
    values = {name: value for name, value in load(role, "defaults", "main.yml").items() if not is_template(value)}
    spec = {name: option for name, option in options_of(role).items() if name in values}
    result = ArgumentSpecValidator(spec).validate(values)
    assert result.error_messages == []
    # A value that has to be converted has another type in templates than the spec says.
    assert {name: result.validated_parameters[name] for name in values} == values


def described(options: dict[str, dict[str, t.Any]], prefix: str = "") -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    for name, option in options.items():
        yield prefix + name, option
        yield from described(option.get("options", {}), f"{prefix}{name}.")


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_described(role):
    for entry_point, spec in entry_points(role).items():
        assert spec["short_description"]
        assert spec["description"]
        for name, option in described(spec["options"]):
            where = f"{role} {entry_point} {name}"
            text = option["description"]
            assert option["type"], where
            assert option["type"] != "list" or option["elements"], where
            for paragraph in [text] if isinstance(text, str) else text:
                assert paragraph[:1].isupper() or paragraph.startswith(("C(", "V(", "O(", "kube")), where
                assert paragraph.endswith((".", ").")), where


@pytest.mark.parametrize("role", ROLES)
def test_entry_points_are_task_files(role):
    tasks = PLACES[role] / "tasks"
    for entry_point in entry_points(role):
        assert (tasks / f"{entry_point}.yml").is_file()


@pytest.mark.parametrize("role", ROLES)
def test_further_entry_points_take_options_of_the_role_or_of_their_own(role):
    """The options of a single entry point are set by its playbook or its user; the role has no default for them."""
    for entry_point, spec in entry_points(role).items():
        for name, option in spec["options"].items():
            if name in options_of(role):
                assert option == options_of(role)[name]
                continue
            assert name.startswith(f"{role}_")
            assert option.get("required", False) is ("default" not in option)
            tasks = (PLACES[role] / "tasks" / f"{entry_point}.yml").read_text(encoding="utf-8")
            assert re.search(rf"\b{name}\b", tasks)


@pytest.mark.parametrize(("role", "name"), OPTIONS, ids=[name for _role, name in OPTIONS])
def test_option_is_used(role, name):
    pattern = re.compile(rf"\b{name}\b")
    if f'"{name}"' in LOGIC:
        return
    # The cluster's settings are there for the other roles.
    readers = ROLES if role == "cluster" else [role]
    texts = [
        path.read_text(encoding="utf-8")
        for reader in readers
        for directory in ("tasks", "templates", "vars", "defaults")
        for path in (PLACES[reader] / directory).rglob("*")
        if path.is_file() and path != PLACES[role] / "defaults" / "main.yml"
    ]
    defaults = (PLACES[role] / "defaults" / "main.yml").read_text(encoding="utf-8")
    assert any(pattern.search(text) for text in texts) or len(pattern.findall(defaults)) > 1


def test_every_pod_network_has_its_task_file():
    files = {path.stem for path in (ROOT / "roles" / "pod_network" / "tasks").glob("*.yml")}
    assert set(options_of("cluster")["cluster_pod_network"]["choices"]) == files - {"main", "reset", "routes"}


def test_components_in_the_documentation_are_the_catalogues():
    catalogue = load("cluster", "files", "catalogue.yml")
    text = " ".join(options_of("cluster")["cluster_versions"]["description"])
    for release, versions in catalogue["releases"].items():
        for component in versions:
            assert f"C({component})" in text, f"release {release} has a component {component}"
