# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the parts of `make test` one after the other, and say at the end what ran, how long, and what did not and why.

The table in run_parts.py is the one place that says what each part proves and which runs it belongs to; `make parts`
prints it.

`make test` has the parts that are `always` there. The others take long, so that each run has as many of them as fit
into DRAWN minutes. They are drawn by a seed, and the seed is the hash of the work tree: the same commit is judged in
the same way every time. The first line prints the seed; `make test SEED=...` draws by another. A part counts with the
minutes of its class, which are the same on every machine. Some parts are in the full run alone, because they build
another release or a lab of another size.

Times are measured, not written down: the cache directory keeps those of earlier runs, and the summary shows them beside
the new ones. Nothing is decided by them. Only a run that had to build the programs first leaves drawn parts out by the
clock, when it would take longer than BUDGET otherwise, and says so.

A part that fails keeps only those from running that need what it left: see `hindrance`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import typing as t

import logs
from run_parts import PARTS, Part, Stage

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lab"))

from cache import cache_directory

# Minutes that the drawn parts of a run may take together, by their classes.
DRAWN = 12
# Seconds within which a run with drawn parts has to end.
BUDGET = 75 * 60
# How a part says that something of it was not done, and why.
LEFT_OUT = b"left out: "


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a part: "ok", "FAILED" or "not run", with a remark."""

    word: str
    remark: str = ""
    seconds: float = 0.0


def work_tree(root: pathlib.Path = ROOT) -> tuple[str, bool]:
    """Return the hash of the work tree as git would write it, and whether it is that of the last commit.

    :param root: the top directory of a clone.
    :returns: the tree's hash with what is changed or new in it, what .gitignore names left out; True for a commit.
    :raises RuntimeError: the directory is not a clone, so that there is nothing to hash.
    """

    def git(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"{root} has no hash to draw parts by, give one: SEED=1; git said: {done.stderr.strip()}"
            )
        return done.stdout.strip()

    committed = git("rev-parse", "HEAD^{tree}")
    objects = git("rev-parse", "--path-format=absolute", "--git-path", "objects")
    with tempfile.TemporaryDirectory() as scratch:
        # An index and objects of its own: a run leaves the user's as they are.
        beside = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        git("read-tree", "HEAD", **beside)
        git("add", "--all", **beside)
        found = git("write-tree", **beside)
    return found, found == committed


def drawn_by(given: str | None) -> tuple[str, str]:
    """Return the seed of a run and a text that says where it comes from.

    :param given: the seed that the user gave, or None for the work tree's hash.
    """
    if given is not None:
        return given, "as given"
    tree, committed = work_tree()
    return tree[:12], "the hash of the last commit's tree" if committed else "the hash of the work tree, not committed"


def environment(seed: str) -> dict[str, str]:
    """Return what parts that draw something themselves take their seeds from."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    return {"HARDWAY_SEED": seed, "FUZZ_SEED": str(number)}


def chosen(parts: t.Sequence[Part], which: str, seed: str, room: int = DRAWN) -> dict[Part, str]:
    """Return why a part of the run is left out; the empty string for those that run.

    :param which: "fast" for what needs no hosts and is always there, "full" for everything, else what is always there
        and what the seed draws.
    :param room: minutes that drawn parts may take together.
    """
    if which == "full":
        return dict.fromkeys(parts, "")
    if which == "fast":
        return {
            part: "needs hosts: make test"
            if part.stage != "fast"
            else ""
            if part.runs == "always"
            else "make test-full"
            for part in parts
        }
    drawn: set[Part] = set()
    rotating = [part for part in parts if part.runs == "drawn"]
    for part in random.Random(seed).sample(rotating, k=len(rotating)):
        if sum(one.minutes for one in drawn) + part.minutes <= room:
            drawn.add(part)
    why_not = {"always": "", "drawn": f"not drawn by seed {seed}: make test-full", "full": "make test-full"}
    return {part: "" if part in drawn else why_not[part.runs] for part in parts}


