# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How kube-bench's reports are compared with deviations and answers, and that the lists are true."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import sys
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
CIS = ROOT / "tests" / "cis"
sys.path.insert(0, str(CIS))

import benchmark
from benchmark import BenchmarkError, Check, Entry, Report

CHECKS = {
    check.id: check
    for check in (
        Check("1.1", "master", "The unit's mode is 600 (Automated)", automated=True),
        Check("1.2", "master", "A flag is set (Automated)", automated=True),
        Check("1.3", "master", "Somebody thought of it (Manual)", automated=False),
        Check("4.1", "node", "The kubelet's mode is 600 (Automated)", automated=True),
    )
}
RAN = {"ctl01": ["master"], "ctl02": ["master"], "wrk01": ["node"]}
DEVIATIONS = {"1.1": Entry("1.1", "mode of the unit", "It has no secrets.", "permissions=644")}
ANSWERS = {"1.3": Entry("1.3", "thought", "Yes.")}
# As kube-bench 0.15.6 writes it, without fields that are not read.
OUTPUT = """{"Controls": [{"id": "1", "version": "cis-1.12", "node_type": "master",
 "tests": [{"section": "1.1", "results": [
  {"test_number": "1.1", "test_desc": "The unit's mode (Automated)", "type": "", "status": "FAIL",
   "actual_value": "permissions=644", "scored": true, "reason": ""},
  {"test_number": "1.2", "test_desc": "A flag (Automated)", "type": "", "status": "PASS",
   "actual_value": "--flag=true", "scored": true, "reason": ""},
  {"test_number": "1.3", "test_desc": "Thought (Manual)", "type": "manual", "status": "WARN",
   "actual_value": "", "scored": false, "reason": "Test marked as a manual test"}]}]}],
 "Totals": {"total_pass": 1, "total_fail": 1, "total_warn": 1, "total_info": 0}}"""


def reports(**changed: dict[str, Report | None]) -> list[Report]:
    """Return the reports of a cluster that is as the lists say, but for these of a host: check -> report or None."""
    made = {(host, one.id): one for host in ("ctl01", "ctl02") for one in benchmark.read_report(host, OUTPUT)}
    made["wrk01", "4.1"] = Report("wrk01", "4.1", "PASS", "permissions=600")
    for host, others in changed.items():
        for check, report in others.items():
            if report is None:
                del made[host, check]
            else:
                made[host, check] = report
    return list(made.values())


def problems(found: t.Sequence[Report], **more: t.Any) -> list[str]:
    values = {"checks": CHECKS, "ran": RAN, "deviations": DEVIATIONS, "answers": ANSWERS} | more
    return benchmark.compare(values["checks"], values["ran"], found, values["deviations"], values["answers"]).problems


def test_a_cluster_that_is_as_the_lists_say_gives_figures() -> None:
    outcome = benchmark.compare(CHECKS, RAN, reports(), DEVIATIONS, ANSWERS)
    assert (outcome.passed, outcome.deviating, outcome.manual, outcome.problems) == (
        ["1.2", "4.1"],
        ["1.1"],
        ["1.3"],
        [],
    )
    assert benchmark.summary(outcome, len(RAN)) == (
        "cis-1.12 on 3 hosts: 2 of 3 automated checks pass, 1 deviate with a reason, 1 manual ones are answered"
    )


def test_a_failure_that_is_not_listed_names_host_check_and_what_was_found() -> None:
    found = problems(reports(ctl02={"1.2": Report("ctl02", "1.2", "FAIL", "--flag=false\nmore")}))
    assert found == ["1.2 fails on ctl02: A flag is set (Automated) (found: --flag=false)"]
    found = problems(reports(ctl02={"1.2": Report("ctl02", "1.2", "FAIL")}))
    assert found == ["1.2 fails on ctl02: A flag is set (Automated) (nothing was found)"]


def test_a_deviation_that_passes_everywhere_is_stale() -> None:
    passes = {host: {"1.1": Report(host, "1.1", "PASS", "permissions=600")} for host in ("ctl01", "ctl02")}
    assert problems(reports(**passes)) == ["1.1 passes: remove it from deviations.yml"]
    assert problems(reports(ctl01=passes["ctl01"])) == []


