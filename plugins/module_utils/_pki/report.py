# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the actual or predicted changes in the module's result."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.describing import (
    certificate_facts,
    certificate_text,
    template_facts,
    template_text,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import Decision, Settings, Store

__all__ = ("STATUSES", "Report")

STATUSES = ("unchanged", "issued", "renewed", "reissued")


@dataclasses.dataclass(frozen=True)
class Report:
    """The decisions about all certificates of one call, and their results."""

    settings: Settings
    store: Store
    decisions: list[Decision]
    warnings: list[str]

    @property
    def changed(self) -> bool:
        """Whether any file is or would be another one."""
        return any(decision.changed for decision in self.decisions)

    def results(self) -> list[dict[str, t.Any]]:
        """Return one entry for each certificate, as documented for the module."""
        return [self._result(decision) for decision in self.decisions]

    def summary(self) -> dict[str, int]:
        """Return how many certificates have each status."""
        found = [decision.status for decision in self.decisions]
        return {status: found.count(status) for status in STATUSES}

    def _result(self, decision: Decision) -> dict[str, t.Any]:
        making = decision.making
        reasons = list(decision.reasons)
        if decision.recovered:
            reasons.append("an interrupted run had made it; its files are put in their place")
        paths = [self.store.path(name) for name in decision.names]
        return {
            "name": decision.order.name,
            "authority": decision.signs,
            "changed": decision.changed,
            "status": decision.status,
            "reasons": [_capital(reason) for reason in reasons + decision.attribute_reasons],
            "new_key": making is not None and making.new_key,
            "certificate": paths[0],
            "private_key": paths[1],
            "csr": paths[2],
            **self._facts(decision),
        }

    def _facts(self, decision: Decision) -> dict[str, t.Any]:
        making, now = decision.making, self.settings.now
        certificate = decision.issued.certificate if decision.issued else decision.present.certificate
        if making and not decision.issued:
            issuer = decision.signer.subject if decision.signer else None
            return template_facts(making.template, issuer=issuer, period=making.period, now=now)
        return certificate_facts(certificate, now=now) if certificate else {}

    def changed_files(self) -> list[str]:
        """Return the paths whose content is or would be another one.

        Owner and mode do not count: a copy has its own.
        """
        paths = []
        for decision in self.decisions:
            names, making = decision.names, decision.making
            written = set(decision.recovered)
            if making:
                written |= set(names) if making.new_key else {names.certificate, names.csr}
            paths += [self.store.path(name) for name in names if name in written]
        return paths

    def diffs(self) -> list[dict[str, str]]:
        """Return certificates as text. Keys appear as the hash of their public half at most."""
        diffs = []
        for decision in self.decisions:
            path = self.store.path(decision.names.certificate)
            before, after = self._texts(decision)
            before += "".join(f"{reason}\n" for reason in decision.attribute_reasons)
            if decision.recovered:
                after += "files of an interrupted run put in their place\n"
            if before or after:
                diffs.append({"before_header": path, "after_header": path, "before": before, "after": after})
        return diffs

    @staticmethod
    def _texts(decision: Decision) -> tuple[str, str]:
        """Return a certificate before and after; nothing for one that is not made."""
        making = decision.making
        if not making:
            return "", ""
        before = certificate_text(decision.present.certificate) if decision.present.certificate else ""
        if decision.issued:
            return before, certificate_text(decision.issued.certificate)
        after = template_text(
            making.template,
            issuer=decision.signer.subject if decision.signer else None,
            public=making.kept_key.public if making.kept_key else None,
            period=making.period,
        )
        return before, after


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if not text.startswith("/") else text
