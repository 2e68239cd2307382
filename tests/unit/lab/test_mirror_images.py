# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives of container images that the mirror writes."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from artifact_mirror import images, oci, suite_images, upstream
from artifact_mirror.catalogue import Catalogue, Image
from artifact_mirror.errors import MirrorError
from artifact_mirror.golang import Go

CATALOGUE_FILE = Path(__file__).resolve().parents[3] / "roles/cluster/files/catalogue.yml"
APPLETS = b"\x7fELF BusyBox v1.35.0 \0[\0[[\0ash\0busybox\0sh\0wget\0\0tail"


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, tarfile.TarInfo]]:
    """The manifest, the configuration and the layer of an archive, its digests checked."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (manifest,) = json.loads(files["manifest.json"])
    config = json.loads(files[manifest["Config"]])
    (layer,) = manifest["Layers"]
    assert hashlib.sha256(files[manifest["Config"]]).hexdigest() + ".json" == manifest["Config"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(files[layer]).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(files[layer])) as archive:
        return manifest, config, {member.name: member for member in archive}


class FakeGo(Go):
    def __init__(self, source: Path) -> None:
        super().__init__(source)
        self._source = source

    def build(
        self, component: str, version: str, program: str, arch: str, output: Path, source: Path | None = None
    ) -> None:
        output.write_bytes(b"program")

    def module_directory(self, component: str, version: str) -> Path:
        return self._source


class FakeDebian(images.DebianFiles):
    """Packages that hold these files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__("bookworm")
        self._files = files

    def unpack(self, packages: list[str], arch: str, directory: Path) -> dict[PurePosixPath, Path]:
        unpacked = {}
        for name, content in self._files.items():
            path = directory / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            unpacked[PurePosixPath(name)] = path
        return unpacked