@pytest.mark.parametrize("found", ["permissions=666", "permissions=644\npermissions=666", ""])
def test_a_deviation_covers_only_what_it_says(found: str) -> None:
    (problem,) = problems(reports(ctl01={"1.1": Report("ctl01", "1.1", "FAIL", found)}))
    other = found.splitlines()[-1] if found else "nothing"
    assert problem == (f"1.1 on ctl01 is not the deviation of deviations.yml: found {other}, expected permissions=644")


def test_a_manual_check_that_passes_has_to_go_on() -> None:
    answers = {"1.3": dataclasses.replace(ANSWERS["1.3"], passes=True)}
    thought = {host: {"1.3": Report(host, "1.3", "PASS", "yes")} for host in ("ctl01", "ctl02")}
    assert problems(reports(**thought), answers=answers) == []
    assert problems(reports(ctl01=thought["ctl01"]), answers=answers) == [
        "1.3 does not pass on ctl02, and manual.yml says that it does: Somebody thought of it (Manual) "
        "(found: Test marked as a manual test)"
    ]


@pytest.mark.parametrize("check", ["1.1", "1.2", "1.3"])
def test_a_check_that_is_not_reported_was_not_run(check: str) -> None:
    assert problems(reports(ctl02={check: None})) == [f"{check} was not run on ctl02: kube-bench does not report it"]


@pytest.mark.parametrize("status", ["WARN", "INFO"])
def test_an_automated_check_that_is_left_to_a_person_was_not_run(status: str) -> None:
    found = problems(reports(ctl01={"1.2": Report("ctl01", "1.2", status, "no such tool")}))
    assert found == [f"1.2 was not run on ctl01: kube-bench says {status} (found: no such tool)"]


def test_a_part_without_a_host_was_not_run() -> None:
    controllers = {host: targets for host, targets in RAN.items() if targets == ["master"]}
    found = problems([one for one in reports() if one.host != "wrk01"], ran=controllers)
    assert found == ["4.1 was run on no host: none has the part 'node'"]


def test_lists_name_checks_of_their_kind_and_every_manual_one() -> None:
    swapped = {
        "deviations": DEVIATIONS | {"1.3": Entry("1.3", "s", "r", "x"), "9.9": Entry("9.9", "s", "r", "x")},
        "answers": {"1.2": Entry("1.2", "s", "a")},
    }
    assert problems(reports(), **swapped) == [
        "deviations.yml: 1.3: cis-1.12 has no such automated check",
        "deviations.yml: 9.9: cis-1.12 has no such automated check",
        "manual.yml: 1.2: cis-1.12 has no such manual check",
        "manual.yml: no answer to 1.3: Somebody thought of it (Manual)",
    ]


@pytest.mark.parametrize("output", ["", "Error: no such target", '{"Controls": [{}]}', "[]", '{"Controls": null}'])
def test_output_that_is_not_a_report_is_shown(output: str) -> None:
    with pytest.raises(BenchmarkError, match=r"^ctl01: kube-bench's output is not a report") as caught:
        benchmark.read_report("ctl01", output)
    assert str(caught.value).endswith(output)


def test_definitions_say_who_decides(tmp_path: pathlib.Path) -> None:
    def write(text: str) -> None:
        for target in benchmark.TARGETS:
            checks = [{"id": 2.7, "text": text}] if target == "etcd" else []
            (tmp_path / f"{target}.yaml").write_text(yaml.safe_dump({"groups": [{"checks": checks}]}))

    write("Ensure that it is\n set (Manual)")
    assert benchmark.read_checks(tmp_path) == {"2.7": Check("2.7", "etcd", "Ensure that it is set (Manual)", False)}
    write("Ensure that it is set (Scored)")
    with pytest.raises(BenchmarkError, match=r"etcd.yaml: 2.7: .* ends in neither"):
        benchmark.read_checks(tmp_path)


