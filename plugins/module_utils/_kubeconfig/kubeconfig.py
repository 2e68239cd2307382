# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kubeconfig files: checked, rendered as `kubectl config` writes them, compared and described."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import os
import re
import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import KubeconfigError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes, attribute_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates import (
    fingerprint,
    load_certificate,
    load_certificates,
    may_authenticate_clients,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys import PrivateKey, public_bytes, signed_by
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.names import name_text
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import iso_time

try:
    import yaml
except ImportError:  # only a nicety here: without it a file that kubectl reordered is written again
    yaml = None

__all__ = ("Cluster", "Context", "ExecPlugin", "Missing", "Sources", "User", "Wanted", "examine")

HIDDEN = "(hidden)"
HIDDEN_NEW = "(hidden, another one)"


class Missing(KubeconfigError):
    """An input file that is not there; check mode expects an earlier task to make it."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    name: str
    server: str
    certificate_authority: str | None = None
    tls_server_name: str | None = None
    proxy_url: str | None = None


@dataclasses.dataclass(frozen=True)
class ExecPlugin:
    command: str
    args: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    api_version: str = "client.authentication.k8s.io/v1"
    interactive_mode: str = "IfAvailable"
    provide_cluster_info: bool = False
    install_hint: str | None = None


@dataclasses.dataclass(frozen=True)
class User:
    name: str
    client_certificate: str | None = None
    client_key: str | None = dataclasses.field(default=None, repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)
    exec_plugin: ExecPlugin | None = None


@dataclasses.dataclass(frozen=True)
class Context:
    name: str
    cluster: str
    user: str
    namespace: str | None = None


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One kubeconfig file as it is meant to be."""

    path: str
    clusters: tuple[Cluster, ...]
    users: tuple[User, ...]
    contexts: tuple[Context, ...]
    current_context: str
    embed_certs: bool
    verify: bool
    attributes: Attributes
    # Keep what else is in the file. Then current_context may be empty, which leaves that alone as well.
    merge: bool = False


@dataclasses.dataclass
class Finding:
    """What is to become of one file."""

    wanted: Wanted
    status: str = "unchanged"
    reasons: list[str] = dataclasses.field(default_factory=list)
    attribute_reasons: list[str] = dataclasses.field(default_factory=list)
    content: bytes | None = dataclasses.field(default=None, repr=False)
    before: str = ""
    after: str = ""
    not_after: dt.datetime | None = None
    current_context: str = ""

    @property
    def writes(self) -> bool:
        return self.status != "unchanged"

    @property
    def changed(self) -> bool:
        return self.writes or bool(self.attribute_reasons)


class Sources:
    """Certificates and keys by path or as text, each read once per call."""

    def __init__(self, directory: str | None, *, now: dt.datetime, changing: t.Iterable[str] = ()) -> None:
        """changing names files that an earlier task would change, if this were not check mode."""
        self.directory = directory
        self.now = now
        self._changing = {os.path.realpath(path) for path in changing}
        self._bytes: dict[str, bytes] = {}
        self._certificates: dict[bytes, list[t.Any]] = {}
        # Authorities and certificates whose signature was already checked.
        self._chains: set[tuple[bytes, bytes]] = set()

    def path(self, value: str, *, where: str) -> str:
        path = os.path.expanduser(value)
        if os.path.isabs(path):
            return path
        if self.directory is None:
            raise KubeconfigError(
                f"{where} is {value!r}: a relative path needs the option 'directory' to start from. "
                "Give that, or an absolute path."
            )
        return os.path.join(self.directory, path)

    @staticmethod
    def is_text(value: str) -> bool:
        return "-----BEGIN " in value

    def read(self, value: t.Any, *, where: str) -> bytes:
        if self.is_text(value):
            return value.encode("utf-8")
        path = self.path(value, where=where)
        if path not in self._bytes:
            try:
                with open(path, "rb") as stream:
                    self._bytes[path] = stream.read()
            except FileNotFoundError as error:
                raise Missing(f"{where}: {path} does not exist. Make it first, or correct the path.") from error
            except OSError as error:
                raise KubeconfigError(f"{where}: {path} cannot be read: {error.strerror}.") from error
        return self._bytes[path]

    def changing(self, wanted: Wanted) -> list[str]:
        """Which of the files that a kubeconfig is made from are going to be other ones."""
        values = [cluster.certificate_authority for cluster in wanted.clusters]
        for user in wanted.users:
            values += [user.client_certificate, user.client_key]
        paths = [self.path(value, where=wanted.path) for value in values if value and not self.is_text(value)]
        return [path for path in dict.fromkeys(paths) if os.path.realpath(path) in self._changing]

    def certificates(self, value: t.Any, *, where: str) -> list[t.Any]:
        pem = self.read(value, where=where)
        if pem not in self._certificates:
            try:
                self._certificates[pem] = load_certificates(pem)
            except ValueError as error:
                shown = "the text given" if self.is_text(value) else self.path(value, where=where)
                raise KubeconfigError(f"{where}: {shown} is no PEM certificate ({error}).") from error
        return self._certificates[pem]

    # --- checks ---

    def check_authority(self, value: str, *, where: str) -> None:
        for authority in self.certificates(value, where=where):
            if authority.not_valid_after_utc > self.now:
                return
        raise KubeconfigError(
            f"{where}: the authority expired on {iso_time(authority.not_valid_after_utc)}. Renew it first."
        )

    def check_client(self, user: User, *, where: str) -> dt.datetime:
        """That key and certificate belong together and can be used now; returns when that ends."""
        leaf = self.certificates(user.client_certificate, where=f"{where}: client_certificate")[0]
        pem = self.read(user.client_key, where=f"{where}: client_key")
        try:
            key = PrivateKey.load(pem)
        except ValueError as error:
            raise KubeconfigError(f"{where}: client_key: {error}.") from error
        subject = name_text(leaf.subject)
        if public_bytes(leaf.public_key()) != public_bytes(key.public):
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
        chain = self.certificates(user.client_certificate, where=f"{where}: client_certificate")
        authorities = self.certificates(cluster.certificate_authority, where=f"{where}: certificate_authority")
        known = (chain[0].tbs_certificate_bytes, authorities[0].tbs_certificate_bytes)
        if known in self._chains:
            return
        # The server gets the whole file, so that intermediates in it lead on.
        candidate, others = chain[0], chain[1:]
        for _step in chain:
            if any(candidate.issuer == ca.subject and signed_by(candidate, ca.public_key()) for ca in authorities):
                self._chains.add(known)
                return
            following = [
                entry
                for entry in others
                if candidate.issuer == entry.subject and signed_by(candidate, entry.public_key())
            ]
            if not following:
                break
            candidate = following[0]
        raise KubeconfigError(
            f"{where}: client_certificate ({name_text(chain[0].subject)}) was not signed by certificate_authority "
            f"({name_text(authorities[0].subject)}) of cluster {cluster.name}. "
            "Name the authority that signed it, or issue the certificate again."
        )


# --- what is wanted --------------------------------------------------------------------------------


def check(wanted: Wanted, sources: Sources, kept: dict[str, t.Any] | None = None) -> dt.datetime | None:
    """Refuses what kubectl or the server would refuse later. Returns the first end of a client certificate.

    kept is the file that is merged with: what is in it can be named, and is not checked.
    """
    where = wanted.path
    if wanted.merge and not (wanted.clusters or wanted.users or wanted.contexts or wanted.current_context):
        raise KubeconfigError(f"{where}: nothing is asked for. Give clusters, users, contexts or current_context.")
    for kind, entries in (("cluster", wanted.clusters), ("user", wanted.users), ("context", wanted.contexts)):
        names = [entry.name for entry in entries]
        if not names and not wanted.merge:
            raise KubeconfigError(f"{where}: there is no {kind}. {_HOW_TO_GIVE[kind]}")
        for name in names:
            if not name or not name.isprintable():
                raise KubeconfigError(f"{where}: the {kind} name {name!r} is empty or has control characters.")
            if names.count(name) > 1:
                raise KubeconfigError(f"{where}: {kind} {name!r} is there twice. Give each its own name.")
    for cluster in wanted.clusters:
        _check_cluster(cluster, f"{where}: cluster {cluster.name}")
    for user in wanted.users:
        _check_user(user, f"{where}: user {user.name}")
    clusters = {entry.name: entry for entry in wanted.clusters}
    users = {entry.name: entry for entry in wanted.users}
    there = {name: list(_named(kept or {}, name, field)) for name, field in _LISTS.items()}
    known_clusters = dict.fromkeys((*clusters, *there["clusters"]))
    known_users = dict.fromkeys((*users, *there["users"]))
    for context in wanted.contexts:
        for kind, name, known in (("cluster", context.cluster, known_clusters), ("user", context.user, known_users)):
            if name not in known:
                raise KubeconfigError(
                    f"{where}: context {context.name} names the {kind} {name!r}. "
                    f"There is only: {', '.join(known) or 'none'}."
                )
    known_names = dict.fromkeys((*(entry.name for entry in wanted.contexts), *there["contexts"]))
    if wanted.current_context not in known_names and not (wanted.merge and not wanted.current_context):
        known_contexts = ", ".join(known_names)
        raise KubeconfigError(
            f"{where}: current_context {wanted.current_context!r} is not among the contexts: {known_contexts}."
        )
    if sources.changing(wanted):
        return None  # what is there now says nothing about what will be
    return _check_certificates(wanted, sources, clusters, users)


_HOW_TO_GIVE = {
    "cluster": "Give 'server', or a list of 'clusters'.",
    "user": "Give 'user', or a list of 'users'.",
    "context": "Give 'user' and 'server', or a list of 'contexts'.",
}


def _check_certificates(
    wanted: Wanted, sources: Sources, clusters: dict[str, Cluster], users: dict[str, User]
) -> dt.datetime | None:
    where = wanted.path
    ends = []
    for cluster in wanted.clusters:
        if cluster.certificate_authority:
            place = f"{where}: cluster {cluster.name}: certificate_authority"
            sources.read(cluster.certificate_authority, where=place)
            if wanted.verify:
                sources.check_authority(cluster.certificate_authority, where=place)
    for user in wanted.users:
        if user.client_certificate:
            place = f"{where}: user {user.name}"
            sources.read(user.client_certificate, where=f"{place}: client_certificate")
            sources.read(user.client_key, where=f"{place}: client_key")
            if wanted.verify:
                ends.append(sources.check_client(user, where=place))
    for context in wanted.contexts if wanted.verify else ():
        user, cluster = users.get(context.user), clusters.get(context.cluster)
        if user and cluster and user.client_certificate and cluster.certificate_authority:
            sources.check_chain(user, cluster, where=f"{where}: user {user.name}")
    return min(ends) if ends else None


def _check_cluster(cluster: Cluster, where: str) -> None:
    _check_url(cluster.server, ("https",), f"{where}: server")
    if cluster.proxy_url:
        _check_url(cluster.proxy_url, ("http", "https", "socks5"), f"{where}: proxy_url")


def _check_url(url: str, schemes: tuple[str, ...], where: str) -> None:
    # The URL may hold a password, so that messages show it without.
    shown = re.sub(r"//[^/@]*@", "//...@", url)
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise KubeconfigError(f"{where} is {shown!r}, which is no URL ({error}).") from error
    if parts.scheme not in schemes:
        raise KubeconfigError(
            f"{where} is {shown!r}: it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}."
        )
    if not host or port == 0 or any(character.isspace() for character in url):
        raise KubeconfigError(f"{where} is {shown!r}: there is no host in it.")


def _check_user(user: User, where: str) -> None:
    if user.client_key and Sources.is_text(user.client_key):
        raise KubeconfigError(
            f"{where}: client_key must be a path, so that the key itself stays out of variables and logs."
        )
    if bool(user.client_certificate) != bool(user.client_key):
        given, lacking = (
            ("client_certificate", "client_key") if user.client_certificate else ("client_key", "client_certificate")
        )
        raise KubeconfigError(f"{where} has {given} but no {lacking}. They go together.")
    ways = [
        name
        for name, value in (
            ("client_certificate", user.client_certificate),
            ("token", user.token),
            ("exec", user.exec_plugin),
        )
        if value
    ]
    if not ways:
        raise KubeconfigError(
            f"{where} has nothing to log in with: give client_certificate and client_key, token or exec."
        )
    if user.token and user.exec_plugin:
        raise KubeconfigError(f"{where} has both token and exec. Give one of them.")


def document(wanted: Wanted, sources: Sources) -> dict[str, t.Any]:
    """The file as data, with the keys in the order in which kubectl writes them."""
    folder = os.path.dirname(wanted.path)
    return {
        "apiVersion": "v1",
        "clusters": [
            {"cluster": _cluster(entry, wanted, sources, folder), "name": entry.name}
            for entry in sorted(wanted.clusters, key=lambda entry: entry.name)
        ],
        "contexts": [
            {"context": _context(entry), "name": entry.name}
            for entry in sorted(wanted.contexts, key=lambda entry: entry.name)
        ],
        "current-context": wanted.current_context,
        "kind": "Config",
        "preferences": {},
        "users": [
            {"name": entry.name, "user": _user(entry, wanted, sources, folder)}
            for entry in sorted(wanted.users, key=lambda entry: entry.name)
        ],
    }


def _file_or_data(name: str, value: str, wanted: Wanted, sources: Sources, folder: str) -> dict[str, str]:
    if wanted.embed_certs or sources.is_text(value):
        return {f"{name}-data": base64.b64encode(sources.read(value, where=name)).decode("ascii")}
    path = os.path.expanduser(value)
    if not os.path.isabs(path):
        # client-go starts relative paths at the kubeconfig's own directory.
        path = os.path.relpath(sources.path(value, where=name), folder)
    return {name: path}


def _cluster(entry: Cluster, wanted: Wanted, sources: Sources, folder: str) -> dict[str, t.Any]:
    body: dict[str, t.Any] = {}
    if entry.certificate_authority:
        body.update(_file_or_data("certificate-authority", entry.certificate_authority, wanted, sources, folder))
    if entry.proxy_url:
        body["proxy-url"] = entry.proxy_url
    body["server"] = entry.server
    if entry.tls_server_name:
        body["tls-server-name"] = entry.tls_server_name
    return body


def _context(entry: Context) -> dict[str, t.Any]:
    body: dict[str, t.Any] = {"cluster": entry.cluster}
    if entry.namespace:
        body["namespace"] = entry.namespace
    body["user"] = entry.user
    return body


def _user(entry: User, wanted: Wanted, sources: Sources, folder: str) -> dict[str, t.Any]:
    body: dict[str, t.Any] = {}
    if entry.client_certificate:
        body.update(_file_or_data("client-certificate", entry.client_certificate, wanted, sources, folder))
    if entry.client_key:
        body.update(_file_or_data("client-key", entry.client_key, wanted, sources, folder))
    plugin = entry.exec_plugin
    if plugin:
        call: dict[str, t.Any] = {"apiVersion": plugin.api_version}
        if plugin.args:
            call["args"] = list(plugin.args)
        call["command"] = plugin.command
        if plugin.env:
            call["env"] = [{"name": name, "value": value} for name, value in plugin.env]
        if plugin.install_hint:
            call["installHint"] = plugin.install_hint
        call["interactiveMode"] = plugin.interactive_mode
        call["provideClusterInfo"] = plugin.provide_cluster_info
        body["exec"] = call
    if entry.token:
        body["token"] = entry.token
    return body


# --- YAML ------------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[A-Za-z_/(][A-Za-z0-9_./:@+=,()-]*(?: [A-Za-z0-9_./:@+=,()-]+)*")
# What a YAML 1.1 reader takes for something else than a string.
_RESERVED = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def scalar(value: t.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    plain = _PLAIN.fullmatch(text) and not text.endswith(":") and ": " not in text
    if plain and text.lower() not in _RESERVED:
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"


def render(value: t.Any, indent: int = 0) -> str:
    """Block style with lists that are not indented, as kubectl writes it."""
    return "".join(_lines(value, " " * indent))


def _lines(value: dict[str, t.Any], margin: str) -> t.Iterator[str]:
    for key, entry in value.items():
        if isinstance(entry, dict) and entry:
            yield f"{margin}{scalar(key)}:\n"
            yield from _lines(entry, margin + "  ")
        elif isinstance(entry, list) and entry:
            yield f"{margin}{scalar(key)}:\n"
            for item in entry:
                if isinstance(item, dict) and item:
                    lines = "".join(_lines(item, margin + "  "))
                    yield f"{margin}- {lines[len(margin) + 2 :]}"
                else:
                    yield f"{margin}- {scalar(item)}\n"
        elif entry is None:
            yield f"{margin}{scalar(key)}: null\n"
        else:
            shown = "{}" if entry == {} else "[]" if entry == [] else scalar(entry)
            yield f"{margin}{scalar(key)}: {shown}\n"


# --- what is there ---------------------------------------------------------------------------------


def parse(content: bytes) -> dict[str, t.Any] | None:
    """A kubeconfig as data, or None if it cannot be told."""
    if yaml is None:
        return None
    try:
        value = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError, UnicodeError):
        return None
    return value if isinstance(value, dict) else None


_LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}


