# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the roles write beside an inventory are never read as inventory."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRITTEN = {"cluster": "cluster_pki_directory", "etcd": "etcd_backup_directory"}


def default(role: str, inventory: pathlib.Path) -> pathlib.Path:
    """Return the directory that a role writes to by default."""
    values = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return pathlib.Path(values[WRITTEN[role]].replace("{{ inventory_dir }}", str(inventory)))


def listed(inventory: pathlib.Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Return what ansible-inventory says of a directory when it may leave nothing unread."""
    done = subprocess.run(
        [pathlib.Path(sys.executable).parent / "ansible-inventory", "--inventory", inventory, "--list"],
        env={**os.environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"},
        cwd=inventory,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, set(json.loads(done.stdout)["_meta"]["hostvars"]) if done.returncode == 0 else set()


@pytest.fixture
def inventory(tmp_path):
    """Return a copy of the example's inventory, and the hosts that it has."""
    shutil.copytree(ROOT / "inventories" / "example", tmp_path / "mine")
    return tmp_path / "mine"


def test_files_beside_an_inventory_are_not_parsed(inventory):
    before = listed(inventory)[1]
    assert len(before) == 6
    for role in WRITTEN:
        directory = default(role, inventory)
        assert inventory in directory.parents, "beside the inventory, where its user looks for it"
        directory.mkdir(parents=True)
        (directory / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        (directory / "snapshot").write_text("[controllers]\nattacker ansible_host=192.0.2.66\n")
    done, hosts = listed(inventory)
    assert (done.returncode, done.stderr) == (0, "")
    assert hosts == before


def test_the_measure_notices_a_file_that_is_parsed(inventory):
    (inventory / "pki").mkdir()
    (inventory / "pki" / "snapshot").write_text("[controllers]\nattacker ansible_host=192.0.2.66\n")
    assert "attacker" in listed(inventory)[1]
