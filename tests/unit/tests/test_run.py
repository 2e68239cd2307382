# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of `make test`, and its table."""

from __future__ import annotations

import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

import run
from run import Result, chosen, drawn_by, hindrance, out_of_time, table, work_tree
from run_parts import CLASSES, PARTS, Part, Stage

FAILED = Result("FAILED", "make it", 1.0)


def test_every_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target.split()[0] for part in PARTS for target in part.targets} <= targets


def test_every_scenario_is_a_part() -> None:
    scenarios = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    named = {target for part in PARTS for target in part.targets if target.startswith("molecule ")}
    assert named == {f"molecule SCENARIO={name}" for name in scenarios}


def test_every_part_has_a_class_and_says_what_it_proves() -> None:
    assert {part.minutes for part in PARTS} <= set(CLASSES)
    assert all(part.proves for part in PARTS)
    assert len({part.name for part in PARTS}) == len(PARTS)


def test_fast_needs_no_hosts_and_is_short() -> None:
    fast = [part for part, why in chosen(PARTS, "fast", "").items() if not why]
    assert {part.stage for part in fast} == {"fast"}
    assert sum(part.minutes for part in fast) <= 8


def test_a_run_fits_into_its_budget_with_every_part_at_the_end_of_its_class() -> None:
    longest = sum(part.minutes for part in PARTS if part.runs == "always") + run.DRAWN
    assert longest * 60 <= run.BUDGET
    assert run.BUDGET <= 75 * 60


def test_every_drawn_part_fits_alone() -> None:
    assert all(part.minutes <= run.DRAWN for part in PARTS if part.runs == "drawn")


def test_what_needs_no_hosts_comes_first() -> None:
    stages = [part.stage for part in PARTS]
    assert "fast" not in stages[stages.index("lab") :]
    assert "lab" not in stages[stages.index("own lab") :]


def test_full_leaves_nothing_out() -> None:
    assert set(chosen(PARTS, "full", "").values()) == {""}


@pytest.mark.parametrize("seed", [str(number) for number in range(50)])
def test_a_seed_draws_what_fits(seed: str) -> None:
    made = chosen(PARTS, "test", seed)
    assert made == chosen(PARTS, "test", seed)
    drawn = [part for part, why in made.items() if not why and part.runs == "drawn"]
    assert drawn
    assert sum(part.minutes for part in drawn) <= run.DRAWN
    assert all(not why for part, why in made.items() if part.runs == "always")
    assert all(f"seed {seed}" in why for part, why in made.items() if why and part.runs == "drawn")
    assert all(why == "make test-full" for part, why in made.items() if part.runs == "full")


def test_every_part_is_drawn_by_some_seed() -> None:
    drawn = {part for seed in range(100) for part, why in chosen(PARTS, "test", str(seed)).items() if not why}
    assert drawn == {part for part in PARTS if part.runs != "full"}


@pytest.fixture
def clone(tmp_path: pathlib.Path) -> pathlib.Path:
    """A small repository with one commit."""
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "file").write_text("one\n")
    (tmp_path / "clone" / ".gitignore").write_text("ignored\n")
    git(tmp_path / "clone", "init", "--quiet")
    commit(tmp_path / "clone")
    return tmp_path / "clone"


def git(place: pathlib.Path, *arguments: str) -> str:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
    return subprocess.run(["git", *identity, *arguments], cwd=place, check=True, capture_output=True, text=True).stdout


def commit(place: pathlib.Path) -> None:
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message=it")


def test_a_commit_has_the_hash_of_its_tree_whenever_it_was_made(clone: pathlib.Path) -> None:
    made = work_tree(clone)
    assert made == (git(clone, "rev-parse", "HEAD^{tree}").strip(), True)
    git(clone, "commit", "--quiet", "--amend", "--date=2001-01-01T00:00:00Z", "--message=another")
    assert work_tree(clone) == made


