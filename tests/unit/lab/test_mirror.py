# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact mirror: layout, checksums, what a run does with what it finds."""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import io
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import find_checksum
from artifact_mirror import checksums, fill, golang, layout, main, oci, recipes, shell, store, upstream
from artifact_mirror.catalogue import Catalogue, Image, Program
from artifact_mirror.errors import MirrorError
from artifact_mirror.golang import MODULES_DIRECTORY, Go, pinned_go_mod
from artifact_mirror.images import DebianFiles, ImageBuilder
from artifact_mirror.progress import Progress

from cache import cache_directory, mirror_directory

CATALOGUE = Catalogue.load()
ROOT = Path(__file__).resolve().parents[3]
ARCHITECTURES = ("amd64", "arm64")


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- layout ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (
            "https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubectl",
            "dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubectl",
        ),
        ("http://mirror.example:8080/a/b.tgz?x=1", "mirror.example:8080/a/b.tgz"),
    ],
)
def test_url_lies_at_its_host_and_path(url: str, path: str) -> None:
    assert str(layout.mirror_path(url)) == path


@pytest.mark.parametrize("url", ["ftp://host/file", "https://host", "https://host/../../etc/passwd", "no address"])
def test_address_without_a_place_is_refused(url: str) -> None:
    with pytest.raises(MirrorError, match="has no place in a mirror"):
        layout.mirror_path(url)


def test_image_reference_becomes_a_file_name() -> None:
    reference = "registry.k8s.io/coredns/coredns:v1.15.0"
    assert str(layout.image_archive_path(reference)) == "images/registry.k8s.io_coredns_coredns_v1.15.0.tar"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HARDWAY_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/hardway.kubernetes"),
        ({"HOME": "/home/me"}, "/home/me/.cache/hardway.kubernetes"),
    ],
)
def test_cache_directory(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HARDWAY_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_directory()) == expected
    monkeypatch.delenv("HARDWAY_MIRROR", raising=False)
    assert str(mirror_directory()) == f"{expected}/mirror"
    monkeypatch.setenv("HARDWAY_MIRROR", "/elsewhere")
    assert str(mirror_directory()) == "/elsewhere"


# --- checksum files -------------------------------------------------------------------------------

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (f"{A}\n", "kubectl", A),
        (A, "kubectl", A),
        (f"{A.upper()}  runc.amd64\n{B}  runc.arm64\n", "runc.arm64", B),
        (f"{A.upper()}  runc.amd64\n", "runc.amd64", A),
        (f"{A} *file.tgz\n", "file.tgz", A),
        (f"{A}  ./file.tgz\n", "file.tgz", A),
        (f"{A}  other.tgz\n", "file.tgz", None),
        ("<html>404</html>", "file.tgz", None),
        ("", "file.tgz", None),
        ("abc  file.tgz\n", "file.tgz", None),
    ],
)
def test_sum_is_found_in_every_publishers_format(text: str, name: str, expected: str | None) -> None:
    assert find_checksum(text, name) == expected


def test_list_keeps_the_lines_of_other_files_and_replaces_its_own() -> None:
    text = checksums.render(f"{A}  b.tar.gz\n{A}  a.tar.gz\n", "b.tar.gz", B, bare=False)
    assert text == f"{A}  a.tar.gz\n{B}  b.tar.gz\n"
    assert checksums.render(f"{A}\n", "kubectl", B, bare=True) == f"{B}\n"


def test_each_publisher_gets_its_own_format() -> None:
    formats = {program.name: checksums.is_bare(program.checksum_url) for program in CATALOGUE.programs("1.37", "amd64")}
    bare = {name for name, is_bare in formats.items() if is_bare}
    assert bare == {
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubectl",
        "kubelet",
        "kube-proxy",
        "crictl",
    }


# --- catalogue, recipes and pins belong together ---------------------------------------------------


