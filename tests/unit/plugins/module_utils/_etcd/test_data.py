# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose data a directory of etcd holds, read from its write-ahead log."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.data import identity


def frame(record: bytes) -> bytes:
    padding = -len(record) % 8
    return struct.pack("<Q", len(record) | ((0x80 | padding) << 56 if padding else 0)) + record + bytes(padding)


# As etcd 3.7.3 wrote it: a checksum record, then member bdae9bbc11dd390d of cluster d1cfaf999eb97a2a.
CRC = bytes.fromhex("08041000")
METADATA = bytes.fromhex("080110c0f7e05a1a16088df2f48ec1f7a6d7bd0110aaf4e5f599f3ebe7d101")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "member" / "wal"
    path.mkdir(parents=True)
    return path / "0000000000000000-0000000000000000.wal"


def test_identity_is_read_from_the_log(log, tmp_path):
    log.write_bytes(frame(CRC) + frame(METADATA) + bytes(64))
    assert identity(str(tmp_path)) == {"member_id": "bdae9bbc11dd390d", "cluster_id": "d1cfaf999eb97a2a"}


@pytest.mark.parametrize("content", [b"", b"\0" * 100, frame(CRC), b"\xff" * 100, frame(METADATA)[:20]])
def test_a_log_that_cannot_be_read_is_still_data(log, tmp_path, content):
    log.write_bytes(content)
    assert identity(str(tmp_path)) == {"member_id": "unknown", "cluster_id": "unknown"}


def test_no_data(tmp_path):
    assert identity(str(tmp_path)) is None
    assert identity(str(tmp_path / "nothing")) is None
