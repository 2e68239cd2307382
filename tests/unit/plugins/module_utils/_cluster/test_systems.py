# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of systems is the only one: settings, metadata, documents and the lab's hosts agree with it."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.systems import PACKAGES, SYSTEMS

ROOT = pathlib.Path(__file__).resolve().parents[5]
LAB = ROOT / "lab"
ONLY_IN_THE_REPOSITORY = pytest.mark.skipif(not LAB.is_dir(), reason="the archive does not have the lab")


def _yaml(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_preflight_accepts_these_systems_by_default():
    assert _yaml("roles/preflight/defaults/main.yml")["preflight_systems"] == list(SYSTEMS)


@pytest.mark.parametrize("path", sorted((ROOT / "roles").glob("*/meta/main.yml")), ids=lambda path: path.parts[-3])
def test_every_role_is_for_these_systems(path):
    platforms = yaml.safe_load(path.read_text(encoding="utf-8"))["galaxy_info"]["platforms"]
    named = {(entry["name"].lower(), codename) for entry in platforms for codename in entry["versions"]}
    assert named == {(name.split()[0], system.codename) for name, system in SYSTEMS.items()}


def test_the_page_says_of_each_system_what_the_table_says():
    page = (ROOT / "docs" / "operate" / "systems.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+ \S+) \((\S+)\) \| (\w+) \|", page, re.MULTILINE)
    assert {name.lower(): (codename, proof) for name, codename, proof in rows} == SYSTEMS


def test_roles_name_no_packages_themselves():
    named = re.compile(r"^\s+packages:\s*(\[|$)", re.MULTILINE)
    tasks = sorted((ROOT / "roles").glob("*/tasks/*.yml"))
    assert len(tasks) > 20
    assert [str(path) for path in tasks if named.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("purpose", PACKAGES)
def test_every_purpose_is_one_of_a_role(purpose):
    tasks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles").glob("*/tasks/*.yml"))
    assert f"cluster.spec.packages.{purpose}" in tasks


@ONLY_IN_THE_REPOSITORY
def test_a_host_of_the_lab_has_them_without_a_network():
    lines = (LAB / "node" / "packages.txt").read_text(encoding="utf-8").splitlines()
    there = {line.partition("#")[0].strip() for line in lines}
    worker = _yaml("roles/worker/defaults/main.yml")["worker_packages"]
    assert {name for names in PACKAGES.values() for name in names} | set(worker) <= there


@ONLY_IN_THE_REPOSITORY
def test_the_lab_has_the_releases_of_debian_that_are_tested():
    choices = _yaml("lab/roles/lab/meta/argument_specs.yml")["argument_specs"]["main"]["options"]["lab_debian"][
        "choices"
    ]
    assert {f"debian {release}" for release in choices} == {
        name for name, system in SYSTEMS.items() if name.startswith("debian") and system.proof == "tested"
    }
