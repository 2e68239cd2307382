# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags of units: one way to write them for every role."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.flags import command_flags


@pytest.mark.parametrize(
    ("flags", "rendered"),
    [
        ({}, []),
        ({"v": 2, "bind-address": "127.0.0.1"}, ["--bind-address=127.0.0.1", "--v=2"]),
        ({"profiling": False, "leader-elect": True}, ["--leader-elect=true", "--profiling=false"]),
        ({"profiling": "False"}, ["--profiling=False"]),
        ({"cert-key": ["b", "a"]}, ["--cert-key=b", "--cert-key=a"]),
        ({"event-ttl": None, "etcd-prefix": ""}, ["--etcd-prefix="]),
        ({"cert-key": []}, []),
    ],
)
def test_flags(flags, rendered):
    assert command_flags(flags) == rendered


@pytest.mark.parametrize("flags", [["a"], "a", {"gates": {"A": True}}, {"gates": [["a"]]}])
def test_what_is_not_a_flag(flags):
    with pytest.raises(ValueError, match="flag"):
        command_flags(flags)