def hindrance(part: Part, results: t.Mapping[Part, Result]) -> str:
    """Return why a part cannot run after what happened before it; the empty string when it can.

    Without hosts, everything runs. Hosts are made only when all of that is well. The lab that a part failed on stays as
    it is, to be looked at; what has hosts of its own beside it runs nevertheless.
    """
    failed = {stage: one.name for one, result in results.items() if result.word == "FAILED" for stage in [one.stage]}
    stands_on: dict[Stage, list[Stage]] = {
        "fast": [],
        "lab": ["fast", "lab", "own lab"],
        "own hosts": ["fast"],
        "own lab": ["fast", "lab", "own lab"],
    }
    for stage in stands_on[part.stage]:
        if stage in failed:
            return f"{failed[stage]} failed" + ("" if stage == "fast" else ", and its hosts stay")
    return ""


def out_of_time(part: Part, to_come: t.Iterable[Part], passed: float, budget: float = BUDGET) -> str:
    """Return why a drawn part is left out after all; the empty string when it fits.

    :param to_come: the parts after it.
    :param passed: seconds since the run began.
    :param budget: seconds that the run may take.
    """
    needed = 60 * (part.minutes + sum(one.minutes for one in to_come if one.runs == "always"))
    if part.runs == "always" or passed + needed <= budget:
        return ""
    return f"{passed / 60:.0f} of {budget / 60:.0f} minutes are over: make test-full"


