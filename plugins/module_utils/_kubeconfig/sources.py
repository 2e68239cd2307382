# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys that kubeconfigs are made from: read once per call, and verified."""

from __future__ import annotations

import datetime as dt
import os
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError, MissingSourceError
from ansible_collections.hardway.kubernetes.plugins.module_utils._kubeconfig.model import Cluster, User, Wanted
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.bundles import bundle
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import (
    load_certificates,
    may_authenticate_clients,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import PrivateKey, public_bytes, signed_by
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import name_text
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import iso_time

if t.TYPE_CHECKING:
    from cryptography import x509

__all__ = ("Sources", "is_text")


def is_text(value: str) -> bool:
    """Return whether a value is PEM text, and not the path of a file."""
    return "-----BEGIN " in value


class Sources:
    """Certificates and keys by path or as text, each read once per call."""

    def __init__(self, directory: str | None, *, now: dt.datetime, changing: t.Iterable[str] = ()) -> None:
        """Read nothing yet.

        :param directory: where relative paths start.
        :param now: the moment at which certificates have to be valid.
        :param changing: files that an earlier task would change, if this were not check mode.
        """
        self.directory = directory
        self.now = now
        self._changing = {os.path.realpath(path) for path in changing}
        self._bytes: dict[str, bytes] = {}
        self._certificates: dict[bytes, list[x509.Certificate]] = {}
        # Client certificates and authorities whose signature was checked.
        self._chains: set[tuple[bytes, bytes]] = set()

    def path(self, value: str, *, where: str = "path") -> str:
        """Return the absolute path that an option means.

        :raises KubeconfigError: for a relative path without a directory to start from.
        """
        path = os.path.expanduser(value)
        if os.path.isabs(path):
            return path
        if self.directory is None:
            raise KubeconfigError(
                f"{where} is {value!r}: a relative path needs the option 'directory' to start from. "
                "Give that, or an absolute path."
            )
        return os.path.join(self.directory, path)

    def read(self, value: str, *, where: str) -> bytes:
        """Return the PEM of a path or a text.

        :raises MissingSourceError: for a file that does not exist.
        :raises KubeconfigError: for a file that cannot be read.
        """
        if is_text(value):
            return value.encode("utf-8")
        path = self.path(value, where=where)
        if path not in self._bytes:
            try:
                with open(path, "rb") as stream:
                    self._bytes[path] = stream.read()
            except FileNotFoundError as error:
                raise MissingSourceError(
                    f"{where}: {path} does not exist. Make it first, or correct the path."
                ) from error
            except OSError as error:
                raise KubeconfigError(f"{where}: {path} cannot be read: {error.strerror}.") from error
            if self._bytes[path].startswith(b"$ANSIBLE_VAULT;"):
                raise KubeconfigError(
                    f"{where}: {path} is encrypted with ansible-vault, and this module does not decrypt it. "
                    f"Decrypt it with: ansible-vault decrypt {path}"
                )
        return self._bytes[path]

    def changing(self, wanted: Wanted) -> list[str]:
        """Return those of the files that a kubeconfig is made from which an earlier task changes."""
        values: list[str | None] = [value for cluster in wanted.clusters for value in cluster.authorities]
        for user in wanted.users:
            values += [user.client_certificate, user.client_key]
        paths = [self.path(value, where=wanted.path) for value in values if value and not is_text(value)]
        return [path for path in dict.fromkeys(paths) if os.path.realpath(path) in self._changing]

    def certificates(self, value: str, *, where: str) -> list[x509.Certificate]:
        """Return the certificates of a path or a text, at least one.

        :raises KubeconfigError: for what is not a PEM certificate.
        """
        pem = self.read(value, where=where)
        if pem not in self._certificates:
            try:
                self._certificates[pem] = load_certificates(pem)
            except ValueError as error:
                shown = "the text given" if is_text(value) else self.path(value, where=where)
                raise KubeconfigError(f"{where}: {shown} is not a PEM certificate ({error}).") from error
        return self._certificates[pem]

    def authority(self, cluster: Cluster, *, where: str) -> bytes:
        """Return the PEM of all authorities that a cluster's clients trust.

        :raises MissingSourceError: for a file that does not exist.
        :raises KubeconfigError: for a file that cannot be read.
        """
        return bundle(self.read(value, where=where) for value in cluster.authorities)

    def authorities(self, cluster: Cluster, *, where: str) -> list[x509.Certificate]:
        """Return the certificates of all authorities that a cluster's clients trust.

        :raises KubeconfigError: for what is not a PEM certificate.
        """
        return [found for value in cluster.authorities for found in self.certificates(value, where=where)]

    def check_authority(self, cluster: Cluster, *, where: str) -> None:
        """Check that an authority is valid now.

        :raises KubeconfigError: when all of them have expired.
        """
        ends = [authority.not_valid_after_utc for authority in self.authorities(cluster, where=where)]
        if max(ends) <= self.now:
            raise KubeconfigError(f"{where}: the authority expired on {iso_time(max(ends))}. Renew it first.")

    def check_client(self, certificate: str, key: str, *, where: str) -> dt.datetime:
        """Check that key and certificate belong together and that a client can use them now.

        :returns: when the certificate expires.
        :raises KubeconfigError: when they cannot be used.
        """
        leaf = self.certificates(certificate, where=f"{where}: client_certificate")[0]
        pem = self.read(key, where=f"{where}: client_key")
        try:
            private = PrivateKey.load(pem)
        except ValueError as error:
            raise KubeconfigError(f"{where}: client_key: {error}.") from error
        subject = name_text(leaf.subject)
        if public_bytes(leaf.public_key()) != public_bytes(private.public):
            raise KubeconfigError(
                f"{where}: client_key is not the key of client_certificate ({subject}). Name the files of one pair."
            )
        start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        if end <= self.now:
            raise KubeconfigError(
                f"{where}: client_certificate ({subject}) expired on {iso_time(end)}. Renew it first."
            )
        if start > self.now:
            raise KubeconfigError(
                f"{where}: client_certificate ({subject}) is not valid before {iso_time(start)}. "
                "Compare the clocks of this host and of the one that made it."
            )
        if not may_authenticate_clients(leaf):
            raise KubeconfigError(
                f"{where}: client_certificate ({subject}) may not be used by clients: its extended key usages lack "
                "'client auth'. Issue it from a profile that has it."
            )
        return end

    def check_chain(self, user: User, cluster: Cluster, *, where: str) -> None:
        """Check that a cluster's authority signed a user's certificate, where both are given.

        :raises KubeconfigError: when it did not.
        """
        if not user.client_certificate or not cluster.authorities:
            return
        chain = self.certificates(user.client_certificate, where=f"{where}: client_certificate")
        authorities = self.authorities(cluster, where=f"{where}: certificate_authority")
        trusted = b"".join(authority.tbs_certificate_bytes for authority in authorities)
        known = (chain[0].tbs_certificate_bytes, trusted)
        if known in self._chains:
            return
        if not _leads_to(chain, authorities):
            raise KubeconfigError(
                f"{where}: client_certificate ({name_text(chain[0].subject)}) was not signed by "
                f"certificate_authority ({name_text(authorities[0].subject)}) of cluster {cluster.name}. "
                "Name the authority that signed it, or issue the certificate again."
            )
        self._chains.add(known)


def _leads_to(chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> bool:
    """Return whether the first certificate leads to an authority. The server gets intermediates with it."""
    candidate, others = chain[0], chain[1:]
    for _step in chain:
        if _signer(candidate, authorities):
            return True
        following = _signer(candidate, others)
        if following is None:
            return False
        candidate = following
    return False


def _signer(certificate: x509.Certificate, candidates: list[x509.Certificate]) -> x509.Certificate | None:
    for other in candidates:
        if certificate.issuer == other.subject and signed_by(certificate, other.public_key()):
            return other
    return None
