# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters of real etcd processes as fixtures. Without the programs nothing is tested, and that is a failure."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from collection import make_importable

make_importable()

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import read_catalogue
from harness import Cluster, unpack


def _run_module_fixture() -> t.Any:
    path = ROOT / "tests" / "unit" / "plugins" / "modules" / "conftest.py"
    spec = importlib.util.spec_from_file_location("modules_conftest", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["modules_conftest"] = module
    spec.loader.exec_module(module)
    return module.run_module


run_module = _run_module_fixture()


def _versions() -> list[str]:
    """The versions that the release catalogue has, newest first."""
    releases = read_catalogue()["releases"].values()
    return sorted({release["etcd"] for release in releases}, reverse=True)


VERSIONS = _versions()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Directory of the programs, by version."""
    directory = tmp_path_factory.mktemp("programs")
    try:
        return {version: unpack(version, directory) for version in VERSIONS}
    except FileNotFoundError as error:
        pytest.exit(f"the tests of real etcd processes need etcd: {error}", returncode=1)


@pytest.fixture
def empty_cluster(programs: dict[str, pathlib.Path], tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., Cluster]]:
    """Makes clusters without members, and ends their processes."""
    made: list[Cluster] = []

    def make(version: str = VERSIONS[0], directory: str = "cluster") -> Cluster:
        made.append(Cluster(programs[version], tmp_path / directory))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def new_cluster(empty_cluster: t.Callable[..., Cluster]) -> t.Callable[..., Cluster]:
    """Makes clusters of members that are healthy."""

    def make(*names: str, version: str = VERSIONS[0], directory: str = "cluster") -> Cluster:
        return empty_cluster(version, directory).form(*names)

    return make
