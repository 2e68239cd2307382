# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the conformance suite of Kubernetes against a running cluster, and says what passed, failed and skipped itself.

The suite and its images come from the artifact mirror. Tests run in parallel, then those that the suite marks as
serial, one after the other. Exit code: 0 when all passed but those of cannot_pass.yml, 1 when one failed, 2 when
nothing could be run.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import typing as t
import xml.etree.ElementTree as ET

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "lab"))

from collection import make_importable

make_importable()

import registry
from artifact_mirror import layout
from artifact_mirror.catalogue import Catalogue, Image, Program
from artifact_mirror.errors import MirrorError

from cache import cache_directory, mirror_directory

REGISTRY = "registry.k8s.io"
CONFORMANCE = r"\[Conformance\]"
#: The tests of clusters with two address families; none is marked [Conformance]. SCTP needs a module of the kernel.
DUAL_STACK = r"\[Feature:IPv6DualStack\]"
SCTP = r"\[Feature:SCTPConnectivity\]"
JUNIT = "junit_01.xml"
EXIT_FAILED = 1
EXIT_NOT_RUN = 2

#: The JUnit report's word for a test that the focus left out; a test that skips itself adds why.
_LEFT_OUT = "skipped"
#: Ginkgo's line before a test's name, in its verbose output.
_ENDED = re.compile(r"^(?:•|S|P) (?:\[(?P<state>[A-Z]+)\] )?\[(?P<seconds>[\d.]+) seconds\]")
#: The rulers that it draws between tests.
_RULER = re.compile(r"^-{20,}$")
#: The labels that Ginkgo puts behind the name there.
_LABELS = re.compile(r" \[[^\[\]]+(?:, [^\[\]]+)+\]$")


class NotRunError(Exception):
    """Why the suite could not be run, and what to do about it."""


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of one test of the focus. state: Ginkgo's word, such as "passed", "failed" or "skipped"."""

    name: str
    state: str
    seconds: float
    message: str = ""