def _normal(value: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same for two files that kubectl reads alike."""
    result = {key: entry for key, entry in value.items() if entry not in (None, {}, [], "")}
    for name, field in _LISTS.items():
        result[name] = {key: _without_nothing(body) for key, body in _named(value, name, field).items()}
    return result


def load(content: bytes, *, path: str) -> dict[str, t.Any]:
    """Somebody's kubeconfig whose entries are going to be kept."""
    if yaml is None:
        raise KubeconfigError(
            f"{path}: merge needs PyYAML on this host to read what is there. Install it (python3-yaml), "
            "or leave merge out to own the whole file."
        )

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Dates stay the text that they are for kubectl."""

    Loader.yaml_implicit_resolvers = {
        first: [entry for entry in resolvers if entry[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    advice = "Repair it or move it away; it is not merged with, and was not changed."
    try:
        value = yaml.load(content, Loader=Loader) if content.strip() else {}
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, UnicodeError) as error:
        raise KubeconfigError(f"{path} is no YAML that can be read. {advice}") from error
    value = {} if value is None else value
    if not isinstance(value, dict) or value.get("kind", "Config") != "Config":
        raise KubeconfigError(f"{path} is no kubeconfig. {advice}")
    for name in _LISTS:
        entries = value.get(name)
        if entries is not None and not (
            isinstance(entries, list) and all(isinstance(entry, dict) and "name" in entry for entry in entries)
        ):
            raise KubeconfigError(f"{path}: {name} is no list of entries with names. {advice}")
        # kubectl refuses it as well: "cannot unmarshal number into Go struct field NamedCluster.clusters.name".
        for number, entry in enumerate(entries or [], 1):
            if not isinstance(entry["name"], str):
                raise KubeconfigError(f"{path}: the name of entry {number} of {name} is no text. {advice}")
    return value


def merged(kept: dict[str, t.Any], ours: dict[str, t.Any]) -> dict[str, t.Any]:
    """What is there, with the entries of ours in place of those of the same name."""
    result = {"apiVersion": "v1", "kind": "Config", "preferences": {}, **kept}
    for name in _LISTS:
        fresh = {entry["name"]: entry for entry in ours[name]}
        result[name] = [fresh.pop(entry["name"], entry) for entry in kept.get(name) or []]
        result[name] += fresh.values()
    if ours["current-context"]:
        result["current-context"] = ours["current-context"]
    elif not kept.get("current-context"):
        result["current-context"] = ours["contexts"][0]["name"] if ours["contexts"] else ""
    return result


def render_foreign(value: dict[str, t.Any]) -> str:
    """For values of kinds that this module does not write itself."""

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Quotes what kubectl's reader would take for something else than text, such as y."""

        def ignore_aliases(self, data: t.Any) -> bool:
            return True

    def represent(dumper: t.Any, text: str) -> t.Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if scalar(text)[0] == '"' else None)

    Dumper.add_representer(str, represent)
    result: str = yaml.dump(value, Dumper=Dumper, allow_unicode=True, default_flow_style=False, width=1 << 20)
    return result


