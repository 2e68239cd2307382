# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads: where they are read, and the sums that they are held to."""

from __future__ import annotations

import hashlib
import io

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import DownloadError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.downloads import (
    fetch,
    find_checksum,
    mirrored,
)

SUM = "0123456789abcdef" * 4
OTHER = "f" * 64


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ("", "https://dl.k8s.io/release/v1/kubelet"),
        ("file:///srv/mirror", "file:///srv/mirror/dl.k8s.io/release/v1/kubelet"),
        ("https://mirror.example.com/k8s/", "https://mirror.example.com/k8s/dl.k8s.io/release/v1/kubelet"),
    ],
)
def test_mirrored(mirror, expected):
    assert mirrored("https://dl.k8s.io/release/v1/kubelet", mirror) == expected


@pytest.mark.parametrize(
    "text",
    [
        SUM,
        f"{SUM}\n",
        f"{SUM.upper()}\n",
        f"{SUM}  tool\n",
        f"{SUM} *tool\n",
        f"{SUM}  ./out/tool\n",
        f"{OTHER}  other\n{SUM}  tool\n",
        f"{OTHER}  tool.asc\n\n{SUM}  tool\n{OTHER}  sbin-tool\n",
        f"# sums of release 1\n{SUM}  tool\n",
    ],
)
def test_find_checksum(text):
    assert find_checksum(text, "tool") == SUM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "<html><title>404 Not Found</title></html>",
        f"{SUM}  other\n",
        f"{SUM}  tool.sig\n",
        f"{SUM}\n{OTHER}\n",  # two bare sums: whose?
        f"{SUM[:-1]}  tool\n",
        f"{SUM}0  tool\n",
        f"{'g' * 64}  tool\n",
    ],
)
def test_no_checksum_for_the_file(text):
    assert find_checksum(text, "tool") is None


def test_fetch(tmp_path):
    path = tmp_path / "tool"
    expected = hashlib.sha256(b"one").hexdigest()
    fetch("https://example.com/tool", str(path), expected=expected.upper(), opener=lambda _url: io.BytesIO(b"one"))
    assert path.read_bytes() == b"one"
    with pytest.raises(DownloadError, match=f"^https://example.com/tool: .* is {expected}, expected {OTHER}$"):
        fetch("https://example.com/tool", str(path), expected=OTHER, opener=lambda _url: io.BytesIO(b"one"))
