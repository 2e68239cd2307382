# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles' READMEs say what their argument specs say."""

from __future__ import annotations

import importlib.util
import pathlib
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def script(tmp_path):
    """The script, working on a copy of the roles."""
    spec = importlib.util.spec_from_file_location("role_readmes", ROOT / "scripts" / "role_readmes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT = tmp_path
    for roles in ("roles", "lab/roles"):
        shutil.copytree(ROOT / roles, tmp_path / roles)
    return module


def test_tables_are_current(script, capsys):
    assert script.main(["--check"]) == 0, capsys.readouterr()


def test_a_changed_default_is_noticed_and_written(script, tmp_path, capsys):
    path = tmp_path / "roles" / "etcd" / "meta" / "argument_specs.yml"
    path.write_text(path.read_text().replace("default: 120", "default: 121"))
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().out == "roles/etcd/README.md: out of date; run scripts/role_readmes.py\n"
    assert "121" not in (tmp_path / "roles" / "etcd" / "README.md").read_text()
    assert script.main([]) == 0
    assert "| `etcd_timeout` | int | `121` |" in (tmp_path / "roles" / "etcd" / "README.md").read_text()
    assert script.main(["--check"]) == 0


def test_text_written_by_hand_stays(script, tmp_path):
    path = tmp_path / "roles" / "etcd" / "README.md"
    path.write_text(f"by hand\n{script.BEGIN}\nstale row\n{script.END}\nbelow\n")
    script.main([])
    text = path.read_text()
    assert text.startswith(f"by hand\n{script.BEGIN}\n| Variable |")
    assert text.endswith(f"{script.END}\nbelow\n")
    assert "stale row" not in text


@pytest.mark.parametrize("text", ["no marks\n", "{BEGIN}\n", "{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_a_readme_without_a_place_for_the_table(script, tmp_path, capsys, text):
    path = tmp_path / "roles" / "etcd" / "README.md"
    path.write_text(text.replace("{BEGIN}", script.BEGIN).replace("{END}", script.END))
    assert script.main([]) == 2
    assert capsys.readouterr().err.startswith("etcd/README.md: needs the lines")


def test_a_role_without_a_readme(script, tmp_path, capsys):
    (tmp_path / "roles" / "etcd" / "README.md").unlink()
    assert script.main([]) == 2
    assert "etcd/README.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Keep V(NodeRestriction).", "Keep `NodeRestriction`."),
        (["One.", "See O(cluster_pod_cidr)."], "One. See `cluster_pod_cidr`."),
        ("C(ansible_facts['hardway']) of C(a(b)c)", "`ansible_facts['hardway']` of `a(b)c`"),
        ("M(hardway.kubernetes.component) and P(hardway.kubernetes.topology#filter)",
         "`hardway.kubernetes.component` and `hardway.kubernetes.topology`"),
        ("a | b", "a \\| b"),
    ],
)  # fmt: skip
def test_markup(script, text, expected):
    assert script.markdown(text) == expected
