# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program checks its own command line before its unit restarts; the texts are those of real programs.

tests/programs has the real programs themselves.
"""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import UnitError
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import dry_run

HELP = """\
Usage:
  kube-apiserver [flags]

      --event-ttl duration                    Amount of time to retain events.
      --enable-aggregator-routing             Turns on aggregator routing.
  -v, --v Level                               number for the log level verbosity
"""
FAILED = 'E1127 20:28:43.190219   18245 run.go:72] "command failed" err="{}"\n'
LENIENT = (
    'I1127 20:29:07.069200   20088 codec.go:102] "Using lenient decoding as strict decoding failed" '
    'err="strict decoding error: unknown field \\"klusterDomain\\""\n'
)
NO_LOCK_FILE = "failed to run Kubelet: cannot exit on lock file contention: no lock file specified"
PANIC = """\
panic: failed to merge global and in-flight KubeletConfiguration, error: unrecognized feature gate: Nope

goroutine 1 [running]:
k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1.SetDefaults_KubeletConfiguration(0x148f223c008)
\tk8s.io/kubernetes@v1.37.2/pkg/kubelet/apis/config/v1beta1/defaults.go:70 +0x1394
"""


@pytest.fixture
def check(tmp_path):
    """Check a program's unit, with what the program answers to --version and to its further arguments."""

    def run(program, *, version=(0, "Kubernetes v1.37.2\n", ""), further=(0, "", ""), flags=""):
        calls = []

        def answer(command):
            calls.append(command)
            if command[-1] == "--help":
                return 0, HELP, ""
            return version if command[-1] == "--version" else further

        path = tmp_path / "unit.service"
        path.write_text(f"[Service]\nExecStart=/usr/local/bin/{program} \\\n  {flags}\n")
        found = dry_run.problem(str(path), answer)
        return found, calls

    return run


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("[Service]\nExecStart=/bin/a \\\n  --b=1 \\\n  --c=2\n\nRestart=always\n", ["/bin/a", "--b=1", "--c=2"]),
        ('ExecStart=/bin/a "--b=one two" --c=100%% --d=$$HOME', ["/bin/a", "--b=one two", "--c=100%", "--d=$HOME"]),
        ("ExecStart=/bin/a\nExecStart=\nExecStart=-/bin/b --c", ["/bin/b", "--c"]),
        ("[Service]\nExecStartPre=/bin/a\n", []),
    ],
)
def test_the_command_line_of_a_unit(unit, words):
    assert dry_run.command_line(unit) == words


def test_a_unit_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UnitError, match=r"none\.service: its ExecStart cannot be read"):
        dry_run.problem(str(tmp_path / "none.service"), lambda command: (0, "", ""))


def test_another_program_is_not_run(check):
    found, calls = check("sh", flags="-c 'exit 1'")
    assert found is None and not calls


def test_an_unknown_flag_is_named_with_similar_ones_and_the_setting(check):
    found, _calls = check("kube-apiserver", version=(1, "", "Error: unknown flag: --event-tll\n"))
    assert found == (
        "kube-apiserver refuses its flags or its configuration: unknown flag: --event-tll (similar: --event-ttl). "
        "Correct apiserver_extra_flags"
    )


@pytest.mark.parametrize(
    ("program", "printed", "words"),
    [
        (
            "kube-scheduler",
            'Usage:\n  kube-scheduler [flags]\n\nError: invalid argument "abc" for "-v, --v" flag: syntax\n',
            'invalid argument "abc" for "-v, --v" flag: syntax',
        ),
        (
            "kubelet",
            FAILED.format("failed to parse kubelet flag: unknown flag: --no-such"),
            "failed to parse kubelet flag: unknown flag: --no-such",
        ),
        ("kube-apiserver", FAILED.format("unrecognized feature gate: NoSuch"), "unrecognized feature gate: NoSuch"),
        (
            "kube-apiserver",
            '{"ts":1,"caller":"cli/run.go:72","msg":"command failed","err":"unrecognized feature gate: A"}\n',
            "unrecognized feature gate: A",
        ),
        (
            "etcd",
            "flag provided but not defined: -no-such\nUsage:\n\n  etcd [flags]\n",
            "flag provided but not defined: -no-such",
        ),
        (
            "etcd",
            'invalid value "abc" for flag -heartbeat-interval: parse error\nUsage:\n\n  etcd [flags]\n',
            'invalid value "abc" for flag -heartbeat-interval: parse error',
        ),
        (
            "etcd",
            '{"level":"warn","msg":"failed to verify flags","error":"\\"stray\\" is not a valid flag"}\n',
            '"stray" is not a valid flag',
        ),
        ("kube-proxy", "exec format error\n", "exec format error"),
    ],
)
def test_flags_that_a_program_cannot_parse(check, program, printed, words):
    found, calls = check(program, version=(1, "", printed))
    assert f"{program} refuses its flags or its configuration: {words}" in found
    assert not [call for call in calls if call[-1] not in ("--version", "--help")], "it was run further"


