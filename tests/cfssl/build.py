# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the cfssl that x509_cfssl_compat is compared with, from published modules, into the cache.

    tests/cfssl/build.py          every version that has a go.mod here, as far as it is missing
    tests/cfssl/build.py --path   print where they are

1.6.5 is the last release that common Go toolchains build, 1.4.1 the one in the article. The go.sum files pin every
module. 1.4.1 requires a go.zipexe that crashes at start on current systems, so that its go.mod names a later one.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "lab"))

from collection import make_importable

make_importable()

from artifact_mirror import shell
from artifact_mirror.errors import MirrorError
from artifact_mirror.golang import Go, build_environment

from cache import cache_directory

PROGRAMS = ("cfssl", "cfssljson")


def build(version: str, destination: pathlib.Path) -> None:
    """Build both programs of a version; they appear together."""
    source = HERE / version
    stamp = destination / "go.sum"
    pins = (source / "go.sum").read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == pins:
        return
    print(f"cfssl: building {version}", file=sys.stderr)
    destination.mkdir(parents=True, exist_ok=True)
    go = Go(cache_directory()).executable(source)
    with tempfile.TemporaryDirectory(dir=destination) as directory:
        for program in PROGRAMS:
            package = f"github.com/cloudflare/cfssl/cmd/{program}"
            output = pathlib.Path(directory, program)
            shell.run(
                [go, "build", "-trimpath", "-o", str(output), package],
                cwd=source,
                env=build_environment(shell.host_arch()),
            )
        for program in PROGRAMS:
            os.replace(pathlib.Path(directory, program), destination / program)
    stamp.write_text(pins, encoding="utf-8")


def main() -> None:
    root = cache_directory() / "cfssl"
    if sys.argv[1:] == ["--path"]:
        print(root)
        return
    try:
        for source in sorted(HERE.glob("*/go.mod")):
            build(source.parent.name, root / source.parent.name)
    except MirrorError as error:
        sys.exit(f"cfssl: {error}")


if __name__ == "__main__":
    main()
