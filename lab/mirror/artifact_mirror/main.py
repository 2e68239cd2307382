# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError

from cache import cache_directory, mirror_directory

from . import shell
from .catalogue import LAB_IMAGES_FILE, Catalogue, Image, Program
from .errors import MirrorError
from .fill import Filler, image_place, program_place, program_state
from .golang import Go, pin
from .images import DebianFiles, ImageBuilder
from .progress import Progress, size
from .store import MISSING, locked
from .suite_images import SuiteImageBuilder
from .upstream import Upstream

Named = TypeVar("Named", Program, Image)

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # Stopping this program also stops its builds, and leaves no temporary files.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(options.run(options))
    except HardwayError as error:
        print(f"mirror: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("mirror: interrupted; what is complete is kept, and the next run goes on from there", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mirror.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fill = commands.add_parser("fill", help="put what is missing into the mirror: fetch it, else build it")
    listing = commands.add_parser("list", help="what belongs in the mirror, and what of it is there")
    for command in (fill, listing):
        command.add_argument("--release", help="Kubernetes minor of the release catalogue (default: the catalogue's)")
        command.add_argument("--arch", default=shell.host_arch(), help="amd64 or arm64 (default: %(default)s)")
        command.add_argument(
            "--directory", type=Path, default=mirror_directory(), help="the mirror (default: %(default)s)"
        )
        command.add_argument(
            "--conformance",
            action="store_true",
            help="the conformance suite of the release and its images, instead of what the cluster needs",
        )
        command.add_argument(
            "--cis", action="store_true", help="kube-bench with its definitions, instead of what the cluster needs"
        )
        command.add_argument(
            "--programs", default="all", metavar="NAMES", help="all, none, or names with commas (default: %(default)s)"
        )
        command.add_argument(
            "--images", default="all", metavar="NAMES", help="all, none, or names with commas (default: %(default)s)"
        )
        command.add_argument(
            "--pod-network", metavar="NAME", help="leave the images out that only other pod networks need"
        )
    fill.add_argument(
        "--again",
        default="",
        metavar="NAMES",
        help="programs and images (names with commas) to make again although they are there",
    )
    fill.set_defaults(run=_fill)
    listing.set_defaults(run=_list)
    pinning = commands.add_parser("pin", help="for maintainers: write the go.mod and go.sum of a component's version")
    pinning.add_argument("component")
    pinning.add_argument("version")
    pinning.set_defaults(run=_pin)
    return parser


def _selected(catalogue: Catalogue, release: str, options: argparse.Namespace) -> tuple[list[Program], list[Image]]:
    images: list[Image]
    if options.cis:
        programs, images = catalogue.bench_programs(release, options.arch), []
    elif options.conformance:
        programs = catalogue.suite_programs(release, options.arch)
        images = catalogue.suite_images(release, options.arch)
    else:
        programs = catalogue.programs(release, options.arch)
        images = catalogue.images(release, options.arch, options.pod_network)
    return _among(programs, options.programs, "--programs"), _among(images, options.images, "--images")


def _among(known: list[Named], text: str, option: str) -> list[Named]:
    if text in ("all", "none"):
        return known if text == "all" else []
    names = _names(text, [artifact.name for artifact in known], option)
    return [artifact for artifact in known if artifact.name in names]


def _names(text: str, known: Sequence[str], option: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise MirrorError(f"{option}: unknown name {', '.join(unknown)}; known names: {', '.join(known)}")
    return names


def _fill(options: argparse.Namespace) -> int:
    catalogue = Catalogue.load()
    release = options.release or catalogue.default_release
    programs, images = _selected(catalogue, release, options)
    again = _names(options.again, [program.name for program in programs] + [image.name for image in images], "--again")
    progress = Progress(len(programs) + len(images))
    go = Go(cache_directory())
    debian_release = yaml.safe_load(LAB_IMAGES_FILE.read_text(encoding="utf-8"))["debian_release"]
    debian, version = DebianFiles(debian_release), catalogue.versions(release)["kubernetes"]
    builder = (
        SuiteImageBuilder(go, debian, version)
        if options.conformance
        else ImageBuilder(go, debian, version, report=progress.report)
    )
    work = cache_directory() / "work"
    started = time.monotonic()
    with locked(options.directory, progress.say):
        work.mkdir(parents=True, exist_ok=True)
        filler = Filler(options.directory, work, go, Upstream(), builder, progress, frozenset(again))
        outcome = filler.fill(programs, images)
    what = f"{'conformance suite of ' if options.conformance else ''}Kubernetes {release}"
    if options.cis:
        what = "kube-bench"
    progress.say(
        f"{what} ({options.arch}) in {options.directory}: {outcome.present} there already, "
        f"{outcome.fetched} fetched, {outcome.built} built, {len(outcome.failures)} failed, "
        f"{time.monotonic() - started:.1f} s"
    )
    if outcome.built:
        progress.say(
            "what was built does not have the publishers' sums: hosts take it with cluster_mirror_checksums: mirror"
        )
    for failure in outcome.failures:
        print(f"mirror: {failure}", file=sys.stderr)
    return EXIT_FAILED if outcome.failures else 0


def _list(options: argparse.Namespace) -> int:
    catalogue = Catalogue.load()
    release = options.release or catalogue.default_release
    programs, images = _selected(catalogue, release, options)
    places = [
        (program.url, program_place(options.directory, program), program_state(options.directory, program))
        for program in programs
    ]
    image_places = [(image.reference, image_place(options.directory, image)) for image in images]
    places += [(reference, place, place.state()) for reference, place in image_places]
    for address, place, state in places:
        count = size(place.file.stat().st_size) if state != MISSING else "-"
        print(f"{state:16}  {count:>10}  {address}  {place.file}")
    return 0


def _pin(options: argparse.Namespace) -> int:
    directory = pin(Go(cache_directory()), options.component, options.version)
    print(f"{directory}: go.mod and go.sum written")
    return 0
