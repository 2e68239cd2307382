# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare kube-bench's reports with what is known of this collection: deviations with reasons, and manual answers.

Pure functions over files that are read; nothing here runs a program.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import typing as t

import yaml

#: kube-bench's name of the benchmark, and of the directory with its definitions.
BENCHMARK = "cis-1.12"
#: The definitions' file for each of kube-bench's targets.
TARGETS = ("master", "controlplane", "etcd", "node", "policies")
PASS, FAIL = "PASS", "FAIL"

DEVIATIONS_BEGIN = "<!-- deviations: python tests/cis/cis.py --docs -->"
MANUAL_BEGIN = "<!-- manual checks: python tests/cis/cis.py --docs -->"
END = "<!-- end -->"


class BenchmarkError(Exception):
    """A file that is not as expected: which, what was found, and what to do about it."""


@dataclasses.dataclass(frozen=True)
class Check:
    """A check of the definitions. automated: whether kube-bench decides it, or a person."""

    id: str
    target: str
    text: str
    automated: bool


@dataclasses.dataclass(frozen=True)
class Report:
    """The answer of a check on one host. status: kube-bench's PASS, FAIL, WARN or INFO; found: the command's output."""

    host: str
    id: str
    status: str
    found: str = ""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of a check. subject: the check in our words; text: the reason, or the answer.

    found: a regular expression of each line that kube-bench finds where the check deviates.
    passes: whether kube-bench lets a manual check pass, so that it has to.
    """

    id: str
    subject: str
    text: str
    found: str = ""
    passes: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Ids of automated checks that pass everywhere, that deviate with a reason, and of manual ones; what is wrong."""

    passed: list[str]
    deviating: list[str]
    manual: list[str]
    problems: list[str]


def read_checks(directory: pathlib.Path) -> dict[str, Check]:
    """Return the benchmark's checks by id.

    :param directory: the one with `master.yaml` and the others.
    :raises BenchmarkError: a check says neither that it is automated nor that it is manual.
    """
    checks = {}
    for target in TARGETS:
        path = directory / f"{target}.yaml"
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for found in group["checks"]:
                text = " ".join(found["text"].split())
                kind = text.rpartition("(")[2].rstrip(")")
                if kind not in ("Automated", "Manual"):
                    raise BenchmarkError(f"{path}: {found['id']}: '{text}' ends in neither (Automated) nor (Manual)")
                checks[str(found["id"])] = Check(str(found["id"]), target, text, kind == "Automated")
    return checks


