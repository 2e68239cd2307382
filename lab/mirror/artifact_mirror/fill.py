# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a mirror: what is there stays, what upstream gives is fetched, the rest is built."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from . import checksums, images, layout, oci
from .catalogue import Image, Program
from .errors import MirrorError
from .golang import Go
from .progress import Progress, size
from .recipes import RECIPES
from .store import MISSING, RIGHT, Place
from .upstream import NotThereError, Upstream

BUILT = "right, built"


def program_place(mirror: Path, program: Program) -> Place:
    return Place(
        mirror / layout.mirror_path(program.url),
        mirror / layout.mirror_path(program.checksum_url),
        bare=checksums.is_bare(program.checksum_url),
    )


def program_state(mirror: Path, program: Program) -> str:
    """The state of a program's place; BUILT where the file is right and the catalogue has another sum for it."""
    place = program_place(mirror, program)
    state = place.state()
    own = state == RIGHT and program.sha256 is not None and place.said_sum() != program.sha256
    return BUILT if own else state


def image_place(mirror: Path, image: Image) -> Place:
    file = mirror / layout.image_archive_path(image.reference)

    def other_architecture(path: Path) -> str:
        # The file's name does not tell, so a mirror holds the images of one architecture at a time.
        found = oci.architecture(path)
        return "" if found == image.arch else f"for {found}"

    return Place(file, file.with_name(file.name + ".sha256"), bare=False, objection=other_architecture)


@dataclass
class Outcome:
    """The result of a run."""

    present: int = 0
    fetched: int = 0
    built: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Order:
    """An artifact that is wanted, and the two ways to come by it."""

    name: str
    label: str
    address: str
    place: Place
    fetch: Callable[[Path], None]
    build: Callable[[Path], None]


class ImageBuilder(Protocol):
    """Builds an image from source and packages."""

    def build(self, image: Image, destination: Path) -> None: ...


@dataclass
class Filler:
    """Runs over the artifacts of a release."""

    mirror: Path
    work: Path
    go: Go
    upstream: Upstream
    image_builder: ImageBuilder
    progress: Progress
    again: frozenset[str] = frozenset()  # made again although they are there and right

    def program(self, program: Program) -> Order:
        return Order(
            program.name,
            f"{program.name} {program.version} {program.arch}",
            program.url,
            program_place(self.mirror, program),
            partial(self.upstream.fetch, program.url, program.checksum_url, sha256=program.sha256),
            partial(build_program, self.go, program),
        )

    def image(self, image: Image) -> Order:
        return Order(
            image.name,
            f"image {image.reference} {image.arch}",
            image.reference,
            image_place(self.mirror, image),
            partial(images.pull, self.upstream, image),
            partial(self.image_builder.build, image),
        )

    def fill(self, programs: Sequence[Program], wanted_images: Sequence[Image]) -> Outcome:
        """Fill in every artifact in turn; a failure of one does not stop the others."""
        outcome = Outcome()
        for order in [*map(self.program, programs), *map(self.image, wanted_images)]:
            self.progress.item(order.label)
            try:
                self._obtain(order, outcome)
            except MirrorError as error:
                self._failed(order, str(error), outcome)
            except OSError as error:  # a full disk, a directory that may not be written
                self._failed(order, f"{error.filename or order.place.file}: {error.strerror}", outcome)
        return outcome

    def _obtain(self, order: Order, outcome: Outcome) -> None:
        state = order.place.state()
        if state == RIGHT and order.name not in self.again:
            outcome.present += 1
            return
        if state not in (RIGHT, MISSING):
            self.progress.report(f"{order.place.file} is there {state}: it is replaced")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.work) as directory:
            new = Path(directory) / "new"
            how = self._fetch_or_build(order, new, outcome)
            count = new.stat().st_size
            order.place.put(new)
        self.progress.report(f"{how}, {size(count)}, {time.monotonic() - started:.0f} s")

    def _fetch_or_build(self, order: Order, new: Path, outcome: Outcome) -> str:
        try:
            self.upstream.expect_answer(order.address)
            with self.progress.task(f"fetching {order.address}"):
                order.fetch(new)
        except NotThereError as reason:
            new.unlink(missing_ok=True)
            try:
                with self.progress.task(f"building, since {reason}"):
                    order.build(new)
            except MirrorError as error:
                raise MirrorError(
                    f"{reason}, and building it failed: {error}\n"
                    f"    Next: fix this and run again, or put the published file of {order.address} "
                    "with its checksum file into the mirror."
                ) from error
            outcome.built += 1
            # A build has bytes of its own, so that no sum of a publisher holds for it.
            return "built, with other bytes than the publisher's"
        outcome.fetched += 1
        return "fetched"

    def _failed(self, order: Order, text: str, outcome: Outcome) -> None:
        outcome.failures.append(f"{order.label}: {text}")
        self.progress.report(f"FAILED: {text}")


def build_program(go: Go, program: Program, destination: Path) -> None:
    """The file that upstream publishes under program.url, from source."""
    recipe = RECIPES.get(program.component)
    members = {PurePosixPath(name).name: name for name in program.files} or {program.name: ""}
    unknown = sorted(set(members) - set(recipe.programs if recipe else ()))
    if unknown:
        raise MirrorError(f"there is no recipe for {', '.join(unknown)} of {program.component}")
    if not program.files:
        go.build(program.component, program.version, program.name, program.arch, destination)
        return
    directory = destination.with_name("programs")
    for name in members:
        go.build(program.component, program.version, name, program.arch, directory / name)
    data = _data(go, program) if recipe and recipe.data else {}
    write_archive(destination, data | {member: directory / name for name, member in members.items()})
    shutil.rmtree(directory)


def _data(go: Go, program: Program) -> dict[str, Path]:
    """The files of the module that the archive holds beside the programs, by their names in it."""
    source = go.module_directory(program.component, program.version)
    return {
        path.relative_to(source).as_posix(): path
        for directory in RECIPES[program.component].data
        for path in (source / directory).rglob("*")
        if path.is_file()
    }


def write_archive(destination: Path, members: dict[str, Path]) -> None:
    """A .tar.gz that depends on nothing but its members' names and contents."""
    with (
        destination.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            entry.mode = 0o755
            with path.open("rb") as stream:
                archive.addfile(entry, stream)
