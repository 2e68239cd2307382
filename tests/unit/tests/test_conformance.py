# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the conformance run reads the suite's report, and what it makes of it."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
CONFORMANCE = ROOT / "tests" / "conformance"

sys.path.insert(0, str(CONFORMANCE))

import conformance as suite

REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="Kubernetes e2e suite">
  <testcase name="[ReportBeforeSuite]" status="passed" time="0.1"></testcase>
  <testcase name="[It] [sig-node] Pods should run [Conformance]" status="passed" time="12.5"></testcase>
  <testcase name="[It] [sig-node] Pods should stop [Conformance]" status="failed" time="3">
    <failure type="failed">it did not stop&#xA;at pods.go:1</failure></testcase>
  <testcase name="[It] [sig-network] DNS should answer [Conformance]" status="timedout" time="3">
    <failure type="timedout">too long</failure></testcase>
  <testcase name="[It] [sig-storage] Disks should spin" status="skipped" time="0">
    <skipped message="skipped"></skipped></testcase>
  <testcase name="[It] [sig-apps] Daemon set should run [Conformance]" status="skipped" time="1">
    <skipped message="skipped - Requires at least 3 nodes"></skipped></testcase>
  <testcase name="[It] [sig-apps] Jobs are pending" status="pending" time="0">
    <skipped message="pending"></skipped></testcase>
</testsuite></testsuites>
"""


@pytest.fixture
def results(tmp_path: pathlib.Path) -> list[suite.Result]:
    (tmp_path / "report.xml").write_text(REPORT)
    return suite.read_report(tmp_path / "report.xml")


def test_what_the_focus_left_out_is_no_result(results: list[suite.Result]) -> None:
    assert [(result.name, result.state) for result in results] == [
        ("[sig-node] Pods should run [Conformance]", "passed"),
        ("[sig-node] Pods should stop [Conformance]", "failed"),
        ("[sig-network] DNS should answer [Conformance]", "timedout"),
        ("[sig-apps] Daemon set should run [Conformance]", "skipped"),
    ]
    assert results[0].seconds == 12.5
    assert results[1].message == "it did not stop\nat pods.go:1"
    assert results[3].message == "Requires at least 3 nodes"


def test_every_failure_and_every_skip_is_named(results: list[suite.Result]) -> None:
    text, code = suite.summary(results, {})
    assert code == 1
    assert "failed:\n  [sig-node] Pods should stop [Conformance]\n      it did not stop" in text
    assert "[sig-network] DNS should answer [Conformance]\n      too long" in text
    assert (
        "skipped themselves:\n  [sig-apps] Daemon set should run [Conformance]\n      Requires at least 3 nodes" in text
    )
    assert text.endswith("1 passed, 2 failed, 0 cannot pass here, 1 skipped themselves")


def test_what_cannot_pass_is_named_with_its_reason_and_does_not_count(results: list[suite.Result]) -> None:
    reasons = {
        "[sig-node] Pods should stop [Conformance]": "the kernel has no brakes",
        "[sig-network] DNS should answer [Conformance]": "no network",
        "[sig-node] Pods should run [Conformance]": "they do",
    }
    text, code = suite.summary(results, reasons)
    assert code == 0
    assert "cannot pass here:\n  [sig-node] Pods should stop [Conformance]\n      the kernel has no brakes" in text
    assert "although cannot_pass.yml says that they cannot:\n  [sig-node] Pods should run [Conformance]" in text
    del reasons["[sig-network] DNS should answer [Conformance]"]
    assert suite.summary(results, reasons)[1] == 1


@pytest.mark.parametrize("state", ["", "skipped"])
def test_a_run_without_tests_is_no_success(results: list[suite.Result], state: str) -> None:
    text, code = suite.summary([result for result in results if result.state == state], {})
    assert code == 2
    assert "no test ran" in text


def test_what_fails_around_the_tests_counts(tmp_path: pathlib.Path) -> None:
    (tmp_path / "report.xml").write_text(
        '<testsuites><testsuite><testcase name="[SynchronizedBeforeSuite]" status="failed" time="1">'
        "<failure>nodes are not ready</failure></testcase></testsuite></testsuites>"
    )
    text, code = suite.summary(suite.read_report(tmp_path / "report.xml"), {})
    assert code == 1
    assert "[SynchronizedBeforeSuite]\n      nodes are not ready" in text


def test_groups_say_how_many_of_how_many_passed(results: list[suite.Result]) -> None:
    assert [row.split() for row in suite.groups(results).splitlines()] == [
        ["sig-apps", "0", "of", "1"],
        ["sig-network", "0", "of", "1"],
        ["sig-node", "1", "of", "2"],
    ]


def test_progress_says_each_test_as_it_ends() -> None:
    output = """Running Suite