def read_report(path: pathlib.Path) -> list[Result]:
    """The tests that ran or skipped themselves, from a JUnit report of e2e.test."""
    results = []
    for case in ET.parse(path).getroot().iter("testcase"):
        leaf, name = re.fullmatch(r"(?:\[(\w+)\] )?(.*)", case.get("name", ""), re.DOTALL).groups()  # type: ignore[union-attr]
        state = case.get("status", "")
        skipped = case.find("skipped")
        message = (skipped.get("message", "") if skipped is not None else "").strip()
        if message == _LEFT_OUT or state == "pending":
            continue
        if leaf != "It" and state == "passed":
            continue  # what goes before and after all tests counts when it fails
        if skipped is None:
            what = next((case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None)
            message = (what.text or what.get("message") or "").strip() if what is not None else ""
        else:
            message = message.removeprefix(f"{_LEFT_OUT} - ")
        results.append(Result(name or leaf or "?", state, float(case.get("time", 0)), message))
    return results


def read_reasons(path: pathlib.Path) -> dict[str, str]:
    """Name of a test that cannot pass everywhere -> why."""
    return {entry["test"]: entry["reason"].strip() for entry in yaml.safe_load(path.read_text(encoding="utf-8"))}


def _listed(title: str, results: t.Sequence[Result], reasons: t.Mapping[str, str]) -> list[str]:
    """Return a title with tests below it, and below each the first lines of why; nothing when there is none."""
    lines = [f"{title}:"] if results else []
    for result in results:
        why = reasons.get(result.name, result.message)
        lines += [f"  {result.name}", *(f"      {line}" for line in why.splitlines()[:3])]
    return lines


def summary(results: t.Sequence[Result], reasons: t.Mapping[str, str]) -> tuple[str, int]:
    """Return the text at the end of a run, and the exit code."""
    sorts: dict[str, list[Result]] = {"passed": [], "surprising": [], "skipped": [], "excused": [], "failed": []}
    for result in results:
        known = result.name in reasons
        if result.state == "passed" and known:
            sorts["surprising"].append(result)
        sorts[result.state if result.state in ("passed", "skipped") else "excused" if known else "failed"].append(
            result
        )
    lines = [
        *_listed("failed", sorts["failed"], {}),
        *_listed("cannot pass here", sorts["excused"], reasons),
        *_listed("skipped themselves", sorts["skipped"], {}),
    ]
    if sorts["surprising"]:
        lines.append("pass, although cannot_pass.yml says that they cannot:")
        lines += [f"  {result.name}" for result in sorts["surprising"]]
    passed, failed, excused, skipped = (len(sorts[sort]) for sort in ("passed", "failed", "excused", "skipped"))
    lines.append(f"{passed} passed, {failed} failed, {excused} cannot pass here, {skipped} skipped themselves")
    if not passed + failed + excused:
        return "\n".join([*lines, "no test ran: does the focus match any?"]), EXIT_NOT_RUN
    return "\n".join(lines), EXIT_FAILED if failed else 0


def groups(results: t.Sequence[Result]) -> str:
    """Passed and run, by special interest group."""
    table: dict[str, list[int]] = {}
    for result in results:
        found = re.match(r"\[(sig-[\w-]+)\]", result.name)
        row = table.setdefault(found.group(1) if found else "other", [0, 0])
        row[0] += result.state == "passed"
        row[1] += 1
    return "\n".join(f"{group:<22} {passed:>4} of {ran:>4}" for group, (passed, ran) in sorted(table.items()))


def progress(lines: t.Iterable[str]) -> t.Iterator[str]:
    """A line for each test that ended, from Ginkgo's verbose output."""
    ended: re.Match[str] | None = None
    number = 0
    heading = previous = ""
    for line in lines:
        if ended is not None and line.strip():
            number += 1
            # With one process a test's name stands where it began, and a ruler behind its end.
            name = _LABELS.sub("", (heading if _RULER.match(line) else line).strip().replace("[It] ", ""))
            yield f"{number:>4} {(ended['state'] or 'ok').lower():<8} {float(ended['seconds']):>6.0f} s  {name}"
            ended = None
        else:
            ended = _ENDED.match(line)
        if _RULER.match(previous) and not ended:
            heading = line
        previous = line


@dataclasses.dataclass(frozen=True)
class Target:
    """The cluster: what cluster.yml answers."""

    release: str
    version: str
    kubeconfig: str
    architecture: str
    mirror: str
    workers: int
    address: str


def ask(inventory: str, folder: pathlib.Path) -> Target:
    """The cluster of an inventory."""
    answer = folder / "cluster.json"
    answer.unlink(missing_ok=True)
    _run(["ansible-playbook", "-i", inventory, str(HERE / "cluster.yml"), "-e", f"answer={answer}"], folder / "ask.log")
    target = Target(**json.loads(answer.read_text(encoding="utf-8")))
    if not pathlib.Path(target.kubeconfig).is_file():
        raise NotRunError(f"{target.kubeconfig} is missing: is there a cluster? playbooks/site.yml makes one")
    return target


def fill(target: Target, mirror: pathlib.Path) -> tuple[list[Program], list[Image]]:
    """The suite and its images, in the mirror; OSError or MirrorError when that cannot be."""
    command = [sys.executable, str(ROOT / "lab" / "mirror" / "mirror.py"), "fill", "--conformance"]
    command += ["--release", target.release, "--arch", target.architecture, "--directory", str(mirror)]
    if subprocess.run(command, check=False).returncode != 0:
        raise NotRunError("the mirror has not all that the suite needs; what it lacks is said above")
    catalogue = Catalogue.load()
    return (
        catalogue.suite_programs(target.release, target.architecture),
        catalogue.suite_images(target.release, target.architecture),
    )


def unpack(programs: t.Sequence[Program], mirror: pathlib.Path, cache: pathlib.Path) -> pathlib.Path:
    """The suite's programs as executable files of one directory, unpacked once for each archive."""
    files = [mirror / layout.mirror_path(program.url) for program in programs]
    with_time = "".join(f"{file}{file.stat().st_mtime_ns}" for file in files)
    directory = cache / f"conformance-{hashlib.sha256(with_time.encode()).hexdigest()[:16]}"
    if directory.is_dir():
        return directory
    new = directory.with_name(f"{directory.name}.{os.getpid()}")
    new.mkdir(parents=True)
    for program, file in zip(programs, files, strict=True):
        if program.files:
            with tarfile.open(file) as archive:
                for name in program.files:
                    stream = archive.extractfile(name)
                    assert stream is not None
                    with (new / pathlib.PurePosixPath(name).name).open("wb") as output:
                        shutil.copyfileobj(stream, output)
        else:
            shutil.copyfile(file, new / program.name)
    for path in new.iterdir():
        path.chmod(0o755)
    new.rename(directory)
    return directory


def check_images(e2e_test: pathlib.Path, images: t.Sequence[Image]) -> None:
    """NotRunError when the suite does not use one of these images: the list then belongs to another version."""
    done = subprocess.run([str(e2e_test), "--list-images"], capture_output=True, text=True, check=True)
    unknown = sorted({image.reference for image in images} - set(done.stdout.split()))
    if unknown:
        raise NotRunError(f"lab/mirror/conformance.yml: the suite does not use {', '.join(unknown)}")


@contextlib.contextmanager
def images_at_hand(target: Target, inventory: str, mirror: pathlib.Path, folder: pathlib.Path) -> t.Iterator[None]:
    """The workers can pull the suite's images: from here, where they take everything from a mirror."""
    if not target.mirror:
        yield
        return
    playbook = ["ansible-playbook", "-i", inventory, str(HERE / "registry.yml"), "-e"]
    with registry.serve(mirror / layout.IMAGES_DIRECTORY, REGISTRY, _own_address(target.address)) as url:
        _run([*playbook, json.dumps({"registry": REGISTRY, "mirror_url": url})], folder / "registry.log")
        try:
            yield
        finally:
            _run([*playbook, json.dumps({"registry": REGISTRY})], folder / "registry.log")


def _own_address(peer: str) -> str:
    """The address of this machine that a peer sees."""
    with socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 9))  # nothing is sent
        return str(probe.getsockname()[0])