def test_unknown_release_names_the_known_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main.main(["fill", "--release", "1.18", "--directory", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "'1.18'" in said
    assert all(release in said for release in CATALOGUE.releases)
    assert list(tmp_path.iterdir()) == []


def test_unknown_architecture_and_image_name_the_known_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main.main(["list", "--arch", "s390x", "--directory", str(tmp_path)]) == 1
    assert "amd64, arm64" in capsys.readouterr().err
    assert main.main(["list", "--arch", "amd64", "--images", "pauze", "--directory", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "pauze" in said
    assert "known names: pause, coredns, flannel, weave-kube, weave-npc, busybox, nginx" in said
    assert main.main(["list", "--arch", "amd64", "--programs", "kubectel", "--directory", str(tmp_path)]) == 1
    assert "unknown name kubectel; known names: kube-apiserver" in capsys.readouterr().err


def test_only_the_programs_that_are_named_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["list", "--arch", "amd64", "--images", "none", "--directory", str(tmp_path)]
    assert main.main([*arguments, "--programs", "kubectl,runc"]) == 0
    assert [line.rsplit("/", 1)[1] for line in capsys.readouterr().out.splitlines()] == ["kubectl", "runc.amd64"]
    assert main.main([*arguments, "--programs", "none"]) == 0
    assert capsys.readouterr().out == ""


def test_named_programs_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    chosen = ["list", "--arch", "amd64", "--programs", "etcd,runc", "--images", "none", "--directory", str(tmp_path)]
    assert main.main(chosen) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[-1].rpartition("/")[2].split("-")[0].split(".")[0] for line in listed] == ["etcd", "runc"]
    assert main.main([*chosen[:4], "etc", *chosen[5:]]) == 1
    assert "--programs: unknown name etc; known names: kube-apiserver" in capsys.readouterr().err


@pytest.mark.parametrize("release", CATALOGUE.releases)
def test_every_program_of_a_release_has_a_recipe_and_pins(release: str, tmp_path: Path) -> None:
    go = Go(tmp_path)
    for program in CATALOGUE.programs(release, "amd64"):
        built = {Path(name).name for name in program.files} or {program.name}
        assert built <= set(recipes.RECIPES[program.component].programs)
        assert (go.pins(program.component, program.version) / "go.mod").is_file()
    assert (go.pins("coredns", CATALOGUE.versions(release)["coredns"]) / "go.mod").is_file()


def test_the_conformance_suite_has_recipes_and_pins(tmp_path: Path) -> None:
    go = Go(tmp_path)
    suite, kubectl = CATALOGUE.suite_programs("1.37", "amd64")
    assert suite.url == "https://dl.k8s.io/release/v1.37.2/kubernetes-test-linux-amd64.tar.gz"
    assert {Path(name).name for name in suite.files} <= set(recipes.RECIPES[suite.component].programs)
    assert (go.pins(suite.component, suite.version) / "go.mod").is_file()
    assert kubectl in CATALOGUE.programs("1.37", "amd64")
    references = [image.reference for image in CATALOGUE.suite_images("1.37", "amd64")]
    assert "registry.k8s.io/e2e-test-images/agnhost:2.66.1" in references
    assert len(set(references)) == len(references)


def test_kube_bench_has_a_recipe_and_pins_and_is_in_no_release(tmp_path: Path) -> None:
    (bench,) = CATALOGUE.bench_programs("1.37", "arm64")
    assert re.fullmatch(r"https://github\.com/.*/v[\d.]+/kube-bench_[\d.]+_linux_arm64\.tar\.gz", bench.url)
    assert set(bench.files) <= set(recipes.RECIPES[bench.component].programs)
    assert (Go(tmp_path).pins(bench.component, bench.version) / "go.mod").is_file()
    assert all(bench.name not in {one.name for one in CATALOGUE.programs(r, "arm64")} for r in CATALOGUE.releases)


def test_a_built_archive_holds_the_data_of_its_module(tmp_path: Path) -> None:
    class FakeGo(Go):
        def build(self, *arguments: object, **more: object) -> None:
            output = arguments[4]
            assert isinstance(output, Path)
            output.parent.mkdir(exist_ok=True)
            output.write_bytes(b"program")

        def module_directory(self, component: str, version: str) -> Path:
            return tmp_path / "source"

    for name in ("cfg/config.yaml", "cfg/cis-1/node.yaml", "main.go"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (bench,) = CATALOGUE.bench_programs("1.37", "amd64")
    fill.build_program(FakeGo(tmp_path), bench, tmp_path / "made.tar.gz")
    with tarfile.open(tmp_path / "made.tar.gz") as archive:
        assert archive.getnames() == ["cfg/cis-1/node.yaml", "cfg/config.yaml", "kube-bench"]


def test_a_release_without_the_suites_images_names_those_that_have_them() -> None:
    with pytest.raises(MirrorError, match=r"release 1\.35 is Kubernetes 1\.35\.\d+; .* for 1\.37\.2 alone"):
        CATALOGUE.suite_images("1.35", "amd64")


def test_every_pinned_go_mod_requires_the_version_it_is_named_for() -> None:
    pinned = list(MODULES_DIRECTORY.glob("*/*"))
    assert pinned
    for directory in pinned:
        text = (directory / "go.mod").read_text(encoding="utf-8")
        recipe = recipes.RECIPES[directory.parent.name]
        version = re.escape(f"{directory.name}{recipe.suffix}")
        for module in recipe.modules:
            assert re.search(rf"^(\t|require ){re.escape(module)} v{version}$", text, re.MULTILINE), directory


def test_no_pins_are_left_of_versions_that_no_release_names() -> None:
    named = {item for release in CATALOGUE.releases for item in CATALOGUE.versions(release).items()}
    # Sources of the conformance suite's images.
    named |= {("conformance", "1.37.2"), ("sample_apiserver", "0.29.2"), ("etcd", "3.7.0")}
    named |= {(program.component, program.version) for program in CATALOGUE.bench_programs("1.37", "amd64")}
    pinned = {(directory.parent.name, directory.name) for directory in MODULES_DIRECTORY.glob("*/*")}
    assert pinned <= named


def test_pinned_go_mod_stands_published_modules_for_the_staging_directories() -> None:
    own = "module k8s.io/kubernetes\n\ngo 1.26.0\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n"
    text = pinned_go_mod(recipes.RECIPES["kubernetes"], "1.37.2", own)
    assert "go 1.26.0\n" in text
    assert "\tk8s.io/kubernetes v1.37.2\n" in text
    assert "\tk8s.io/api => k8s.io/api v0.37.2\n" in text
    assert "./staging" not in text


def test_pins_kept_by_hand_must_name_the_version(tmp_path: Path) -> None:
    with pytest.raises(
        MirrorError, match=r"write .*weave/9\.9\.9/go\.mod, which requires .*weave v9\.9\.9\+incompatible"
    ):
        golang.pin(Go(tmp_path), "weave", "9.9.9", tmp_path)
    assert not (tmp_path / "weave").exists()


def test_images_of_other_pod_networks_are_left_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def listed(*arguments: str) -> str:
        assert main.main(["list", "--arch", "amd64", "--directory", str(tmp_path), *arguments]) == 0
        return capsys.readouterr().out

    weave = ("docker.io/weaveworks/weave-kube:", "docker.io/weaveworks/weave-npc:")
    assert all(name in listed() for name in weave)
    assert all(name in listed("--pod-network", "weave") for name in weave)
    without = listed("--pod-network", "bridge")
    assert not any(name in without for name in weave)
    assert "registry.k8s.io/pause:" in without
    assert main.main(["list", "--arch", "amd64", "--pod-network", "weve"]) == 1
    assert "unknown pod network 'weve'; known: " in capsys.readouterr().err


def test_kubernetes_programs_say_their_version() -> None:
    stamps = recipes.RECIPES["kubernetes"].ldflags("1.37.2")
    assert "-X k8s.io/component-base/version.gitVersion=v1.37.2" in stamps
    assert "-X k8s.io/component-base/version.gitMinor=37" in stamps


# --- a run -----------------------------------------------------------------------------------------


class Site:
    """A publisher's web site: the files that it serves, and its requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                content = site.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


class FakeGo(Go):
    """Builds at once; `fails` names a program that does not build."""

    def __init__(self, tmp_path: Path, fails: str = "") -> None:
        super().__init__(tmp_path)
        self.built: list[str] = []
        self._fails = fails

    def build(
        self, component: str, version: str, program: str, arch: str, output: Path, source: Path | None = None
    ) -> None:
        if program == self._fails:
            raise MirrorError("`go build` ended with 1 and said:\n    undefined: x")
        self.built.append(program)
        output.parent.mkdir(exist_ok=True)
        output.write_bytes(f"{program} {version} {arch}".encode())


def program(
    site_address: str, name: str = "kubectl", files: tuple[str, ...] = (), sha256: str | None = None
) -> Program:
    url = f"{site_address}/v1.37.2/{name}"
    component = "etcd" if files else "kubernetes"
    return Program(name, component, "1.37.2", "amd64", url, f"{url}.sha256sum", files, sha256)


def run(
    tmp_path: Path, programs: list[Program], go: Go, log: io.StringIO | None = None, again: str = ""
) -> fill.Outcome:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    progress = Progress(len(programs), log or io.StringIO())
    builder = ImageBuilder(go, DebianFiles("bookworm"), "1.37.2")
    sites = upstream.Upstream(timeout=2)
    filler = fill.Filler(tmp_path / "mirror", work, go, sites, builder, progress, frozenset([again]))
    return filler.fill(programs, [])


def publish(site: Site, path: str, content: bytes, digest: str | None = None) -> None:
    site.files[path] = content
    name = path.rsplit("/", 1)[1]
    site.files[f"{path}.sha256sum"] = f"{digest or sum_of(content)}  {name}\n".encode()


def test_published_file_is_fetched_once_and_then_left_alone(site: Site, tmp_path: Path) -> None:
    publish(site, "/v1.37.2/kubectl", b"published")
    wanted = program(site.address)
    assert run(tmp_path, [wanted], FakeGo(tmp_path)).fetched == 1
    file = tmp_path / "mirror" / layout.mirror_path(wanted.url)
    assert file.read_bytes() == b"published"
    assert file.with_name("kubectl.sha256sum").read_text() == f"{sum_of(b'published')}  kubectl\n"
    inode, site.asked[:] = file.stat().st_ino, []

    assert run(tmp_path, [wanted], FakeGo(tmp_path)).present == 1
    assert (file.stat().st_ino, site.asked) == (inode, [])


def test_corrupt_file_in_the_mirror_is_replaced(site: Site, tmp_path: Path) -> None:
    publish(site, "/v1.37.2/kubectl", b"published")
    wanted, log = program(site.address), io.StringIO()
    run(tmp_path, [wanted], FakeGo(tmp_path))
    file = tmp_path / "mirror" / layout.mirror_path(wanted.url)
    file.write_bytes(b"publishee")
    assert run(tmp_path, [wanted], FakeGo(tmp_path), log).fetched == 1
    assert file.read_bytes() == b"published"
    assert "wrong sum" in log.getvalue()


def test_file_without_a_sum_does_not_count(site: Site, tmp_path: Path) -> None:
    publish(site, "/v1.37.2/kubectl", b"published")
    wanted = program(site.address)
    file = tmp_path / "mirror" / layout.mirror_path(wanted.url)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"from an interrupted run")
    assert run(tmp_path, [wanted], FakeGo(tmp_path)).fetched == 1
    assert file.read_bytes() == b"published"


def test_published_file_with_a_wrong_sum_stops_and_keeps_the_old_one(site: Site, tmp_path: Path) -> None:
    publish(site, "/v1.37.2/kubectl", b"tampered", digest=A)
    wanted, go = program(site.address), FakeGo(tmp_path)
    file = tmp_path / "mirror" / layout.mirror_path(wanted.url)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"old")
    (failure,) = run(tmp_path, [wanted], go).failures
    assert wanted.url in failure
    assert sum_of(b"tampered") in failure
    assert A in failure
    assert go.built == []
    assert file.read_bytes() == b"old"


def test_the_catalogues_sum_holds_before_the_publishers_checksum_file(site: Site, tmp_path: Path) -> None:
    publish(site, "/v1.37.2/kubectl", b"changed, with a checksum file to match")
    wanted, go = program(site.address, sha256=sum_of(b"published")), FakeGo(tmp_path)
    (failure,) = run(tmp_path, [wanted], go).failures
    assert wanted.url in failure
    assert sum_of(b"changed, with a checksum file to match") in failure
    assert f"expected {sum_of(b'published')}, as the release catalogue says" in failure
    assert go.built == []
    assert not (tmp_path / "mirror" / layout.mirror_path(wanted.url)).exists()


def test_a_file_with_the_catalogues_sum_needs_no_checksum_file(site: Site, tmp_path: Path) -> None:
    site.files["/v1.37.2/kubectl"] = b"published"
    wanted = program(site.address, sha256=sum_of(b"published"))
    assert run(tmp_path, [wanted], FakeGo(tmp_path)).fetched == 1
    assert site.asked == ["/v1.37.2/kubectl"]
    assert fill.program_state(tmp_path / "mirror", wanted) == "right"


def test_programs_have_the_catalogues_sums() -> None:
    written = yaml.safe_load((ROOT / "roles/cluster/files/catalogue.yml").read_text(encoding="utf-8"))["checksums"]
    found = {
        (program.name, program.version, arch): program.sha256
        for release in CATALOGUE.releases
        for arch in ARCHITECTURES
        for program in CATALOGUE.programs(release, arch)
    }
    assert {key: digest for key, digest in found.items() if digest} == {
        (name, version, arch): digest
        for name, versions in written.items()
        for version, architectures in versions.items()
        for arch, digest in architectures.items()
    }


def test_what_is_built_is_said_to_differ_from_the_publishers_file(site: Site, tmp_path: Path) -> None:
    wanted, log = program(site.address, sha256=sum_of(b"published")), io.StringIO()
    assert run(tmp_path, [wanted], FakeGo(tmp_path), log).built == 1
    assert "built, with other bytes than the publisher's" in log.getvalue()
    assert fill.program_state(tmp_path / "mirror", wanted) == "right, built"


def test_what_is_not_published_is_built(site: Site, tmp_path: Path) -> None:
    wanted, go = program(site.address), FakeGo(tmp_path)
    assert run(tmp_path, [wanted], go).built == 1
    assert (tmp_path / "mirror" / layout.mirror_path(wanted.url)).read_bytes() == b"kubectl 1.37.2 amd64"
    assert run(tmp_path, [wanted], go).present == 1
    assert go.built == ["kubectl"]


def test_artifact_that_is_right_is_made_again_when_asked_for(site: Site, tmp_path: Path) -> None:
    wanted = program(site.address)
    run(tmp_path, [wanted], FakeGo(tmp_path))
    publish(site, "/v1.37.2/kubectl", b"published")
    assert run(tmp_path, [wanted], FakeGo(tmp_path), again="kubectl").fetched == 1
    assert (tmp_path / "mirror" / layout.mirror_path(wanted.url)).read_bytes() == b"published"


def test_image_for_another_architecture_is_replaced(tmp_path: Path) -> None:
    image = Image("tool", "1", "arm64", "example.org/tool:1")
    place = fill.image_place(tmp_path, image)
    for arch, state in (("amd64", "for amd64"), ("arm64", "right")):
        archive = tmp_path / "new.tar"
        oci.write_image(archive, image.reference, arch, [oci.Layer()], {})
        place.put(archive)
        assert place.state() == state


def test_mirror_that_may_not_be_written_is_named(tmp_path: Path, site: Site) -> None:
    (tmp_path / "mirror").write_text("a file where the directory should be")
    (failure,) = run(tmp_path, [program(site.address)], FakeGo(tmp_path)).failures
    assert str(tmp_path / "mirror") in failure
    assert "Not a directory" in failure or "File exists" in failure


def test_archive_holds_the_catalogues_names_and_is_the_same_each_time(site: Site, tmp_path: Path) -> None:
    wanted = program(site.address, "etcd.tar.gz", files=("etcd-v1/etcdctl", "etcd-v1/etcd"))
    archives = []
    for attempt in ("one", "two"):
        base = tmp_path / attempt
        base.mkdir()
        assert run(base, [wanted], FakeGo(base)).failures == []
        archives.append(base / "mirror" / layout.mirror_path(wanted.url))
    with tarfile.open(archives[0]) as archive:
        assert archive.getnames() == ["etcd-v1/etcd", "etcd-v1/etcdctl"]
        assert {member.mode for member in archive} == {0o755}
        assert archive.extractfile("etcd-v1/etcdctl").read() == b"etcdctl 1.37.2 amd64"  # type: ignore[union-attr]
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_failing_build_names_artifact_address_and_next_step_and_lets_the_others_come(
    site: Site, tmp_path: Path
) -> None:
    outcome = run(
        tmp_path, [program(site.address), program(site.address, "kubelet")], FakeGo(tmp_path, fails="kubectl")
    )
    (failure,) = outcome.failures
    assert failure.startswith("kubectl 1.37.2 amd64: ")
    assert f"{site.address}/v1.37.2/kubectl" in failure
    assert "undefined: x" in failure
    assert "Next: " in failure
    assert outcome.built == 1
    left = [path.name for path in (tmp_path / "mirror").rglob("*") if path.is_file()]
    assert sorted(left) == ["kubelet", "kubelet.sha256sum"]
    assert list((tmp_path / "work").iterdir()) == []


def test_silent_host_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(url: str, timeout: float) -> None:
        asked.append(url)
        raise OSError("no route")

    monkeypatch.setattr(upstream.urllib.request, "urlopen", refuse)
    programs = [program("https://gone.example"), program("https://gone.example", "kubelet")]
    assert run(tmp_path, programs, FakeGo(tmp_path)).built == 2
    assert asked == ["https://gone.example/v1.37.2/kubectl.sha256sum"]


def test_missing_pins_name_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match=r"mirror\.py pin kubernetes 1\.2\.3"):
        Go(tmp_path).pins("kubernetes", "1.2.3")


def test_failed_command_shows_the_end_of_what_it_said() -> None:
    with pytest.raises(MirrorError, match="ended with 3 and said:\n    the reason"):
        shell.run(["sh", "-c", "echo the reason >&2; exit 3"])


def test_second_run_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    with (tmp_path / ".lock").open("w", encoding="utf-8") as other:
        other.write("4711")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)

        def waiting(text: str) -> None:
            said.append(text)
            fcntl.flock(other, fcntl.LOCK_UN)

        with store.locked(tmp_path, waiting):
            assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert len(said) == 1
    assert "4711" in said[0]


def test_long_work_is_heard_of() -> None:
    log = io.StringIO()
    progress = Progress(2, log, heartbeat=0.01)
    progress.item("kubelet 1.37.2")
    with progress.task("building"):
        threading.Event().wait(0.1)
    lines = log.getvalue().splitlines()
    assert lines[0].startswith("[1/2 0:00] kubelet 1.37.2: building")
    assert len(lines) > 2
