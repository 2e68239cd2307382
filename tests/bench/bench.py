# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a cluster takes, beside a plain shell script that does the article's steps.

    (a) article.sh on fresh hosts, to nodes Ready and DNS rolled out
    (b) site.yml on fresh hosts, to the same point
    (c) site.yml again
    (d) site.yml --tags worker --limit LAST_WORKER, that host wiped before
    (e), (f), (g) as (b), (c), (d), over SSH, as an ordinary user with sudo: with --ssh INVENTORY

All in one run, on the lab's hosts, which are made again for it; the lab's cluster is left as (d) leaves it.
Prints every figure, the medians, and the ratios to (a).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from collection import make_importable

make_importable()

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import read_catalogue

from cache import mirror_directory

MEASURES = {
    "a": "article.sh on fresh hosts",
    "b": "site.yml on fresh hosts",
    "c": "site.yml again",
    "d": "one worker wiped and rebuilt",
    "e": "site.yml on fresh hosts, by SSH",
    "f": "site.yml again, by SSH",
    "g": "one worker rebuilt, by SSH",
}
# The measures of a connection: a first run, a second one, and a worker alone.
DOCKER, SSH = "bcd", "efg"


class BenchError(Exception):
    """A step failed, so that there is nothing to measure."""


class Lab:
    """The lab's hosts and the playbooks that make and fill them.

    :param pod_network: the bridge is that of the script, so that both do the same work.
    """

    def __init__(self, inventory: str, release: str | None, log: pathlib.Path, pod_network: str = "bridge") -> None:
        self._inventory = inventory
        self._pod_network = pod_network
        self._log = log
        catalogue = read_catalogue()
        self.release = release or str(catalogue["default_release"])
        if self.release not in catalogue["releases"]:
            raise BenchError(f"release {self.release} is unknown; known are {', '.join(catalogue['releases'])}")
        self.versions: dict[str, str] = catalogue["releases"][self.release]
        self._environment = (
            os.environ
            | {"HARDWAY_MIRROR": str(mirror_directory())}
            | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        )

    def run(self, *command: str, environment: t.Mapping[str, str] | None = None) -> tuple[float, str]:
        """Run a command; return its seconds and what it printed."""
        begun = time.monotonic()
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=self._environment | dict(environment or {}),
            check=False,
        )
        seconds = time.monotonic() - begun
        with self._log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}({seconds:.1f} s)\n\n")
        if done.returncode != 0:
            last = "\n".join(done.stdout.splitlines()[-25:])
            raise BenchError(f"{' '.join(command)} failed; all its output is in {self._log}\n{last}")
        return seconds, done.stdout

    def playbook(self, *arguments: str) -> tuple[float, int]:
        """Run ansible-playbook; return its seconds and how many changes it reports."""
        settings = json.dumps({"cluster_release": self.release, "cluster_pod_network": self._pod_network})
        seconds, out = self.run(
            "ansible-playbook", "--inventory", self._inventory, "--extra-vars", settings, *arguments
        )
        return seconds, sum(int(count) for count in re.findall(r"\bchanged=(\d+)", out))

    def inventory(self, *arguments: str) -> dict[str, t.Any]:
        """Return what ansible-inventory says."""
        done = subprocess.run(
            ["ansible-inventory", "--inventory", self._inventory, *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self._environment,
            check=True,
        )
        return t.cast(dict[str, t.Any], json.loads(done.stdout))

    def renew(self, limit: str | None = None) -> None:
        """Make the hosts again, or one of them."""
        only = ("--limit", limit) if limit else ()
        self.playbook("lab/destroy.yml", *only)
        self.playbook("lab/create.yml", *only)


def article(lab: Lab, prefix: str) -> tuple[float, str]:
    """Run the script; return its seconds to the end, and its own account."""
    environment = {name.upper(): version for name, version in lab.versions.items()} | {"PREFIX": prefix}
    _seconds, out = lab.run("bash", str(ROOT / "tests" / "bench" / "article.sh"), environment=environment)
    steps = dict(line.split() for line in out.splitlines() if re.fullmatch(r"\w+ [\d.]+", line))
    if "dns" not in steps:
        raise BenchError(f"article.sh did not reach its end:\n{out}")
    return float(steps["dns"]), ", ".join(f"{name} {seconds} s" for name, seconds in steps.items())


@contextlib.contextmanager
def set_aside(directory: pathlib.Path) -> t.Iterator[None]:
    """A first run makes its certificates too: without the directory, which is put back when none was made."""
    aside = directory.with_name(f"{directory.name}.before-bench")
    if aside.exists():
        raise BenchError(f"{aside} is there from an interrupted run: move it back to {directory}, or remove it")
    if directory.exists():
        directory.rename(aside)
    try:
        yield
    finally:
        if directory.exists():
            shutil.rmtree(aside, ignore_errors=True)
        elif aside.exists():
            aside.rename(directory)


def pki_directory(lab: Lab, inventory: str, host: str) -> pathlib.Path:
    """Where the inventory keeps its certificates."""
    asked = "msg='{{ cluster_pki_directory | default(inventory_dir ~ \"/pki\") }}'"
    debug = ("--one-line", "--module-name=ansible.builtin.debug", "--args", asked)
    _seconds, out = lab.run("ansible", host, "--inventory", inventory, *debug)
    return pathlib.Path(json.loads(out[out.index("{") :])["msg"]).resolve()


class Figures:
    """Every figure, by measure, told as it comes."""

    def __init__(self, only: str) -> None:
        self.seconds: dict[str, list[float]] = {name: [] for name in only}

    def note(self, name: str, seconds: float, remark: str = "") -> None:
        """Keep a figure."""
        self.seconds[name].append(seconds)
        print(f"  ({name}) {MEASURES[name]}: {seconds:.1f} s{f'  ({remark})' if remark else ''}", flush=True)


def playbooks(lab: Lab, figures: Figures, names: str, pki: pathlib.Path, worker: str) -> None:
    """Measure the playbook by one connection.

    :param names: of the measures of a first run, a second one, and of one worker.
    """
    first, second, alone = names
    if first in figures.seconds:
        lab.renew()
        with set_aside(pki):
            seconds, changed = lab.playbook("playbooks/site.yml")
        figures.note(first, seconds, f"changed={changed}")
    if second in figures.seconds:
        seconds, changed = lab.playbook("playbooks/site.yml")
        figures.note(second, seconds, f"changed={changed}")
        if changed:
            raise BenchError(f"site.yml again reports changed={changed}; it has to be 0. See the log.")
    if alone in figures.seconds:
        lab.renew(limit=worker)
        seconds, changed = lab.playbook("playbooks/site.yml", "--tags", "worker", "--limit", worker)
        figures.note(alone, seconds, f"{worker}, changed={changed}")


def measure(lab: Lab, over_ssh: Lab | None, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return every figure, by measure."""
    figures = Figures(options.only)
    worker = lab.inventory("--list")["workers"]["hosts"][-1]
    pki = pki_directory(lab, options.inventory, worker)
    for repetition in range(1, options.repetitions + 1):
        print(f"run {repetition} of {options.repetitions}", flush=True)
        if "a" in figures.seconds:
            lab.renew()
            figures.note("a", *article(lab, options.prefix))
        playbooks(lab, figures, DOCKER, pki, worker)
        if over_ssh:
            playbooks(over_ssh, figures, SSH, pki, worker)
    return figures.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repetitions", nargs="?", type=int, default=3, help="how often to measure (default: 3)")
    parser.add_argument(
        "--only", help="measures to take, for example bc; the second and third of a connection need a cluster"
    )
    parser.add_argument("--inventory", default="inventories/lab")
    parser.add_argument("--ssh", metavar="INVENTORY", help="inventory of the same lab by `make lab CONNECTION=ssh`")
    parser.add_argument("--release", help="Kubernetes minor release (default: the catalogue's)")
    parser.add_argument("--prefix", default="hardway-", help="what the containers' names begin with")
    options = parser.parse_args()
    allowed = "".join(MEASURES) if options.ssh else "a" + DOCKER
    options.only = allowed if options.only is None else options.only
    if not options.only or set(options.only) - set(allowed) or options.repetitions < 1:
        parser.error(
            f"--only takes letters of {allowed}{'' if options.ssh else ', with --ssh of ' + ''.join(MEASURES)}, and at "
            "least one repetition is needed"
        )
    log = pathlib.Path(tempfile.mkdtemp(prefix="hardway-bench-")) / "bench.log"
    try:
        lab = Lab(options.inventory, options.release, log)
        print(f"Kubernetes {lab.versions['kubernetes']}, {os.cpu_count()} cores; log: {log}", flush=True)
        over_ssh = Lab(options.ssh, options.release, log) if options.ssh else None
        figures = measure(lab, over_ssh, options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(f"\nmedian of {options.repetitions}")
    for name, seconds in medians.items():
        ratio = f"   {seconds / medians['a']:.2f} x (a)" if "a" in medians and name != "a" else ""
        print(f"  ({name}) {MEASURES[name]:32}{seconds:7.1f} s{ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
