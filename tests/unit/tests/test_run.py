# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in `make test`, and what its table says."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

import run
from run import PARTS, Part, chosen, table


def test_every_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target.split()[0] for part in PARTS for target in part.targets} <= targets


def test_every_scenario_is_a_part() -> None:
    scenarios = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    named = {target for part in PARTS for target in part.targets if target.startswith("molecule ")}
    assert named == {f"molecule SCENARIO={name}" for name in scenarios}


def test_fast_needs_no_hosts() -> None:
    assert {part.stage for part, why in chosen(PARTS, "fast", 0).items() if not why} == {"fast"}


def test_full_leaves_nothing_out() -> None:
    assert set(chosen(PARTS, "full", 0).values()) == {""}


@pytest.mark.parametrize("seed", range(50))
def test_a_seed_draws_what_fits(seed: int) -> None:
    made = chosen(PARTS, "test", seed)
    assert made == chosen(PARTS, "test", seed)
    drawn = [part for part, why in made.items() if not why and not part.always]
    assert drawn
    assert sum(part.seconds for part in drawn) <= run.ROTATION
    assert all(not why for part, why in made.items() if part.always)
    assert all(f"seed {seed}" in why for part, why in made.items() if why)


def test_every_part_is_drawn_by_some_seed() -> None:
    drawn = {part for seed in range(100) for part, why in chosen(PARTS, "test", seed).items() if not why}
    assert drawn == set(PARTS)


def test_the_table_says_what_ran_and_what_did_not() -> None:
    one, two, three = (Part(name, ("lint",), "fast", 1) for name in ("one", "two", "three"))
    said = table((one, two, three), {one: ("ok", 1.4), two: ("FAILED", 2.0)})
    assert said.splitlines() == [
        "one       1 s  ok",
        "two       2 s  FAILED",
        "three       -  not run: a part before it failed",
        "total     3 s",
    ]


@pytest.mark.parametrize(("command", "good"), [("true", True), ("false", False)])
def test_a_part_fails_with_its_target(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, command: str, good: bool
) -> None:
    (tmp_path / "Makefile").write_text(f"it:\n\t@echo said; {command}\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    assert run.run(Part("it", ("it",), "fast", 1), tmp_path / "logs") is good
    assert (tmp_path / "logs" / "output.log").read_text().startswith("said\n")


def test_what_hangs_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Makefile").write_text("it:\n\t@sleep 60\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    assert not run.run(Part("it", ("it",), "fast", 1, limit=1), tmp_path / "logs")
    assert "it: make it was stopped after 1 seconds" in capsys.readouterr().out
