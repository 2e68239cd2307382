# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Debian packages a host has, and whether it reaches the sources of others."""

from __future__ import annotations

import os
import re
import tempfile
import typing as t
import urllib.parse

from ansible_collections.hardway.kubernetes.plugins.module_utils._host.commands import Run

__all__ = ("bounded", "missing", "no_source_message", "unreached_sources")

_HELPER = "/usr/lib/apt/apt-helper"
# Seconds without an answer, and for all sources together: names that cannot be resolved take longer.
_SILENCE, _LONGEST = 10, 40
_TIMED_OUT = 124


def missing(names: t.Sequence[str], run: Run) -> list[str]:
    """Return those of the packages that are not installed.

    :param names: as apt takes them; ``NAME=VERSION`` is installed when that version is.
    """
    if not names:
        return []
    lines = "${Package} ${db:Status-Status}\n${Package}=${Version} ${db:Status-Status}\n"
    # It says with 1 that one of them is unknown, and prints the others.
    query = ["dpkg-query", "--show", "--showformat", lines, *(name.partition("=")[0] for name in names)]
    found = {line.split()[0] for line in run(query)[1].splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in found]


def bounded(seconds: int) -> list[str]:
    """Return options of apt's programs with which a silent source is given up.

    :param seconds: without an answer. See apt-transport-http(1); apt's own defaults are 30 and three more attempts.
    """
    return [
        word
        for option in (f"Acquire::http::Timeout={seconds}", f"Acquire::https::Timeout={seconds}", "Acquire::Retries=0")
        for word in ("-o", option)
    ]


def unreached_sources(names: t.Sequence[str], run: Run) -> list[str]:
    """Return the package sources of this host with the reason why each cannot be reached, if that is so for all.

    apt's own programs are asked, with its configuration, proxies and credentials, and give up within seconds. apt
    itself would try for minutes, and go on without a word of the sources. An answer that is a refusal is for apt to
    report.

    :param names: packages that are to be installed.
    :returns: nothing where a source answers, where another way than HTTP leads to one, or where all packages were
        downloaded before.
    """
    wanted = ["apt-get", "install", "--print-uris", "-qq", "--no-install-recommends", *names]
    code, listed, _err = run(wanted)
    if code == 0 and not _addresses(listed):
        return []
    sources: dict[str, str] = {}
    for address in _addresses(run(["apt-get", "update", "--print-uris"])[1]):
        sources.setdefault(_site(address), address)
    if not all(source.startswith(("http://", "https://")) for source in sources):
        return []
    reasons = _fetched(list(sources.values()), run) if sources else {}
    return [f"{source} ({reasons[address]})" for source, address in sources.items() if address in reasons]


def _addresses(listed: str) -> list[str]:
    """Return the addresses of what ``apt-get --print-uris`` prints: ``'ADDRESS' FILE SIZE`` on each line."""
    return re.findall(r"^'([^']+)' ", listed, re.MULTILINE)


def _site(address: str) -> str:
    """Return scheme, host and port of an address, without credentials."""
    return urllib.parse.urlsplit(_without_credentials(address))._replace(path="", query="", fragment="").geturl()


def _without_credentials(address: str) -> str:
    return re.sub(r"://[^/@]*@", "://", address)


def _fetched(addresses: t.Sequence[str], run: Run) -> dict[str, str]:
    """Return why no address can be fetched, by address; nothing where a server answers."""
    with tempfile.TemporaryDirectory() as work:
        paths = [os.path.join(work, str(number)) for number in range(len(addresses))]
        files = [word for pair in zip(addresses, paths) for word in (*pair, "")]
        helper = ["env", "LC_ALL=C", "timeout", str(_LONGEST), _HELPER, *bounded(_SILENCE)]
        code, _out, err = run([*helper, "download-file", *files])
        if any(os.path.exists(path) for path in paths):
            return {}
    # apt leaves credentials out of what it prints.
    failed = re.findall(r"^E: Failed to fetch (\S+) +(.+)$", err, re.MULTILINE)
    said = {_without_credentials(address): reason.strip() for address, reason in failed}
    # A status below 500 is an answer. Proxies say with 5xx that they do not reach a server.
    if any(re.match(r"[1-4]\d\d\b", reason) for reason in said.values()) or (not said and code != _TIMED_OUT):
        return {}
    return {address: said.get(_without_credentials(address), f"no answer within {_LONGEST} s") for address in addresses}


def no_source_message(host: str, names: t.Sequence[str], unreached: t.Sequence[str]) -> str:
    """Return what to tell the user where no source can be reached.

    :param host: its name in the inventory.
    :param names: packages that are missing there.
    :param unreached: of :func:`unreached_sources`.
    """
    return (
        f"{host}: none of its package sources can be reached: {'; '.join(unreached)}. Packages that it lacks: "
        f"{', '.join(names)}. Where hosts reach them through a proxy, set cluster_http_proxy and cluster_https_proxy; "
        "otherwise look at /etc/apt/sources.list, /etc/apt/sources.list.d, DNS and firewalls, or install the packages "
        "yourself. Nothing of this component was changed."
    )
