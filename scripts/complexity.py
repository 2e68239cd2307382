# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail when a function has a cyclomatic complexity above 15 and no reason for it beside it.

    scripts/complexity.py [PATH]...    Python files and directories; without one: plugins, lab, scripts and tests

An assertion counts as a branch, but for tests, which may assert as much as they like.

A reason is a comment on the line above the function's `def` (or above its decorators), or at its end:

    # complexity: one branch per form that a publisher uses
    def parse(text: str) -> Form:
"""

from __future__ import annotations

import pathlib
import re
import sys
import typing as t

from radon.complexity import cc_visit

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLACES = ("plugins", "lab", "scripts", "tests", "molecule")
MOST = 15
_REASON = re.compile(r"#\s*complexity:\s*\S")


class Block(t.Protocol):
    """The parts of radon's functions and classes that this script uses."""

    fullname: str
    lineno: int
    complexity: int


def functions(source: str, *, assertions: bool = True) -> t.Iterator[Block]:
    """Yield the functions and methods of a file, those inside others included.

    :param assertions: whether each counts as a branch.
    """

    def below(block: t.Any) -> t.Iterator[Block]:
        if hasattr(block, "methods"):  # a class, whose methods radon lists beside it
            for inner in block.inner_classes:
                yield from inner.methods
                yield from below(inner)
            return
        yield block
        for closure in block.closures:
            yield from below(closure)

    for block in cc_visit(source, no_assert=not assertions):
        yield from below(block)


def has_reason(lines: t.Sequence[str], number: int) -> bool:
    """Return whether the function that begins on a line (counted from 1) has a reason beside it."""
    if _REASON.search(lines[number - 1]):
        return True
    above = number - 2
    while above >= 0 and lines[above].lstrip().startswith(("@", "#")):
        if _REASON.search(lines[above]):
            return True
        above -= 1
    return False


def too_complex(path: pathlib.Path) -> list[str]:
    """Return a line for each function of a file that is too complex without a reason."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    blocks = functions(source, assertions="tests" not in path.parts)
    found = {(block.lineno, block.fullname, block.complexity) for block in blocks}
    return [
        f"{path}:{number}: {name} has a cyclomatic complexity of {complexity}, {MOST} is allowed; divide it, or write "
        "the reason above it: # complexity: ..."
        for number, name, complexity in sorted(found)
        if complexity > MOST and not has_reason(lines, number)
    ]


def main(arguments: t.Sequence[str]) -> int:
    """Check files and directories; return the exit status."""
    places = [pathlib.Path(argument) for argument in arguments] or [ROOT / place for place in PLACES]
    files = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    found = [line for path in files for line in too_complex(path)]
    print("\n".join(found) if found else f"complexity: {len(files)} files, no function above {MOST}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
