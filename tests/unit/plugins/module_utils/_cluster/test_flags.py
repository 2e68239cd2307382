# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags of units: one way to write them for every role."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.flags import (
    _RELIED_ON,
    EXTRA_FLAGS,
    command_flags,
    flag_problems,
    flag_warnings,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.dry_run import command_line
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    KNOWN,
    ROOT,
    computed,
    running,
    topology,
)


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
        ({"cert-key": [None, "a"]}, ["--cert-key=a"]),
        ({"qps": 0.5, "v": "2"}, ["--qps=0.5", "--v=2"]),
        ({"name": "one two"}, ['"--name=one two"']),
        ({"name": 'say "a\\b"'}, ['"--name=say \\"a\\\\b\\""']),
        ({"name": "it's 100% of $HOME"}, ['"--name=it\'s 100%% of $$HOME"']),
    ],
)
def test_flags(flags, rendered):
    assert command_flags(flags) == rendered


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["a"], "flags are a dictionary of values by name, found list"),
        ("a", "flags are a dictionary of values by name, found str"),
        ({"gates": {"A": True, "B": False}}, r"flag gates: .* a string such as A=true,B=false"),
        ({"gates": [["a"]]}, "flag gates: .* found a list in a list"),
        ({"--event-ttl": "1h"}, "flag --event-ttl: a name is without dashes .*; write event-ttl$"),
        ({"event_ttl": "1h"}, "flag event_ttl: .*; write event-ttl$"),
        ({"event-ttl=1h": None}, "flag event-ttl=1h: .*; write event-ttl$"),
        ({"": "1h"}, "flag : a name is without dashes in front, has '-' for '_', and no '='$"),
        ({5: "1h"}, "flag 5: "),
        ({"event-ttl": "1h\nUser=root"}, "flag event-ttl: .* has a line break"),
    ],
)
def test_what_is_not_a_flag(flags, words):
    with pytest.raises(ValueError, match=words):
        command_flags(flags)


AWKWARD = ["one two", "it's", 'a "b" c', "a\\b", "100%", "%H %%", "$HOME ${A}", "a;b", " ; ", "#c", "", "ä", "'", "\\"]


def test_a_unit_file_gives_back_what_was_given():
    line = " ".join(command_flags({"a": AWKWARD}))
    assert command_line(f"ExecStart=/bin/true {line}\n")[1:] == [f"--a={value}" for value in AWKWARD]


def test_systemd_has_nothing_against_it(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("this machine has no systemd-analyze")
    unit = tmp_path / "awkward.service"
    unit.write_text(f"[Service]\nExecStart=/bin/echo {' '.join(command_flags({'a': AWKWARD}))}\n")
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "awkward" in line], done.stderr


# --- the settings ---------------------------------------------------------------------------------


def test_each_setting_with_flags_is_looked_at():
    assert set(EXTRA_FLAGS) == {name for name in KNOWN if name.endswith("_extra_flags")}


def test_all_problems_are_named_at_once_with_setting_flag_and_hosts():
    values = {
        "ctl01": {"apiserver_extra_flags": {"event_ttl": "1h", "gates": {"A": True}}, "etcd_extra_flags": {"-v": 1}},
        "ctl02": {"apiserver_extra_flags": {"event_ttl": "1h"}},
        # It does not run an API server.
        "wrk01": {"apiserver_extra_flags": {"event_ttl": "1h"}},
    }
    found = flag_problems(topology(), values)
    assert [problem.partition(": a ")[0] for problem in found] == [
        "ctl01, ctl02: apiserver_extra_flags: flag event_ttl",
        "ctl01: apiserver_extra_flags: flag gates",
        "ctl01: etcd_extra_flags: flag -v",
    ]
    assert flag_problems(topology(), {host: {"apiserver_extra_flags": {"v": [1, None]}} for host in ADDRESSES}) == []


def test_flags_on_which_others_rely_are_named_with_what_to_do_instead():
    values = {
        host: {
            "apiserver_extra_flags": {"etcd-servers": "https://a:2379", "event-ttl": "2h", "secure-port": None},
            "etcd_extra_flags": {"data-dir": "/srv"},
        }
        for host in ("ctl01", "ctl02")
    }
    assert flag_warnings(topology(), values) == [
        "ctl01, ctl02: apiserver_extra_flags overrides --etcd-servers, on which other parts of the cluster rely; "
        "set the hosts of group etcd",
        "ctl01, ctl02: apiserver_extra_flags overrides --secure-port, on which other parts of the cluster rely; "
        "leave it out: health checks and the load balancer use this port and address",
        "ctl01, ctl02: etcd_extra_flags overrides --data-dir, on which other parts of the cluster rely; set "
        "etcd_data_directory",
    ]


@pytest.mark.parametrize("setting", list(EXTRA_FLAGS))
def test_a_setting_that_is_meant_for_a_flag_exists(setting):
    for flag, instead in _RELIED_ON[setting].items():
        if instead.startswith("set ") and "group" not in instead:
            assert instead.removeprefix("set ") in {*KNOWN, "node_address"}, flag


@pytest.mark.parametrize("setting", list(EXTRA_FLAGS))
def test_a_role_sets_the_flags_that_it_is_said_to_set(setting):
    role = setting.removesuffix("_extra_flags")
    own = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text())[f"__{role}_flags"]
    said = {flag for flag, instead in _RELIED_ON[setting].items() if "the role sets it" in instead}
    # These are in etcd's bootstrap file; the controller manager's client has its own file.
    assert said - set(own) <= {"initial-cluster", "initial-cluster-state"}


def test_preflight_has_the_problems_and_warnings():
    plan = computed(running(), apiserver_extra_flags={"event_ttl": "1h", "etcd-servers": "a"})["plan"]
    assert [
        problem for problem in plan["problems"] if problem.startswith("ctl01, ctl02: apiserver_extra_flags: flag ev")
    ]
    assert [warning for warning in plan["warnings"] if "--etcd-servers" in warning]
