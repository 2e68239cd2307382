# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's container images: pulled where a registry answers, else built from source and packages."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from . import shell, weave
from .catalogue import Image
from .errors import MirrorError
from .golang import GNU_TRIPLETS, Go, c_compiler
from .oci import Layer, file_capability, write_image
from .upstream import NotThereError, Upstream

CAP_NET_BIND_SERVICE = 10
ACCOUNTS = {
    "root": (0, "/root"),
    "www-data": (33, "/var/www"),
    "nonroot": (65532, "/home/nonroot"),
    "nobody": (65534, "/"),
}
NGINX_SITE = b"""\
server {
    # IPv4 alone: nginx does not start where the pod network has no IPv6 to listen on.
    listen 80 default_server;
    root /usr/share/nginx/html;
    index index.html;
}
"""


def pull(upstream: Upstream, image: Image, destination: Path) -> None:
    """The published image, by way of the Docker engine; NotThereError where there is no way."""
    upstream.expect_registry(image.reference)
    if shutil.which("docker") is None:
        raise NotThereError("docker, which would pull it, is not installed")
    try:
        # Docker verifies what it pulls by digest.
        source = f"{image.reference.rpartition(':')[0]}@{image.digest}" if image.digest else image.reference
        shell.run(["docker", "pull", "--quiet", "--platform", f"linux/{image.arch}", source])
        if image.digest:
            shell.run(["docker", "tag", source, image.reference])
        shell.run(["docker", "save", "--output", str(destination), image.reference])
    except MirrorError as error:
        raise NotThereError(f"it cannot be pulled: {error}") from error


class DebianFiles:
    """Files of Debian packages and their dependencies, without installing them."""

    def __init__(self, release: str) -> None:
        self._release = release

    def unpack(self, packages: list[str], arch: str, directory: Path) -> dict[PurePosixPath, Path]:
        """Name -> file of every regular file and symbolic link that the packages hold."""
        shell.require_debian_packages(
            ["mmdebstrap", "debian-archive-keyring"], f"an image from the packages {', '.join(packages)}"
        )
        archive = directory / "debian.tar"
        shell.run(
            [
                "mmdebstrap",
                "--variant=extract",
                f"--architectures={arch}",
                f"--include={','.join(packages)}",
                self._release,
                str(archive),
            ]
        )
        root = directory / "debian"
        files: dict[PurePosixPath, Path] = {}
        with tarfile.open(archive) as members:
            for member in members:
                # Device nodes and the like are the container runtime's business.
                if member.isfile() or member.issym() or member.islnk():
                    members.extract(member, root, filter="tar")
                    files[PurePosixPath(member.name)] = root / member.name
        archive.unlink()
        return files