def test_what_is_not_committed_counts_and_what_is_ignored_does_not(clone: pathlib.Path) -> None:
    committed, _same = work_tree(clone)
    (clone / "ignored").write_text("x")
    assert work_tree(clone) == (committed, True)
    (clone / "file").write_text("two\n")
    changed, same = work_tree(clone)
    assert (changed != committed, same) == (True, False)
    (clone / "new").write_text("x")
    assert work_tree(clone)[0] != changed
    # Neither the index nor the objects of the clone know of it.
    assert git(clone, "status", "--porcelain").splitlines() == [" M file", "?? new"]
    reachable = git(clone, "rev-list", "--objects", "HEAD").splitlines()
    assert git(clone, "count-objects").startswith(f"{len(reachable)} objects")
    commit(clone)
    assert work_tree(clone)[1] is True


def test_without_a_clone_a_seed_is_asked_for(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RuntimeError, match="SEED=1"):
        work_tree(tmp_path)


def test_the_seed_is_that_of_the_tree_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn_by("7") == ("7", "as given")
    for committed, words in ((True, "last commit"), (False, "not committed")):
        monkeypatch.setattr(run, "work_tree", lambda committed=committed: ("0123456789abcdef", committed))
        seed, source = drawn_by(None)
        assert seed == "0123456789ab"
        assert words in source


def test_parts_draw_by_the_seed_of_the_run() -> None:
    assert run.environment("a") == run.environment("a")
    assert run.environment("a") != run.environment("b")
    assert run.environment("a")["FUZZ_SEED"].isdigit()


def part(stage: Stage, name: str = "it", **more: t.Any) -> Part:
    return Part(name, ("it",), stage, 1, "that it works", **more)


@pytest.mark.parametrize(
    ("failed", "runs"),
    [
        ("fast", {"fast"}),
        ("lab", {"fast", "own hosts"}),
        ("own hosts", {"fast", "lab", "own hosts", "own lab"}),
        ("own lab", {"fast", "own hosts"}),
    ],
)
def test_what_a_failure_keeps_from_running(failed: Stage, runs: set[str]) -> None:
    results = {part("fast", "fine"): Result("ok"), part(failed, "bad"): FAILED}
    hindered = {stage: hindrance(part(stage), results) for stage in ("fast", "lab", "own hosts", "own lab")}
    assert {stage for stage, why in hindered.items() if not why} == runs
    assert all(why.startswith("bad failed") for why in hindered.values() if why)


@pytest.mark.parametrize(("passed", "fits"), [(0, True), (120, True), (121, False)])
def test_a_drawn_part_leaves_room_for_the_others(passed: float, fits: bool) -> None:
    to_come = [part("lab"), part("own lab", runs="drawn")]
    said = out_of_time(part("own hosts", runs="drawn"), to_come, passed, budget=240)
    assert said == ("" if fits else f"{passed / 60:.0f} of 4 minutes are over: make test-full")


def test_a_part_of_every_run_is_never_out_of_time() -> None:
    assert out_of_time(part("lab"), [], 10_000, budget=240) == ""


def test_the_table_says_what_ran_and_what_did_not() -> None:
    one, two, three, four = (part("fast", name) for name in ("one", "two", "three", "four"))
    results = {
        one: Result("ok", seconds=61.4),
        two: Result("FAILED", "make it", 2.0),
        three: Result("not run", "two failed, and its hosts stay"),
    }
    assert table((one, two, three, four), results, {"two": 30.0}).splitlines() == [
        "part     took  before  result",
        "one      61 s       -  ok: longer than the 1 min of its class",
        "two       2 s    30 s  FAILED: make it",
        "three       -       -  not run: two failed, and its hosts stay",
        "four        -       -  not run: the run was stopped",
        "total    63 s",
    ]


def test_the_list_of_parts_says_all_of_each() -> None:
    text = " ".join(run.listing(PARTS, {"lint": 34.0}).split())
    assert "lint: in every run; at most 2 min, here 34 s; needs: no hosts" in text
    for one in PARTS:
        assert one.proves in text
        assert all(f"make {target}" in text for target in one.targets)


