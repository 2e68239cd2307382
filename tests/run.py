# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the parts of `make test` one after the other, and says at the end what ran, how long, and what did not and why.

Every run has the parts that are `always` there. The others are many minutes long, so that each run has as many of them
as fit into ROTATION seconds, drawn with a seed that is printed: the same seed draws the same parts.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import random
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

Stage = t.Literal["fast", "lab", "own hosts"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One line of the table."""

    name: str
    #: Targets of the Makefile, with their variables; the first that fails ends the part.
    targets: tuple[str, ...]
    #: What it needs: no hosts, the lab of the run, or hosts that it makes and removes itself.
    stage: Stage
    #: Seconds on two cores with a warm cache.
    seconds: int
    #: In every run, or drawn.
    always: bool = True
    #: Seconds after which it is stopped: something hangs.
    limit: int = 0

    @property
    def stops_after(self) -> int:
        return self.limit or 3 * self.seconds + 300


PARTS = (
    Part("lint", ("lint",), "fast", 60),
    Part("units", ("units",), "fast", 100, limit=1500),
    Part("fuzz", ("fuzz",), "fast", 60, always=False),
    Part("integration", ("test-integration",), "fast", 75),
    Part("lab", ("lab-down", "lab"), "lab", 60, limit=2700),
    Part("etcd modules", ("test-etcd",), "fast", 20),
    Part("unchanged", ("test-unchanged",), "lab", 105),
    Part("package", ("test-package",), "lab", 35),
    Part("smoke", ("smoke",), "lab", 20),
    Part("state", ("test-lab",), "lab", 60),
    Part("network", ("test-network",), "lab", 330),
    Part("check runs", ("test-check-runs",), "lab", 330, always=False),
    Part("rebuild", ("test-rebuild",), "lab", 70),
    Part("faults", ("test-faults",), "lab", 390),
    Part("lab-down", ("lab-down",), "lab", 15),
    Part("scenario etcd", ("molecule SCENARIO=etcd",), "own hosts", 280),
    Part("scenario default", ("molecule SCENARIO=default",), "own hosts", 30, always=False),
    Part("scenario ca", ("molecule SCENARIO=ca",), "own hosts", 45, always=False),
    Part("scenario control_plane", ("molecule SCENARIO=control_plane",), "own hosts", 75, always=False),
    Part("scenario worker", ("molecule SCENARIO=worker",), "own hosts", 110, always=False),
    Part("scenario addons", ("molecule SCENARIO=addons",), "own hosts", 70, always=False),
    Part("scenario site", ("molecule SCENARIO=site",), "own hosts", 150, always=False),
    Part("network flannel", ("test-networks NETWORK=flannel",), "own hosts", 400, always=False),
    Part("scratch", ("test-scratch", "lab-down"), "own hosts", 240, always=False),
    Part(
        "three controllers",
        ("lab-down", "lab CONTROLLERS=2", "lab CONTROLLERS=3", "test-lab", "test-faults", "lab-down"),
        "own hosts",
        560,
        always=False,
    ),
    Part("release 1.36", ("lab-down", "lab RELEASE=1.36", "test-lab", "lab-down"), "own hosts", 130, False, 2700),
    Part("release 1.35", ("lab-down", "lab RELEASE=1.35", "test-lab", "lab-down"), "own hosts", 130, False, 2700),
)


def chosen(parts: t.Sequence[Part], which: str, seed: int, room: int = ROTATION) -> dict[Part, str]:
    """Why a part of the run is left out; the empty string for those that run.

    which: "fast" for what needs no hosts, "full" for everything, else what is always there and what the seed draws.
    """
    if which == "full":
        return dict.fromkeys(parts, "")
    if which == "fast":
        return {part: "" if part.stage == "fast" else "needs hosts: make test" for part in parts}
    drawn: set[Part] = set()
    rotating = [part for part in parts if not part.always]
    for part in random.Random(seed).sample(rotating, k=len(rotating)):
        if sum(one.seconds for one in drawn) + part.seconds <= room:
            drawn.add(part)
    return {part: "" if part.always or part in drawn else f"not drawn by seed {seed}: make test-full" for part in parts}


def table(parts: t.Sequence[Part], results: dict[Part, tuple[str, float]]) -> str:
    """The summary: part, seconds, result."""
    width = max(len(part.name) for part in parts)
    rows = []
    for part in parts:
        result, seconds = results.get(part, ("not run: a part before it failed", 0.0))
        took = f"{seconds:.0f} s" if seconds else "-"
        rows.append(f"{part.name:<{width}}  {took:>6}  {result}")
    total = sum(seconds for _result, seconds in results.values())
    return "\n".join([*rows, f"{'total':<{width}}  {f'{total:.0f} s':>6}"])


def run(part: Part, folder: pathlib.Path) -> bool:
    """Run a part, its output here and in a file; whether it went well."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + part.stops_after
    with (folder / "output.log").open("wb") as log:
        for target in part.targets:
            # A process group of its own, so that nothing of it is left when it hangs.
            process = subprocess.Popen(
                ["make", "--no-print-directory", *target.split()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stop = threading.Timer(max(0.0, ends - time.monotonic()), os.killpg, (process.pid, signal.SIGKILL))
            stop.start()
            assert process.stdout is not None
            for line in process.stdout:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
                log.write(line)
            code = process.wait()
            stop.cancel()
            if time.monotonic() >= ends:
                print(f"{part.name}: make {target} was stopped after {part.stops_after} seconds", flush=True)
            if code != 0:
                return False
    return True


def main() -> int:
    reading = argparse.ArgumentParser(description=__doc__)
    reading.add_argument("which", choices=["fast", "test", "full"])
    reading.add_argument("--seed", type=int, default=int(time.time()) // 60, help="what draws the parts that rotate")
    reading.add_argument("--logs", type=pathlib.Path, default=ROOT / ".logs", help="folder of what the parts print")
    given = reading.parse_args()
    left_out = chosen(PARTS, given.which, given.seed)
    if given.which == "test":
        print(f"seed {given.seed} (again with the same parts: make test SEED={given.seed})", flush=True)
    results: dict[Part, tuple[str, float]] = {part: (why, 0.0) for part, why in left_out.items() if why}
    failed: Part | None = None
    for part in (part for part, why in left_out.items() if not why):
        folder = given.logs / part.name.replace(" ", "-")
        print(f"\n=== {part.name}", flush=True)
        begun = time.monotonic()
        good = run(part, folder)
        results[part] = ("ok" if good else "FAILED", time.monotonic() - begun)
        if not good:
            failed = part
            break
    print(f"\n{table(PARTS, results)}", flush=True)
    if failed is None:
        return 0
    folder = given.logs / failed.name.replace(" ", "-")
    logs.collect(folder)
    print(f"{failed.name} failed; its output and the logs of the hosts are in {folder}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
