# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the owner of an etcd data directory from its write-ahead log. etcd need not run.

Each file of the log begins with a checksum record and a metadata record, and the latter holds the IDs of member and
cluster (server/storage/wal/encoder.go, walpb.Record, etcdserverpb.Metadata; the same in etcd 3.4 to 3.7).
"""

from __future__ import annotations

import os
import struct
import typing as t

__all__ = ("fields", "identity", "wal_record")

_METADATA = 1  # walpb: type of the metadata record
_LOOKED_AT = 4096


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> dict[int, t.Any]:
    """Return the fields of a protobuf message by number: numbers as int, everything else as bytes."""
    found: dict[int, t.Any] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            found[key >> 3], at = _varint(data, at)
        elif key & 7 == 2:
            size, at = _varint(data, at)
            found[key >> 3] = data[at : at + size]
            at += size
        else:
            raise ValueError(f"unexpected wire type {key & 7}")
    return found


def wal_record(data: bytes, at: int) -> tuple[int, int]:
    """Return size and padding, in bytes, of the record of a log that begins at a place; 0 for the end of the log."""
    (frame,) = struct.unpack_from("<Q", data, at)
    # The low 56 bits are the size; the top bit says that the three bits below the top byte's last hold the padding.
    return frame & ~(0xFF << 56), (frame >> 56) & 7 if frame >> 63 else 0


def _metadata(data: bytes) -> dict[str, str] | None:
    at = 0
    while at + 8 <= len(data):
        size, padding = wal_record(data, at)
        if not size or at + 8 + size > len(data):
            return None
        record = fields(data[at + 8 : at + 8 + size])
        if record.get(1) == _METADATA:
            ids = fields(record[3])
            return {"member_id": f"{ids[1]:x}", "cluster_id": f"{ids[2]:x}"}
        at += 8 + size + padding
    return None


def identity(directory: str) -> dict[str, str] | None:
    """Return ``member_id`` and ``cluster_id`` of a data directory, in hexadecimal digits; None when it holds no data.

    Data whose owner cannot be read has the IDs ``unknown``, so that it is not mistaken for an empty directory.
    """
    if not os.path.isdir(os.path.join(directory, "member")):
        return None
    log = os.path.join(directory, "member", "wal")
    try:
        for name in sorted((name for name in os.listdir(log) if name.endswith(".wal")), reverse=True):
            with open(os.path.join(log, name), "rb") as stream:
                found = _metadata(stream.read(_LOOKED_AT))
            if found:
                return found
    except (OSError, ValueError, IndexError, KeyError):
        pass
    return {"member_id": "unknown", "cluster_id": "unknown"}
