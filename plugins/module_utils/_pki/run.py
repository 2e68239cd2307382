# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call: decide everything, then do it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.decide import decide
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.issue import issue, rehearse
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import Order, Settings, Store, check_names
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.report import Report

__all__ = ("run",)


def run(settings: Settings, orders: t.Sequence[Order], *, write: bool) -> Report:
    """Bring the certificates of a directory into the wanted state.

    :param write: false to predict only.
    :raises PkiError: it cannot be done, or must not be; nothing has been changed then.
    :raises FileError: a file cannot be read or written.
    """
    check_names(orders)
    store = Store(settings.directory)
    directory = store.files
    if os.path.lexists(settings.directory) and not directory.exists():
        raise PkiError(f"directory {settings.directory} is there and is not a directory.")
    if not write or not directory.exists():
        # Also for a new directory: everything is decided before the first file is made.
        report = _decide(settings, orders, store, directory.pending())
        rehearse(report.decisions)
        if not write:
            return report
        directory.create()
    with directory.locked():
        writable = os.access(settings.directory, os.W_OK | os.X_OK)
        report = _decide(settings, orders, store, directory.recover() if writable else directory.pending())
        if not writable and any(decision.making for decision in report.decisions):
            raise PkiError(f"directory {settings.directory} is not writable by this user. Nothing was changed.")
        issue(report.decisions, settings, store)
    return report


def _decide(settings: Settings, orders: t.Sequence[Order], store: Store, interrupted: t.Collection[str]) -> Report:
    notes = Notes(strict=settings.strict)
    decisions = decide(settings, orders, store, interrupted=interrupted, notes=notes)
    return Report(settings, store, decisions, notes.warnings)
