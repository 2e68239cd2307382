# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories of labs of another size, connection or settings."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def clone(tmp_path: pathlib.Path) -> pathlib.Path:
    """A clone that has no more than what lab/inventory.py reads and writes."""
    (tmp_path / "lab").mkdir()
    shutil.copy(ROOT / "lab" / "inventory.py", tmp_path / "lab")
    shutil.copytree(ROOT / "inventories" / "lab", tmp_path / "inventories" / "lab")
    return tmp_path


def write(clone: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, clone / "lab" / "inventory.py", *arguments], capture_output=True, text=True, check=False
    )


def variables(clone: pathlib.Path, host: str, inventory: str = "lab-custom") -> dict[str, t.Any]:
    """What Ansible makes of the inventory for a host, with templates filled in."""
    done = subprocess.run(
        [
            pathlib.Path(sys.executable).parent / "ansible",
            host,
            *("--inventory", clone / "inventories" / inventory, "--module-name=ansible.builtin.debug"),
            "--args=msg={{ dict(user=ansible_user | default(''), become=ansible_become, host=ansible_host,"
            " node=node_address, connection=ansible_connection | default('ssh'),"
            " password=ansible_become_password | default(''),"
            " ssh=ansible_ssh_common_args | default(''), key=ansible_ssh_private_key_file | default(''),"
            " container=lab_container | default(''), debian=lab_debian | default(12)) }}",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml", "PATH": "/usr/bin:/bin", "ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout.partition("=>")[2]
    return t.cast(dict[str, t.Any], yaml.safe_load(text)["msg"])


def test_the_sizes_of_the_article_give_its_inventory(clone: pathlib.Path) -> None:
    assert write(clone, "2", "2", "1").returncode == 0
    written, own = (
        yaml.safe_load((clone / "inventories" / name / "hosts.yml").read_text()) for name in ("lab-custom", "lab")
    )
    assert written == own


def test_over_ssh_a_host_is_reached_as_a_machine_is(clone: pathlib.Path) -> None:
    assert write(clone, "--connection=ssh", "1", "1", "1").returncode == 0
    keys = clone / ".lab" / "ssh"
    keys.mkdir(parents=True)
    (keys / "become_password").write_text("secret")
    found = variables(clone, "ctl01")
    assert (found["connection"], found["user"], found["become"]) == ("ssh", "operator", True)
    assert found["password"] == "secret"
    assert found["host"] == found["node"] == "10.240.0.11"
    assert found["container"] == "hardway-ctl01"
    assert pathlib.Path(found["key"]).resolve() == keys / "id_ed25519"
    # What ssh itself understands of the options.
    effective = subprocess.run(
        ["sh", "-c", f"ssh -F none -G {found['ssh']} 10.240.0.11"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    options = dict(line.split(" ", 1) for line in effective if " " in line)
    assert options["stricthostkeychecking"] in ("true", "yes")
    assert pathlib.Path(options["userknownhostsfile"]).resolve() == keys / "known_hosts"
    assert options["globalknownhostsfile"] == "/dev/null"


def test_through_docker_a_host_is_its_container(clone: pathlib.Path) -> None:
    assert write(clone, "1", "1", "0").returncode == 0
    found = variables(clone, "wrk01")
    assert (found["connection"], found["host"], found["become"]) == ("community.docker.docker", "hardway-wrk01", False)


def test_a_setting_of_a_host_wins_over_that_of_all(clone: pathlib.Path) -> None:
    done = write(
        clone, "1", "2", "0", "", "wrk02:lab_debian=13", "lab_debian=12", "a={b: [1]}", "wrk01:lab_image=x:y=z"
    )
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load((clone / "inventories" / "lab-custom" / "hosts.yml").read_text())
    parts = written["all"]["children"]
    chosen = {name: host for part in parts.values() for name, host in part.get("hosts", {}).items()}
    assert {name: host["lab_debian"] for name, host in chosen.items()} == {
        "ctl01": 12,
        "wrk01": 12,
        "wrk02": 13,
        "client": 12,
    }
    assert all(host["a"] == {"b": [1]} for host in chosen.values())
    assert [name for name, host in chosen.items() if host.get("lab_image")] == ["wrk01"]
    assert chosen["wrk01"]["lab_image"] == "x:y=z"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("0", "1", "1"), "CONTROLLERS=0: a number from 1 to 9 is allowed"),
        (("1", "x", "1"), "WORKERS=x: a number from 1 to 150 is allowed"),
        (("--connection=telnet", "1", "1", "1"), "CONNECTION=telnet: docker and ssh are allowed"),
        (("1", "1", "1", "", "lab_debian"), "SETTINGS: lab_debian: NAME=VALUE and HOST:NAME=VALUE are allowed"),
        (
            ("1", "1", "0", "", "wrk02:lab_debian=13"),
            "SETTINGS: wrk02:lab_debian=13: the lab has no host wrk02; it has ctl01, wrk01, client",
        ),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(
    clone: pathlib.Path, arguments: tuple[str, ...], said: str
) -> None:
    done = write(clone, *arguments)
    assert done.returncode == 1
    assert done.stderr.strip() == said
    assert not (clone / "inventories" / "lab-custom").exists()
