# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of the control node never become another user, and run with Ansible's own Python."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

import pytest
import yaml
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, empty

ROOT = pathlib.Path(__file__).resolve().parents[2]
API_CLIENT = "{{ cluster.spec.api.client_host }}"
PYTHON = {"localhost": "{{ ansible_playbook_python }}", API_CLIENT: "{{ cluster.spec.api.client_python }}"}
FILES = sorted([*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")])


def nested(entries: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Return plays, roles of plays, blocks and tasks."""
    for entry in entries or []:
        if isinstance(entry, dict):
            yield entry
            for key in ("tasks", "roles", "block", "rescue", "always"):
                yield from nested(entry.get(key))


def on_the_control_node() -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    for path in FILES:
        for entry in nested(yaml.safe_load(path.read_text(encoding="utf-8"))):
            if entry.get("delegate_to") in PYTHON or entry.get("hosts") == "localhost":
                name = entry.get("name") or entry.get("role")
                yield f"{path.relative_to(ROOT)}: {name}", entry


ENTRIES = dict(on_the_control_node())


@pytest.mark.parametrize("name", ENTRIES)
def test_become_and_python_are_set_where_no_inventory_wins(name):
    entry = ENTRIES[name]
    assert entry["become"] is False
    # A variable of the inventory wins over the keyword, and one of the task over that of the inventory.
    assert entry["vars"]["ansible_become"] is False
    python = PYTHON[entry.get("delegate_to", "localhost")]
    assert entry["vars"]["ansible_python_interpreter"] == python


@pytest.fixture
def play(tmp_path):
    """Run one play of site.yml, with every host to become root and a localhost that has no Python."""
    (tmp_path / "become").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/became\nexit 1\n')
    (tmp_path / "become").chmod(0o755)
    inventory = yaml.safe_load((ROOT / "tests" / "preflight" / "inventory.yml").read_text(encoding="utf-8"))
    inventory["all"]["vars"] = {"ansible_become": True, "ansible_become_exe": str(tmp_path / "become")}
    inventory["all"]["hosts"] = {
        "localhost": {"ansible_connection": "local", "ansible_python_interpreter": "/nowhere/python"}
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    cluster = computed(empty(), cluster_pki_directory=str(tmp_path / "pki"))
    cluster["check_mode"] = False
    cluster["spec"]["api"]["client_python"] = sys.executable
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))

    def run(name: str, *options: str, server: str = "") -> tuple[int, str, bool]:
        cluster["spec"]["api"]["server"] = server
        variables = {"cluster": cluster, "cluster_api_kubeconfig": ""}
        (tmp_path / "variables.json").write_text(json.dumps(variables))
        (tmp_path / "play.yml").write_text(yaml.safe_dump([one for one in plays if one["name"] == name]))
        done = subprocess.run(
            [
                *(pathlib.Path(sys.executable).parent / "ansible-playbook", tmp_path / "play.yml"),
                *("--inventory", tmp_path / "hosts.yml", "--extra-vars", f"@{tmp_path}/variables.json", *options),
            ],
            cwd=ROOT,
            env={
                # A proxy may lead to the API where no direct way does.
                **{name: value for name, value in os.environ.items() if name.upper() != "HTTPS_PROXY"},
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                # Root becomes root here, which Ansible would leave out.
                "ANSIBLE_BECOME_ALLOW_SAME_USER": "true",
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "ansible"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout, (tmp_path / "became").exists()

    return run


@pytest.mark.parametrize("options", [(), ("--become",)])
def test_certificates_are_made_without_becoming_root(play, tmp_path, options):
    code, output, became = play("Certificates and kubeconfigs", *options)
    assert (code, became) == (0, False), output
    assert (tmp_path / "pki" / "admin.kubeconfig").exists()


def test_the_api_is_asked_without_becoming_root(play):
    # Nothing listens there, which is an answer.
    code, output, became = play("Cluster DNS", server="https://127.0.0.1:1")
    assert (code, became) == (2, False), output
    assert "kubeconfig" in output, "the module runs, and looks for the file"
    assert "/nowhere/python" not in output


@pytest.mark.parametrize("name", ["Cluster DNS", "Pod network"])
def test_no_way_to_the_api_is_said_at_once(play, name):
    started = time.monotonic()
    code, output, became = play(name, server="https://255.255.255.255:6443")
    assert (code, became) == (2, False), output
    assert "localhost does not reach the API at https://255.255.255.255:6443: " in output
    assert "set cluster_api_client_host to a host that has one" in " ".join(output.split())
    assert time.monotonic() - started < 60
