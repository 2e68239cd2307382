# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a running cluster against the CIS benchmark for Kubernetes, with kube-bench.

Each host gets kube-bench for the run, which reads files, processes and the API and changes nothing. The run ends with 1
when a check fails that is not in deviations.yml, when one that is there passes, when a check was not run, and when a
manual check has no answer in manual.yml. Exit code 2: nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "lab"))

from collection import make_importable

make_importable()

import benchmark
from artifact_mirror import layout, shell
from artifact_mirror.catalogue import Catalogue
from artifact_mirror.errors import MirrorError

from cache import mirror_directory

DOCUMENT = ROOT / "docs" / "operate" / "security.md"
EXIT_WRONG = 1
EXIT_NOT_RUN = 2


def read_lists() -> tuple[dict[str, benchmark.Entry], dict[str, benchmark.Entry]]:
    """Return deviations.yml and manual.yml by id."""
    return (
        benchmark.read_entries(HERE / "deviations.yml", "reason"),
        benchmark.read_entries(HERE / "manual.yml", "answer"),
    )


def prepare(architecture: str, directory: pathlib.Path) -> None:
    """Put kube-bench, its definitions with our paths, and our configuration into a directory.

    :raises BenchmarkError: the mirror does not have kube-bench, or a definition is not as replaced.yml expects.
    """
    mirror = mirror_directory()
    command = [sys.executable, str(ROOT / "lab" / "mirror" / "mirror.py"), "fill", "--cis"]
    if subprocess.run([*command, "--arch", architecture, "--directory", str(mirror)], check=False).returncode != 0:
        raise benchmark.BenchmarkError("the mirror does not have kube-bench; the reason is above")
    catalogue = Catalogue.load()
    (program,) = catalogue.bench_programs(catalogue.default_release, architecture)
    wanted = f"cfg/{benchmark.BENCHMARK}/"
    with tarfile.open(mirror / layout.mirror_path(program.url)) as archive:
        members = [one for one in archive if one.name.startswith(wanted) or one.name in program.files]
        archive.extractall(directory, members, filter="data")
    definitions = {path.name: path for path in (directory / wanted).glob("*.yaml")}
    texts = {name: path.read_text(encoding="utf-8") for name, path in definitions.items()}
    replacements = yaml.safe_load((HERE / "replaced.yml").read_text(encoding="utf-8"))
    for name, text in benchmark.replaced(texts, replacements).items():
        definitions[name].write_text(text, encoding="utf-8")
    shutil.copy(HERE / "config.yaml", directory / "cfg")


def measure(inventory: str, bench: pathlib.Path, reports: pathlib.Path) -> None:
    """Run kube-bench on the hosts of an inventory.

    :param reports: where each host's report goes.
    :raises BenchmarkError: a host could not be measured.
    """
    values = {"bench": str(bench), "reports": str(reports), "benchmark": benchmark.BENCHMARK}
    command = ["ansible-playbook", "-i", inventory, str(HERE / "run.yml"), "-e", json.dumps(values)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise benchmark.BenchmarkError("not every host could be measured; the playbook's output is above")


def read_reports(directory: pathlib.Path) -> tuple[dict[str, list[str]], list[benchmark.Report]]:
    """Return the targets of each host, and all results."""
    ran: dict[str, list[str]] = {}
    found: list[benchmark.Report] = []
    for path in sorted(directory.glob("*.targets")):
        host = path.name.removesuffix(".targets")
        ran[host] = path.read_text(encoding="utf-8").split()
        found += benchmark.read_report(host, (directory / f"{host}.json").read_text(encoding="utf-8"))
    return ran, found


def write_document() -> None:
    """Write the tables of docs/operate/security.md from deviations.yml and manual.yml."""
    text = benchmark.document(DOCUMENT.read_text(encoding="utf-8"), *read_lists())
    DOCUMENT.write_text(text, encoding="utf-8")


def run(inventory: str, architecture: str, logs: pathlib.Path) -> int:
    """Measure, print what was found, and return the exit code."""
    deviations, answers = read_lists()
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="hardway-cis-") as scratch:
        directory = pathlib.Path(scratch)
        prepare(architecture, directory)
        checks = benchmark.read_checks(directory / "cfg" / benchmark.BENCHMARK)
        measure(inventory, directory, logs)
    ran, found = read_reports(logs)
    outcome = benchmark.compare(checks, ran, found, deviations, answers)
    print(f"\n{benchmark.summary(outcome, len(ran))}\nreports: {os.path.relpath(logs)}")
    return EXIT_WRONG if outcome.problems else 0


def main() -> int:
    """Run what the command line says, and return the exit code."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("--inventory", default="inventories/lab")
    reading.add_argument("--arch", default=shell.host_arch(), help="the hosts': amd64 or arm64 (default: %(default)s)")
    reading.add_argument("--logs", type=pathlib.Path, default=ROOT / ".logs" / "cis")
    reading.add_argument("--docs", action="store_true", help="write the tables of docs/operate/security.md instead")
    given = reading.parse_args()
    try:
        if given.docs:
            write_document()
            return 0
        return run(given.inventory, given.arch, given.logs.resolve())
    except (benchmark.BenchmarkError, MirrorError) as error:
        print(f"cis: {error}", file=sys.stderr)
        return EXIT_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
