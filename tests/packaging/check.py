# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the collection as others get it: the archive, unpacked in an empty tree, without an ignore file.

usage: check.py [--newest] CHECK...

  contents   the archive holds the collection as the repository has it: all that playbooks need, and nothing else
  documents  ansible-doc of all plugins and roles, antsibull-docs, antsibull-changelog, galaxy-importer
  sanity     ansible-test sanity of the repository, every test; what it imports on hosts with their oldest Python too
  units      ansible-test units of the plugins

With --newest on the newest ansible-core. A line that begins with "left out:" names what was not checked, and why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "lab"))

from cache import cache_directory

# Python of the control node with the newest ansible-core, and the oldest one of hosts.
NEWEST = ("3.13", "3.12")
OLDEST_OF_HOSTS = "3.9"
# The publisher of a fork gives his own; Galaxy takes none without it.
REPOSITORY = "\nrepository: https://example.com/hardway.kubernetes\n"
DOCUMENTED = ("module", "filter", "role")
CHECKS = ("contents", "documents", "sanity", "units")
# Bytes: the archive has no binaries in it.
LARGEST = 1024 * 1024
# Files that playbooks need where the collection is installed: all of it is in the archive.
USED = ("plugins/", "roles/", "playbooks/", "meta/", "README.md", "LICENSE")
# Other files that may be there; the lab, the checks and everything else for work on the project may not.
ALLOWED = (*USED, "CHANGELOG.rst", "SECURITY.md", "changelogs/", "docs/", "inventories/example/", "requirements.txt")


def interpreter(versions: t.Sequence[str]) -> str | None:
    """The first Python of these versions that runs here, in PATH or kept by pyenv."""
    kept = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv") / "versions"
    for version in versions:
        for candidate in (f"python{version}", *map(str, sorted(kept.glob(f"{version}.*/bin/python")))):
            asked = [candidate, "-c", "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"]
            if shutil.which(candidate):
                answer = subprocess.run(asked, capture_output=True, text=True, check=False)
                if answer.stdout.strip() == version:
                    return candidate
    return None


