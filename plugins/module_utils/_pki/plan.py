# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is wanted and what is there to what has to be made: decide everything, then do it.

Deciding reads and never writes, so that check mode is the same code without the last step.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import difflib
import os
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import (
    AtomicDirectory,
    Attributes,
    NewFile,
    attribute_problems,
    fix_attributes,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki import cert as cert
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.spec import (
    Config,
    KeySpec,
    Notes,
    PkiError,
    RenewBefore,
    check_expiry,
    duration_text,
    load_document,
    parse_config,
    parse_request,
)

__all__ = ("Order", "Plan", "Settings", "run")

TAG = "x509_cfssl_compat"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,200}")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds for the whole call."""

    directory: str
    config: t.Any
    renew_before: str | None
    force: bool
    regenerate_key: bool
    strict: bool
    certificate_attributes: Attributes
    key_attributes: Attributes
    # The moment that everything is judged by.
    now: dt.datetime


@dataclasses.dataclass(frozen=True)
class Order:
    """One certificate as the user asked for it."""

    name: str
    csr: t.Any
    authority: bool = False
    ca: str | None = None
    profile: str | None = None
    hosts: tuple[str, ...] | None = None
    renew_before: str | None = None
    renew: bool = False
    force: bool = False
    regenerate_key: bool = False
    passphrase: str | None = dataclasses.field(default=None, repr=False)

    @property
    def label(self) -> str:
        return f"{'authority' if self.authority else 'certificate'} {self.name}"


@dataclasses.dataclass
class Present:
    """What is on disk for one name."""

    certificate: t.Any = None
    certificate_problem: str | None = None
    # A PrivateKey, or None.
    key: t.Any = None
    key_problem: str | None = None

    @property
    def absent(self) -> bool:
        return self.certificate is None and self.key is None and not self.certificate_problem and not self.key_problem

    def key_matches(self) -> bool:
        return cert.public_bytes(self.certificate.public_key()) == cert.public_bytes(self.key.public)


@dataclasses.dataclass
class Signer:
    """An issuer as it will be when this call is over."""

    label: str
    name: str
    subject: t.Any
    end: dt.datetime
    # None when a new key is going to be made.
    public: t.Any
    key_identifier: bytes | None
    # Where the signing key comes from: a PrivateKey that exists, or the Work that makes one.
    key: t.Any
    work: t.Any


@dataclasses.dataclass
class Work:
    """The decision about one certificate, and what came of it."""

    order: Order
    # A Template, or None for an authority that is taken as it is.
    template: t.Any
    present: Present
    # A Signer, or None for a certificate that signs itself.
    signer: t.Any
    status: str = "unchanged"
    reasons: list[str] = dataclasses.field(default_factory=list)
    attribute_reasons: list[str] = dataclasses.field(default_factory=list)
    recovered: bool = False
    # Names of its files that a killed run had committed and this one puts in their place.
    recovered_files: tuple[str, ...] = ()
    new_key: bool = False
    # Known once it is decided that the certificate is made, and for the key and certificate once they are.
    not_before: t.Any = None
    not_after: t.Any = None
    certificate: t.Any = None
    key: t.Any = None
    csr: bytes = b""

    @property
    def makes(self) -> bool:
        return self.status != "unchanged"

    @property
    def changed(self) -> bool:
        return self.makes or self.recovered or bool(self.attribute_reasons)