def _named(value: dict[str, t.Any], name: str, field: str) -> dict[str, t.Any]:
    entries = value.get(name)
    named: dict[str, t.Any] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get(field), dict):
            named[str(entry.get("name"))] = entry[field]
    return named


def _without_nothing(body: t.Any) -> t.Any:
    if not isinstance(body, dict):
        return body
    return {key: _without_nothing(entry) for key, entry in body.items() if entry not in (None, {}, [], "")}


def compare(found: dict[str, t.Any], wanted: dict[str, t.Any]) -> list[str]:
    """Sentences about what is not as wanted; values of secrets are not in them."""
    reasons = []
    have, want = _normal(found), _normal(wanted)
    for name, field in _LISTS.items():
        for entry in want[name]:
            if entry not in have[name]:
                reasons.append(f"{field} {entry} is missing")
            else:
                reasons += _compare_bodies(f"{field} {entry}", have[name][entry], want[name][entry])
        reasons += [f"{field} {entry} is there and not wanted" for entry in have[name] if entry not in want[name]]
    for key in sorted({*have, *want} - set(_LISTS), key=str):
        if have.get(key) == want.get(key):
            continue
        if key not in want:
            reasons.append(f"{key} is there and not wanted")
        elif key not in have:
            reasons.append(f"{key} is missing")
        else:
            reasons.append(f"{key} is {have[key]!r} instead of {want[key]!r}")
    return reasons