def read_times(file: pathlib.Path) -> dict[str, float]:
    """Return the seconds that each part took last time on this machine, by name; empty when nothing is kept."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {name: float(seconds) for name, seconds in kept.items() if isinstance(seconds, int | float)}


def keep_times(file: pathlib.Path, results: t.Mapping[Part, Result]) -> None:
    """Keep the seconds of the parts that passed, beside those of parts that did not run this time."""
    passed = {part.name: round(result.seconds, 1) for part, result in results.items() if result.word == "ok"}
    kept = read_times(file) | passed
    with contextlib.suppress(OSError):  # a cache that cannot be written does not make a run fail
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def table(parts: t.Sequence[Part], results: t.Mapping[Part, Result], before: t.Mapping[str, float]) -> str:
    """Return the summary: part, seconds, seconds of the time before, result."""
    width = max(len(part.name) for part in parts)
    rows = [f"{'part':<{width}}  {'took':>6}  {'before':>6}  result"]
    for part in parts:
        result = results.get(part, Result("not run", "the run was stopped"))
        took = f"{result.seconds:.0f} s" if result.seconds else "-"
        last = f"{before[part.name]:.0f} s" if part.name in before else "-"
        remarks = [result.remark] if result.remark else []
        if result.word == "ok" and result.seconds > 60 * part.minutes:
            remarks.append(f"longer than the {part.minutes} min of its class")
        said = ": ".join([result.word, "; ".join(remarks)]) if remarks else result.word
        rows.append(f"{part.name:<{width}}  {took:>6}  {last:>6}  {said}")
    total = sum(result.seconds for result in results.values())
    return "\n".join([*rows, f"{'total':<{width}}  {f'{total:.0f} s':>6}"])


def listing(parts: t.Sequence[Part], before: t.Mapping[str, float]) -> str:
    """Return what `make parts` prints: every part, the runs that have it, how long it takes, what it proves."""
    said = {"always": "in every run", "drawn": "drawn", "full": "make test-full"}
    blocks = []
    for part in parts:
        took = f", here {before[part.name]:.0f} s" if part.name in before else ""
        head = f"{part.name}: {said[part.runs]}; at most {part.minutes} min{took}; needs: {_NEEDS[part.stage]}"
        commands = "; ".join(f"make {target}" for target in part.targets)
        proves = textwrap.wrap(part.proves, 110, initial_indent="    ", subsequent_indent="    ")
        blocks.append("\n".join([head, *proves, f"    {commands}"]))
    return "\n\n".join(blocks)


_NEEDS: dict[Stage, str] = {
    "fast": "no hosts",
    "lab": "the lab",
    "own hosts": "hosts that it makes beside the lab",
    "own lab": "a lab in place of the other",
}


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(part: Part, folder: pathlib.Path, seeds: t.Mapping[str, str] | None = None) -> Result:
    """Run a part, its output here and in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    ends = begun + part.stops_after
    left_out: list[str] = []
    with (folder / "output.log").open("wb") as log:
        for target in part.targets:
            # A process group of its own, so that nothing of it is left when it hangs.
            process = subprocess.Popen(
                ["make", "--no-print-directory", *shlex.split(target)],
                cwd=ROOT,
                env=os.environ | dict(seeds or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stop = threading.Timer(max(0.0, ends - time.monotonic()), _kill, (process,))
            stop.start()
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    sys.stdout.buffer.write(line)
                    sys.stdout.buffer.flush()
                    log.write(line)
                    if line.startswith(LEFT_OUT):
                        left_out.append(line.decode(errors="replace").strip())
                code = process.wait()
            except BaseException:
                # Stopping the run also stops its part.
                _kill(process)
                raise
            finally:
                stop.cancel()
            if time.monotonic() >= ends:
                print(f"{part.name}: make {target} was stopped after {part.stops_after} seconds", flush=True)
            if code != 0:
                return Result("FAILED", f"make {target}", time.monotonic() - begun)
    return Result("ok", "; ".join(left_out), time.monotonic() - begun)


def run_all(
    left_out: t.Mapping[Part, str],
    folder: pathlib.Path,
    budget: float,
    seeds: t.Mapping[str, str] | None = None,
) -> dict[Part, Result]:
    """Run the parts that are not left out, each as far as nothing hinders it, and keep the hosts' logs of failures."""
    begun = time.monotonic()
    results: dict[Part, Result] = {}
    parts = list(left_out)
    try:
        for number, part in enumerate(parts):
            to_come = [one for one in parts[number + 1 :] if not left_out[one]]
            why = (
                left_out[part]
                or hindrance(part, results)
                or out_of_time(part, to_come, time.monotonic() - begun, budget)
            )
            if why:
                results[part] = Result("not run", why)
                continue
            print(f"\n=== {part.name}", flush=True)
            results[part] = run(part, folder / part.name.replace(" ", "-"), seeds)
            if results[part].word == "FAILED":
                logs.collect(folder / part.name.replace(" ", "-"))
    except KeyboardInterrupt:
        results[part] = Result("FAILED", "stopped by hand")
    return results


def main() -> int:
    """Run what the command line asks for, and return the exit code."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("which", choices=["fast", "test", "full", "parts"])
    reading.add_argument("--seed", help="what draws parts and inputs (default: the hash of the work tree)")
    reading.add_argument("--logs", type=pathlib.Path, default=ROOT / ".logs", help="folder of what the parts print")
    given = reading.parse_args()
    times = cache_directory() / "times.json"
    before = read_times(times)
    if given.which == "parts":
        print(listing(PARTS, before))
        return 0
    try:
        seed, source = drawn_by(given.seed)
    except RuntimeError as error:
        sys.exit(f"run.py: {error}")
    left_out = chosen(PARTS, given.which, seed)
    print(f"seed {seed}, {source} (again with the same parts: make test SEED={seed})", flush=True)
    if given.which == "test":
        drawn = [part.name for part, why in left_out.items() if part.runs == "drawn" and not why]
        print(f"drawn: {', '.join(drawn)}", flush=True)
    # All files in it are of this run.
    shutil.rmtree(given.logs, ignore_errors=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    budget = BUDGET if given.which == "test" else float("inf")
    results = run_all(left_out, given.logs, budget, environment(seed))
    keep_times(times, results)
    print(f"\n{table(PARTS, results, before)}", flush=True)
    failed = [part.name for part, result in results.items() if result.word == "FAILED"]
    if not failed:
        return 0
    folder = given.logs / failed[0].replace(" ", "-") if len(failed) == 1 else given.logs
    print(f"failed: {', '.join(failed)}; output and the logs of the hosts are in {folder}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