class Plan:
    """Decides about all certificates of one call."""

    def __init__(self, settings: Settings, orders: t.Sequence[Order]) -> None:
        self.settings = settings
        self.notes = Notes(strict=settings.strict)
        self.directory = AtomicDirectory(settings.directory, tag=TAG)
        self.orders = list(orders)
        self.works: list[Work] = []
        self._signers: dict[str, Signer] = {}
        self._cut: dict[str, list[str]] = {}
        self._check_names()

    # --- names and files ---

    def _check_names(self) -> None:
        files: dict[str, str] = {}
        for order in self.orders:
            if not _NAME.fullmatch(order.name):
                raise PkiError(
                    f"{order.label}: the name {order.name!r} cannot be a file name. Allowed are letters, digits and "
                    "_.@:+- after the first character."
                )
            for name in _file_names(order.name):
                if name in files:
                    other = files[name]
                    what = "is asked for twice" if other == order.name else f"and {other!r} both need the file {name}"
                    raise PkiError(f"{order.label}: the name {order.name!r} {what}. Rename one of them.")
                files[name] = order.name

    def path(self, name: str) -> str:
        return os.path.join(self.settings.directory, name)

    def _load(self, base: str, passphrase: str | None) -> Present:
        """base is a name in the directory, or the beginning of a path elsewhere."""
        certificate_name, key_name, _csr_name = _file_names(base)
        present = Present()
        pem = self.directory.read(certificate_name)
        if pem is not None:
            try:
                present.certificate = cert.load_certificate(pem)
            except ValueError as error:
                present.certificate_problem = (
                    f"{self.path(certificate_name)} is no certificate that can be read ({error})"
                )
        pem = self.directory.read(key_name)
        if pem is not None:
            try:
                present.key = cert.PrivateKey.load(pem, passphrase=passphrase)
            except ValueError as error:
                present.key_problem = f"{self.path(key_name)}: {error}"
        return present

    # --- deciding ---

    def decide(self) -> list[Work]:
        config = self._config()
        for order in self._in_signing_order():
            work = self._decide_authority(order) if order.authority else self._decide_leaf(order, config)
            self._add_attributes(work)
            self.works.append(work)
        self._warn_about_cuts()
        position = {order.name: index for index, order in enumerate(self.orders)}
        self.works.sort(key=lambda work: position[work.order.name])
        return self.works

    def _config(self) -> Config:
        if self.settings.config is None:
            return parse_config(None, where="config", notes=self.notes)
        document, where = load_document(
            self.settings.config, directory=self.settings.directory, where="config", notes=self.notes
        )
        return parse_config(document, where=where, notes=self.notes)

    def _in_signing_order(self) -> list[Order]:
        """Authorities first, then certificates after the one that signs them."""
        waiting = {order.name: order for order in self.orders if not order.authority}
        result = [order for order in self.orders if order.authority]
        while waiting:
            ready = [order for order in waiting.values() if self._ca_name(order) not in waiting]
            if not ready:
                raise PkiError(f"certificates {', '.join(sorted(waiting))}: each waits for another to sign it.")
            for order in ready:
                del waiting[order.name]
            result += ready
        return result

    def _ca_name(self, order: Order) -> str:
        if order.ca:
            return order.ca
        authorities = [entry.name for entry in self.orders if entry.authority]
        if len(authorities) > 1 and "ca" not in authorities:
            raise PkiError(
                f"{order.label}: there are several authorities ({', '.join(authorities)}); 'ca' must name one."
            )
        return authorities[0] if len(authorities) == 1 else "ca"

    def _template(self, order: Order, config: Config | None) -> t.Any:
        if order.csr is None:
            return None
        document, where = load_document(
            order.csr, directory=self.settings.directory, where=f"{order.label}: csr", notes=self.notes
        )
        request = parse_request(document, where=where, notes=self.notes)
        if config is None:
            template = cert.authority_template(request, where=order.label, notes=self.notes)
            check_expiry(template.expiry, where=f"{where}.ca.expiry", notes=self.notes)
        else:
            profile = config.profile(order.profile, user=order.label, notes=self.notes)
            template = cert.leaf_template(request, profile, order.hosts, where=order.label, notes=self.notes)
        self._renew_before(order).check(template.expiry, user=order.label)
        return template

    def _renew_before(self, order: Order) -> RenewBefore:
        given = order.renew_before if order.renew_before is not None else self.settings.renew_before
        return RenewBefore.parse(given, where=f"{order.label}: renew_before")

    # An authority is what everything else hangs on: it is made when there is nothing at all, and
    # otherwise touched only if its own entry says so.
    def _decide_authority(self, order: Order) -> Work:
        template = self._template(order, None)
        present = self._load(order.name, order.passphrase)
        work = Work(order, template, present, None)
        if present.absent:
            if template is None:
                raise PkiError(
                    f"{order.label}: {self.path(order.name)}.pem and -key.pem do not exist and no csr is given. "
                    "Put them there, or give a csr to have them made."
                )
            self._issue(work, "issued", ["it does not exist yet"], new_key=True)
        else:
            self._judge_authority(work)
        self._signers[order.name] = self._signer_of(work)
        return work

    def _judge_authority(self, work: Work) -> None:
        order, present = work.order, work.present
        broken = self._broken(order, present)
        ageing: list[str] = []
        unfit: list[str] = []
        needs_key = present.key is None
        if not broken:
            if work.template:
                unfit, needs_key = self._authority_differences(work)
            ageing = self._ageing(work)
        expired = present.certificate is not None and present.certificate.not_valid_after_utc <= self.settings.now
        reasons = broken + unfit + ageing
        if order.force:
            self._need_csr(work, "force")
            new_key = needs_key or order.regenerate_key
            status = "reissued" if present.certificate or present.certificate_problem else "issued"
            self._issue(work, status, reasons or ["force is set for it"], new_key=new_key)
        elif not reasons:
            return
        elif order.renew:
            self._need_csr(work, "renew")
            if needs_key:
                raise PkiError(
                    f"{order.label}: {_sentence(reasons)} A renewal keeps the key, and that cannot be done here. "
                    "Put the right key back; or set 'force: true' on this authority to make a new key and certificate: "
                    "every certificate it has signed is then made again, and every client has to be given the new one."
                )
            self._issue(work, "reissued" if broken or unfit else "renewed", reasons, new_key=False)
        elif broken or unfit or expired:
            raise PkiError(self._authority_refusal(order, reasons, needs_key))
        else:
            self.notes.warn(
                f"{order.label}: {_sentence(ageing)} Set 'renew: true' on this authority to renew it with the same key."
            )

    def _authority_refusal(self, order: Order, reasons: list[str], needs_key: bool) -> str:
        if needs_key:
            ways = (
                "Put back the right files from a backup; or set 'force: true' on this authority to make a new key and "
                "certificate: every certificate it has signed is then made again, and every client has to be given "
                "the new authority."
            )
        else:
            ways = (
                "Correct the csr, or leave it out to take the authority as it is; or set 'renew: true' on this "
                "authority to make its certificate again with the same key, so that what it has signed stays valid."
            )
        return f"{order.label}: {_sentence(reasons)} An authority is never made again unasked. {ways}"

    def _broken(self, order: Order, present: Present) -> list[str]:
        """Why a key and certificate are no pair to sign with."""
        certificate_path, key_path = (self.path(name) for name in _file_names(order.name)[:2])
        reasons = []
        if present.certificate_problem:
            reasons.append(present.certificate_problem)
        elif present.certificate is None:
            reasons.append(f"{certificate_path} is missing while {key_path} is there")
        if present.key_problem:
            reasons.append(present.key_problem)
        elif present.key is None:
            reasons.append(f"{key_path} is missing while {certificate_path} is there")
        if present.certificate is not None and present.key is not None and not present.key_matches():
            reasons.append(f"{key_path} is not the key of {certificate_path}")
        elif present.certificate is not None and not present.key_problem and cert.is_altered(present.certificate):
            reasons.append(f"{certificate_path} is damaged: it names itself as its issuer, and its signature is wrong")
        return reasons

    def _authority_differences(self, work: Work) -> tuple[list[str], bool]:
        certificate, template = work.present.certificate, work.template
        reasons = cert.subject_differences(cert.certificate_subject(certificate), template)
        if not cert.is_authority(certificate):
            reasons.append("it may not sign certificates (CA:FALSE, or key usage without 'cert sign')")
        elif template.request.ca and template.request.ca.path_length is not None:
            reasons += cert.constraint_differences(certificate, template)
        found = cert.key_spec(certificate.public_key())
        if found == template.key:
            return reasons, False
        return [*reasons, f"its key is {found or 'of another kind'} instead of {template.key}"], True

    def _ageing(self, work: Work) -> list[str]:
        certificate, order = work.present.certificate, work.order
        reasons = []
        request = work.template.request if work.template else None
        if request and request.ca and request.ca.expiry is not None:
            difference = cert.lifetime_difference(certificate, work.template, ca_end=None)
            if difference:
                reasons.append(difference)
        reasons += self._time_reasons(order, certificate)
        return reasons

    def _time_reasons(self, order: Order, certificate: t.Any) -> list[str]:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if end <= self.settings.now:
            return [f"it expired on {cert.iso_time(end)}"]
        left = end - self.settings.now
        window = self._renew_before(order).window(end - start)
        if left <= window:
            return [
                f"it expires on {cert.iso_time(end)}, in {duration_text(left)}, "
                f"which is within the {duration_text(window)} of renew_before"
            ]
        return []

    def _need_csr(self, work: Work, option: str) -> None:
        if work.template is None:
            raise PkiError(
                f"{work.order.label}: {option} is set and no csr is given: there is nothing to make it from."
            )

    def _decide_leaf(self, order: Order, config: Config) -> Work:
        template = self._template(order, config)
        present = self._load(order.name, order.passphrase)
        signer = self._signer(order)
        work = Work(order, template, present, signer)
        if present.key_problem and "passphrase" in present.key_problem:
            raise PkiError(
                f"{order.label}: {present.key_problem}. Give its passphrase, or remove the file to have a new key made."
            )
        lasting, ageing, new_key = self._leaf_reasons(work)
        force = order.force or self.settings.force
        if force and not lasting and not ageing:
            lasting = ["force is set"]
        if not lasting and not ageing:
            if template.is_ca:
                self._signers[order.name] = self._signer_of(work)
            return work
        existed = present.certificate is not None or present.certificate_problem is not None
        if template.is_ca and not present.absent and not (order.force or order.renew):
            raise PkiError(self._authority_refusal(order, lasting + ageing, new_key))
        if (
            existed
            and present.key is not None
            and not new_key
            and (order.regenerate_key or self.settings.regenerate_key)
        ):
            new_key = True
            (lasting or ageing).append("regenerate_key asks for a new key")
        status = "issued" if not existed else "reissued" if lasting else "renewed"
        self._issue(work, status, lasting + ageing, new_key=new_key)
        if template.is_ca:
            self._signers[order.name] = self._signer_of(work)
        return work

    def _leaf_reasons(self, work: Work) -> tuple[list[str], list[str], bool]:
        """Lasting reasons, reasons of time alone, and whether a new key is needed."""
        order, present, template = work.order, work.present, work.template
        certificate_name, key_name, _csr_name = _file_names(order.name)
        if present.absent:
            return ["it does not exist yet"], [], True
        reasons = []
        new_key = False
        if present.key_problem:
            reasons.append(f"{present.key_problem}")
            new_key = True
        elif present.key is None:
            reasons.append(f"the key {key_name} is missing")
            new_key = True
        else:
            found = cert.key_spec(present.key.public)
            if found != template.key:
                reasons.append(f"the key is {found or 'of another kind'} instead of {template.key}")
                new_key = True
        if present.certificate_problem:
            return [*reasons, present.certificate_problem], [], new_key
        if present.certificate is None:
            return [*reasons, f"the certificate {certificate_name} is missing"], [], new_key
        certificate = present.certificate
        if present.key is not None and not present.key_matches():
            reasons.append(f"the key {key_name} is not the key of {certificate_name}")
        reasons += cert.differences(certificate, template)
        reasons += self._issuer_reasons(certificate, work.signer)
        difference = cert.lifetime_difference(certificate, template, ca_end=work.signer.end)
        if difference:
            reasons.append(difference)
        end = certificate.not_valid_after_utc
        if end > work.signer.end:
            reasons.append(
                f"it ends on {cert.iso_time(end)}, later than {work.signer.label} on {cert.iso_time(work.signer.end)}"
            )
        start = certificate.not_valid_before_utc
        # A new one would begin earlier: the clock was wrong, unless the backdate is negative.
        if start > self.settings.now and start > template.period(self.settings.now)[0]:
            reasons.append(f"it is not valid before {cert.iso_time(start)}")
        ageing = self._time_reasons(order, certificate)
        if ageing and end > self.settings.now and not reasons:
            # Cut to the end of its authority: to make it again now would not make it last longer.
            _start, later = self._period(template, work.signer, order, warn=False)
            if later <= end:
                self._cut.setdefault(work.signer.name, []).append(order.name)
                ageing = []
        return reasons, ageing, new_key

    def _issuer_reasons(self, certificate: t.Any, signer: Signer) -> list[str]:
        if signer.public is None:
            return [f"{signer.label} gets a new key"]
        if certificate.issuer != signer.subject:
            return [f"it was issued by another authority than {signer.label}"]
        if not cert.signed_by(certificate, signer.public):
            return [f"it was not signed with the key of {signer.label}"]
        identifier = cert.authority_key_identifier(certificate)
        if identifier and signer.key_identifier and identifier != signer.key_identifier:
            return [f"its authority key identifier is not that of {signer.label}"]
        return []

    # --- signers ---

    def _signer(self, order: Order) -> Signer:
        name = self._ca_name(order)
        if name in self._signers:
            return self._signers[name]
        if any(entry.name == name for entry in self.orders):
            raise PkiError(
                f"{order.label}: ca {name!r} is a certificate of this call whose profile makes no authority. "
                "Give it a profile with ca_constraint.is_ca, or name another ca."
            )
        label = f"authority {name}"
        present = self._load(name, order.passphrase)
        listed = [entry.name for entry in self.orders if entry.authority]
        if present.absent:
            known = f" Authorities of this call: {', '.join(listed)}." if listed else ""
            nearest = difflib.get_close_matches(name, listed, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise PkiError(
                f"{order.label}: ca {name!r} is not among the authorities of this call, and there is no "
                f"{self.path(name)}.pem.{known}{hint}"
            )
        foreign = Order(name=name, csr=None, authority=True)
        broken = self._broken(foreign, present)
        if not broken and not cert.is_authority(present.certificate):
            broken = ["it may not sign certificates (CA:FALSE, or key usage without 'cert sign')"]
        if not broken and present.certificate.not_valid_after_utc <= self.settings.now:
            broken = [f"it expired on {cert.iso_time(present.certificate.not_valid_after_utc)}"]
        if broken:
            raise PkiError(
                f"{order.label}: {label} cannot sign: {_sentence(broken)} "
                "Put the right files in place, or list it under authorities with what shall become of it."
            )
        signer = self._signer_of(Work(foreign, None, present, None))
        self._signers[name] = signer
        return signer

    def _signer_of(self, work: Work) -> Signer:
        order, present = work.order, work.present
        label = f"authority {order.name}"
        if not work.makes:
            certificate = present.certificate
            return Signer(
                label=label,
                name=order.name,
                subject=certificate.subject,
                end=certificate.not_valid_after_utc,
                public=certificate.public_key(),
                key_identifier=cert.own_key_identifier(certificate),
                key=present.key,
                work=None,
            )
        public = None if work.new_key else present.key.public
        return Signer(
            label=label,
            name=order.name,
            subject=cert.build_name(work.template),
            end=work.not_after,
            public=public,
            key_identifier=None if public is None else cert.subject_key_identifier(public),
            key=None if work.new_key else present.key,
            work=work,
        )

    # --- issuing ---

    def _issue(self, work: Work, status: str, reasons: list[str], *, new_key: bool) -> None:
        work.status, work.reasons, work.new_key = status, reasons, new_key
        work.not_before, work.not_after = self._period(work.template, work.signer, work.order, warn=True)

    def _period(
        self, template: cert.Template, signer: Signer | None, order: Order, *, warn: bool
    ) -> tuple[dt.datetime, dt.datetime]:
        start, end = template.period(self.settings.now)
        if end.year > 9999 or end >= dt.datetime(9999, 12, 31, tzinfo=dt.timezone.utc):
            raise PkiError(f"{order.label}: it would end after the year 9999. Lower the expiry.")
        if signer and end > signer.end:
            end = signer.end
            if warn:
                self._cut.setdefault(signer.name, []).append(order.name)
        if end <= self.settings.now:
            raise PkiError(
                f"{order.label}: it would be over when it is made: valid from {cert.iso_time(start)} "
                f"(that includes a backdate of {duration_text(template.backdate)}) to {cert.iso_time(end)}. "
                "Raise the expiry or lower the backdate."
            )
        return start, end

    def _warn_about_cuts(self) -> None:
        for name, leaves in self._cut.items():
            signer = self._signers[name]
            shown = ", ".join(leaves[:5]) + (f" and {len(leaves) - 5} more" if len(leaves) > 5 else "")
            self.notes.warn(
                f"{signer.label} ends on {cert.iso_time(signer.end)}, earlier than its profile lets {shown} live: "
                "no certificate outlives its authority, so they end with it. Renew the authority before that day "
                "('renew: true' on it keeps its key)."
            )

    def _add_attributes(self, work: Work) -> None:
        names = _file_names(work.order.name)
        pending = set(self.directory.pending())
        work.recovered_files = tuple(name for name in names if name in pending)
        work.recovered = bool(work.recovered_files)
        if work.makes or not self.directory.exists():
            return
        for name, attributes in zip(names, self._attributes()):
            work.attribute_reasons += attribute_problems(self.path(name), attributes)

    def _attributes(self) -> tuple[Attributes, Attributes, Attributes]:
        settings = self.settings
        return settings.certificate_attributes, settings.key_attributes, settings.certificate_attributes

    # --- doing ---

    def rehearse(self) -> None:
        """Makes with a key that is thrown away what is going to be made, so that nothing is found out only then."""
        making = [work for work in self.works if work.makes]
        if not making:
            return
        key = cert.generate_key(KeySpec()).key
        for work in making:
            issuer = cert.Issuer(work.signer.subject, work.signer.key_identifier) if work.signer else None
            with _building(work.order):
                cert.build_certificate(
                    work.template,
                    key.public_key(),
                    issuer,
                    signing_key=key,
                    serial=1,
                    not_before=work.not_before,
                    not_after=work.not_after,
                )
                cert.build_csr(work.template, key)

    def carry_out(self) -> None:
        """Makes what was decided: keys on all cores, certificates as soon as they have one, then all files at once."""
        making = self._signing_order([work for work in self.works if work.makes])
        if making:
            for work in self._with_keys(making):
                self._sign(work)
            files = []
            certificate_attributes, key_attributes, csr_attributes = self._attributes()
            for work in making:
                certificate_name, key_name, csr_name = _file_names(work.order.name)
                if work.new_key:
                    files.append(NewFile(key_name, work.key.pem, key_attributes))
                files.append(NewFile(certificate_name, cert.certificate_pem(work.certificate), certificate_attributes))
                files.append(NewFile(csr_name, work.csr, csr_attributes))
            self.directory.commit(files)
        for work in self.works:
            # A kept key of a renewed certificate has its attributes looked after as well.
            for name, attributes in zip(_file_names(work.order.name), self._attributes()):
                if attribute_problems(self.path(name), attributes):
                    fix_attributes(self.path(name), attributes)

    def _with_keys(self, making: list[Work]) -> t.Iterator[Work]:
        """Gives each of them its key, in their order, while the keys of the following ones are being made."""
        # `cryptography` lets go of the interpreter while OpenSSL looks for primes.
        pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        try:
            pending = [pool.submit(cert.generate_key, work.template.key) if work.new_key else None for work in making]
            for work, new in zip(making, pending):
                work.key = new.result() if new else work.present.key
                yield work
        finally:
            pool.shutdown(cancel_futures=True)

    def _signing_order(self, making: list[Work]) -> list[Work]:
        position = {order.name: index for index, order in enumerate(self._in_signing_order())}
        return sorted(making, key=lambda work: position[work.order.name])

    def _sign(self, work: Work) -> None:
        issuer = None
        signing_key = work.key.key
        if work.signer:
            signing_key = self._signing_key(work.signer)
            identifier = work.signer.key_identifier
            if work.signer.work:  # the authority was made just now, and its key with it
                identifier = cert.subject_key_identifier(signing_key.public_key())
            issuer = cert.Issuer(work.signer.subject, identifier)
        with _building(work.order):
            work.certificate = cert.build_certificate(
                work.template,
                work.key.public,
                issuer,
                signing_key=signing_key,
                serial=cert.new_serial(),
                not_before=work.not_before,
                not_after=work.not_after,
            )
            work.csr = cert.build_csr(work.template, work.key.key)
        if not cert.signed_by(work.certificate, signing_key.public_key()):
            # RSA keys are read without checking their parts against each other, so a signature has to be checked.
            signer = work.signer.label if work.signer else work.order.label
            raise PkiError(
                f"{work.order.label}: the key of {signer} is damaged: what it signs does not verify. "
                "Nothing was changed. Put the key back from a backup."
            )

    def _signing_key(self, signer: Signer) -> t.Any:
        if signer.work is not None:
            return signer.work.key.key
        return signer.key.key

    # --- telling ---

    def results(self) -> list[dict[str, t.Any]]:
        return [self._result(work) for work in self.works]

    def _result(self, work: Work) -> dict[str, t.Any]:
        certificate_name, key_name, csr_name = _file_names(work.order.name)
        reasons = list(work.reasons)
        if work.recovered:
            reasons.append("an interrupted run had made it; its files are put in their place")
        result: dict[str, t.Any] = {
            "name": work.order.name,
            "authority": bool(work.order.authority or (work.template and work.template.is_ca)),
            "changed": work.changed,
            "status": work.status,
            "reasons": [_capital(reason) for reason in reasons + work.attribute_reasons],
            "new_key": work.new_key,
            "certificate": self.path(certificate_name),
            "private_key": self.path(key_name),
            "csr": self.path(csr_name),
        }
        certificate = work.certificate if work.makes else work.present.certificate
        if certificate is not None:
            result.update(cert.certificate_facts(certificate, now=self.settings.now))
        else:
            # Not made yet: what is certain about it. A serial number and a fingerprint are not.
            template = work.template
            subject = cert.subject_text(attribute for rdn in template.subject for attribute in rdn)
            result.update(
                subject=subject,
                issuer=cert.name_text(work.signer.subject) if work.signer else subject,
                serial=None,
                not_before=cert.iso_time(work.not_before),
                not_after=cert.iso_time(work.not_after),
                days_left=(work.not_after - self.settings.now) // dt.timedelta(days=1),
                sans=[f"{kind}:{value}" for kind, value in template.sans],
                fingerprint_sha256=None,
            )
        return result

    def changed_files(self) -> list[str]:
        """Paths whose content is or would be another one. Owner and mode do not count: a copy has its own."""
        paths = []
        for work in self.works:
            certificate_name, key_name, csr_name = _file_names(work.order.name)
            names = set(work.recovered_files)
            if work.makes:
                names.update((certificate_name, csr_name))
                if work.new_key:
                    names.add(key_name)
            paths += [self.path(name) for name in (certificate_name, key_name, csr_name) if name in names]
        return paths

    def diffs(self) -> list[dict[str, str]]:
        """Certificates as text. Keys appear as the hash of their public half at most."""
        diffs = []
        for work in self.works:
            path = self.path(f"{work.order.name}.pem")
            before = after = ""
            if work.makes:
                if work.present.certificate is not None:
                    before = cert.certificate_text(work.present.certificate)
                if work.certificate is not None:
                    after = cert.certificate_text(work.certificate)
                else:
                    after = cert.template_text(
                        work.template,
                        issuer=cert.name_text(work.signer.subject) if work.signer else "",
                        public=None if work.new_key else work.present.key.public,
                        not_before=work.not_before,
                        not_after=work.not_after,
                    )
            if work.attribute_reasons:
                before += "".join(f"{reason}\n" for reason in work.attribute_reasons)
            if work.recovered:
                after += "files of an interrupted run put in their place\n"
            if before or after:
                diffs.append({"before_header": path, "after_header": path, "before": before, "after": after})
        return diffs


@contextlib.contextmanager
def _building(order: Order) -> t.Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, PkiError) as error:
        reason = str(error).rstrip(".")
        raise PkiError(f"{order.label}: it cannot be made: {reason}. Nothing was changed.") from error