------------------------------
• [12.345 seconds]
[sig-node] Pods should run [Conformance] [sig-node, Conformance]
k8s.io/kubernetes/test/e2e/pods.go:1
------------------------------
• [FAILED] [3.000 seconds]
[sig-node] Pods [It] should stop [Conformance]
------------------------------
S [SKIPPED] [0.100 seconds]
[sig-apps] Daemon set
"""
    assert list(suite.progress(output.splitlines(keepends=True))) == [
        "   1 ok           12 s  [sig-node] Pods should run [Conformance]",
        "   2 failed        3 s  [sig-node] Pods should stop [Conformance]",
        "   3 skipped       0 s  [sig-apps] Daemon set",
    ]


def test_progress_finds_the_names_when_one_process_runs_all() -> None:
    output = """------------------------------
[sig-node] Pods should run [Conformance] [sig-node, Conformance]
k8s.io/kubernetes/test/e2e/pods.go:1
  STEP: Creating a kubernetes client
• [12.345 seconds]
------------------------------
[sig-apps] Daemon set should roll back [Conformance] [sig-apps, Serial]
k8s.io/kubernetes/test/e2e/daemon.go:1
• [3.000 seconds]
------------------------------
"""
    assert list(suite.progress(output.splitlines(keepends=True))) == [
        "   1 ok           12 s  [sig-node] Pods should run [Conformance]",
        "   2 ok            3 s  [sig-apps] Daemon set should roll back [Conformance]",
    ]


def test_the_part_matches_its_tests_and_no_others() -> None:
    names = suite.names_of_part()
    focus = re.compile(suite.focus_on(names))
    assert len(names) == len(set(names)) > 0
    assert all(focus.fullmatch(name) for name in names)
    assert not focus.search("[sig-storage] Disks should spin [Conformance]")
    assert all("[Conformance]" in name for name in names)


def test_the_tests_of_two_families_are_those_of_their_feature_without_sctp() -> None:
    given = suite.read(["--dual", "--skip=slow"])
    [focus], skip = given.focus, re.compile("|".join(given.skip))
    name = "[sig-network] [Feature:IPv6DualStack] should create service with ipv6 cluster ip"
    assert re.search(focus, name) and not skip.search(name)
    assert not re.search(focus, "[sig-network] Services should provide secure master service [Conformance]")
    sctp = "[sig-network] [Feature:IPv6DualStack] should function for pod-Service: sctp [Feature:SCTPConnectivity]"
    assert re.search(focus, sctp) and skip.search(sctp)
    assert skip.search("something slow")


def test_the_whole_suite_is_what_is_run_unless_said() -> None:
    assert suite.read([]).focus == [suite.CONFORMANCE]
    assert suite.read(["--focus=DNS", "--focus=Jobs"]).focus == ["DNS", "Jobs"]
    with pytest.raises(SystemExit):
        suite.read(["--focus=DNS", "--dual"])


def test_every_exception_has_a_name_and_a_reason() -> None:
    for name, reason in suite.read_reasons(CONFORMANCE / "cannot_pass.yml").items():
        assert name.startswith("[sig-")
        assert "[Conformance]" in name
        assert len(reason) > 20