def test_replaced_paths_have_to_be_in_the_definitions() -> None:
    texts = {"master.yaml": "find /fixed | stat; find /fixed", "node.yaml": "/fixed"}
    one = {"file": "master.yaml", "text": "/fixed", "with": "/ours"}
    assert benchmark.replaced(texts, [one]) == texts | {"master.yaml": "find /ours | stat; find /ours"}
    with pytest.raises(BenchmarkError, match=r"replaced.yml: node.yaml of cis-1.12 does not have '/other'"):
        benchmark.replaced(texts, [{"file": "node.yaml", "text": "/other", "with": "/ours"}])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"result": "FAIL", "reason": "r", "found": "x", "subject": ""}, "subject missing"),
        ({"result": "FAIL", "reason": "r", "subject": "s"}, "found missing"),
        ({"result": "WARN", "reason": "r", "subject": "s", "found": "x"}, "result is 'WARN'; allowed: FAIL"),
    ],
)
def test_an_incomplete_deviation_is_refused(entry: dict[str, str], message: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "deviations.yml"
    path.write_text(yaml.safe_dump([{"id": "1.1"} | entry]))
    with pytest.raises(BenchmarkError, match=message):
        benchmark.read_entries(path, "reason")


def test_an_id_is_listed_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "manual.yml"
    path.write_text(yaml.safe_dump([{"id": "1.3", "subject": "s", "answer": "a"}] * 2))
    with pytest.raises(BenchmarkError, match=r"manual.yml: 1.3 is there twice"):
        benchmark.read_entries(path, "answer")


def test_the_document_shows_the_lists() -> None:
    deviations = benchmark.read_entries(CIS / "deviations.yml", "reason")
    answers = benchmark.read_entries(CIS / "manual.yml", "answer")
    text = (ROOT / "docs" / "operate" / "security.md").read_text(encoding="utf-8")
    assert text == benchmark.document(text, deviations, answers), "out of date; run make docs"
    other = answers | {"2.7": dataclasses.replace(answers["2.7"], text="Something else.")}
    assert "| 2.7 | authority of etcd | Something else. |" in benchmark.document(text, deviations, other)
    with pytest.raises(BenchmarkError, match="needs '<!-- manual checks"):
        benchmark.document(text.replace(benchmark.MANUAL_BEGIN, ""), deviations, answers)


def test_entries_with_the_same_text_are_one_row() -> None:
    same = [Entry("1.1", "one", "why"), Entry("1.2", "two", "else"), Entry("1.3", "three", "why")]
    assert benchmark.table(same, "Why").splitlines()[2:] == ["| 1.1, 1.3 | one; three | why |", "| 1.2 | two | else |"]


def paths(value: t.Any) -> set[str]:
    """Return the paths in a configuration, below any key."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {value} if isinstance(value, str) and value.startswith("/") else set().union(*map(paths, inner))


def test_every_configured_path_is_one_that_a_role_writes() -> None:
    """kube-bench takes a file that is not there for one without the setting, and lets some checks pass."""
    config = yaml.safe_load((CIS / "config.yaml").read_text(encoding="utf-8"))
    tasks = [path.read_text(encoding="utf-8") for path in ROOT.glob("roles/*/tasks/*.yml")]
    written = set(re.findall(r"- path: (\S+)$", "\n".join(tasks), re.MULTILINE))
    written |= {
        f"/etc/systemd/system/{name}" for name in re.findall(r"name: (\S+\.service)$", "\n".join(tasks), re.MULTILINE)
    }
    etcd = yaml.safe_load((ROOT / "roles/etcd/defaults/main.yml").read_text(encoding="utf-8"))["etcd_data_directory"]
    assert paths(config)
    assert paths(config) - written - {etcd} == set()


def test_each_hosts_report_is_read_with_its_targets(tmp_path: pathlib.Path) -> None:
    import cis

    (tmp_path / "ctl01.json").write_text(OUTPUT)
    (tmp_path / "ctl01.targets").write_text("master")
    ran, found = cis.read_reports(tmp_path)
    assert ran == {"ctl01": ["master"]}
    assert [(one.host, one.id, one.status) for one in found] == [
        ("ctl01", "1.1", "FAIL"),
        ("ctl01", "1.2", "PASS"),
        ("ctl01", "1.3", "WARN"),
    ]