def run_suite(programs: pathlib.Path, target: Target, given: argparse.Namespace, folder: pathlib.Path) -> pathlib.Path:
    """Run the tests of the focus; the JUnit report."""
    report = folder / JUNIT
    report.unlink(missing_ok=True)
    command = [
        str(programs / "ginkgo"),
        f"--procs={given.nodes}",
        f"--timeout={given.timeout}",
        "--no-color",
        "-v",
        *(f"--focus={focus}" for focus in given.focus),
        *(f"--skip={skip}" for skip in given.skip),
        *([f"--label-filter={given.labels}"] if given.labels else []),
        str(programs / "e2e.test"),
        "--",
        "--provider=skeleton",
        # Tests that need several nodes skip themselves unless they are told.
        f"--num-nodes={target.workers}",
        f"--kubeconfig={target.kubeconfig}",
        f"--kubectl-path={programs / 'kubectl'}",
        f"--report-dir={folder}",
        "--disable-log-dump",
    ]
    with (folder / "e2e.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None

        def logged(stream: t.Iterable[str]) -> t.Iterator[str]:
            for line in stream:
                log.write(line)
                yield line

        for line in progress(logged(process.stdout)):
            print(line, flush=True)
        process.wait()
    if not report.is_file():
        tail = (folder / "e2e.log").read_text(encoding="utf-8").splitlines()[-20:]
        raise NotRunError("the suite wrote no report; it ended with:\n" + "\n".join(tail))
    return report


def names_of_part() -> list[str]:
    """The tests of part.yml."""
    listed = yaml.safe_load((HERE / "part.yml").read_text(encoding="utf-8"))
    return [name for names in listed.values() for name in names]


def focus_on(names: t.Sequence[str]) -> str:
    """The focus that matches these names and no others."""
    return "|".join(re.escape(name).replace("\\ ", " ") for name in names)


def _run(command: t.Sequence[str], log: pathlib.Path) -> None:
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        tail = log.read_text(encoding="utf-8").splitlines()[-20:]
        raise NotRunError(f"{' '.join(command[:4])} failed:\n" + "\n".join(tail))


def read(arguments: t.Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for; without arguments, that of this process."""
    reading = argparse.ArgumentParser(description=__doc__)
    reading.add_argument("--inventory", default="inventories/lab")
    chosen = reading.add_mutually_exclusive_group()
    chosen.add_argument("--focus", action="append", help=f"regular expressions of names (default: {CONFORMANCE})")
    chosen.add_argument("--part", action="store_true", help="the tests of part.yml")
    chosen.add_argument(
        "--dual", action="store_true", help="the tests of two address families, for a cluster with both"
    )
    reading.add_argument("--skip", action="append", default=[], help="regular expressions of names to leave out")
    reading.add_argument("--labels", default="", help="a Ginkgo label filter, such as '!Serial'")
    reading.add_argument("--nodes", type=int, default=4, help="tests at the same time (default: %(default)s)")
    reading.add_argument("--timeout", default="24h", help="stop the suite after this (default: %(default)s)")
    reading.add_argument("--logs", type=pathlib.Path, default=ROOT / ".logs" / "conformance")
    given = reading.parse_args(arguments)
    if given.part:
        given.focus = [focus_on(names_of_part())]
    elif given.dual:
        given.focus, given.skip = [DUAL_STACK], [*given.skip, SCTP]
    given.focus = given.focus or [CONFORMANCE]
    return given


def main() -> int:
    given = read()
    folder = given.logs.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        target = ask(given.inventory, folder)
        mirror = mirror_directory()
        programs, images = fill(target, mirror)
        directory = unpack(programs, mirror, cache_directory())
        check_images(directory / "e2e.test", images)
        with images_at_hand(target, given.inventory, mirror, folder):
            results = read_report(run_suite(directory, target, given, folder))
    except (NotRunError, MirrorError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return EXIT_NOT_RUN
    if given.part and (unknown := set(names_of_part()) - {result.name for result in results}):
        print(f"conformance: part.yml names tests that did not run: {'; '.join(sorted(unknown))}", file=sys.stderr)
        return EXIT_NOT_RUN
    text, code = summary(results, read_reasons(HERE / "cannot_pass.yml"))
    print(f"\n{groups(results)}\n\n{text}\n")
    print(f"Kubernetes {target.version}, {time.monotonic() - begun:.0f} s; report and output are in {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
