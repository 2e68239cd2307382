# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every filter is documented as it is, and the examples of its documentation are true."""

from __future__ import annotations

import inspect
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.filter.cluster import FilterModule

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILTERS = FilterModule().filters()


def documentation(name: str) -> dict:
    return yaml.safe_load((ROOT / "plugins" / "filter" / f"{name}.yml").read_text(encoding="utf-8"))


def test_every_filter_has_a_documentation_and_the_other_way_round():
    files = {path.stem for path in (ROOT / "plugins" / "filter").glob("*.yml")}
    assert files == set(FILTERS)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_options_are_the_parameters(name):
    found = documentation(name)["DOCUMENTATION"]
    assert found["name"] == name
    _input, *parameters = inspect.signature(inspect.unwrap(FILTERS[name])).parameters.values()
    options = {key: option for key, option in found["options"].items() if key != "_input"}
    assert list(options) == [parameter.name for parameter in parameters]
    for parameter in parameters:
        option = options[parameter.name]
        required = parameter.default is inspect.Parameter.empty
        assert option.get("required", False) is required, parameter.name
        assert option.get("default") == (None if required else parameter.default), parameter.name
    positional = [parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert [part.strip() for part in found.get("positional", "").split(",") if part] == positional


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The examples of all filters, run as tasks of one playbook."""
    directory = tmp_path_factory.mktemp("examples")
    collection = directory / "ansible_collections" / "hardway" / "kubernetes"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(ROOT, target_is_directory=True)
    tasks = [
        {**task, "name": f"{name} - {task['name']}", "ignore_errors": True}
        for name in sorted(FILTERS)
        for task in yaml.safe_load(documentation(name)["EXAMPLES"])
    ]
    playbook = [{"name": "Examples", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (directory / "examples.yml").write_text(yaml.safe_dump(playbook, sort_keys=False), encoding="utf-8")
    finished = subprocess.run(
        [pathlib.Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", directory / "examples.yml"],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(directory),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
        },
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    parts = finished.stdout.split("TASK [")[1:]
    return {part.split(" - ", 1)[0]: part for part in parts}, finished


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_examples_are_true(examples, name):
    outputs, finished = examples
    assert name in outputs, finished.stdout + finished.stderr
    assert "ok: [localhost]" in outputs[name], outputs[name] + finished.stderr
