# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON objects read strictly, field by field."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes, did_you_mean, kind_of, shown
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import duration_text, parse_duration

__all__ = ("Fields", "load_document", "parse_oid", "path_length")

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_T = t.TypeVar("_T")


def load_document(value: t.Any, *, directory: str, where: str, notes: Notes) -> tuple[dict[str, t.Any], str]:
    """Return a document and the words that name it.

    :param value: the document itself, or the path of a JSON file.
    :param directory: where a relative path starts.
    :raises PkiError: it cannot be read, or is not a JSON object.
    """
    if isinstance(value, dict):
        return value, where
    if not isinstance(value, (str, os.PathLike)):
        raise PkiError(f"{where} is {shown(value)}: it must be a mapping or the path of a JSON file.")
    path = os.path.join(directory, os.path.expanduser(os.fspath(value)))
    name = f"{where} ({path})"

    def pairs(items: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        document = dict(items)
        if len(document) < len(items):
            names = [key for key, _entry in items]
            twice = sorted({key for key in names if names.count(key) > 1})
            notes.mishap(f"{name}: {', '.join(twice)} occurs twice.", otherwise="the last one counts")
        return document

    try:
        with open(path, "rb") as stream:
            document = json.loads(stream.read().decode("utf-8"), object_pairs_hook=pairs)
    except OSError as error:
        raise PkiError(f"{name} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise PkiError(f"{name} is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise PkiError(f"{name} must hold a JSON object, not {kind_of(document)}.")
    return document, name


class Fields:
    """Typed access to a JSON object, with the place of each field in every message.

    Names are case-insensitive, as they are for Go. null means absent, also as for Go.

    :param where: names the object in messages.
    :param known: the fields that it may have.
    :param elsewhere: advice for a field that is often put in the wrong place, by its name in lower case.
    """

    def __init__(
        self,
        value: t.Any,
        where: str,
        known: t.Iterable[str],
        notes: Notes,
        *,
        elsewhere: t.Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(value, dict):
            raise PkiError(f"{where} must be an object, not {kind_of(value)}.")
        self.where = where
        self.notes = notes
        names = {name.lower(): name for name in known}
        self.values: dict[str, t.Any] = {}
        for key, entry in value.items():
            name = names.get(str(key).lower())
            if name is not None:
                if entry is not None:
                    self.values[name] = entry
                continue
            hint = (elsewhere or {}).get(str(key).lower())
            advice = f": {hint}" if hint else did_you_mean(str(key), names.values()) + "."
            notes.mishap(f"{where} has an unknown field {str(key)!r}{advice}", otherwise="it is ignored")

    def _typed(self, name: str, kind: type[_T], words: str, default: _T) -> _T:
        value = self.values.get(name, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise PkiError(f"{self.where}.{name} must be {words}, not {kind_of(value)} ({shown(value)}).")
        return value

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return name in self.values

    def text(self, name: str) -> str:
        """Return a string, empty where it is absent."""
        # Ansible tags strings; plain ones keep messages, JSON and `cryptography` out of trouble.
        return str(self._typed(name, str, "a string", ""))

    def number(self, name: str) -> int:
        """Return a whole number, 0 where it is absent."""
        return self._typed(name, int, "a whole number", 0)

    def flag(self, name: str) -> bool:
        """Return true or false, false where it is absent."""
        return self._typed(name, bool, "true or false", False)

    def items(self, name: str) -> list[t.Any]:
        """Return a list, empty where it is absent."""
        return self._typed(name, list, "a list", [])

    def mapping(self, name: str) -> dict[t.Any, t.Any]:
        """Return an object, empty where it is absent."""
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise PkiError(f"{self.where}.{name} must be an object, not {kind_of(value)}.")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings, empty where it is absent."""
        result = []
        for index, entry in enumerate(self.items(name)):
            if not isinstance(entry, str):
                raise PkiError(f"{self.where}.{name}[{index}] must be a string, not {kind_of(entry)} ({shown(entry)}).")
            result.append(str(entry))
        return result

    def url(self, name: str) -> str:
        """Return a URL, empty where it is absent."""
        return self._ascii(self.text(name), name)

    def urls(self, name: str) -> list[str]:
        """Return a list of URLs, empty where it is absent."""
        return [self._ascii(text, f"{name}[{index}]") for index, text in enumerate(self.texts(name))]

    def _ascii(self, text: str, name: str) -> str:
        if not text.isascii() or not text.isprintable():
            raise PkiError(f"{self.where}.{name} is {shown(text)}: a URL is ASCII; encode other characters as %XX.")
        return text

    def duration(self, name: str) -> dt.timedelta | None:
        """Return a Go duration, None where it is absent or empty."""
        text = self.text(name)
        return parse_duration(text, where=f"{self.where}.{name}") if text else None

    def backdate(self) -> dt.timedelta | None:
        """Return the field ``backdate``; a negative one is a mishap."""
        backdate = self.duration("backdate")
        if backdate is not None and backdate < dt.timedelta(0):
            self.notes.mishap(
                f"{self.where}.backdate is {duration_text(backdate)}: the certificates would not be valid yet.",
                otherwise="it is taken as it is",
            )
        return backdate


def path_length(fields: Fields, name: str, zero: str) -> int | None:
    """Return the longest path below an authority; None for no limit.

    :param name: the field with the number.
    :param zero: the field that says whether a number of 0 is meant, for Go does not tell it from none.
    """
    length = fields.number(name)
    if length < 0:
        raise PkiError(f"{fields.where}.{name} is {length}: it must be 0 or more; leave it out for no limit.")
    if length and fields.flag(zero):
        fields.notes.mishap(
            f"{fields.where}: {name} is {length} and {zero} is true; only one of them can hold.",
            otherwise=f"{zero} is ignored",
        )
    if length:
        return length
    if fields.flag(zero):
        return 0
    if fields.has(name) and fields.notes.strict:
        raise PkiError(f"{fields.where}.{name} 0 means 'no limit' to cfssl unless {zero} is true as well: say which.")
    return None


def parse_oid(value: t.Any, where: str) -> str:
    """Return an object identifier with dots, given as such or as a list of numbers."""
    if isinstance(value, list) and all(isinstance(part, int) and not isinstance(part, bool) for part in value):
        value = ".".join(str(part) for part in value)
    text = str(value) if isinstance(value, str) else ""
    first, _dot, rest = text.partition(".")
    # X.660: below 0 and 1 the second number is at most 39.
    too_large = first in ("0", "1") and _OID.fullmatch(text) and int(rest.partition(".")[0]) > 39
    if not _OID.fullmatch(text) or len(text) > 200 or too_large:
        raise PkiError(f"{where} is {shown(value)}, which is not an object identifier such as '1.2.3.4'.")
    return text