def environment(python: str, requirements: pathlib.Path) -> pathlib.Path:
    """Make a virtual environment of these requirements, once, and return its programs' directory."""
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout
    name = hashlib.sha256((version + requirements.read_text()).encode()).hexdigest()[:16]
    place = cache_directory() / "packaging" / name
    if not (place / "complete").exists():
        print(f"making an environment of {requirements.relative_to(ROOT)} with {version.strip()}", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([python, "-m", "venv", place], check=True)
        pip = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", requirements], check=True)
        (place / "complete").touch()
    return place / "bin"


def belonging() -> set[str]:
    """The files of the repository, those among them that are not committed yet."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in names if name and ((ROOT / name).is_symlink() or (ROOT / name).exists())}


class Checks:
    """The archive in an empty tree, and the programs of one environment on it."""

    def __init__(self, programs: pathlib.Path, work: pathlib.Path) -> None:
        self.programs = programs
        self.work = work
        self.tree = work / "ansible_collections" / "hardway" / "kubernetes"
        # The repository where ansible-test wants a collection: the archive holds no tests.
        self.repository = work / "repository" / "ansible_collections" / "hardway" / "kubernetes"
        # ansible-test keeps environments of its own in HOME, and hands nothing else on to the tests.
        self.home = cache_directory() / "packaging" / "home"
        (self.home / ".cache").mkdir(parents=True, exist_ok=True)
        link = self.home / ".cache" / "hardway.kubernetes"
        link.unlink(missing_ok=True)
        link.symlink_to(cache_directory())
        self.python = self.out("python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()

    def unpack(self) -> None:
        """Build the archive from what belongs to the repository, and unpack it."""
        source = self.work / "source"
        for name in belonging():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
        with (source / "galaxy.yml").open("a") as galaxy:
            galaxy.write(REPOSITORY)
        self.run("ansible-galaxy", "collection", "build", str(source), "--output-path", str(self.work))
        (self.archive,) = self.work.glob("hardway-kubernetes-*.tar.gz")
        self.tree.mkdir(parents=True)
        with tarfile.open(self.archive) as archive:
            # The archive is our own; Debian 12's Python 3.11.2 has no filters.
            archive.extractall(self.tree, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        for name in belonging():
            if not name.startswith("."):
                (self.repository / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.repository / name, follow_symlinks=False)

    def out(self, *command: str, into: int | None = None, where: pathlib.Path | None = None, **environment: str) -> str:
        """Run a program of the environment, in the tree unless said otherwise, and return what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        done = subprocess.run(
            [self.programs / command[0], *command[1:]],
            cwd=where or (self.tree if self.tree.exists() else self.work),
            env={
                **kept,
                "HOME": str(self.home),
                "PATH": f"{self.programs}:{kept['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(self.work),
                "ANSIBLE_NOCOLOR": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=into,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            print(done.stdout)
            sys.exit(f"{' '.join(command)}: exits with {done.returncode}, see above")
        return done.stdout

    def run(self, *command: str, where: pathlib.Path | None = None, **environment: str) -> str:
        """As out, with what it says on standard error, which goes wrong only with it."""
        return self.out(*command, into=subprocess.STDOUT, where=where, **environment)

    def test(self, *arguments: str, **environment: str) -> str:
        """Run ansible-test in the repository's tree."""
        return _brief(
            self.run("ansible-test", *arguments, "--venv", "--color", "no", where=self.repository, **environment)
        )

    def contents(self) -> None:
        """Build the archive as a user does, in the repository as it stands here, with caches and labs in it."""
        place = self.work / "built"
        self.run("ansible-galaxy", "collection", "build", str(ROOT), "--output-path", str(place))
        (built,) = place.glob("hardway-kubernetes-*.tar.gz")
        with tarfile.open(built) as archive:
            held = {member.name for member in archive if not member.isdir()} - {"MANIFEST.json", "FILES.json"}
        foreign = sorted(held - belonging())
        if foreign:
            sys.exit(
                "\n".join(["not of the repository, but in the archive; see build_ignore of galaxy.yml:", *foreign])
            )
        others = sorted(name for name in held if not name.startswith(ALLOWED))
        if others:
            sys.exit("\n".join(["not for users, but in the archive; see build_ignore of galaxy.yml:", *others]))
        used = {name for name in belonging() if name.startswith(USED)}
        if used - held:
            sys.exit("\n".join(["missing in the archive; see build_ignore of galaxy.yml:", *sorted(used - held)]))
        size = built.stat().st_size
        if size > LARGEST:
            sys.exit(f"the archive has {size} bytes, {LARGEST} are allowed; tar -tvzf shows what is large")
        print(f"archive: {len(held)} files, {size // 1024} KiB", flush=True)

    def documents(self) -> None:
        for kind in DOCUMENTED:
            listed = json.loads(self.out("ansible-doc", "--list", "--type", kind, "--json", "hardway.kubernetes"))
            if not listed:
                sys.exit(f"ansible-doc finds no {kind}")
            shown = json.loads(self.out("ansible-doc", "--type", kind, "--json", *listed))
            lacking = [name for name, page in shown.items() if not _complete(kind, page)]
            if shown.keys() != listed.keys() or lacking:
                sys.exit(f"ansible-doc --type {kind}: nothing of {sorted(listed.keys() - shown.keys()) + lacking}")
            print(f"ansible-doc: {len(shown)} of type {kind}", flush=True)
        self.run("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all", ".")
        print("antsibull-docs: in order", flush=True)
        self.run("antsibull-changelog", "lint")
        print("antsibull-changelog: in order", flush=True)
        self.importer()

    def importer(self) -> None:
        """Check the archive as Galaxy does; it reports most findings as warnings."""
        config = self.work / "galaxy-importer.cfg"
        # ansible-lint is for `make lint`: here the collections that are used are not installed.
        options = ("RUN_FLAKE8", "RUN_ANSIBLE_DOC", "CHECK_REQUIRED_TAGS", "CHECK_CHANGELOG")
        config.write_text(
            "\n".join(["[galaxy-importer]", "RUN_ANSIBLE_LINT = False", *(f"{one} = True" for one in options)])
        )
        said = self.run(
            "python",
            "-m",
            "galaxy_importer.main",
            str(self.archive),
            f"--output-path={self.work}",
            GALAXY_IMPORTER_CONFIG=str(config),
        )
        # It gives the YAML beside filters to flake8; E203 and W503 are how the formatter writes, and PEP 8 since 2016.
        harmless = re.compile(r"\.yml:\d+:\d+: E999|\.py:\d+:\d+: (E203|W503)")
        found = [
            line
            for line in said.splitlines()
            if re.match("WARNING|ERROR|Traceback", line) and not harmless.search(line)
        ]
        if found or "Importer processing completed successfully" not in said:
            sys.exit("\n".join([said, "galaxy-importer found:", *found]))
        print("galaxy-importer: in order", flush=True)

    def sanity(self) -> None:
        if list((self.repository / "tests" / "sanity").glob("ignore*")):
            sys.exit("tests/sanity has an ignore file; mend what is ignored")
        if not shutil.which("shellcheck"):
            sys.exit("shellcheck is missing; `make setup` installs it into .venv")
        self.bootstrap()
        print(self.test("sanity", "--python", self.python), flush=True)
        oldest = interpreter([OLDEST_OF_HOSTS])
        if oldest:
            # ansible-test looks for it in PATH alone.
            path = f"{self.programs}:{pathlib.Path(shutil.which(oldest) or oldest).parent}:{os.environ['PATH']}"
            tests = ["--test", "compile", "--test", "import", "--python", OLDEST_OF_HOSTS]
            print(self.test("sanity", *tests, PATH=path), flush=True)
        else:
            print(f"left out: imports with the hosts' Python {OLDEST_OF_HOSTS}, which is not here", flush=True)

    def units(self) -> None:
        self.bootstrap()
        print(self.test("units", "--python", self.python, "tests/unit/plugins/"), flush=True)

    def bootstrap(self) -> None:
        """Put pip where ansible-test looks for it before it downloads it from a place of its own."""
        source = self.out(
            "python", "-c", "import ansible_test._internal as i; print(i.__path__[0])", PYTHONWARNINGS="ignore"
        ).strip()
        text = (pathlib.Path(source) / "python_requirements.py").read_text()
        (version,) = re.findall(r"^\s+pip='([\d.]+)',$", text, re.MULTILINE)
        script = self.home / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
        if script.exists():
            return
        script.parent.mkdir(parents=True, exist_ok=True)
        self.run("pip", "download", "--quiet", "--no-deps", f"--dest={script.parent}", f"pip=={version}")
        (wheel,) = script.parent.glob(f"pip-{version}-*.whl")
        script.write_text(_BOOTSTRAP.format(wheel=str(wheel)))


_BOOTSTRAP = """import sys

sys.path.insert(0, {wheel!r})
from pip._internal.cli.main import main

given = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--upgrade", "--force-reinstall", *given]))
"""


def _complete(kind: str, page: dict[str, t.Any]) -> bool:
    if kind == "role":
        return bool(page.get("entry_points"))
    return bool(page.get("doc") and page.get("examples") and page.get("return"))


def _brief(said: str) -> str:
    """Without what was installed for it."""
    return "\n".join(line for line in said.splitlines() if re.match(r"Running|WARNING|ERROR|=+ \d+ ", line))


def main() -> int:
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("--newest", action="store_true")
    reading.add_argument("checks", nargs="+", choices=CHECKS)
    given = reading.parse_args()
    python: str | None = sys.executable
    requirements = HERE / "requirements.txt"
    if given.newest:
        python = interpreter(NEWEST)
        requirements = HERE / "requirements-newest.txt"
    if python is None:
        print(f"left out: the newest ansible-core needs Python {' or '.join(NEWEST)}, which is not here")
        return 0
    with tempfile.TemporaryDirectory() as work:
        checks = Checks(environment(python, requirements), pathlib.Path(work))
        checks.unpack()
        for check in given.checks:
            getattr(checks, check)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
