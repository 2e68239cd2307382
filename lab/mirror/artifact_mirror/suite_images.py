# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the images of the conformance suite, where no registry answers.

The programs that the tests talk to are built from the sources of the version that the name says. Alpine and BusyBox
below them are replaced by Debian's packages: its busybox, with bash as sh, since busybox's own shell drops environment
variables whose names are not identifiers.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from .catalogue import Image
from .errors import MirrorError
from .golang import GNU_TRIPLETS, Go
from .images import NGINX_SITE, DebianFiles, accounts, busybox_applets
from .oci import Layer, write_image

# Programs that agnhost's tests call beside agnhost, and busybox for all other ones.
TOOLS = ["bash", "bind9-dnsutils", "busybox", "curl", "iperf", "iproute2", "libc-bin", "netcat-openbsd", "socat"]
SHELL = ["bash", "busybox"]
NGINX = [*SHELL, "nginx-light"]
# As the published images have it: a user of their own who is in a group of theirs.
USER_IN_IMAGE = "user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n"
GROUP_IN_IMAGE = "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n"

Made = tuple[list[Layer], dict[str, object]]


class SuiteImageBuilder:
    """Builds the images that conformance.yml names."""

    def __init__(self, go: Go, debian: DebianFiles, kubernetes_version: str) -> None:
        self._go = go
        self._debian = debian
        self._version = kubernetes_version
        # Several images have the same packages and programs: they are made once, and go with this object.
        self._unpacked = tempfile.TemporaryDirectory(prefix="hardway-images-")
        self._programs: dict[str, Path] = {}
        self._packages: dict[tuple[str, ...], dict[PurePosixPath, Path]] = {}

    def build(self, image: Image, destination: Path) -> None:
        recipes: dict[str, Callable[[Image, Path], Made]] = {
            "agnhost": self._agnhost,
            "agnhost-previous": self._agnhost,
            "kitten": functools.partial(self._animal, "kitten"),
            "nautilus": functools.partial(self._animal, "nautilus"),
            "e2e-busybox": self._busybox,
            "e2e-nginx": self._nginx,
            "e2e-nginx-new": self._nginx,
            "etcd": self._etcd,
            "glibc-dns-testing": self._dns_testing,
            "nonewprivs": self._nonewprivs,
            "nonroot": self._nonroot,
            "sample-apiserver": self._sample_apiserver,
        }
        try:
            recipe = recipes[image.name]
        except KeyError:
            raise MirrorError(f"there is no recipe for the image {image.name} of the conformance suite") from None
        layers, config = recipe(image, destination.parent)
        write_image(destination, image.reference, image.arch, layers, config)

    def _agnhost(self, image: Image, work: Path) -> Made:
        top = Layer()
        top.file("agnhost", self._agnhost_program(image.arch), mode=0o755)
        # Tests of a container's command want a second name.
        top.symlink("agnhost-2", "agnhost")
        top.directory("uploads")
        for name in ("localhost.crt", "localhost.key"):
            top.file(name, self._source("agnhost", "porter", name))
        config: dict[str, object] = {
            "Entrypoint": ["/agnhost"],
            "Cmd": ["pause"],
            "ExposedPorts": {f"{port}/tcp": {} for port in (80, 5000, 8080, 8081, 9376)},
        }
        return [self._base(image, TOOLS), top], config

    def _animal(self, name: str, image: Image, work: Path) -> Made:
        layers, config = self._agnhost(image, work)
        top = Layer()
        for file in (f"{name}.jpg", "data.json"):
            top.file(file, self._source(name, "html", file))
        return [*layers, top], config | {"Cmd": ["test-webserver"]}

    def _busybox(self, image: Image, work: Path) -> Made:
        return [self._base(image, SHELL)], {"Cmd": ["sh"]}

    def _nonroot(self, image: Image, work: Path) -> Made:
        return [self._base(image, SHELL)], {"Cmd": ["sh"], "User": "1234"}

    def _dns_testing(self, image: Image, work: Path) -> Made:
        return [self._base(image, TOOLS)], {"Cmd": ["bash"]}

    def _nonewprivs(self, image: Image, work: Path) -> Made:
        program = work / "nnp"
        self._go.build("conformance", self._version, "nnp", image.arch, program)
        top = Layer()
        top.file("usr/local/bin/nnp", program, mode=0o6755)
        return [self._base(image, SHELL), top], {"Cmd": ["nnp"]}

    def _sample_apiserver(self, image: Image, work: Path) -> Made:
        program = work / "sample-apiserver"
        # Its module has the image's version as Kubernetes' modules have it: 1.29.2 is 0.29.2.
        version = "0." + image.version.split(".", 1)[1]
        self._go.build("sample_apiserver", version, "sample-apiserver", image.arch, program)
        top = Layer()
        top.file("sample-apiserver", program, mode=0o755)
        return [self._base(image, SHELL), top], {"Entrypoint": ["/sample-apiserver"]}

    def _etcd(self, image: Image, work: Path) -> Made:
        layer = Layer()
        for name in ("etcd", "etcdctl"):
            # 3.7.0-0 is the first image with 3.7.0.
            self._go.build("etcd", image.version.partition("-")[0], name, image.arch, work / name)
            layer.file(f"usr/local/bin/{name}", work / name, mode=0o755)
        accounts(layer, ["root"])
        layer.directory("tmp", 0o1777)
        return [layer], {"Entrypoint": ["etcd"]}

    def _nginx(self, image: Image, work: Path) -> Made:
        layer = self._base(image, NGINX)
        layer.file("etc/nginx/sites-enabled/default", NGINX_SITE)
        for directory in ("etc/nginx/conf.d", "etc/nginx/modules-enabled", "var/lib/nginx"):
            layer.directory(directory)
        layer.symlink("var/log/nginx/access.log", "/dev/stdout")
        layer.symlink("var/log/nginx/error.log", "/dev/stderr")
        config: dict[str, object] = {
            "Cmd": ["nginx", "-g", "daemon off;"],
            "ExposedPorts": {"80/tcp": {}},
            "StopSignal": "SIGQUIT",
        }
        return [layer], config

    def _source(self, *parts: str) -> Path:
        """A file of test/images in Kubernetes' source."""
        path = self._go.module_directory("conformance", self._version).joinpath("test", "images", *parts)
        if not path.is_file():
            raise MirrorError(f"the source of Kubernetes {self._version} holds no test/images/{'/'.join(parts)}")
        return path

    def _agnhost_program(self, arch: str) -> Path:
        if arch not in self._programs:
            program = Path(self._unpacked.name) / f"agnhost-{arch}"
            self._go.build("conformance", self._version, "agnhost", arch, program)
            self._programs[arch] = program
        return self._programs[arch]

    def _files(self, packages: list[str], arch: str) -> dict[PurePosixPath, Path]:
        key = (arch, *packages)
        if key not in self._packages:
            directory = Path(self._unpacked.name) / hashlib.sha256(" ".join(key).encode()).hexdigest()
            directory.mkdir()
            self._packages[key] = self._debian.unpack(packages, arch, directory)
        return self._packages[key]

    def _base(self, image: Image, packages: list[str]) -> Layer:
        """The packages as a root directory, with busybox's applets for the tools that they do not have."""
        files = self._files(packages, image.arch)
        layer = Layer()
        present = set()
        for name, path in files.items():
            if not _wanted(str(name), GNU_TRIPLETS[image.arch]):
                continue
            present.add(name.name)
            if path.is_symlink():
                layer.symlink(str(name), str(path.readlink()))
            else:
                layer.file(str(name), path, mode=path.stat().st_mode & 0o7755)
        links = {"sh": "bash"} | ({"nc": "nc.openbsd"} if PurePosixPath("bin/nc.openbsd") in files else {})
        busybox = files[PurePosixPath("bin/busybox")].read_bytes()
        links = {name: "busybox" for name in busybox_applets(busybox) if name not in present} | links
        for link, target in links.items():
            if link != target:
                layer.symlink(f"bin/{link}", target)
        accounts(layer, ["root", "www-data", "nobody"], more=(USER_IN_IMAGE, GROUP_IN_IMAGE))
        layer.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
        for directory, mode in {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "run": 0o755, "home": 0o755}.items():
            layer.directory(directory, mode)
        return layer


def _wanted(name: str, triplet: str) -> bool:
    """Programs, libraries, licences and nginx's files; no documents, units, or what only a running Debian needs."""
    if name.endswith("/copyright"):
        return True
    if "/gconv/" in name or "/perl" in name or name.startswith(("lib/systemd", "usr/share/perl")):
        return False
    wanted = (
        *("bin/", "sbin/", "lib/", "lib64/", "usr/bin/", "usr/sbin/", f"usr/lib/{triplet}/lib", "usr/lib/nginx/"),
        *("etc/mime.types", "etc/nginx/", "etc/protocols", "etc/services", "usr/share/nginx/"),
    )
    return name.startswith(wanted)
