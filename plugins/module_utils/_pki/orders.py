# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders for certificates, the existing files, and the decisions about them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import AtomicDirectory, Attributes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import load_certificate
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import PrivateKey, public_bytes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.templates import Template

if t.TYPE_CHECKING:
    from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import SigningPublicKey
    from cryptography import x509

__all__ = (
    "Decision",
    "FileNames",
    "Issued",
    "Making",
    "Order",
    "Present",
    "Settings",
    "Signer",
    "Store",
    "check_names",
    "in_signing_order",
    "name_of_signer",
)

TAG = "x509_cfssl_compat"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,200}")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the whole call."""

    directory: str
    # A cfssl signing config, the path of one, or None.
    config: t.Any
    renew_before: str | None
    force: bool
    regenerate_key: bool
    strict: bool
    certificate_attributes: Attributes
    key_attributes: Attributes
    # The moment that everything is judged by, in UTC.
    now: dt.datetime

    @property
    def attributes(self) -> tuple[Attributes, Attributes, Attributes]:
        """Those of certificate, key and request."""
        return self.certificate_attributes, self.key_attributes, self.certificate_attributes


@dataclasses.dataclass(frozen=True)
class Order:
    """One certificate as the user described it."""

    name: str
    # A cfssl CSR, the path of one, or None for an authority that is taken as it is.
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
        """The words that name it in messages."""
        return f"{'authority' if self.authority else 'certificate'} {self.name}"


class FileNames(t.NamedTuple):
    """The names of a certificate's files, as cfssljson gives them."""

    certificate: str
    key: str
    csr: str

    @classmethod
    def of(cls, name: str) -> FileNames:
        """Return those that begin with a name."""
        return cls(f"{name}.pem", f"{name}-key.pem", f"{name}.csr")


def check_names(orders: t.Iterable[Order]) -> None:
    """Check that every name can be a file name, and that no two certificates need the same file.

    :raises PkiError: one cannot, or two do.
    """
    files: dict[str, str] = {}
    for order in orders:
        if not _NAME.fullmatch(order.name):
            raise PkiError(
                f"{order.label}: the name {order.name!r} cannot be a file name. Allowed are letters, digits and "
                "_.@:+- after the first character."
            )
        for name in FileNames.of(order.name):
            if name in files:
                other = files[name]
                what = "occurs twice" if other == order.name else f"and {other!r} both need the file {name}"
                raise PkiError(f"{order.label}: the name {order.name!r} {what}. Rename one of them.")
            files[name] = order.name


def in_signing_order(orders: t.Sequence[Order]) -> list[Order]:
    """Return authorities first, then certificates after the one that signs them.

    :raises PkiError: certificates wait for each other.
    """
    waiting = {order.name: order for order in orders if not order.authority}
    result = [order for order in orders if order.authority]
    while waiting:
        ready = [order for order in waiting.values() if name_of_signer(order, orders) not in waiting]
        if not ready:
            raise PkiError(f"certificates {', '.join(sorted(waiting))}: each waits for another to sign it.")
        for order in ready:
            del waiting[order.name]
        result += ready
    return result


def name_of_signer(order: Order, orders: t.Iterable[Order]) -> str:
    """Return the name of the authority that signs: the one that is named, or the only one of the call, or ``ca``.

    :raises PkiError: none is named and there are several.
    """
    if order.ca:
        return order.ca
    authorities = [entry.name for entry in orders if entry.authority]
    if len(authorities) > 1 and "ca" not in authorities:
        raise PkiError(f"{order.label}: there are several authorities ({', '.join(authorities)}); 'ca' must name one.")
    return authorities[0] if len(authorities) == 1 else "ca"


@dataclasses.dataclass
class Present:
    """The files on disk for one name."""

    certificate: x509.Certificate | None = None
    # The reason why the file does not hold one.
    certificate_problem: str | None = None
    key: PrivateKey | None = None
    key_problem: str | None = None

    @property
    def absent(self) -> bool:
        """Whether there is neither certificate nor key, not even one that cannot be read."""
        return not (self.certificate or self.key or self.certificate_problem or self.key_problem)

    @property
    def mismatched(self) -> bool:
        """Whether certificate and key exist, and are not a pair."""
        if self.certificate is None or self.key is None:
            return False
        return public_bytes(self.certificate.public_key()) != public_bytes(self.key.public)


