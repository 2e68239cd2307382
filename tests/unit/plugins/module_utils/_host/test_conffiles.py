# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration file of a package comes back as the package has it, or is left as it is."""

from __future__ import annotations

import hashlib
import pathlib

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.conffiles import conffiles

ORIGINAL = b"events {}\n"


class Host:
    """A Debian host with nginx-common, whose repository has some versions."""

    def __init__(self, path, versions):
        self.path = path
        self.versions = versions
        self.updated = False

    def __call__(self, arguments):
        if arguments[:2] == ["dpkg-query", "--show"]:
            digest = hashlib.md5(ORIGINAL).hexdigest()
            listed = f"curl\n\nnginx-common\n {self.path} {digest}\n /etc/other 00 obsolete\n"
            return 0, listed if "Conffiles" in arguments[-1] else "1.22", ""
        if "update" in arguments:
            self.updated = True
        elif "download" in arguments and self.updated:
            version = arguments[-1].partition("=")[2] or max(self.versions, default="")
            if version in self.versions:
                (pathlib.Path(arguments[2]) / f"{version}.deb").touch()
                return 0, "", ""
            return 100, "", "no such version"
        elif arguments[0] == "dpkg-deb":
            target = pathlib.Path(arguments[3]) / str(self.path)[1:]
            target.parent.mkdir(parents=True)
            target.write_bytes(self.versions[pathlib.Path(arguments[2]).stem])
        return 0, "", ""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "nginx.conf").write_text("ours")
    return tmp_path / "nginx.conf"


@pytest.mark.parametrize("version", ["1.22", "1.22+deb1"])
def test_a_file_is_restored_from_any_version_that_has_its_content(file, version):
    host = Host(file, {version: ORIGINAL})
    (found,) = conffiles([str(file)], host)
    assert found.package == "nginx-common"
    assert not found.as_packaged()
    found.restore(host)
    assert file.read_bytes() == ORIGINAL
    assert found.as_packaged()


@pytest.mark.parametrize("versions", [{}, {"1.26": b"other"}])
def test_a_file_whose_package_cannot_be_had_is_left_as_it_is(file, versions):
    host = Host(file, versions)
    (found,) = conffiles([str(file)], host)
    with pytest.raises(
        HardwayError, match=r"nginx.conf was left as it is: the package nginx-common 1.22 cannot be had"
    ):
        found.restore(host)
    assert file.read_text() == "ours"


def test_files_of_no_package_are_left_out(file):
    assert conffiles(["/etc/mine.conf"], Host(file, {})) == []
