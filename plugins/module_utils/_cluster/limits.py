# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that a program would refuse, or that would do harm: the range of each setting."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings, argument_problems

__all__ = ("RANGES", "Range", "limit_problems")


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
    "worker_pod_pids_limit": Range(-1, "-1 means no limit"),
}


def _wrong(settings: Settings) -> list[str]:
    return [
        f"{name}: {settings[name]} is too small; allowed: {allowed.least} and more ({allowed.meaning})"
        for name, allowed in RANGES.items()
        if isinstance(settings.get(name), int) and settings[name] < allowed.least
    ]


def limit_problems(values: t.Mapping[str, Settings]) -> list[str]:
    """Return which numbers are out of their range, each problem once with the hosts that have it.

    :param values: settings by host.
    """
    return argument_problems({host: _wrong(given) for host, given in values.items()})
