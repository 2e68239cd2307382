# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The setting ``apiserver_authentication``, checked as API servers check their AuthenticationConfiguration.

Expressions (CEL) are not compiled here. An API server refuses a wrong one when it starts.
"""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.existing import issuers
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings, argument_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("HEALTH_PATHS", "authentication_problems", "content_problems")

#: Paths that load balancers, health proxies and the roles request without a certificate.
HEALTH_PATHS = ("/livez", "/readyz", "/healthz")

_NAME = "apiserver_authentication"
#: The most authenticators that an API server takes.
_MOST = 64
_MAPPING = ("claim", "prefix", "expression")
_RULE = ("claim", "requiredValue", "expression", "message")
_ISSUER = ("url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy", "egressSelectorType")
_AUTHENTICATOR = ("issuer", "claimValidationRules", "claimMappings", "userValidationRules")


class _Problems(list[str]):
    """Problems, each with the field that has it."""

    def add(self, field: str, text: str) -> None:
        self.append(f"{field}: {text}")

    def mapping(self, value: t.Any, field: str, known: t.Sequence[str]) -> t.Mapping[str, t.Any]:
        """Return a value that has to be a mapping with known keys; an empty one where it is not a mapping."""
        if not isinstance(value, t.Mapping):
            self.add(field, f"{'is missing' if value is None else repr(value)}; it is a mapping of {', '.join(known)}")
            return {}
        for key in value:
            if key not in known:
                self.add(f"{field}.{key}", f"is unknown; known: {', '.join(known)}")
        return value

    def items(self, value: t.Any, field: str) -> list[tuple[str, t.Any]]:
        """Return the entries of a value that has to be a list, each with its field."""
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            self.add(field, f"{value!r} is not a list")
            return []
        return [(f"{field}[{number}]", entry) for number, entry in enumerate(value)]

    def text(self, given: t.Mapping[str, t.Any], key: str, field: str) -> str:
        """Return a key's text; empty where there is none."""
        value = given.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self.add(f"{field}.{key}", f"{value!r} is not text; quote it")
        return str(value)

    def once(self, value: str, field: str, seen: set[str]) -> None:
        """Add a problem for a value that is there twice."""
        if value and value in seen:
            self.add(field, f"{value!r} is there twice; each may be there once")
        seen.add(value)


def _url(url: str, field: str, problems: _Problems) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        right = parts.scheme == "https" and parts.hostname and not (parts.username or parts.query or parts.fragment)
    except ValueError:
        right = False
    if not right:
        problems.add(field, f"{url!r} is not allowed; allowed: https://HOST/PATH without user, query and fragment")


def _issuer(value: t.Any, field: str, problems: _Problems, issuers: t.Sequence[str]) -> tuple[str, str]:
    """Check an issuer, and return its URL and its discovery URL."""
    given = problems.mapping(value, field, _ISSUER)
    url, discovery = (problems.text(given, key, field) for key in ("url", "discoveryURL"))
    if not url:
        problems.add(f"{field}.url", "is missing; it is the issuer's URL, as the claim iss of its tokens has it")
    else:
        _url(url, f"{field}.url", problems)
    if url in issuers:
        problems.add(
            f"{field}.url", f"{url!r} is the issuer of this cluster's service accounts; allowed: another issuer"
        )
    if discovery:
        _url(discovery, f"{field}.discoveryURL", problems)
        if discovery.rstrip("/") == url.rstrip("/"):
            problems.add(f"{field}.discoveryURL", "is the same as url; leave it out")
    authority = problems.text(given, "certificateAuthority", field)
    if authority and "-----BEGIN CERTIFICATE-----" not in authority:
        problems.add(
            f"{field}.certificateAuthority", "is not a certificate; it is PEM text, and not the path of a file"
        )
    selector = problems.text(given, "egressSelectorType", field)
    if selector not in ("", "controlplane", "cluster"):
        problems.add(f"{field}.egressSelectorType", f"{selector!r} is unknown; known: controlplane, cluster")
    _audiences(given, field, problems)
    return url, discovery


def _audiences(given: t.Mapping[str, t.Any], field: str, problems: _Problems) -> None:
    entries = problems.items(given.get("audiences"), f"{field}.audiences")
    if not entries:
        problems.add(f"{field}.audiences", "has no entry; name the client that the tokens are issued for")
    seen: set[str] = set()
    for place, entry in entries:
        if not entry or not isinstance(entry, str):
            problems.add(place, f"{entry!r} is not a client's name; it is text, and not empty")
        else:
            problems.once(entry, place, seen)
    policy = problems.text(given, "audienceMatchPolicy", field)
    if policy not in ("", "MatchAny") or (len(entries) > 1 and not policy):
        problems.add(f"{field}.audienceMatchPolicy", f"{policy!r} is not allowed; with several audiences: MatchAny")


def _mapped(value: t.Any, field: str, problems: _Problems, *, required: bool) -> None:
    """Check how a user's name or groups are made: from a claim with a prefix, or by an expression."""
    given = problems.mapping({} if value is None else value, field, _MAPPING)
    claim, expression = (problems.text(given, key, field) for key in ("claim", "expression"))
    problems.text(given, "prefix", field)
    if claim and expression:
        problems.add(field, "has a claim and an expression; one of them is allowed")
    elif claim and given.get("prefix") is None:
        problems.add(f"{field}.prefix", 'is missing; with a claim it is needed, "" for none')
    elif expression and given.get("prefix") is not None:
        problems.add(f"{field}.prefix", "is not allowed with an expression; leave it out")
    elif required and not claim and not expression:
        problems.add(field, "has neither a claim nor an expression; one of them is needed")


