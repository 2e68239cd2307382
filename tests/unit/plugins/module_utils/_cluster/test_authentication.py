# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of an AuthenticationConfiguration: what API servers would refuse is refused before anything is changed.

``tests/programs`` compares these cases with what a real API server says to them.
"""

from __future__ import annotations

import copy
import re
import typing as t

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.authentication import content_problems
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ROOT,
    computed,
    empty,
)

URL = "https://login.example.com"
GOOD: dict[str, t.Any] = {
    "issuer": {"url": URL, "audiences": ["kubernetes"]},
    "claimMappings": {"username": {"claim": "sub", "prefix": "oidc:"}, "groups": {"claim": "groups", "prefix": ""}},
    "claimValidationRules": [{"claim": "hd", "requiredValue": "example.com"}],
    "userValidationRules": [{"expression": "!user.username.startsWith('system:')", "message": "reserved"}],
}
OWN_ISSUER = "https://kubernetes.default.svc.cluster.local"
_RULES = "claimValidationRules"
_USER = "userValidationRules"


def authenticator(**changes: t.Any) -> dict[str, t.Any]:
    """Return an authenticator with other parts; the issuer is merged."""
    issuer = {**GOOD["issuer"], **changes.pop("issuer", {})}
    return {**copy.deepcopy(GOOD), "issuer": issuer, **changes}


def issuer(**changes: t.Any) -> dict[str, t.Any]:
    """Return the setting with an authenticator whose issuer is changed."""
    return {"jwt": [authenticator(issuer=changes)]}


def mapped(**mappings: t.Any) -> dict[str, t.Any]:
    """Return the setting with an authenticator that has other mappings."""
    return {"jwt": [authenticator(claimMappings={**GOOD["claimMappings"], **mappings})]}


#: What an API server refuses: content, field, words of the message.
WRONG: list[tuple[dict[str, t.Any], str, str]] = [
    ({"jwts": []}, "jwts", "is unknown; known: anonymous, jwt"),
    ({"anonymous": {"enable": True}}, "anonymous.enable", "is unknown; known: enabled, conditions"),
    ({"jwt": {}}, "jwt", "{} is not a list"),
    ({"jwt": [authenticator(issuers={})]}, "jwt[0].issuers", "is unknown; known: issuer, claimValid"),
    (issuer(url=None), "jwt[0].issuer.url", "is missing"),
    (issuer(url="http://a.example.com"), "jwt[0].issuer.url", "allowed: https://HOST/PATH"),
    (issuer(url="https://u:p@a.example.com"), "jwt[0].issuer.url", "without user, query and fragment"),
    (issuer(url="https://a.example.com?x=1"), "jwt[0].issuer.url", "without user, query and fragment"),
    (issuer(url=OWN_ISSUER), "jwt[0].issuer.url", "is the issuer of this cluster's service accounts"),
    (issuer(discoveryURL=URL + "/"), "jwt[0].issuer.discoveryURL", "is the same as url"),
    (issuer(audiences=[]), "jwt[0].issuer.audiences", "has no entry"),
    (issuer(audiences=["a", "a"], audienceMatchPolicy="MatchAny"), "jwt[0].issuer.audiences[1]", "'a' is there twice"),
    (issuer(audiences=["a", "b"]), "jwt[0].issuer.audienceMatchPolicy", "with several audiences: MatchAny"),
    (issuer(audiences=[7]), "jwt[0].issuer.audiences[0]", "7 is not a client's name"),
    (issuer(certificateAuthority="/etc/ca.pem"), "jwt[0].issuer.certificateAuthority", "not the path of a file"),
    (issuer(egressSelectorType="etcd"), "jwt[0].issuer.egressSelectorType", "known: controlplane, cluster"),
    ({"jwt": [GOOD, GOOD]}, "jwt[1].issuer.url", f"{URL!r} is there twice"),
    (mapped(username=None), "jwt[0].claimMappings.username", "has neither a claim nor an expression"),
    (mapped(username={"claim": "sub"}), "jwt[0].claimMappings.username.prefix", "with a claim it is needed"),
    (
        mapped(username={"claim": "sub", "prefix": "", "expression": "claims.sub"}),
        "jwt[0].claimMappings.username",
        "one of them is allowed",
    ),
    (
        mapped(username={"expression": "claims.sub", "prefix": ""}),
        "jwt[0].claimMappings.username.prefix",
        "is not allowed with an expression",
    ),
    (mapped(uid={"claim": "a", "expression": "claims.a"}), "jwt[0].claimMappings.uid", "one of them is allowed"),
    (
        mapped(extra=[{"key": "name", "valueExpression": "claims.a"}]),
        "jwt[0].claimMappings.extra[0].key",
        "allowed: lower case, with a domain",
    ),
    (
        mapped(extra=[{"key": "example.com/a"}]),
        "jwt[0].claimMappings.extra[0].valueExpression",
        "is missing",
    ),
    ({"jwt": [authenticator(claimMappings=None)]}, "jwt[0].claimMappings", "is missing; it is a mapping of username"),
    ({"jwt": [authenticator(**{_RULES: [{}]})]}, f"jwt[0].{_RULES}[0]", "needs either a claim or an expression"),
    (
        {"jwt": [authenticator(**{_RULES: [{"claim": "hd", "requiredValue": True}]})]},
        f"jwt[0].{_RULES}[0].requiredValue",
        "True is not text; quote it",
    ),
    (
        {"jwt": [authenticator(**{_RULES: [{"claim": "hd", "message": "no"}]})]},
        f"jwt[0].{_RULES}[0].message",
        "is not allowed with a claim",
    ),
    ({"jwt": [authenticator(**{_USER: [{"message": "a"}]})]}, f"jwt[0].{_USER}[0].expression", "is missing"),
    (
        {"jwt": [authenticator(**{_USER: [{"expression": "true"}, {"expression": "true"}]})]},
        f"jwt[0].{_USER}[1].expression",
        "'true' is there twice",
    ),
]


@pytest.mark.parametrize(("given", "field", "words"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_content_is_named_with_its_field(given, field, words):
    found = content_problems(given, [OWN_ISSUER])
    assert [problem for problem in found if problem.startswith(f"apiserver_authentication.{field}: ")]
    assert words in next(problem for problem in found if problem.startswith(f"apiserver_authentication.{field}: "))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"jwt": []},
        {"jwt": [GOOD]},
        {"jwt": [GOOD, authenticator(issuer={"url": "https://b.example.com"})]},
        issuer(audiences=["a", "b"], audienceMatchPolicy="MatchAny"),
        issuer(discoveryURL="https://inside.example.com/.well-known/openid-configuration"),
        mapped(username={"expression": "'oidc:' + claims.sub"}, groups=None, uid={"claim": "sub"}),
        mapped(extra=[{"key": "example.com/tenant", "valueExpression": "claims.tenant"}]),
        {"anonymous": {"conditions": []}},
        {"anonymous": {"enabled": True}},
        {"anonymous": {"conditions": [{"path": path} for path in ("/livez", "/readyz", "/healthz", "/version")]}},
    ],
)
def test_right_content(given):
    assert content_problems(given, [OWN_ISSUER]) == []


@pytest.mark.parametrize(
    ("anonymous", "words"),
    [
        ({"enabled": False}, "enabled: False is not allowed; load balancers, health proxies and runs request /livez"),
        ({"conditions": [{"path": "/livez"}, {"path": "/healthz"}]}, "conditions: lacks /readyz, which health checks"),
    ],
)
def test_health_stays_reachable_for_strangers(anonymous, words):
    (found,) = content_problems({"anonymous": anonymous})
    assert words in found


def problems(**settings):
    return computed(empty(), **settings)["plan"]["problems"]


def test_preflight_names_the_hosts():
    assert problems(apiserver_authentication={"jwts": []}) == [
        "ctl01, ctl02: apiserver_authentication.jwts: is unknown; known: anonymous, jwt"
    ]
    assert problems(apiserver_authentication={"jwt": [GOOD]}) == []


def test_the_issuer_of_service_accounts_is_the_clusters_or_the_users_own():
    taken = "is the issuer of this cluster's service accounts"
    own = {"service-account-issuer": ["https://new.example.com", URL]}
    assert taken in problems(apiserver_authentication={"jwt": [GOOD]}, apiserver_extra_flags=own)[0]
    assert taken in problems(apiserver_authentication=issuer(url=OWN_ISSUER))[0]


@pytest.mark.parametrize(
    ("flags", "refused"),
    [
        ({"anonymous-auth": False}, "apiserver_extra_flags.anonymous-auth: .* set apiserver_authentication.anonymous"),
        ({"oidc-issuer-url": URL}, "apiserver_extra_flags.oidc-issuer-url: .* set apiserver_authentication.jwt"),
        ({"anonymous-auth": None}, ""),
        ({"anonymous-auth": False, "authentication-config": None}, ""),
        ({"authentication-config": "/etc/own.yaml"}, ""),
    ],
)
def test_flags_that_exclude_the_file(flags, refused):
    found = problems(apiserver_extra_flags=flags)
    assert len(found) == bool(refused)
    assert re.search(refused, "".join(found))


def test_the_documented_example_is_right():
    text = (ROOT / "roles" / "apiserver" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(apiserver_authentication:.*?)```", text, re.DOTALL)
    given = yaml.safe_load(example)["apiserver_authentication"]
    assert given["jwt"] and problems(apiserver_authentication=given) == []
