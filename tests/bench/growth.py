# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How time and the control node's memory grow with the number of workers.

For each size, on a lab of its own with one controller:

    (build)  site.yml on fresh hosts
    (again)  site.yml again, which has nothing to do
    (join)   site.yml --limit NEW, with one worker more than before

Prints seconds and the peak memory of Ansible's processes for each, and a straight line through the sizes. The lab is
made again for each size, and is left with the largest one.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import typing as t

from bench import ROOT, BenchError, Lab, pki_directory, set_aside

STEPS = ("build", "again", "join")
INVENTORY = "inventories/lab-custom"
#: Size for which the lines are continued, as in docs/operate/scale.md.
LARGE = 1000


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measurement.

    :ivar workers: number of workers of the cluster.
    :ivar seconds: duration of the run.
    :ivar mib: peak of the memory of all processes of the run on the control node, in MiB.
    """

    step: str
    workers: int
    seconds: float
    mib: float


class Memory:
    """Samples the memory of all descendants of this process; shared pages count once."""

    def __init__(self, interval: float = 0.5) -> None:
        self.peak_mib = 0.0
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            self.peak_mib = max(self.peak_mib, sum(map(_kib, descendants(os.getpid()))) / 1024)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have started. See proc_pid_stat(5)."""
    children: dict[int, list[int]] = {}
    for entry in pathlib.Path("/proc").iterdir():
        # A process may end meanwhile.
        with contextlib.suppress(OSError, ValueError):
            # The name in parentheses may have blanks.
            parent = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        new = children.get(left.pop(), [])
        found += new
        left += new
    return found


def _kib(pid: int) -> int:
    """Return the proportional set size of a process in KiB; 0 when it has ended. See proc_pid_smaps(5)."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def line(points: t.Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return what a size of nothing costs and what each unit adds, by least squares.

    :param points: (size, cost), of at least two sizes.
    """
    mean_x = sum(x for x, _y in points) / len(points)
    mean_y = sum(y for _x, y in points) / len(points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _y in points)
    return mean_y - slope * mean_x, slope


def report(figures: t.Sequence[Figure]) -> str:
    """Return the lines through the figures of each step, and where they lead."""
    rows = []
    for step in STEPS:
        taken = [figure for figure in figures if figure.step == step]
        if len({figure.workers for figure in taken}) < 2:
            continue
        for unit, values in (
            ("s", [(float(figure.workers), figure.seconds) for figure in taken]),
            ("MiB", [(float(figure.workers), figure.mib) for figure in taken]),
        ):
            base, slope = line(values)
            rows.append(
                f"  ({step}) {base:.1f} {unit} + {slope:.2f} {unit} for each worker; "
                f"with {LARGE} workers {base + LARGE * slope:.0f} {unit}"
            )
    return "\n".join(rows)


def sizes(text: str) -> list[int]:
    """Return the numbers of workers that an argument gives, the smallest first.

    :raises argparse.ArgumentTypeError: one of them is not a number of workers that the lab can have.
    """
    words = text.split(",")
    # lab/inventory.py has the limit, and one worker joins.
    if not all(word.isdigit() and 1 <= int(word) <= 149 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r}: numbers from 1 to 149 with commas are allowed, such as 2,5,10,20")
    return sorted({int(word) for word in words})


def write_inventory(workers: int, pod_network: str) -> None:
    """Write the inventory of a lab with one controller."""
    settings = [f"cluster_pod_network={pod_network}"]
    command = [sys.executable, str(ROOT / "lab" / "inventory.py"), "1", str(workers), "1", "", *settings]
    subprocess.run(command, cwd=ROOT, check=True)


def measure(lab: Lab, chosen: t.Sequence[int], pod_network: str) -> list[Figure]:
    """Return the figures of all sizes."""
    figures: list[Figure] = []

    def take(step: str, workers: int, *arguments: str) -> int:
        with Memory() as memory:
            seconds, changed = lab.playbook("playbooks/site.yml", *arguments)
        figures.append(Figure(step, workers, seconds, memory.peak_mib))
        print(f"  ({step}) {workers} workers: {seconds:.1f} s, {memory.peak_mib:.0f} MiB, {changed=}", flush=True)
        return changed

    for workers in chosen:
        write_inventory(workers, pod_network)
        with set_aside(pki_directory(lab, INVENTORY, "wrk01")):
            lab.renew()
            take("build", workers)
            if take("again", workers):
                raise BenchError("site.yml again reports changes; it has to report none. See the log.")
            write_inventory(workers + 1, pod_network)
            new = f"wrk{workers + 1:02d}"
            lab.playbook("lab/create.yml", "--limit", new)
            take("join", workers + 1, "--limit", new)
        # The next size makes other hosts.
        if workers != chosen[-1]:
            lab.playbook("lab/destroy.yml")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=sizes, default=[2, 5, 10, 20], help="numbers of workers (default: 2,5,10,20)")
    parser.add_argument("--pod-network", default="flannel", help="pod network of the labs (default: flannel)")
    options = parser.parse_args()
    log = pathlib.Path(tempfile.mkdtemp(prefix="hardway-growth-")) / "growth.log"
    try:
        lab = Lab(INVENTORY, None, log, pod_network=options.pod_network)
        print(f"Kubernetes {lab.versions['kubernetes']}, {os.cpu_count()} cores; log: {log}", flush=True)
        figures = measure(lab, options.sizes, options.pod_network)
    except BenchError as error:
        print(f"growth: {error}", file=sys.stderr)
        return 1
    print(report(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
