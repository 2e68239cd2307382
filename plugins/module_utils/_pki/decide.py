# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which certificates have to be made, from the wanted and the existing ones.

Deciding reads and never writes, so that check mode is the same code without the last step.
"""

from __future__ import annotations

import datetime as dt
import difflib
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import attribute_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.building import subject_key_identifier
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import is_authority, read
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.config import Config, check_expiry, parse_config
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.csr import parse_request
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.fields import load_document
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.judging import (
    MAY_NOT_SIGN,
    Judgement,
    judge_authority,
    judge_leaf,
    pair_problems,
    sentence,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import build_name, subject_of
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import (
    Decision,
    FileNames,
    Making,
    Order,
    Present,
    Settings,
    Signer,
    Store,
    in_signing_order,
    name_of_signer,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import (
    Template,
    authority_template,
    leaf_template,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import (
    RenewBefore,
    duration_text,
    iso_time,
)

__all__ = ("decide",)

_CONSEQUENCE = "every certificate it has signed is then made again, and every client has to be given the new"


def decide(
    settings: Settings, orders: t.Sequence[Order], store: Store, *, interrupted: t.Collection[str], notes: Notes
) -> list[Decision]:
    """Decide about all certificates of one call, in their order.

    :param interrupted: names of files that a killed run had committed.
    :raises PkiError: a certificate cannot be made as described, or must not be made.
    """
    deciding = _Deciding(settings, orders, store, notes)
    decisions = {order.name: deciding.decision(order) for order in in_signing_order(orders)}
    deciding.cuts.warn()
    for decision in decisions.values():
        decision.recovered = tuple(name for name in decision.names if name in interrupted)
        if not decision.making and store.files.exists():
            decision.attribute_reasons = _attribute_reasons(decision, settings, store)
    return [decisions[order.name] for order in orders]


def _attribute_reasons(decision: Decision, settings: Settings, store: Store) -> list[str]:
    reasons: list[str] = []
    for name, attributes in zip(decision.names, settings.attributes):
        reasons += attribute_problems(store.path(name), attributes)
    return reasons


class _Wanted:
    """Reads CSRs and the signing config."""

    def __init__(self, settings: Settings, notes: Notes) -> None:
        self.settings = settings
        self.notes = notes
        self.config = self._config()

    def _config(self) -> Config:
        document, where = None, "config"
        if self.settings.config is not None:
            document, where = load_document(
                self.settings.config, directory=self.settings.directory, where=where, notes=self.notes
            )
        return parse_config(document, where=where, notes=self.notes)

    def _document(self, order: Order) -> tuple[dict[str, t.Any], str]:
        where = f"{order.label}: csr"
        return load_document(order.csr, directory=self.settings.directory, where=where, notes=self.notes)

    def authority(self, order: Order) -> Template | None:
        """Return what an authority has to be; None when it is taken as it is."""
        if order.csr is None:
            return None
        document, where = self._document(order)
        request = parse_request(document, where=where, notes=self.notes)
        template = authority_template(request, where=order.label, notes=self.notes)
        check_expiry(template.profile.expiry, where=f"{where}.ca.expiry", notes=self.notes)
        self.renew_before(order).check(template.profile.expiry, user=order.label)
        return template

    def leaf(self, order: Order) -> Template:
        """Return what a certificate has to be."""
        document, where = self._document(order)
        request = parse_request(document, where=where, notes=self.notes)
        profile = self.config.profile(order.profile, user=order.label, notes=self.notes)
        template = leaf_template(request, profile, order.hosts, where=order.label, notes=self.notes)
        self.renew_before(order).check(profile.expiry, user=order.label)
        return template

    def renew_before(self, order: Order) -> RenewBefore:
        """Return how long before its end a certificate is due."""
        given = order.renew_before if order.renew_before is not None else self.settings.renew_before
        return RenewBefore.parse(given, where=f"{order.label}: renew_before")


class _Cuts:
    """Certificates that would outlive their authority, and are cut to its end."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._names: dict[str, tuple[Signer, list[str]]] = {}

    def add(self, signer: Signer, name: str) -> None:
        """Note that a certificate ends with its authority."""
        self._names.setdefault(signer.name, (signer, []))[1].append(name)

    def warn(self) -> None:
        """Warn about each authority that cuts others."""
        for signer, names in self._names.values():
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            self._notes.warn(
                f"{signer.label} ends on {iso_time(signer.end)}, earlier than its profile lets {shown} live: "
                "no certificate outlives its authority, so they end with it. Renew the authority before that day "
                "('renew: true' on it keeps its key)."
            )


