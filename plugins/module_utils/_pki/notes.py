# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings and errors about a document, and the words in which they show values."""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError

__all__ = ("Notes", "did_you_mean", "kind_of", "shown")


class Notes:
    """Collects warnings, and turns cfssl's silent mishaps into errors when strict."""

    def __init__(self, *, strict: bool = True) -> None:
        self.strict = strict
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        """Add a warning, once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def mishap(self, message: str, *, otherwise: str) -> None:
        """Report a mistake that cfssl ignores silently.

        :param otherwise: cfssl's behaviour, which also applies where strict is false. It becomes part of the warning.
        :raises PkiError: strict is true.
        """
        if self.strict:
            raise PkiError(message)
        self.warn(f"{message} Because strict is false, {otherwise}.")


def kind_of(value: t.Any) -> str:
    """Return what JSON calls such a value, with its article."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def shown(value: t.Any) -> str:
    """Return a value as a message shows it: quoted, 60 characters at most."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(name: str, known: t.Iterable[str]) -> str:
    """Return a hint at the most similar of the known names, to be put after a name; empty where none is similar."""
    folded = {entry.lower(): entry for entry in known}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""
