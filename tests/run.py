# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the parts of `make test` one after the other, and says at the end what ran, how long, and what did not and why.

Every run has the parts that are `always` there. The others are many minutes long, so that each run has as many of them
as fit into ROTATION seconds, drawn with a seed that is printed: the same seed draws the same parts. When the programs
had to be built first, drawn parts are left out that would make the run longer than BUDGET. Some are in the full run
alone, because they build another release or a lab of another size.

A part that fails keeps only those from running that stand on it: see `hindrance`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t

import logs

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Seconds that the drawn parts of a run may take together, by the times below.
ROTATION = 600
# Seconds within which a run with drawn parts has to end.
BUDGET = 75 * 60
# How a part says that something of it was not done, and why.
LEFT_OUT = b"left out: "

Stage = t.Literal["fast", "lab", "own hosts", "own lab"]
Runs = t.Literal["always", "drawn", "full"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One line of the table."""

    name: str
    #: Targets of the Makefile, with their variables; the first that fails ends the part.
    targets: tuple[str, ...]
    #: What it needs: no hosts, the lab of the run, hosts that it makes beside the lab, or a lab in place of that one.
    stage: Stage
    #: Seconds on two cores with a warm cache.
    seconds: int
    #: In every run, drawn, or in the full run alone.
    runs: Runs = "always"
    #: Seconds after which it is stopped: something hangs.
    limit: int = 0

    @property
    def stops_after(self) -> int:
        return self.limit or 3 * self.seconds + 300


PARTS = (
    Part("lint", ("lint",), "fast", 60),
    Part("units", ("units",), "fast", 100, limit=1500),
    Part("fuzz", ("fuzz",), "fast", 60, runs="drawn"),
    Part("integration", ("test-integration",), "fast", 75),
    Part("packaging", ('test-packaging CHECKS="contents documents"',), "fast", 60, limit=900),
    Part("sanity", ("test-packaging CHECKS=sanity",), "fast", 100, "drawn", 1500),
    Part("units as packaged", ("test-packaging CHECKS=units",), "fast", 90, "drawn", 1500),
    Part("newest ansible-core", ("test-packaging-newest",), "fast", 190, "drawn", 1800),
    Part("lab", ("lab-down", "lab"), "lab", 60, limit=2700),
    Part("etcd modules", ("test-etcd",), "own hosts", 20, limit=900),
    Part("unchanged", ("test-unchanged",), "lab", 180),
    Part("installed", ("test-installed",), "lab", 35),
    Part("smoke", ("smoke",), "lab", 20),
    Part("state", ("test-lab",), "lab", 60),
    Part("network", ("test-network",), "lab", 330),
    Part("check runs", ("test-check-runs",), "lab", 330, runs="drawn"),
    Part("tags and limits", ("test-tags",), "lab", 400, runs="drawn"),
    Part("worker leaves", ("test-remove-worker",), "lab", 300, runs="drawn"),
    Part("weave password", ("test-weave-password",), "lab", 145, runs="drawn"),
    Part("rebuild", ("test-rebuild",), "lab", 70),
    Part("faults", ("test-faults",), "lab", 390),
    Part("lab-down", ("lab-down",), "lab", 15),
    Part("bad input", ("test-bad-input",), "own hosts", 300, runs="drawn"),
    Part("scenario etcd", ("molecule SCENARIO=etcd",), "own hosts", 280),
    Part("scenario default", ("molecule SCENARIO=default",), "own hosts", 30, runs="drawn"),
    Part("scenario ca", ("molecule SCENARIO=ca",), "own hosts", 45, runs="drawn"),
    Part("scenario control_plane", ("molecule SCENARIO=control_plane",), "own hosts", 75, runs="drawn"),
    Part("scenario worker", ("molecule SCENARIO=worker",), "own hosts", 110, runs="drawn"),
    Part("scenario addons", ("molecule SCENARIO=addons",), "own hosts", 70, runs="drawn"),
    Part("scenario site", ("molecule SCENARIO=site",), "own hosts", 150, runs="drawn"),
    Part("network flannel", ("test-networks NETWORK=flannel",), "own lab", 400, runs="full"),
    Part("scratch", ("test-scratch", "lab-down"), "own lab", 240, runs="drawn"),
    Part(
        "three controllers",
        ("lab-down", "lab CONTROLLERS=2", "lab CONTROLLERS=3", "test-lab", "test-faults", "lab-down"),
        "own lab",
        560,
        runs="drawn",
    ),
    Part(
        "conformance",
        ("lab-down", "lab CONTROLLERS=1 SETTINGS=cluster_pod_network=flannel", "conformance-part", "lab-down"),
        "own lab",
        260,
        runs="drawn",
        limit=2700,
    ),
    Part("release 1.36", ("lab-down", "lab RELEASE=1.36", "test-lab", "lab-down"), "own lab", 130, "full", 2700),
    Part("release 1.35", ("lab-down", "lab RELEASE=1.35", "test-lab", "lab-down"), "own lab", 130, "full", 2700),
)


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a part: "ok", "FAILED", "not run", and what is to be said about it."""

    word: str
    remark: str = ""
    seconds: float = 0.0


def chosen(parts: t.Sequence[Part], which: str, seed: int, room: int = ROTATION) -> dict[Part, str]:
    """Why a part of the run is left out; the empty string for those that run.

    which: "fast" for what needs no hosts and is always there, "full" for everything, else what is always there and what
    the seed draws.
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
        if sum(one.seconds for one in drawn) + part.seconds <= room:
            drawn.add(part)
    why_not = {"always": "", "drawn": f"not drawn by seed {seed}: make test-full", "full": "make test-full"}
    return {part: "" if part in drawn else why_not[part.runs] for part in parts}


def hindrance(part: Part, results: t.Mapping[Part, Result]) -> str:
    """Why a part cannot run after what happened before it; the empty string when it can.

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
    """Why a drawn part is left out after all; the empty string when it fits.

    to_come: the parts after it. passed: seconds since the run began. budget: seconds that it may take.
    """
    needed = part.seconds + sum(one.seconds for one in to_come if one.runs == "always")
    if part.runs == "always" or passed + needed <= budget:
        return ""
    return f"{passed / 60:.0f} of {budget / 60:.0f} minutes are over: make test-full"


def table(parts: t.Sequence[Part], results: t.Mapping[Part, Result]) -> str:
    """The summary: part, seconds, result."""
    width = max(len(part.name) for part in parts)
    rows = []
    for part in parts:
        result = results.get(part, Result("not run", "the run was stopped"))
        took = f"{result.seconds:.0f} s" if result.seconds else "-"
        said = f"{result.word}: {result.remark}" if result.remark else result.word
        rows.append(f"{part.name:<{width}}  {took:>6}  {said}")
    total = sum(result.seconds for result in results.values())
    return "\n".join([*rows, f"{'total':<{width}}  {f'{total:.0f} s':>6}"])


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(part: Part, folder: pathlib.Path) -> Result:
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
                # Who stops the run stops its part.
                _kill(process)
                raise
            finally:
                stop.cancel()
            if time.monotonic() >= ends:
                print(f"{part.name}: make {target} was stopped after {part.stops_after} seconds", flush=True)
            if code != 0:
                return Result("FAILED", f"make {target}", time.monotonic() - begun)
    return Result("ok", "; ".join(left_out), time.monotonic() - begun)


def run_all(left_out: t.Mapping[Part, str], folder: pathlib.Path, budget: float) -> dict[Part, Result]:
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
            results[part] = run(part, folder / part.name.replace(" ", "-"))
            if results[part].word == "FAILED":
                logs.collect(folder / part.name.replace(" ", "-"))
    except KeyboardInterrupt:
        results[part] = Result("FAILED", "stopped by hand")
    return results


def main() -> int:
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("which", choices=["fast", "test", "full"])
    reading.add_argument("--seed", type=int, default=int(time.time()) // 60, help="what draws the parts that rotate")
    reading.add_argument("--logs", type=pathlib.Path, default=ROOT / ".logs", help="folder of what the parts print")
    given = reading.parse_args()
    left_out = chosen(PARTS, given.which, given.seed)
    if given.which == "test":
        print(f"seed {given.seed} (again with the same parts: make test SEED={given.seed})", flush=True)
    # What is in it in the end is of this run.
    shutil.rmtree(given.logs, ignore_errors=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = run_all(left_out, given.logs, BUDGET if given.which == "test" else float("inf"))
    print(f"\n{table(PARTS, results)}", flush=True)
    failed = [part.name for part, result in results.items() if result.word == "FAILED"]
    if not failed:
        return 0
    folder = given.logs / failed[0].replace(" ", "-") if len(failed) == 1 else given.logs
    print(f"failed: {', '.join(failed)}; output and the logs of the hosts are in {folder}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
