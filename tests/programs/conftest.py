# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the mirror, each release that it has. Without those of the default release the tests fail."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tarfile
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from collection import make_importable

make_importable()

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import read_catalogue

from cache import mirror_directory

CATALOGUE = read_catalogue()
#: The programs that run with flags or a configuration file of ours.
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
NAMES = (*KUBERNETES, "etcd", "containerd")


def _sources(release: str, name: str) -> tuple[pathlib.Path, str]:
    """Return where the mirror has a program, and its path inside when that is an archive."""
    versions = CATALOGUE["releases"][release]
    if name in KUBERNETES:
        return mirror_directory() / f"dl.k8s.io/release/v{versions['kubernetes']}/bin/linux/amd64/{name}", ""
    version = versions[name]
    if name == "crictl":
        address = f"github.com/kubernetes-sigs/cri-tools/releases/download/v{version}"
        return mirror_directory() / address / f"crictl-v{version}-linux-amd64.tar.gz", name
    if name == "etcd":
        member, address = f"etcd-v{version}-linux-amd64/etcd", "github.com/etcd-io/etcd/releases/download"
        return mirror_directory() / address / f"v{version}" / f"etcd-v{version}-linux-amd64.tar.gz", member
    address = "github.com/containerd/containerd/releases/download"
    return mirror_directory() / address / f"v{version}" / f"containerd-{version}-linux-amd64.tar.gz", "bin/containerd"


class Programs:
    """Executables of one release."""

    def __init__(self, release: str, directory: pathlib.Path) -> None:
        self.release = release
        self._directory = directory

    def path(self, name: str) -> str:
        """Return the path of a program, or skip the test: only the default release has to be there."""
        path = self._directory / self.release / name
        if path.exists():
            return str(path)
        source, member = _sources(self.release, name)
        if not source.is_file():
            if self.release == CATALOGUE["default_release"]:
                pytest.fail(f"{source} is missing: `make test-programs` puts it there")
            pytest.skip(f"the mirror does not have {name} of release {self.release}")
        path.parent.mkdir(exist_ok=True)
        if member:
            with tarfile.open(source) as tar:
                found = tar.extractfile(member)
                assert found
                path.write_bytes(found.read())
        else:
            shutil.copyfile(source, path)
        path.chmod(0o755)
        return str(path)


@pytest.fixture(scope="session")
def _directory(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[pathlib.Path]:
    directory = tmp_path_factory.mktemp("programs")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(params=list(CATALOGUE["releases"]))
def programs(request: pytest.FixtureRequest, _directory: pathlib.Path) -> Programs:
    """The programs of a release."""
    return Programs(request.param, _directory)
