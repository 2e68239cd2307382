# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a package: what it declares, what it is built from, and that it works elsewhere."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))


def test_versions_agree():
    fragments = sorted(path.stem for path in (ROOT / "changelogs" / "fragments").glob("[0-9]*.yml"))
    changelog = (ROOT / "changelogs" / "changelog.yaml").is_file()
    assert changelog or GALAXY["version"] in fragments
    for role in (ROOT / "roles").glob("*/meta/main.yml"):
        info = yaml.safe_load(role.read_text(encoding="utf-8"))["galaxy_info"]
        assert [info["license"]] == GALAXY["license"], role
        assert info["role_name"] == role.parents[1].name
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["requires_ansible"] == ">=2.19.0"


def test_every_collection_that_is_used_is_a_dependency_and_no_other():
    used = set()
    for directory in ("roles", "playbooks"):
        for path in (ROOT / directory).rglob("*.yml"):
            for task in re.findall(
                r"^\s*(?:- )?([a-z_]+\.[a-z_]+)\.[a-z_0-9]+:", path.read_text(encoding="utf-8"), re.MULTILINE
            ):
                used.add(task)
    used -= {"ansible.builtin", "hardway.kubernetes"}
    assert used == set(GALAXY["dependencies"])


@pytest.mark.parametrize("path", [path for tree in ("plugins", "scripts") for path in (ROOT / tree).rglob("*.py")])
def test_licence_headers(path):
    head = path.read_text(encoding="utf-8").splitlines()[:6]
    assert "# SPDX-License-Identifier: GPL-3.0-or-later" in head, path


@pytest.fixture(scope="module")
def tarball(tmp_path_factory):
    directory = tmp_path_factory.mktemp("build")
    finished = subprocess.run(
        [BIN / "ansible-galaxy", "collection", "build", "--output-path", directory, ROOT],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (built,) = directory.glob("*.tar.gz")
    assert built.name == f"hardway-kubernetes-{GALAXY['version']}.tar.gz"
    return built


def test_the_tarball_has_what_belongs_to_it_and_nothing_else(tarball):
    with tarfile.open(tarball) as archive:
        names = set(archive.getnames())
    for needed in ("LICENSE", "meta/runtime.yml", "playbooks/site.yml", "roles/cluster/files/catalogue.yml"):
        assert needed in names
    for path in (ROOT / "plugins").rglob("*.py"):
        assert str(path.relative_to(ROOT)) in names
    allowed = {
        *("FILES.json", "MANIFEST.json", "CHANGELOG.rst", "LICENSE", "README.md", "SECURITY.md", "requirements.txt"),
        *("changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles"),
    }
    assert {name.split("/")[0] for name in names} <= allowed
    assert {name for name in names if name.startswith("inventories/")} == {
        "inventories/example",
        "inventories/example/hosts.yml",
    }
    forbidden = re.compile(r"(^|/)(\.[^/]+|__pycache__|pki|etcd-backup)(/|$)|\.(pem|pyc|retry)$")
    assert [name for name in names if forbidden.search(name)] == []


@pytest.fixture(scope="module")
def elsewhere(tarball, tmp_path_factory, run_ansible):
    """The tarball, installed where nothing else of the project is; runs a command there."""
    directory = tmp_path_factory.mktemp("elsewhere")

    def run(*command):
        return run_ansible(*command, home=directory, collections=directory)

    installed = run("ansible-galaxy", "collection", "install", "--no-deps", "-p", str(directory), str(tarball))
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return run


INVENTORY = ROOT / "tests" / "preflight" / "inventory.yml"
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_playbooks_are_found_by_their_full_name(elsewhere, name):
    finished = elsewhere(
        "ansible-playbook", f"hardway.kubernetes.{name}", "--syntax-check", "--inventory", str(INVENTORY)
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"/elsewhere0/ansible_collections/hardway/kubernetes/playbooks/{name}.yml" in finished.stdout


def test_the_installed_playbook_runs_and_refuses(elsewhere):
    unknown = json.dumps({"cluster_release": "1.18"})
    finished = elsewhere(
        "ansible-playbook", "hardway.kubernetes.site", "--inventory", str(INVENTORY), "--extra-vars", unknown
    )
    assert finished.returncode != 0
    assert "cluster_release: '1.18' is unknown; known: " in finished.stdout + finished.stderr


@pytest.mark.parametrize("kind", ["module", "filter", "role"])
def test_documentation_is_found(elsewhere, kind):
    finished = elsewhere("ansible-doc", "--list", "--type", kind, "hardway.kubernetes")
    assert finished.returncode == 0, finished.stderr
    if kind == "module":
        wanted = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    elif kind == "filter":
        wanted = {path.stem for path in (ROOT / "plugins" / "filter").glob("*.yml")}
    else:
        wanted = {path.parents[1].name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")}
    listed = set(re.findall(r"\bhardway\.kubernetes\.(\w+)", finished.stdout))
    assert wanted <= listed


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")))
def test_modules_are_documented(elsewhere, name):
    finished = elsewhere("ansible-doc", f"hardway.kubernetes.{name}")
    assert finished.returncode == 0, finished.stderr
    assert "EXAMPLES" in finished.stdout
    assert "RETURN VALUES" in finished.stdout
