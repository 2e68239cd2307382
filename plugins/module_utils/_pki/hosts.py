# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a CSR, sorted into kinds of subject alternative names as cfssl does."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.notes import Notes, shown

__all__ = ("San", "classify_hosts")

# (kind, value), the kind being DNS, email, IP or URI.
San = tuple[str, str]

_ORDER = ("DNS", "email", "IP", "URI")
_DNS_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_URI_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EMAIL = re.compile(r"[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+")
_NAMED_EMAIL = re.compile(r"[^<>]*<([^<>@\s]+@[^<>@\s]+)>\s*")


def classify_hosts(hosts: t.Iterable[str], *, where: str, notes: Notes) -> tuple[San, ...]:
    """Return each host once with its kind, in the order of the extension.

    :param where: names the certificate in messages.
    :raises PkiError: a host cannot be in a certificate, or would be of an unintended kind and notes are strict.
    """
    found = dict.fromkeys(_classify(host, where, notes) for host in hosts)
    return tuple(sorted(found, key=lambda san: _ORDER.index(san[0])))


def _classify(host: str, where: str, notes: Notes) -> San:
    name = f"{where}: host {shown(host)}"
    if not host.isascii():
        raise PkiError(f"{name} is not ASCII: write an international name in its xn-- form.")
    if any(character < " " or character == "\x7f" for character in host):
        raise PkiError(f"{name} has a control character in it.")
    address = _address(host)
    if address:
        return ("IP", address)
    if _EMAIL.fullmatch(host):
        return ("email", host)
    named = _NAMED_EMAIL.fullmatch(host)
    if named:
        notes.mishap(f"{name} has a name around its e-mail address.", otherwise=f"it becomes {named[1]}")
        return ("email", named[1])
    if host == "*" or host.startswith("/") or _URI_SCHEME.match(host):
        if "://" not in host:
            notes.mishap(
                f"{name} would become a URI in the certificate, and no client would match it. "
                "Give a host name or an address alone, without port or path.",
                otherwise="it becomes a URI",
            )
        return ("URI", host)
    problem = _dns_problem(host)
    if problem:
        notes.mishap(f"{name} {problem}", otherwise="it becomes a DNS name as it stands")
    return ("DNS", host)


def _address(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if "%" in host:  # a zone, which Go's net.ParseIP does not take
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _dns_problem(host: str) -> str | None:
    if not host:
        return "is empty: leave it out, with 'hosts': [] where there are no others."
    if host != host.strip():
        return "has blanks around it: cfssl would keep them in the certificate."
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError:
        pass
    else:
        return "is a network: a certificate names single addresses."
    labels = host.split(".")
    if labels[0] == "*" and len(labels) > 1:
        labels = labels[1:]
    if len(host) > 253 or not all(_DNS_LABEL.fullmatch(label) for label in labels):
        return "is neither a host name nor an address."
    if labels[-1].isdigit():
        return "is neither a host name nor an address: a host name does not end in a number alone."
    return None