class _Deciding:
    """Decides about one certificate after the other; signers come before what they sign."""

    def __init__(self, settings: Settings, orders: t.Sequence[Order], store: Store, notes: Notes) -> None:
        self.settings = settings
        self.orders = orders
        self.store = store
        self.notes = notes
        self.cuts = _Cuts(notes)
        self.wanted = _Wanted(settings, notes)
        self._signers: dict[str, Signer] = {}

    def decision(self, order: Order) -> Decision:
        """Decide about one certificate."""
        if order.authority:
            decision = self._authority(order, self.wanted.authority(order))
        else:
            decision = self._leaf(order, self.wanted.leaf(order))
        if decision.signs:
            self._signers[order.name] = _signer_of(decision)
        return decision

    # --- authorities ---

    # All other certificates depend on an authority: it is made when it does not exist at all, and is
    # otherwise changed only when its own entry says so.
    def _authority(self, order: Order, template: Template | None) -> Decision:
        present = self.store.load(order.name, order.passphrase)
        decision = Decision(order, present, signer=None, signs=True)
        if present.absent:
            if template is None:
                raise PkiError(
                    f"{order.label}: {self.store.path(order.name)}.pem and -key.pem do not exist and no csr is given. "
                    "Put them there, or give a csr to have them made."
                )
            self._make(decision, template, "issued", ["it does not exist yet"], new_key=True)
            return decision
        judgement = judge_authority(
            present, template, self._pair_problems(order, present), self.wanted.renew_before(order), self.settings.now
        )
        if order.force:
            self._force(decision, template, judgement)
        elif judgement.reasons and order.renew:
            self._renew(decision, template, judgement)
        elif judgement.broken or judgement.unfit or self._expired(present):
            raise PkiError(_refusal(order, judgement))
        elif judgement.ageing:
            self.notes.warn(
                f"{order.label}: {sentence(judgement.ageing)} "
                "Set 'renew: true' on this authority to renew it with the same key."
            )
        return decision

    def _force(self, decision: Decision, template: Template | None, judgement: Judgement) -> None:
        order, present = decision.order, decision.present
        template = _given(order, template, "force")
        status = "reissued" if present.certificate or present.certificate_problem else "issued"
        new_key = judgement.needs_key or order.regenerate_key
        self._make(decision, template, status, judgement.reasons or ["force is set for it"], new_key=new_key)

    def _renew(self, decision: Decision, template: Template | None, judgement: Judgement) -> None:
        order = decision.order
        template = _given(order, template, "renew")
        if judgement.needs_key:
            raise PkiError(
                f"{order.label}: {sentence(judgement.reasons)} A renewal keeps the key, and that cannot be done here. "
                "Put the right key back; or set 'force: true' on this authority to make a new key and certificate: "
                f"{_CONSEQUENCE} one."
            )
        status = "reissued" if judgement.broken or judgement.unfit else "renewed"
        self._make(decision, template, status, judgement.reasons, new_key=False)

    def _pair_problems(self, order: Order, present: Present) -> list[str]:
        names = FileNames.of(order.name)
        return pair_problems(present, self.store.path(names.certificate), self.store.path(names.key))

    def _expired(self, present: Present) -> bool:
        return present.certificate is not None and present.certificate.not_valid_after_utc <= self.settings.now

    # --- certificates that an authority signs ---

    def _leaf(self, order: Order, template: Template) -> Decision:
        present = self.store.load(order.name, order.passphrase)
        signer = self._signer(order)
        decision = Decision(order, present, signer, signs=template.profile.is_ca)
        judgement = judge_leaf(
            present, template, signer, self.wanted.renew_before(order), self.settings.now, names=decision.names[:2]
        )
        if self._ends_with_signer(decision, template, judgement):
            self.cuts.add(signer, order.name)
            judgement.ageing = []
        if not judgement.reasons and (order.force or self.settings.force):
            judgement.unfit = ["force is set"]
        if judgement.reasons:
            self._make_leaf(decision, template, judgement)
        return decision

    def _make_leaf(self, decision: Decision, template: Template, judgement: Judgement) -> None:
        order, present = decision.order, decision.present
        if present.key_problem and "passphrase" in present.key_problem:
            raise PkiError(
                f"{order.label}: {present.key_problem}. Give its passphrase, or remove the file to have a new key made."
            )
        if decision.signs and not present.absent and not (order.force or order.renew):
            raise PkiError(_refusal(order, judgement))
        existed = present.certificate is not None or present.certificate_problem is not None
        reasons, new_key = judgement.reasons, judgement.needs_key
        if existed and not new_key and (order.regenerate_key or self.settings.regenerate_key):
            reasons, new_key = [*reasons, "regenerate_key is set"], True
        status = "issued" if not existed else "reissued" if judgement.unfit else "renewed"
        self._make(decision, template, status, reasons, new_key=new_key)

    def _ends_with_signer(self, decision: Decision, template: Template, judgement: Judgement) -> bool:
        """Return whether a leaf that is due was cut to its authority's end, so that a new one would not last longer."""
        certificate = decision.present.certificate
        if certificate is None or judgement.unfit or not judgement.ageing or self._expired(decision.present):
            return False
        _start, later = self._period(template, decision)
        return later <= certificate.not_valid_after_utc

    # --- signers ---

    def _signer(self, order: Order) -> Signer:
        name = name_of_signer(order, self.orders)
        if name in self._signers:
            return self._signers[name]
        if any(entry.name == name for entry in self.orders):
            raise PkiError(
                f"{order.label}: ca {name!r} is a certificate of this call whose profile makes no authority. "
                "Give it a profile with ca_constraint.is_ca, or name another ca."
            )
        present = self.store.load(name, order.passphrase)
        if present.absent:
            raise PkiError(self._unknown_signer(order, name))
        foreign = Order(name=name, csr=None, authority=True)
        broken = self._pair_problems(foreign, present)
        if not broken and present.certificate is not None and not is_authority(present.certificate):
            broken = [MAY_NOT_SIGN]
        if not broken and present.certificate is not None and self._expired(present):
            broken = [f"it expired on {iso_time(present.certificate.not_valid_after_utc)}"]
        if broken:
            raise PkiError(
                f"{order.label}: {foreign.label} cannot sign: {sentence(broken)} "
                "Put the right files in place, or list it under authorities."
            )
        self._signers[name] = _signer_of(Decision(foreign, present, signer=None, signs=True))
        return self._signers[name]

    def _unknown_signer(self, order: Order, name: str) -> str:
        listed = [entry.name for entry in self.orders if entry.authority]
        known = f" Authorities of this call: {', '.join(listed)}." if listed else ""
        nearest = difflib.get_close_matches(name, listed, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        return (
            f"{order.label}: ca {name!r} is not among the authorities of this call, and there is no "
            f"{self.store.path(name)}.pem.{known}{hint}"
        )

    # --- what is made ---

    def _make(self, decision: Decision, template: Template, status: str, reasons: list[str], *, new_key: bool) -> None:
        signer = decision.signer
        start, end = self._period(template, decision)
        if signer and template.period(self.settings.now)[1] > signer.end:
            self.cuts.add(signer, decision.order.name)
        kept = None if new_key else decision.present.key
        decision.making = Making(template, status, reasons, kept, start, end)

    def _period(self, template: Template, decision: Decision) -> tuple[dt.datetime, dt.datetime]:
        """Return the first and last moment of a certificate made now, cut to its authority's end."""
        label, signer = decision.order.label, decision.signer
        start, end = template.period(self.settings.now)
        if end >= dt.datetime(9999, 12, 31, tzinfo=dt.timezone.utc):
            raise PkiError(f"{label}: it would end after the year 9999. Lower the expiry.")
        end = min(end, signer.end) if signer else end
        if end <= self.settings.now:
            raise PkiError(
                f"{label}: it would be over when it is made: valid from {iso_time(start)} "
                f"(that includes a backdate of {duration_text(template.profile.backdate)}) to {iso_time(end)}. "
                "Raise the expiry or lower the backdate."
            )
        return start, end


def _given(order: Order, template: Template | None, option: str) -> Template:
    if template is None:
        raise PkiError(f"{order.label}: {option} is set and no csr is given, which is needed to make it.")
    return template


def _refusal(order: Order, judgement: Judgement) -> str:
    if judgement.needs_key:
        ways = (
            "Put back the right files from a backup; or set 'force: true' on this authority to make a new key and "
            f"certificate: {_CONSEQUENCE} authority."
        )
    else:
        ways = (
            "Correct the csr, or leave it out to take the authority as it is; or set 'renew: true' on this "
            "authority to make its certificate again with the same key, so that what it has signed stays valid."
        )
    return f"{order.label}: {sentence(judgement.reasons)} An authority is never made again automatically. {ways}"


def _signer_of(decision: Decision) -> Signer:
    """Return an authority as it will be after the decision about it."""
    making, certificate, key = decision.making, decision.present.certificate, decision.present.key
    name = decision.order.name
    if making:
        public = making.kept_key.public if making.kept_key else None
        return Signer(
            name=name,
            subject=build_name(making.template.subject),
            end=making.not_after,
            public=public,
            key_identifier=None if public is None else subject_key_identifier(public),
            key=making.kept_key,
            decision=decision,
        )
    if certificate is None or key is None:
        raise PkiError(f"{decision.order.label}: its key and certificate are not both there.")
    return Signer(
        name=name,
        subject=subject_of(certificate),
        end=certificate.not_valid_after_utc,
        public=key.public,
        key_identifier=read(certificate).key_identifier,
        key=key,
        decision=None,
    )