def _file_names(name: str) -> tuple[str, str, str]:
    return f"{name}.pem", f"{name}-key.pem", f"{name}.csr"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if not text.startswith("/") else text


def _sentence(reasons: t.Sequence[str]) -> str:
    return "; ".join(reasons) + "."


def run(settings: Settings, orders: t.Sequence[Order], *, write: bool) -> tuple[Plan, bool]:
    """Decides, and with write also does. Returns the plan and whether anything changes."""
    plan = Plan(settings, orders)
    directory = plan.directory
    if os.path.lexists(settings.directory) and not directory.exists():
        raise PkiError(f"directory {settings.directory} is there and is no directory.")
    if not write:
        works = plan.decide()
        plan.rehearse()
        return plan, any(work.changed for work in works)
    if not directory.exists():
        # Everything is judged before the first thing is made.
        rehearsal = Plan(settings, orders)
        rehearsal.decide()
        rehearsal.rehearse()
        directory.create()
    with directory.locked():
        interrupted = set(directory.recover()) if os.access(settings.directory, os.W_OK) else set(directory.pending())
        works = plan.decide()
        for work in works:
            work.recovered_files = tuple(name for name in _file_names(work.order.name) if name in interrupted)
            work.recovered = bool(work.recovered_files)
        if any(work.makes for work in works) and not os.access(settings.directory, os.W_OK | os.X_OK):
            raise PkiError(f"directory {settings.directory} is not writable by this user. Nothing was changed.")
        plan.carry_out()
    return plan, any(work.changed for work in works)
