# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two images of Weave Net: its programs and scripts from the Go module, their tools from Debian packages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from . import shell
from .errors import MirrorError
from .golang import GNU_TRIPLETS, Go
from .oci import Layer

COMPONENT = "weave"
# Programs that the scripts call without declaring it, because Debian installs these packages everywhere.
_BASE_PACKAGES = ["coreutils", "dash", "grep", "mawk", "procps", "sed"]
KUBE_PACKAGES = [
    *_BASE_PACKAGES,
    *["conntrack", "curl", "ethtool", "iproute2", "ipset", "iptables", "kmod", "libpcap0.8", "util-linux"],
]
NPC_PACKAGES = [*_BASE_PACKAGES, "ipset", "iptables", "ulogd2", "ulogd2-pcap"]
# Debian makes these names when a package is installed. The published images have the older tables first as well; both
# look at the host's rules and change to the newer ones when those are in use.
_ALTERNATIVES = {"usr/bin/awk": "mawk"} | {
    f"usr/sbin/{name}": name.replace("tables", "tables-legacy", 1)
    for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
}
_MERGED = ("bin", "sbin", "lib", "lib64")
_WANTED = re.compile(r"usr/(bin|sbin|lib|lib64)/|usr/share/doc/[^/]+/copyright$|etc/(iproute2/|protocols$|services$)")
_NOT_WANTED = re.compile(r".*/(gconv|mime|systemd|udev)/|usr/(bin|sbin|lib)/(.+/)?(lib)?(perl|dpkg|debconf)")
# For a kernel without interfaces of the type dummy: weaver creates one for a moment to set its bridge's
# MTU: another type that does for that.
_DUMMY, _IFB = "netlink.Dummy{", "netlink.Ifb{"
CHANGE = f"net/bridge.go has {_IFB} in place of {_DUMMY}, for a kernel without dummy interfaces; not for other use"
_UNKNOWN_TYPE = ("unknown device type", "not supported")


def kernel_lacks_dummy() -> bool:
    """Whether this machine's kernel is known to have no dummy interfaces. One is made in a throw-away network."""
    as_user = [] if shell.host_is_root() else ["--map-root-user"]
    try:
        shell.run(["unshare", *as_user, "--net", "ip", "link", "add", "name", "probe", "type", "dummy"])
    except MirrorError as error:
        return any(reason in str(error).lower() for reason in _UNKNOWN_TYPE)
    return False


def without_dummy(source: Path, work: Path) -> Path:
    """A copy of the module's source that makes no dummy interface."""
    copy = work / "weave-without-dummy"
    # The module cache is read-only.
    shutil.copytree(source, copy, copy_function=shutil.copyfile)
    for directory in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        directory.chmod(0o755)
    bridge = copy / "net" / "bridge.go"
    text = bridge.read_text(encoding="utf-8")
    if text.count(_DUMMY) != 1:
        raise MirrorError(f"{source}/net/bridge.go has {_DUMMY} {text.count(_DUMMY)} times, once was expected")
    bridge.write_text(text.replace(_DUMMY, _IFB), encoding="utf-8")
    return copy


def kube(
    go: Go,
    version: str,
    arch: str,
    packages: Mapping[PurePosixPath, Path],
    work: Path,
    report: Callable[[str], None],
) -> tuple[Layer, dict[str, object]]:
    """weave-kube: the router, its launcher, and what installs the CNI plugin on the host."""
    source = go.module_directory(COMPONENT, version)
    patched = None
    if kernel_lacks_dummy():
        report(CHANGE)
        patched = without_dummy(source, work)
    layer = _base(packages, arch)
    programs = {"home/weave/weaver": patched, "home/weave/kube-utils": None, "usr/bin/weaveutil": None}
    for name, own_source in programs.items():
        _program(layer, go, version, arch, work, name, own_source)
    script = (source / "weave").read_text(encoding="utf-8")
    stamped = script.replace('SCRIPT_VERSION="unreleased"', f'SCRIPT_VERSION="{version}"', 1)
    if stamped == script:
        raise MirrorError(f'{source}/weave has no line SCRIPT_VERSION="unreleased"')
    layer.file("home/weave/weave", stamped.encode(), mode=0o755)
    layer.file("home/weave/launch.sh", source / "prog" / "weave-kube" / "launch.sh", mode=0o755)
    layer.file("weavedb/weavedata.db", source / "prog" / "weaver" / "weavedata.db")
    config: dict[str, object] = {"Entrypoint": ["/home/weave/launch.sh"], "WorkingDir": "/home/weave"}
    if patched:
        config["Labels"] = {"hardway.kubernetes.change": CHANGE}
    return layer, config


def npc(
    go: Go, version: str, arch: str, packages: Mapping[PurePosixPath, Path], work: Path
) -> tuple[Layer, dict[str, object]]:
    """weave-npc, which enforces NetworkPolicies, with the logger it starts."""
    source = go.module_directory(COMPONENT, version) / "prog" / "weave-npc"
    layer = _base(packages, arch)
    _program(layer, go, version, arch, work, "usr/bin/weave-npc", None)
    layer.file("usr/bin/launch.sh", source / "launch.sh", mode=0o755)
    layer.file("etc/ulogd.conf", source / "ulogd.conf")
    # Where the configuration looks for plugins.
    layer.symlink("usr/lib/ulogd", f"{GNU_TRIPLETS[arch]}/ulogd")
    layer.fifo("var/log/ulogd.pcap")
    return layer, {"Entrypoint": ["/usr/bin/launch.sh"]}


def _program(layer: Layer, go: Go, version: str, arch: str, work: Path, name: str, source: Path | None) -> None:
    built = work / PurePosixPath(name).name
    go.build(COMPONENT, version, built.name, arch, built, source)
    layer.file(name, built, mode=0o755)


def _base(packages: Mapping[PurePosixPath, Path], arch: str) -> Layer:
    """Return the packages' files, laid out as on a Debian system: /bin is /usr/bin, and so on."""
    layer = Layer()
    for directory in _MERGED:
        layer.directory(f"usr/{directory}")
        layer.symlink(directory, f"usr/{directory}")
    for name, path in packages.items():
        merged = str(PurePosixPath("usr") / name) if name.parts[0] in _MERGED else str(name)
        if not _WANTED.match(merged) or _NOT_WANTED.match(merged):
            continue
        if path.is_symlink():
            layer.symlink(merged, str(path.readlink()))
        else:
            layer.file(merged, path, mode=path.stat().st_mode & 0o755)
    for alternative, target in _ALTERNATIVES.items():
        layer.symlink(alternative, target)
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    layer.file("etc/group", b"root:x:0:\nnobody:x:65534:\n")
    for directory in ("root", "run", "var/lib", "var/log"):
        layer.directory(directory)
    layer.symlink("var/run", "/run")
    layer.directory("tmp", 0o1777)
    return layer