@dataclass
class ImageBuilder:
    """Builds the images that it has a recipe for."""

    go: Go
    debian: DebianFiles
    kubernetes_version: str
    report: Callable[[str], None] = print  # receives the differences from the published image

    def build(self, image: Image, destination: Path) -> None:
        recipes: dict[str, Callable[[Image, Path], tuple[Layer, dict[str, object]]]] = {
            "pause": self._pause,
            "coredns": self._coredns,
            "flannel": self._flannel,
            "busybox": self._busybox,
            "nginx": self._nginx,
            "weave-kube": self._weave_kube,
            "weave-npc": self._weave_npc,
        }
        try:
            recipe = recipes[image.name]
        except KeyError:
            raise MirrorError(f"there is no recipe for the image {image.name}") from None
        layer, config = recipe(image, destination.parent)
        write_image(destination, image.reference, image.arch, [layer], config)

    def _pause(self, image: Image, work: Path) -> tuple[Layer, dict[str, object]]:
        source = self.go.module_directory("kubernetes", self.kubernetes_version) / "build" / "pause"
        found = re.search(r"^TAG \?= (\S+)", (source / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        if not found or found.group(1) != image.version:
            raise MirrorError(
                f"Kubernetes {self.kubernetes_version} has the source of pause {found.group(1) if found else '?'}, "
                f"the release catalogue says {image.version}"
            )
        compiler, packages = c_compiler(image.arch)
        shell.require_debian_packages(packages, "building pause")
        program = work / "pause"
        shell.run(
            [
                compiler,
                "-Os",
                "-Wall",
                "-Werror",
                "-static",
                "-s",
                f"-DVERSION=v{image.version}",
                "-o",
                str(program),
                str(source / "linux" / "pause.c"),
            ]
        )
        layer = Layer()
        layer.file("pause", program, mode=0o755)
        return layer, {"Entrypoint": ["/pause"], "User": "65535:65535"}

    def _coredns(self, image: Image, work: Path) -> tuple[Layer, dict[str, object]]:
        program = work / "coredns"
        self.go.build("coredns", image.version, "coredns", image.arch, program)
        layer = Layer()
        # The server does not run as root and listens on port 53.
        capability = {"security.capability": file_capability(CAP_NET_BIND_SERVICE)}
        layer.file("coredns", program, mode=0o755, xattrs=capability)
        accounts(layer, ["root", "nobody", "nonroot"])
        authorities = self.debian.unpack(["ca-certificates"], image.arch, work)
        certificates = sorted(
            path for name, path in authorities.items() if "usr/share/ca-certificates/mozilla" in str(name.parent)
        )
        if not certificates:
            raise MirrorError("the package ca-certificates holds no usr/share/ca-certificates/mozilla/*.crt")
        bundle = b"".join(path.read_bytes().rstrip(b"\n") + b"\n" for path in certificates)
        layer.file("etc/ssl/certs/ca-certificates.crt", bundle)
        config: dict[str, object] = {
            "Entrypoint": ["/coredns"],
            "User": "65532:65532",
            "ExposedPorts": {"53/tcp": {}, "53/udp": {}},
        }
        return layer, config

    def _flannel(self, image: Image, work: Path) -> tuple[Layer, dict[str, object]]:
        program = work / "flanneld"
        self.go.build("flannel", image.version, "flanneld", image.arch, program)
        layer = Layer()
        layer.file("opt/bin/flanneld", program, mode=0o755)
        files = self.debian.unpack(["iptables", "nftables", "iproute2", "busybox-static"], image.arch, work)
        _add_files(layer, files, partial(_flannel_wants, triplet=GNU_TRIPLETS[image.arch]))
        # The package makes these names when it is installed. Other than the published image, this one does not look
        # whether the host keeps its rules in the older tables.
        for name in (
            "iptables",
            "ip6tables",
            "iptables-save",
            "iptables-restore",
            "ip6tables-save",
            "ip6tables-restore",
        ):
            layer.symlink(f"usr/sbin/{name}", "xtables-nft-multi")
        _add_busybox(layer, files[PurePosixPath("bin/busybox")], beside=files)
        accounts(layer, ["root", "nobody"])
        layer.directory("run")
        return layer, {"Entrypoint": ["/opt/bin/flanneld"]}

    def _busybox(self, image: Image, work: Path) -> tuple[Layer, dict[str, object]]:
        files = self.debian.unpack(["busybox-static"], image.arch, work)
        layer = Layer()
        _check_version(files, "bin/busybox", "BusyBox v", image.version)
        _add_busybox(layer, files[PurePosixPath("bin/busybox")])
        accounts(layer, ["root", "www-data", "nobody"])
        for directory, mode in {"root": 0o700, "tmp": 0o1777, "home": 0o755, "var/tmp": 0o1777}.items():
            layer.directory(directory, mode)
        layer.symlink("usr/bin/env", "../../bin/env")
        return layer, {"Cmd": ["sh"]}

    def _nginx(self, image: Image, work: Path) -> tuple[Layer, dict[str, object]]:
        files = self.debian.unpack(["nginx-light", "busybox-static"], image.arch, work)
        _check_version(files, "usr/sbin/nginx", "nginx/", image.version)
        layer = Layer()
        _add_files(layer, files, partial(_nginx_wants, triplet=GNU_TRIPLETS[image.arch]))
        # A shell and tools for those who look around in the container.
        _add_busybox(layer, files[PurePosixPath("bin/busybox")])
        accounts(layer, ["root", "www-data", "nobody"])
        layer.file("etc/nginx/sites-enabled/default", NGINX_SITE)
        for directory in ("etc/nginx/conf.d", "etc/nginx/modules-enabled", "var/lib/nginx", "run", "root"):
            layer.directory(directory)
        layer.directory("tmp", 0o1777)
        # `kubectl logs` shows what nginx writes.
        layer.symlink("var/log/nginx/access.log", "/dev/stdout")
        layer.symlink("var/log/nginx/error.log", "/dev/stderr")
        config: dict[str, object] = {
            "Cmd": ["nginx", "-g", "daemon off;"],
            "ExposedPorts": {"80/tcp": {}},
            "StopSignal": "SIGQUIT",
        }
        return layer, config

    def _weave_kube(self, image: Image, work: Path) -> tuple[Layer, dict[str, object]]:
        packages = self.debian.unpack(weave.KUBE_PACKAGES, image.arch, work)
        return weave.kube(self.go, image.version, image.arch, packages, work, self.report)

    def _weave_npc(self, image: Image, work: Path) -> tuple[Layer, dict[str, object]]:
        packages = self.debian.unpack(weave.NPC_PACKAGES, image.arch, work)
        return weave.npc(self.go, image.version, image.arch, packages, work)


def busybox_applets(program: bytes) -> list[str]:
    """The names that the program answers to: a sorted list in it, which begins with "[" and "[["."""
    start = program.find(b"\0[\0[[\0")
    end = program.find(b"\0\0", start + 1)
    if start < 0 or end < 0:
        raise MirrorError("the busybox program holds no list of its applets")
    return [name.decode("ascii") for name in program[start + 1 : end].split(b"\0")]


def _add_files(layer: Layer, files: Mapping[PurePosixPath, Path], wanted: Callable[[str], bool]) -> None:
    for name, path in files.items():
        if wanted(str(name)):
            if path.is_symlink():
                layer.symlink(str(name), str(path.readlink()))
            else:
                layer.file(str(name), path, mode=path.stat().st_mode & 0o755)


def _add_busybox(layer: Layer, program: Path, beside: Container[PurePosixPath] = ()) -> None:
    """The program, under the names that no other file of the image has."""
    layer.file("bin/busybox", program, mode=0o755)
    for applet in busybox_applets(program.read_bytes()):
        name = PurePosixPath("bin") / applet
        if applet != "busybox" and name not in beside:
            layer.symlink(str(name), "busybox")


def _check_version(files: dict[PurePosixPath, Path], name: str, title: str, version: str) -> Path:
    """The program of a package, when it is the version whose name the image gets."""
    path = files.get(PurePosixPath(name))
    if path is None:
        raise MirrorError(f"the packages hold no {name}")
    found = re.search(title.encode() + rb"([0-9.]+)", path.read_bytes())
    has = found.group(1).decode() if found else "of an unknown version"
    if has != version:
        raise MirrorError(
            f"the packages' {name} is {has}, lab/mirror/images.yml says {version}: correct the version there"
        )
    return path


def _flannel_wants(name: str, triplet: str) -> bool:
    """Return the programs of the packages and their dependencies that flanneld calls, and their licences."""
    if name.endswith("/copyright"):
        return True
    if "/gconv/" in name or "/perl" in name:
        return False
    wanted = ("lib/", "lib64/", f"usr/lib/{triplet}/", "etc/iproute2/")
    return (name.startswith(wanted) and not name.startswith("lib/systemd")) or name in (
        "bin/ip",
        "sbin/ip",
        "usr/sbin/nft",
        "usr/sbin/xtables-nft-multi",
    )


def _nginx_wants(name: str, triplet: str) -> bool:
    """Return the files of the packages and their dependencies that the server needs, and their licences."""
    if name.endswith("/copyright"):
        return True
    if "/gconv/" in name or name == "bin/busybox":
        return False
    wanted = ("lib/", "lib64/", f"usr/lib/{triplet}/lib", "usr/lib/nginx/", "etc/nginx/", "usr/share/nginx/")
    return (name.startswith(wanted) and not name.startswith("lib/systemd")) or name in (
        "usr/sbin/nginx",
        "etc/mime.types",
    )


def accounts(layer: Layer, names: list[str], more: tuple[str, str] = ("", "")) -> None:
    """The files passwd and group with these accounts, and further lines of each."""
    shell_of = {"root": "/bin/sh"}
    users = [(name, *ACCOUNTS[name]) for name in names]
    passwd = "".join(
        f"{name}:x:{uid}:{uid}:{name}:{home}:{shell_of.get(name, '/bin/false')}\n" for name, uid, home in users
    )
    layer.file("etc/passwd", (passwd + more[0]).encode())
    layer.file("etc/group", ("".join(f"{name}:x:{uid}:\n" for name, uid, _home in users) + more[1]).encode())
