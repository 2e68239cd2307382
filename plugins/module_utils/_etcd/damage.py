# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find damage in the data directory of a member that does not run.

Damage is what etcd does not start on, or a log that is missing: without it etcd starts and has forgotten its votes.
The end of the last file of the write-ahead log may be incomplete after a power failure. etcd cuts that off by itself,
so it is not damage (server/storage/wal: ``Repair``). The format of a record is described in ``data``.
"""

from __future__ import annotations

import os
import struct
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.data import fields, wal_record

__all__ = ("damage",)

_METADATA, _CHECKSUM, _TYPES = 1, 4, (1, 2, 3, 4, 5)  # walpb: types of records
_SECTOR = 512
# Checksums are computed for the newest part of the log only: in Python that is about a second for so many bytes.
_VERIFIED = 8 << 20
_BBOLT_MAGIC = struct.pack("<I", 0xED0CDAED)
_BBOLT_PAGES = (4096, 8192, 16384, 65536)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _bit in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CASTAGNOLI = _table()


def _checksum(before: int, data: bytes) -> int:
    """Return the CRC-32C of data that follows other data with a known one."""
    crc = before ^ 0xFFFFFFFF
    for byte in data:
        crc = _CASTAGNOLI[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class _Record(t.NamedTuple):
    at: int
    kind: int
    crc: int
    data: bytes
    torn: bool


class _DamagedLogError(Exception):
    """A file of the log is damaged; the message says how."""


def _records(content: bytes) -> t.Iterator[_Record]:
    """Yield the records of a file, until its end or an incomplete record."""
    at = 0
    while at + 8 <= len(content):
        size, padding = wal_record(content, at)
        if not size:
            return
        end = at + 8 + size
        if end + padding > len(content):
            return
        body = content[at + 8 : end]
        # A sector that was never written is zero, up to the borders of sectors in the file.
        cuts = [at + 8, *range((at + 8) // _SECTOR * _SECTOR + _SECTOR, end, _SECTOR), end]
        torn = any(not any(content[start:stop]) for start, stop in zip(cuts, cuts[1:]))
        yield _Record(at, *_parsed(body, at), torn)
        at = end + padding


def _parsed(body: bytes, at: int) -> tuple[int, int, bytes]:
    try:
        found = fields(body)
        kind, crc, data = found.get(1, 0), found.get(2, 0), found.get(3, b"")
    except (ValueError, IndexError):
        kind, crc, data = 0, 0, b""
    if kind not in _TYPES or not isinstance(crc, int) or not isinstance(data, bytes):
        raise _DamagedLogError(f"it has no record of the log at byte {at}")
    return kind, crc, data


def _check_log(path: str, *, last: bool) -> None:
    """Check one file of the log.

    :param last: its end may be incomplete, and checksums are verified.
    :raises _DamagedLogError: it is damaged.
    """
    with open(path, "rb") as stream:
        content = stream.read()
    if not content:
        raise _DamagedLogError("it is empty")
    kinds, records, end = [], [], 0
    for record in _records(content):
        kinds.append(record.kind)
        records.append(record)
        end = record.at
    if _METADATA not in kinds[:2]:
        raise _DamagedLogError("it does not begin with the IDs of member and cluster")
    if last:
        _check_checksums(records, begin=end - _VERIFIED)


def _check_checksums(records: t.Sequence[_Record], *, begin: int) -> None:
    before = 0
    for number, record in enumerate(records):
        if record.kind != _CHECKSUM and record.at >= begin and _checksum(before, record.data) != record.crc:
            if record.torn and number == len(records) - 1:
                return
            raise _DamagedLogError(f"the checksum of the record at byte {record.at} is wrong")
        before = record.crc


def _check_database(path: str) -> None:
    with open(path, "rb") as stream:
        content = stream.read(_BBOLT_PAGES[-1] + 4096)
    # Each of the first two pages describes the database; one is enough.
    if not any(content[page + 16 : page + 20] == _BBOLT_MAGIC for page in (0, *_BBOLT_PAGES)):
        raise _DamagedLogError("it is not a database of etcd" if content else "it is empty")


def damage(directory: str) -> str:
    """Return what is damaged in a data directory, with the file; empty when nothing was found.

    :param directory: as etcd's ``--data-dir``. etcd must not run on it.
    """
    log = os.path.join(directory, "member", "wal")
    path = log
    try:
        names = sorted(name for name in os.listdir(log) if name.endswith(".wal"))
        if not names:
            return f"{log}: it has no file of the write-ahead log"
        for name in names:
            path = os.path.join(log, name)
            _check_log(path, last=name == names[-1])
        path = os.path.join(directory, "member", "snap", "db")
        _check_database(path)
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    except _DamagedLogError as error:
        return f"{path}: {error}"
    return ""