def test_times_are_kept_of_what_passed(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "cache" / "times.json"
    assert run.read_times(file) == {}
    one, two = part("fast", "one"), part("fast", "two")
    run.keep_times(file, {one: Result("ok", seconds=1.0), two: Result("ok", seconds=2.0)})
    run.keep_times(file, {one: Result("ok", seconds=3.0), two: Result("FAILED", seconds=1.0)})
    assert run.read_times(file) == {"one": 3.0, "two": 2.0}
    file.write_text("[damaged")
    assert run.read_times(file) == {}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> t.Callable[[str], None]:
    """Gives the parts another Makefile."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    return lambda text: (tmp_path / "Makefile").write_text(text) and None


@pytest.mark.parametrize(("command", "word"), [("true", "ok"), ("false", "FAILED")])
def test_a_part_fails_with_its_target(
    make: t.Callable[[str], None], tmp_path: pathlib.Path, command: str, word: str
) -> None:
    make(f"it:\n\t@echo said; {command}\n")
    assert run.run(part("fast"), tmp_path / "logs").word == word
    assert (tmp_path / "logs" / "output.log").read_text().startswith("said\n")


def test_variables_of_a_target(make: t.Callable[[str], None], tmp_path: pathlib.Path) -> None:
    make("it:\n\t@echo $(WORDS)\n")
    run.run(Part("it", ('it WORDS="one two"',), "fast", 1, "that it works"), tmp_path / "logs")
    assert (tmp_path / "logs" / "output.log").read_text() == "one two\n"


def test_what_a_part_leaves_out_is_in_its_result(make: t.Callable[[str], None], tmp_path: pathlib.Path) -> None:
    make("it:\n\t@echo left out: half of it, for no reason\n")
    result = run.run(part("fast"), tmp_path / "logs")
    assert (result.word, result.remark) == ("ok", "left out: half of it, for no reason")


def test_what_hangs_is_stopped(
    make: t.Callable[[str], None],
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make("it:\n\t@sleep 60\n")
    monkeypatch.setattr(Part, "stops_after", 1)
    assert run.run(part("fast"), tmp_path / "logs").word == "FAILED"
    assert "it: make it was stopped after 1 seconds" in capsys.readouterr().out


def test_a_run_goes_on_where_it_can(
    make: t.Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    make("good bad:\n\t@test $@ = good\n")
    asked: list[pathlib.Path] = []
    monkeypatch.setattr(run.logs, "collect", asked.append)
    names = (("lab", "good"), ("state", "bad"), ("smoke", "good"), ("lab-down", "good"))
    lab = [Part(name, (target,), "lab", 1, "") for name, target in names]
    scenario = Part("scenario one", ("bad",), "own hosts", 1, "")
    other = Part("scenario two", ("good",), "own hosts", 1, "")
    drawn_out = Part("drawn", ("good",), "own hosts", 1, "", runs="drawn")
    parts = dict.fromkeys((*lab, scenario, other), "") | {drawn_out: "not drawn"}
    results = run.run_all(parts, tmp_path / "logs", budget=60)
    assert [result.word for result in results.values()] == [
        "ok",
        "FAILED",
        "not run",
        "not run",
        "FAILED",
        "ok",
        "not run",
    ]
    assert asked == [tmp_path / "logs" / "state", tmp_path / "logs" / "scenario-one"]


@pytest.fixture
def interruptible() -> t.Iterator[None]:
    """The interrupt's usual effect: a process in the background has inherited that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_who_stops_a_run_stops_its_part(make: t.Callable[[str], None], tmp_path: pathlib.Path) -> None:
    make(f"it:\n\t@echo begun; sleep 5; touch {tmp_path}/late\n")
    here = threading.get_ident()
    threading.Timer(1.0, signal.pthread_kill, (here, signal.SIGINT)).start()
    results = run.run_all({part("fast"): "", part("fast", "next"): ""}, tmp_path / "logs", budget=60)
    assert [(one.name, result.word, result.remark) for one, result in results.items()] == [
        ("it", "FAILED", "stopped by hand")
    ]
    time.sleep(5)
    assert not (tmp_path / "late").exists()