def read_report(host: str, text: str) -> list[Report]:
    """Return the results of one host's run of kube-bench.

    :param text: its JSON.
    :raises BenchmarkError: it is not a report.
    """
    try:
        return [
            Report(host, result["test_number"], result["status"], (result["actual_value"] or result["reason"]).strip())
            for control in json.loads(text)["Controls"]
            for group in control["tests"]
            for result in group["results"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{host}: kube-bench's output is not a report ({error!r}): {text[:200]}") from error


def read_entries(path: pathlib.Path, key: str) -> dict[str, Entry]:
    """Return the entries of deviations.yml or manual.yml by id.

    :param key: the field with the text: `reason` or `answer`.
    :raises BenchmarkError: an id is there twice, or an entry lacks a field.
    """
    entries: dict[str, Entry] = {}
    for item in yaml.safe_load(path.read_text(encoding="utf-8")):
        fields = ("id", "subject", key, *(("found",) if key == "reason" else ()))
        missing = [field for field in fields if not str(item.get(field, "")).strip()]
        if missing:
            raise BenchmarkError(f"{path.name}: {item}: {', '.join(missing)} missing")
        if key == "reason" and item.get("result") != FAIL:
            raise BenchmarkError(f"{path.name}: {item['id']}: result is {item.get('result')!r}; allowed: {FAIL}")
        entry = Entry(
            str(item["id"]),
            item["subject"],
            " ".join(item[key].split()),
            item.get("found", ""),
            item.get("passes", False),
        )
        if entry.id in entries:
            raise BenchmarkError(f"{path.name}: {entry.id} is there twice")
        entries[entry.id] = entry
    return entries


def compare(
    checks: t.Mapping[str, Check],
    ran: t.Mapping[str, t.Collection[str]],
    reports: t.Sequence[Report],
    deviations: t.Mapping[str, Entry],
    answers: t.Mapping[str, Entry],
) -> Outcome:
    """Return what passes, what deviates, and everything that is wrong.

    :param ran: the targets of each host.
    """
    by_id: dict[str, list[Report]] = {}
    for report in reports:
        by_id.setdefault(report.id, []).append(report)
    outcome = Outcome([], [], [], _lists(checks, deviations, answers))
    for check in checks.values():
        found = by_id.get(check.id, [])
        outcome.problems.extend(_not_run(check, ran, found))
        if not check.automated:
            outcome.manual.append(check.id)
            outcome.problems.extend(_not_passed(check, answers, found))
            continue
        failed = [report for report in found if report.status == FAIL]
        if check.id in deviations:
            outcome.deviating.append(check.id)
            if found and not failed:
                outcome.problems.append(f"{check.id} passes: remove it from deviations.yml")
            outcome.problems.extend(_worse(deviations[check.id], failed))
        elif failed:
            outcome.problems.extend(f"{one.id} fails on {one.host}: {check.text}{_said(one)}" for one in failed)
        elif found:
            outcome.passed.append(check.id)
    return outcome


def _not_passed(check: Check, answers: t.Mapping[str, Entry], found: t.Sequence[Report]) -> list[str]:
    """Return where a manual check does not pass that has to."""
    if check.id not in answers or not answers[check.id].passes:
        return []
    return [
        f"{one.id} does not pass on {one.host}, and manual.yml says that it does: {check.text}{_said(one)}"
        for one in found
        if one.status != PASS
    ]


def _worse(deviation: Entry, failed: t.Sequence[Report]) -> list[str]:
    """Return where a check fails for something else than its deviation says."""
    problems = []
    for report in failed:
        lines = [line.strip() for line in report.found.splitlines() if line.strip()]
        other = [line for line in lines if not re.fullmatch(deviation.found, line)] or ([] if lines else ["nothing"])
        if other:
            problems.append(
                f"{report.id} on {report.host} is not the deviation of deviations.yml: "
                f"found {other[0][:100]}, expected {deviation.found}"
            )
    return problems


def _lists(
    checks: t.Mapping[str, Check], deviations: t.Mapping[str, Entry], answers: t.Mapping[str, Entry]
) -> list[str]:
    """Return what is wrong with the two lists themselves."""
    automated = {check.id for check in checks.values() if check.automated}
    manual = checks.keys() - automated
    return [
        *(
            f"deviations.yml: {one}: {BENCHMARK} has no such automated check"
            for one in deviations
            if one not in automated
        ),
        *(f"manual.yml: {one}: {BENCHMARK} has no such manual check" for one in answers if one not in manual),
        *(f"manual.yml: no answer to {one}: {checks[one].text}" for one in checks if one in manual - answers.keys()),
    ]


def _not_run(check: Check, ran: t.Mapping[str, t.Collection[str]], found: t.Sequence[Report]) -> list[str]:
    """Return where a check should have been run and was not."""
    hosts = [host for host, targets in ran.items() if check.target in targets]
    if not hosts:
        return [f"{check.id} was run on no host: none has the part '{check.target}'"]
    reported = {report.host for report in found}
    problems = [
        f"{check.id} was not run on {host}: kube-bench does not report it" for host in hosts if host not in reported
    ]
    if check.automated:
        problems += [
            f"{check.id} was not run on {one.host}: kube-bench says {one.status}{_said(one)}"
            for one in found
            if one.status not in (PASS, FAIL)
        ]
    return problems


def _said(report: Report) -> str:
    """Return the first line that the check's command found, shortened."""
    line = report.found.splitlines()[0] if report.found else ""
    return f" (found: {line[:100]})" if line else " (nothing was found)"


def summary(outcome: Outcome, hosts: int) -> str:
    """Return the text at the end of a run."""
    automated = len(outcome.passed) + len(outcome.deviating)
    figures = (
        f"{BENCHMARK} on {hosts} hosts: {len(outcome.passed)} of {automated} automated checks pass, "
        f"{len(outcome.deviating)} deviate with a reason, {len(outcome.manual)} manual ones are answered"
    )
    return "\n".join([*outcome.problems, figures if not outcome.problems else f"{len(outcome.problems)} problems"])


def table(entries: t.Iterable[Entry], heading: str) -> str:
    """Return entries as a Markdown table; those with the same text are one row.

    :param heading: of the last column.
    """
    rows: dict[str, list[Entry]] = {}
    for entry in entries:
        rows.setdefault(entry.text, []).append(entry)
    lines = [
        f"| {', '.join(one.id for one in same)} | {'; '.join(one.subject for one in same)} | {text} |"
        for text, same in rows.items()
    ]
    return "\n".join([f"| Check | Subject | {heading} |", "|---|---|---|", *lines])


def document(text: str, deviations: t.Mapping[str, Entry], answers: t.Mapping[str, Entry]) -> str:
    """Return docs/operate/security.md with its two tables written again.

    :raises BenchmarkError: a marker is not there exactly once.
    """
    for begin, content in (
        (DEVIATIONS_BEGIN, table(deviations.values(), "Why")),
        (MANUAL_BEGIN, table(answers.values(), "Answer")),
    ):
        if text.count(begin) != 1 or END not in text.partition(begin)[2]:
            raise BenchmarkError(f"docs/operate/security.md needs '{begin}' once, and '{END}' behind it")
        before, _begin, rest = text.partition(begin)
        text = f"{before}{begin}\n{content}\n{END}{rest.partition(END)[2]}"
    return text


def replaced(texts: t.Mapping[str, str], replacements: t.Iterable[t.Mapping[str, str]]) -> dict[str, str]:
    """Return definitions with the paths of this collection.

    :param texts: definitions by file name.
    :param replacements: `file`, `text` in it, and `with`.
    :raises BenchmarkError: a text is not there.
    """
    made = dict(texts)
    for one in replacements:
        if one["text"] not in made[one["file"]]:
            raise BenchmarkError(
                f"replaced.yml: {one['file']} of {BENCHMARK} does not have '{one['text']}': "
                "adapt the entry to this version of kube-bench"
            )
        made[one["file"]] = made[one["file"]].replace(one["text"], one["with"])
    return made