def _mappings(value: t.Any, field: str, problems: _Problems) -> None:
    given = problems.mapping(value, field, ("username", "groups", "uid", "extra"))
    if value is not None:
        _mapped(given.get("username"), f"{field}.username", problems, required=True)
    _mapped(given.get("groups"), f"{field}.groups", problems, required=False)
    uid = problems.mapping(given.get("uid") or {}, f"{field}.uid", ("claim", "expression"))
    if all(problems.text(uid, key, f"{field}.uid") for key in ("claim", "expression")):
        problems.add(f"{field}.uid", "has a claim and an expression; one of them is allowed")
    seen: set[str] = set()
    for place, entry in problems.items(given.get("extra"), f"{field}.extra"):
        extra = problems.mapping(entry, place, ("key", "valueExpression"))
        key = problems.text(extra, "key", place)
        if "/" not in key or key != key.lower():
            problems.add(
                f"{place}.key", f"{key!r} is not allowed; allowed: lower case, with a domain, example.com/name"
            )
        problems.once(key, f"{place}.key", seen)
        if not problems.text(extra, "valueExpression", place):
            problems.add(f"{place}.valueExpression", "is missing")


def _claim_rules(value: t.Any, field: str, problems: _Problems) -> None:
    seen: set[str] = set()
    for place, entry in problems.items(value, field):
        rule = problems.mapping(entry, place, _RULE)
        claim, required, expression, message = (problems.text(rule, key, place) for key in _RULE)
        if bool(claim) == bool(expression):
            problems.add(place, "needs either a claim or an expression")
        if claim and message:
            problems.add(f"{place}.message", "is not allowed with a claim; leave it out")
        if expression and required:
            problems.add(f"{place}.requiredValue", "is not allowed with an expression; leave it out")
        problems.once(claim or expression, place, seen)


def _user_rules(value: t.Any, field: str, problems: _Problems) -> None:
    seen: set[str] = set()
    for place, entry in problems.items(value, field):
        rule = problems.mapping(entry, place, ("expression", "message"))
        problems.text(rule, "message", place)
        expression = problems.text(rule, "expression", place)
        if not expression:
            problems.add(f"{place}.expression", "is missing")
        problems.once(expression, f"{place}.expression", seen)


def _jwt(value: t.Any, field: str, problems: _Problems, issuers: t.Sequence[str]) -> None:
    entries = problems.items(value, field)
    if len(entries) > _MOST:
        problems.add(field, f"has {len(entries)} entries; allowed: {_MOST}")
    urls: set[str] = set()
    discoveries: set[str] = set()
    for place, entry in entries:
        given = problems.mapping(entry, place, _AUTHENTICATOR)
        url, discovery = _issuer(given.get("issuer"), f"{place}.issuer", problems, issuers)
        problems.once(url, f"{place}.issuer.url", urls)
        problems.once(discovery, f"{place}.issuer.discoveryURL", discoveries)
        _mappings(given.get("claimMappings"), f"{place}.claimMappings", problems)
        _claim_rules(given.get("claimValidationRules"), f"{place}.claimValidationRules", problems)
        _user_rules(given.get("userValidationRules"), f"{place}.userValidationRules", problems)


def _anonymous(value: t.Any, field: str, problems: _Problems) -> None:
    given = problems.mapping(value, field, ("enabled", "conditions"))
    if given.get("enabled", True) is not True:
        problems.add(
            f"{field}.enabled",
            f"{given['enabled']!r} is not allowed; load balancers, health proxies and runs request "
            f"{', '.join(HEALTH_PATHS)} without a certificate: leave it out, and nothing else is served to strangers",
        )
    paths = []
    for place, entry in problems.items(given.get("conditions"), f"{field}.conditions"):
        condition = problems.mapping(entry, place, ("path",))
        paths.append(problems.text(condition, "path", place))
    missing = [path for path in HEALTH_PATHS if path not in paths]
    if paths and missing:
        problems.add(f"{field}.conditions", f"lacks {', '.join(missing)}, which health checks request; add the paths")


def content_problems(given: t.Mapping[str, t.Any], issuers: t.Sequence[str] = ()) -> list[str]:
    """Return why API servers would not take a part of an AuthenticationConfiguration, one sentence each.

    :param given: the setting.
    :param issuers: of the cluster's own service accounts.
    """
    problems = _Problems()
    content = problems.mapping(given, _NAME, ("anonymous", "jwt"))
    if "anonymous" in content:
        _anonymous(content["anonymous"], f"{_NAME}.anonymous", problems)
    _jwt(content.get("jwt"), f"{_NAME}.jwt", problems, issuers)
    return list(problems)


def _flags(settings: Settings) -> list[str]:
    """Return which further flags an API server does not take together with the file that the role writes."""
    flags = settings.get("apiserver_extra_flags") or {}
    if "authentication-config" in flags:
        # The file is another one, or there is none.
        return []
    return [
        f"apiserver_extra_flags.{name}: an API server does not take it together with the file that the role writes; "
        f"leave it out and set {_NAME}.{'anonymous' if name == 'anonymous-auth' else 'jwt'}, or set "
        "authentication-config to null beside it for an API server without that file"
        for name, value in flags.items()
        if value is not None and (name == "anonymous-auth" or str(name).startswith("oidc-"))
    ]


def authentication_problems(shape: Topology, values: t.Mapping[str, Settings]) -> list[str]:
    """Return what is wrong with the authentication of the API servers, each problem once with the hosts that have it.

    :param values: all settings, by host.
    """
    return argument_problems(
        {
            host: content_problems(values[host].get(_NAME) or {}, issuers(values[host])[1]) + _flags(values[host])
            for host in shape["controllers"]
        }
    )