def build(tmp_path: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    reference = {"coredns": "registry.k8s.io/coredns/coredns:v", "pause": "registry.k8s.io/pause:"}.get(
        name, f"docker.io/library/{name}:"
    )
    builder = images.ImageBuilder(FakeGo(tmp_path), FakeDebian(files), "1.37.2")
    destination = tmp_path / "image.tar"
    builder.build(Image(name, version, "amd64", reference + version), destination)
    return destination


def test_archive_is_consistent_and_the_same_each_time(tmp_path: Path) -> None:
    archives = []
    for attempt in ("one", "two"):
        layer = oci.Layer()
        layer.file("opt/bin/tool", attempt[:0].encode() + b"tool", mode=0o755)
        layer.symlink("bin/tool", "../opt/bin/tool")
        archives.append(tmp_path / attempt)
        oci.write_image(archives[-1], "example.org/tool:1", "arm64", [layer], {"Cmd": ["tool"]})
    manifest, config, entries = read(archives[0])
    assert manifest["RepoTags"] == ["example.org/tool:1"]
    assert (config["architecture"], config["os"], config["config"]["Cmd"]) == ("arm64", "linux", ["tool"])
    assert list(entries) == ["bin", "bin/tool", "opt", "opt/bin", "opt/bin/tool"]
    assert entries["bin/tool"].linkname == "../opt/bin/tool"
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_coredns_may_listen_on_port_53_without_root(tmp_path: Path) -> None:
    certificates = {f"usr/share/ca-certificates/mozilla/{name}.crt": name.encode() for name in ("B", "A")}
    _manifest, config, entries = read(build(tmp_path, "coredns", "1.15.0", certificates))
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Entrypoint"] == ["/coredns"]
    attribute = entries["coredns"].pax_headers["SCHILY.xattr.security.capability"].encode()
    # As `setcap cap_net_bind_service=+ep` writes it: revision 2 with the effective bit, then bit 10.
    assert attribute == bytes.fromhex("0100000200040000000000000000000000000000")
    assert entries["etc/ssl/certs/ca-certificates.crt"].size == len(b"A\nB\n")


def test_busybox_answers_to_every_applet(tmp_path: Path) -> None:
    manifest, _config, entries = read(build(tmp_path, "busybox", "1.35.0", {"bin/busybox": APPLETS}))
    assert manifest["RepoTags"] == ["docker.io/library/busybox:1.35.0"]
    links = {name: entry.linkname for name, entry in entries.items() if entry.issym() and name.startswith("bin/")}
    assert links == {f"bin/{name}": "busybox" for name in ("[", "[[", "ash", "sh", "wget")}
    assert entries["tmp"].mode == 0o1777


def test_package_of_another_version_does_not_get_the_images_name(tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match=r"bin/busybox is 1\.35\.0, .*images\.yml says 1\.36\.1"):
        build(tmp_path, "busybox", "1.36.1", {"bin/busybox": APPLETS})


def test_nginx_logs_where_kubectl_looks_and_leaves_the_rest_of_the_packages_out(tmp_path: Path) -> None:
    files = {
        "usr/sbin/nginx": b"nginx version: nginx/1.22.1\0",
        "bin/busybox": APPLETS,
        "etc/nginx/nginx.conf": b"conf",
        "lib/x86_64-linux-gnu/libc.so.6": b"libc",
        "lib/systemd/system/nginx.service": b"unit",
        "usr/bin/debconf": b"perl",
        "usr/share/doc/nginx-light/copyright": b"licence",
        "usr/lib/x86_64-linux-gnu/gconv/BIG5.so": b"gconv",
    }
    _manifest, config, entries = read(build(tmp_path, "nginx", "1.22.1", files))
    assert config["config"]["Cmd"] == ["nginx", "-g", "daemon off;"]
    assert entries["var/log/nginx/access.log"].linkname == "/dev/stdout"
    assert {"usr/sbin/nginx", "lib/x86_64-linux-gnu/libc.so.6", "usr/share/doc/nginx-light/copyright"} <= set(entries)
    assert not {"usr/bin/debconf", "lib/systemd/system/nginx.service", "usr/lib/x86_64-linux-gnu/gconv/BIG5.so"} & set(
        entries
    )


def test_pause_of_another_version_is_refused(tmp_path: Path) -> None:
    makefile = tmp_path / "build" / "pause" / "Makefile"
    makefile.parent.mkdir(parents=True)
    makefile.write_text("TAG ?= 3.10.2\n", encoding="utf-8")
    with pytest.raises(MirrorError, match=r"Kubernetes 1\.37\.2 has the source of pause 3\.10\.2, .*says 3\.11"):
        build(tmp_path, "pause", "3.11", {})


WEAVE_FILES = {
    "bin/dash": b"dash",
    "usr/sbin/xtables-legacy-multi": b"iptables",
    "lib/x86_64-linux-gnu/libc.so.6": b"libc",
    "lib/systemd/system/procps.service": b"unit",
    "usr/bin/perl": b"perl",
    "usr/share/man/man1/curl.1.gz": b"manual",
    "usr/share/doc/curl/copyright": b"licence",
    "etc/apt/sources.list": b"sources",
}


def weave_source(tmp_path: Path) -> None:
    """Write the files that the images take from the module."""
    sources = {
        "net/bridge.go": "dummy := &netlink.Dummy{LinkAttrs: attributes}\n",
        "weave": '#!/bin/sh\nSCRIPT_VERSION="unreleased"\n',
        "prog/weave-kube/launch.sh": "#!/bin/sh\n",
        "prog/weaver/weavedata.db": "",
        "prog/weave-npc/launch.sh": "#!/bin/sh\n",
        "prog/weave-npc/ulogd.conf": "[global]\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("lacking", [False, True])
def test_weave_is_changed_and_says_so_only_for_a_kernel_without_dummy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: bool
) -> None:
    source = tmp_path / "source"
    weave_source(source)
    work = tmp_path / "work"
    work.mkdir()
    built: dict[str, str] = {}

    class Recording(FakeGo):
        def build(
            self, component: str, version: str, program: str, arch: str, output: Path, source: Path | None = None
        ) -> None:
            super().build(component, version, program, arch, output)
            if source:
                built[program] = (source / "net" / "bridge.go").read_text(encoding="utf-8")

    monkeypatch.setattr(images.weave, "kernel_lacks_dummy", lambda: lacking)
    said: list[str] = []
    builder = images.ImageBuilder(Recording(source), FakeDebian(WEAVE_FILES), "1.37.2", report=said.append)
    archive = work / "image.tar"
    builder.build(Image("weave-kube", "2.6.5", "amd64", "docker.io/weaveworks/weave-kube:2.6.5"), archive)
    _manifest, config, entries = read(archive)
    assert built == ({"weaver": "dummy := &netlink.Ifb{LinkAttrs: attributes}\n"} if lacking else {})
    assert bool(said) is bool(config["config"].get("Labels")) is lacking
    assert entries["bin"].linkname == "usr/bin"
    assert entries["usr/sbin/iptables"].linkname == "iptables-legacy"
    assert {"usr/bin/dash", "usr/lib/x86_64-linux-gnu/libc.so.6", "usr/share/doc/curl/copyright"} <= set(entries)
    left_out = {"usr/lib/systemd/system/procps.service", "usr/bin/perl", "etc/apt/sources.list"}
    assert not (left_out | {"usr/share/man/man1/curl.1.gz"}) & set(entries)
    assert (source / "net" / "bridge.go").read_text(encoding="utf-8").count("netlink.Dummy{") == 1


def test_weave_npc_has_the_pipe_of_its_logger(tmp_path: Path) -> None:
    weave_source(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    archive = work / "image.tar"
    builder = images.ImageBuilder(FakeGo(tmp_path), FakeDebian(WEAVE_FILES), "1.37.2")
    builder.build(Image("weave-npc", "2.6.5", "amd64", "docker.io/weaveworks/weave-npc:2.6.5"), archive)
    _manifest, config, entries = read(archive)
    assert config["config"]["Entrypoint"] == ["/usr/bin/launch.sh"]
    assert entries["var/log/ulogd.pcap"].type == tarfile.FIFOTYPE
    assert entries["usr/lib/ulogd"].linkname == "x86_64-linux-gnu/ulogd"


def test_every_image_of_every_release_is_buildable() -> None:
    catalogue = Catalogue.load()
    for release in catalogue.releases:
        names = [image.name for image in catalogue.images(release, "amd64")]
        assert names == ["pause", "coredns", "flannel", "weave-kube", "weave-npc", "busybox", "nginx"]


def test_image_is_not_pulled_where_the_registry_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(url: str, timeout: float) -> None:
        asked.append(url)
        raise OSError("no route")

    monkeypatch.setattr(upstream.urllib.request, "urlopen", refuse)
    image = Image("busybox", "1.35.0", "amd64", "docker.io/library/busybox:1.35.0")
    with pytest.raises(upstream.NotThereError, match=r"registry-1\.docker\.io cannot be reached"):
        images.pull(upstream.Upstream(), image, tmp_path / "image.tar")
    assert asked == ["https://registry-1.docker.io/v2/"]


def test_an_image_is_pulled_by_the_catalogues_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    monkeypatch.setattr(upstream.Upstream, "expect_registry", lambda self, reference: None)
    monkeypatch.setattr(images.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(images.shell, "run", lambda command: commands.append(" ".join(command)))
    (image,) = (one for one in Catalogue.load().images("1.37", "arm64") if one.name == "pause")
    digest = re.search(r"^ +3\.10\.2: (sha256:\S+)$", CATALOGUE_FILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert digest
    images.pull(upstream.Upstream(), image, tmp_path / "image.tar")
    assert commands == [
        f"docker pull --quiet --platform linux/arm64 registry.k8s.io/pause@{digest[1]}",
        f"docker tag registry.k8s.io/pause@{digest[1]} registry.k8s.io/pause:3.10.2",
        f"docker save --output {tmp_path}/image.tar registry.k8s.io/pause:3.10.2",
    ]


SUITE_FILES = {
    "bin/bash": b"bash",
    "bin/busybox": APPLETS,
    "bin/nc.openbsd": b"nc",
    "lib/x86_64-linux-gnu/libc.so.6": b"libc",
    "usr/bin/wget": b"wget",
    "usr/share/doc/bash/copyright": b"licence",
    "usr/share/doc/bash/README": b"text",
    "lib/systemd/system/nginx.service": b"unit",
    "etc/nginx/nginx.conf": b"conf",
}
ANIMAL_FILES = [f"{name}/html/{file}" for name in ("kitten", "nautilus") for file in (f"{name}.jpg", "data.json")]


def build_suite(tmp_path: Path, name: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, tarfile.TarInfo]]]:
    """The manifest, the configuration and the layers of an image of the conformance suite."""
    for file in ("agnhost/porter/localhost.crt", "agnhost/porter/localhost.key", *ANIMAL_FILES):
        path = tmp_path / "source" / "test" / "images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.encode())
    (image,) = [image for image in Catalogue.load().suite_images("1.37", "amd64") if image.name == name]
    builder = suite_images.SuiteImageBuilder(FakeGo(tmp_path / "source"), FakeDebian(SUITE_FILES), "1.37.2")
    builder.build(image, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (manifest,) = json.loads(files["manifest.json"])
    config = json.loads(files[manifest["Config"]])
    layers = [files[layer] for layer in manifest["Layers"]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    return manifest, config, [{entry.name: entry for entry in tarfile.open(fileobj=io.BytesIO(one))} for one in layers]


def test_every_image_of_the_conformance_suite_is_buildable(tmp_path: Path) -> None:
    for image in Catalogue.load().suite_images("1.37", "amd64"):
        manifest, _config, layers = build_suite(tmp_path, image.name)
        assert manifest["RepoTags"] == [image.reference]
        assert layers[0]


def test_agnhost_has_what_its_published_image_has(tmp_path: Path) -> None:
    manifest, config, (base, top) = build_suite(tmp_path, "agnhost")
    assert manifest["RepoTags"] == ["registry.k8s.io/e2e-test-images/agnhost:2.66.1"]
    assert (config["config"]["Entrypoint"], config["config"]["Cmd"]) == (["/agnhost"], ["pause"])
    assert {"agnhost", "agnhost-2", "uploads", "localhost.crt", "localhost.key"} <= set(top)
    # busybox stands in for what the packages do not have, and nothing for its shell.
    links = {name: base[name].linkname for name in ("bin/sh", "bin/ash", "bin/nc", "bin/[")}
    assert links == {"bin/sh": "bash", "bin/ash": "busybox", "bin/nc": "nc.openbsd", "bin/[": "busybox"}
    assert "bin/wget" not in base
    assert "usr/share/doc/bash/copyright" in base
    assert not {"usr/share/doc/bash/README", "lib/systemd/system/nginx.service"} & set(base)


def test_images_with_the_same_packages_share_their_first_layer(tmp_path: Path) -> None:
    digests = [build_suite(tmp_path, name)[1]["rootfs"]["diff_ids"] for name in ("agnhost", "kitten")]
    assert digests[0] == digests[1][:2]
    assert len(digests[1]) == 3


def test_who_runs_the_suites_images(tmp_path: Path) -> None:
    assert build_suite(tmp_path, "nonroot")[1]["config"]["User"] == "1234"
    assert build_suite(tmp_path, "nonewprivs")[2][1]["usr/local/bin/nnp"].mode == 0o6755