# What may be shown. Everything else could be a secret, also in a file that somebody else wrote.
_OPEN_FIELDS = frozenset(
    (
        "apiVersion", "kind", "current-context", "name", "server", "tls-server-name", "insecure-skip-tls-verify",
        "cluster", "user", "namespace", "certificate-authority", "client-certificate", "client-key", "tokenFile",
        "command", "installHint", "interactiveMode", "provideClusterInfo",
    )
)  # fmt: skip


def _compare_bodies(label: str, have: dict[str, t.Any], want: dict[str, t.Any]) -> list[str]:
    reasons = []
    for key in sorted({*have, *want}, key=str):
        if have.get(key) == want.get(key):
            continue
        if key not in want:
            reasons.append(f"{label}: {key} is there and not wanted")
        elif key not in have:
            reasons.append(f"{label}: {key} is missing")
        elif key in _OPEN_FIELDS:
            reasons.append(f"{label}: {key} is {have[key]} instead of {want[key]}")
        else:
            reasons.append(f"{label}: {key} is another one")
    return reasons


def masked(value: dict[str, t.Any], *, before: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
    """A copy for diffs: no secrets, and certificates in words."""
    return {key: _mask(key, entry, (before or {}).get(key), fresh=before is None) for key, entry in value.items()}


def _mask(key: str, value: t.Any, before: t.Any, *, fresh: bool) -> t.Any:
    if key in ("certificate-authority-data", "client-certificate-data"):
        return _certificate_words(value)
    if key == "proxy-url":
        return re.sub(r"//[^/@]*@", "//(hidden)@", str(value))
    if isinstance(value, dict) and key not in ("auth-provider", "extensions"):
        other = before if isinstance(before, dict) else {}
        return {name: _mask(str(name), entry, other.get(name), fresh=fresh) for name, entry in value.items()}
    if isinstance(value, list) and key in _LISTS:
        return [
            _mask("", entry, _namesake(entry, before), fresh=fresh) if isinstance(entry, dict) else HIDDEN
            for entry in value
        ]
    if (key in _OPEN_FIELDS and not isinstance(value, (dict, list))) or value in (None, {}, []):
        return value
    return HIDDEN if fresh or value == before else HIDDEN_NEW


def _namesake(entry: dict[str, t.Any], before: t.Any) -> t.Any:
    for other in before if isinstance(before, list) else ():
        if isinstance(other, dict) and other.get("name") == entry.get("name"):
            return other
    return None


def _certificate_words(data: t.Any) -> str:
    try:
        certificate = load_certificate(base64.b64decode(str(data), validate=True))
    except (ValueError, binascii.Error):
        return "(no certificate that can be read)"
    return (
        f"({name_text(certificate.subject)}, until {iso_time(certificate.not_valid_after_utc)}, "
        f"SHA-256 {fingerprint(certificate)})"
    )


def examine(wanted: Wanted, sources: Sources, *, check_mode: bool) -> Finding:
    """Decides what is to become of one file, without touching it."""
    finding = Finding(wanted)
    content = _read_existing(wanted.path)
    folder = os.path.dirname(wanted.path)
    if os.path.isdir(wanted.path):
        raise KubeconfigError(f"{wanted.path} is a directory. Give the path of a file.")
    if not os.path.isdir(folder) and not check_mode:
        raise KubeconfigError(f"{wanted.path}: directory {folder} does not exist. Make it first.")
    finding.status = "created" if content is None else "updated"
    kept = load(content, path=wanted.path) if wanted.merge and content is not None else None
    finding.current_context = wanted.current_context
    try:
        finding.not_after = check(wanted, sources, kept)
        target = document(wanted, sources)
    except Missing as error:
        if not check_mode:
            raise
        # An earlier task that check mode did not carry out would have made it.
        finding.reasons = [f"it is made from files that are not there yet: {error}"]
        return finding
    if wanted.merge:
        target = merged(kept or {}, target)
        finding.current_context = str(target["current-context"])
    changing = sources.changing(wanted)
    if changing and wanted.embed_certs:
        finding.reasons = [f"it embeds {path}, which an earlier task changes" for path in changing]
        finding.after = "".join(f"{reason}\n" for reason in finding.reasons)
        return finding
    finding.content = (render(target) if kept is None else render_foreign(target)).encode("utf-8")
    found = kept if kept is not None or content is None else parse(content)
    if content is None:
        finding.reasons = ["it does not exist yet"]
    elif content == finding.content or (found is not None and _normal(found) == _normal(target)):
        finding.status = "unchanged"
        finding.attribute_reasons = attribute_problems(wanted.path, wanted.attributes)
    elif found is None:
        finding.reasons = ["its content is another one" if yaml is None else "it is no kubeconfig that can be read"]
    else:
        finding.reasons = compare(found, target) or ["its content is another one"]
    if finding.writes:
        if found is not None:
            finding.before = render(masked(found))
        elif content is not None:
            finding.before = "(a file whose content is not shown)\n"
        finding.after = render(masked(target, before=found))
    if finding.attribute_reasons:
        finding.before += "".join(f"{reason}\n" for reason in finding.attribute_reasons)
    return finding


def _read_existing(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise KubeconfigError(f"{path} cannot be read: {error.strerror}.") from error