class Store:
    """The directory with the certificates."""

    def __init__(self, directory: str) -> None:
        self.files = AtomicDirectory(directory, tag=TAG)

    def path(self, name: str) -> str:
        """Return the path of a file."""
        return os.path.join(self.files.path, name)

    def load(self, base: str, passphrase: str | None) -> Present:
        """Read a pair.

        :param base: the beginning of the file names, also as the beginning of a path elsewhere.
        :raises PkiError: a file is encrypted with ansible-vault. That it cannot be read is part of what is returned.
        """
        names = FileNames.of(base)
        present = Present()
        pem = self._read(names.certificate)
        if pem is not None:
            try:
                present.certificate = load_certificate(pem)
            except ValueError as error:
                present.certificate_problem = (
                    f"{self.path(names.certificate)} is not a certificate that can be read ({error})"
                )
        pem = self._read(names.key)
        if pem is not None:
            try:
                present.key = PrivateKey.load(pem, passphrase=passphrase)
            except ValueError as error:
                present.key_problem = f"{self.path(names.key)}: {error}"
        return present

    def _read(self, name: str) -> bytes | None:
        pem = self.files.read(name)
        if pem is not None and pem.startswith(b"$ANSIBLE_VAULT;"):
            # The file is intact, so that a new key would be the wrong advice.
            path = self.path(name)
            raise PkiError(
                f"{path} is encrypted with ansible-vault, and this module does not decrypt it. "
                f"Decrypt it with: ansible-vault decrypt {path}"
            )
        return pem


@dataclasses.dataclass
class Signer:
    """An issuer as it will be when this call is over."""

    name: str
    subject: x509.Name
    end: dt.datetime
    # None when a new key is going to be made.
    public: SigningPublicKey | None
    key_identifier: bytes | None
    # Where the signing key comes from: a key that exists, or the decision that makes one.
    key: PrivateKey | None
    decision: Decision | None

    @property
    def label(self) -> str:
        """The words that name it in messages."""
        return f"authority {self.name}"


@dataclasses.dataclass(frozen=True)
class Making:
    """A certificate that is going to be made, and why."""

    template: Template
    # issued, renewed or reissued
    status: str
    reasons: list[str]
    # None where the key is kept.
    kept_key: PrivateKey | None
    not_before: dt.datetime
    not_after: dt.datetime

    @property
    def new_key(self) -> bool:
        """Whether a key is made as well."""
        return self.kept_key is None

    @property
    def period(self) -> tuple[dt.datetime, dt.datetime]:
        """The first and the last moment of its validity."""
        return self.not_before, self.not_after


@dataclasses.dataclass(frozen=True)
class Issued:
    """A certificate that was made, with its key and request."""

    certificate: x509.Certificate
    key: PrivateKey
    csr: bytes


@dataclasses.dataclass
class Decision:
    """The decision about one certificate, and its result."""

    order: Order
    present: Present
    # None for a certificate that signs itself.
    signer: Signer | None
    # Whether it may sign others.
    signs: bool
    # None for a certificate that fits.
    making: Making | None = None
    attribute_reasons: list[str] = dataclasses.field(default_factory=list)
    # Names of its files that a killed run had committed and this one puts in their place.
    recovered: tuple[str, ...] = ()
    issued: Issued | None = None

    @property
    def names(self) -> FileNames:
        """The names of its files."""
        return FileNames.of(self.order.name)

    @property
    def status(self) -> str:
        """unchanged, issued, renewed or reissued."""
        return self.making.status if self.making else "unchanged"

    @property
    def reasons(self) -> list[str]:
        """Why it is made; empty where it is not."""
        return self.making.reasons if self.making else []

    @property
    def changed(self) -> bool:
        """Whether any of its files is another one afterwards, if only in owner or mode."""
        return bool(self.making or self.recovered or self.attribute_reasons)
