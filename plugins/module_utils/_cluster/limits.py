# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times that a program would refuse, or that would do harm: the range of each setting."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings, argument_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import PkiError
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times import parse_duration

__all__ = ("DURATIONS", "RANGES", "Range", "limit_problems", "seconds")


class Range(t.NamedTuple):
    """The values that a setting may have.

    :ivar least: the smallest value.
    :ivar meaning: of the smallest value, or why there is none below.
    """

    least: int
    meaning: str


#: By setting.
RANGES: t.Mapping[str, Range] = {
    "lb_connections_per_address": Range(0, "0 means no limit"),
    "controller_manager_terminated_pod_gc_threshold": Range(0, "0 keeps all"),
    "worker_pod_pids_limit": Range(-1, "-1 means no limit"),
    "worker_shutdown_grace_period": Range(0, "0 means that pods are not waited for"),
    "worker_shutdown_grace_period_critical": Range(0, "0 leaves all of the time to ordinary pods"),
    "worker_drain_timeout": Range(1, "without a deadline, a disruption budget could stop a drain for ever"),
}

#: Times as Go writes them, by setting: the least number of seconds, and the same in Go's words.
DURATIONS: t.Mapping[str, tuple[int, str]] = {"apiserver_max_token_expiration": (3600, "1h")}


def seconds(text: str) -> float:
    """Return the seconds of a Go duration such as ``1h30m``.

    :raises ValueError: it is not a duration, or a negative one.
    """
    try:
        found = parse_duration(text, where="the duration").total_seconds()
    except PkiError:
        found = -1
    if found < 0:
        raise ValueError(f"{text!r} is not a duration; allowed: numbers with units, for example 24h or 1h30m")
    return found


def _short(settings: Settings) -> list[str]:
    problems = []
    for name, (least, words) in DURATIONS.items():
        given = settings.get(name)
        try:
            if given is not None and seconds(str(given)) < least:
                problems.append(f"{name}: {given} is too short; allowed: {words} and more")
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return problems


def _wrong(settings: Settings) -> list[str]:
    return [
        f"{name}: {settings[name]} is too small; allowed: {allowed.least} and more ({allowed.meaning})"
        for name, allowed in RANGES.items()
        if isinstance(settings.get(name), int) and settings[name] < allowed.least
    ]


def _shutdown(settings: Settings, defaults: Settings) -> list[str]:
    whole, critical = (
        settings.get(name, defaults.get(name))
        for name in ("worker_shutdown_grace_period", "worker_shutdown_grace_period_critical")
    )
    if not isinstance(whole, int) or not isinstance(critical, int) or critical <= whole:
        return []
    return [
        f"worker_shutdown_grace_period_critical: {critical} is more than worker_shutdown_grace_period {whole}, of "
        f"which it is a part; allowed: 0 to {whole}"
    ]


def limit_problems(values: t.Mapping[str, Settings], defaults: Settings) -> list[str]:
    """Return which numbers and times are out of their range, each problem once with the hosts that have it.

    :param values: settings by host.
    :param defaults: settings of the cluster, for what a host does not set.
    """
    return argument_problems(
        {host: _wrong(given) + _short(given) + _shutdown(given, defaults) for host, given in values.items()}
    )