@pytest.mark.parametrize(
    ("program", "further"),
    [
        ("etcd", (1, "", "not run")),
        ("kube-apiserver", (1, "", FAILED.format("--max-requests-inflight can not be negative value"))),
        ("kube-controller-manager", (1, "", FAILED.format('\\"none-such\\" is not in the list of known controllers'))),
        ("kube-scheduler", (0, "", 'I1127 configfile.go:106] "Wrote configuration" file="/dev/null"\n')),
        ("kubelet", (1, "", FAILED.format(NO_LOCK_FILE))),
        ("kube-proxy", (0, "", "")),
        ("containerd", (0, "version = 3\n", "")),
    ],
)
def test_a_program_that_has_nothing_against_it(check, program, further):
    assert check(program, further=further)[0] is None


@pytest.mark.parametrize(
    ("program", "printed", "words"),
    [
        (
            "kube-apiserver",
            FAILED.format(
                '[--max-requests-inflight can not be negative value, authorization-mode \\"Foo\\" is not a valid mode]'
            ),
            ': authorization-mode "Foo" is not a valid mode. Correct',
        ),
        (
            "kube-apiserver",
            FAILED.format(
                '[a is wrong, --max-requests-inflight can not be negative value, plugin \\"Bar\\" is unknown]'
            ),
            ': a is wrong, plugin "Bar" is unknown. Correct',
        ),
        (
            "kube-apiserver",
            FAILED.format("open /var/lib/kubernetes/service-account.pem: no such file or directory"),
            ": open /var/lib/kubernetes/service-account.pem: no such file or directory. Correct",
        ),
        (
            "kube-scheduler",
            FAILED.format('strict decoding error: unknown field \\"leaderElection.leaderElekt\\"'),
            ': strict decoding error: unknown field "leaderElection.leaderElekt". Correct',
        ),
        (
            "kubelet",
            LENIENT + FAILED.format(NO_LOCK_FILE),
            ': strict decoding error: unknown field "klusterDomain". Correct',
        ),
        ("kubelet", PANIC, "KubeletConfiguration, error: unrecognized feature gate: Nope. Correct"),
        (
            "containerd",
            "time=now level=error\ncontainerd: failed to unmarshal TOML at row 7\n",
            ": failed to unmarshal TOML",
        ),
    ],
)
def test_configuration_that_a_program_refuses(check, program, printed, words):
    assert words in check(program, further=(1, "", printed))[0]


def test_a_field_that_kube_proxy_would_ignore_is_refused(check):
    assert 'unknown field "klusterDomain"' in check("kube-proxy", further=(0, "", LENIENT))[0]


def test_a_program_that_lost_the_flag_for_the_check_is_not_refused(check):
    lost = (1, "", FAILED.format("failed to parse kubelet flag: unknown flag: --exit-on-lock-contention"))
    assert check("kubelet", further=lost)[0] is None


@pytest.mark.parametrize("code", [124, 137])
def test_a_program_that_does_not_end_has_refused_nothing(check, code):
    assert check("kube-scheduler", version=(code, "", ""), further=(code, "", ""))[0] is None


def test_a_program_cannot_run_for_long(check):
    assert all(call[:3] == ["timeout", "--kill-after=5", "30"] for call in check("kubelet")[1])
