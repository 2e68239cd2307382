# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions of the playbooks that rotate keys, and what they say, from what they found."""

from __future__ import annotations

import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tasks(playbook, *names):
    """Return tasks of a playbook, as one host runs them."""
    plays = yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8"))
    found = {task["name"]: task for play in plays for task in play.get("tasks", [])}
    return [{key: value for key, value in found[name].items() if key != "run_once"} for name in names]


def said(ansible_playbook, tmp_path, cases):
    """Run the tasks of each case with its variables, and return the messages of each."""
    (tmp_path / "inventory.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}")
    plays = [
        {"name": f"CASE {number}", "hosts": "localhost", "gather_facts": False, "vars": values, "tasks": steps}
        for number, (values, steps) in enumerate(cases)
    ]
    (tmp_path / "cases.yml").write_text(json.dumps(plays))
    done = ansible_playbook("cases.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    return [" ".join(text.split()) for text in re.split(r"PLAY \[CASE \d+\].*", done.stdout)[1:]]


SECRET = {"namespace": "ci", "name": "deployer", "key": "aa"}
LASTING = {"namespace": "ci", "name": "lasting", "key": "bb"}


def account(phase, *, behind=(), wait=None, tokens=(), revoke=False, check=False, began="none"):
    keys = {"service-account.pem": "aa", "service-account-previous.pem": "bb"}
    state = {"phase": phase, "behind": list(behind), "wait": wait, "public_keys": keys}
    return {
        "cluster": {"check_mode": check, "status": {"rotations": {"service_account": state}}},
        "rotation": {"phase": began},
        "rotate_begins": began == "none" and not behind,
        "rotate_old_key": "bb",
        "rotate_service_account_key_revoke_now": revoke,
        "tokens": {"secrets": list(tokens)},
    }


def test_when_a_rotation_of_the_service_account_key_begins(ansible_playbook, tmp_path):
    steps = [
        *tasks("rotate_service_account_key", "Decide whether a rotation begins", "Report what this run does"),
        {"debug": {"msg": "{{ rotate_begins | ternary('BEGINS', 'GOES ON') }} FROM {{ rotate_old_key }}"}},
    ]
    given = [
        account("none", tokens=[SECRET]),
        account("none", check=True),
        account("none", behind=["ctl02"]),
        account("next", began="next"),
        account("previous", began="previous", tokens=[SECRET, LASTING]),
    ]
    for values in given:
        del values["rotate_begins"], values["rotate_old_key"]
    new, check, behind, coming, previous = said(ansible_playbook, tmp_path, [(values, steps) for values in given])
    assert "BEGINS FROM aa" in new
    assert "This run makes a new key" in new
    assert "Replace them before the rotation ends: ci/deployer" in new
    assert "Nothing is changed. A run makes a new key" in check
    assert "GOES ON FROM aa" in behind
    assert "brings ctl02 in step" in behind
    assert "GOES ON FROM aa" in coming
    assert "GOES ON FROM bb" in previous
    assert "before the rotation ends: ci/lasting" in previous


def test_when_the_old_service_account_key_is_removed(ansible_playbook, tmp_path):
    steps = [
        *tasks("rotate_service_account_key", "Decide whether the rotation ends", "Report how far the rotation is"),
        {"debug": {"msg": "{{ rotate_ends | ternary('ENDS', 'WAITS') }}"}},
    ]
    expected = [
        (account("previous", wait=3600), "WAITS", "Run the playbook again after that: it removes the old key."),
        (account("previous", wait=0), "ENDS", "the last token of the old key has expired"),
        (account("previous", wait=0, tokens=[LASTING]), "WAITS", "do not expire: ci/lasting. Delete them"),
        (account("previous", wait=0, tokens=[SECRET]), "ENDS", "the last token of the old key has expired"),
        (account("previous", wait=None), "WAITS", "It is not known when the last token of the old key expires"),
        (
            account("previous", wait=3600, tokens=[LASTING], revoke=True),
            "ENDS",
            "The API refuses tokens of the old key",
        ),
        (account("previous", wait=0, behind=["ctl01"], began="previous"), "WAITS", "ctl01: has other keys"),
        (account("none", behind=["ctl01"]), "WAITS", "The rotation is over. To begin another"),
        (account("none", check=True), "WAITS", "a run after that removes it"),
    ]
    found = said(ansible_playbook, tmp_path, [(values, steps) for values, _outcome, _words in expected])
    for (_values, outcome, words), text in zip(expected, found, strict=True):
        assert f'"msg": "{outcome}"' in text
        assert words in text


def test_when_a_rotation_of_the_encryption_key_begins(ansible_playbook, tmp_path):
    steps = [
        *tasks("rotate_encryption_key", "Decide whether a rotation begins", "Report what this run does"),
        {"debug": {"msg": "{{ rotate_begins | ternary('BEGINS', 'GOES ON') }}"}},
    ]

    def encryption(phase, *, behind=(), remaining=None, key="secretbox key1", check=False):
        state = {"phase": phase, "behind": list(behind), "key": key}
        wanted = {"provider": "secretbox", "resources": ["secrets", "configmaps"]}
        return {
            "cluster": {
                "check_mode": check,
                "spec": {"encryption": wanted},
                "status": {"rotations": {"encryption": state}},
            },
            "rotation": {"phase": phase},
            "rotate_found": {"remaining": remaining or {}},
        }

    expected = [
        (encryption("settled"), "BEGINS", "rewrites every object of secrets, configmaps, and removes secretbox key1."),
        (encryption("settled", check=True), "BEGINS", "Nothing is changed. A run makes a new key"),
        ({**encryption("settled", key=""), "rotate_found": {"skipped": True}}, "BEGINS", "removes nothing."),
        (encryption("settled", behind=["ctl01"]), "GOES ON", "ends the rotation to secretbox key1"),
        (encryption("settled", remaining={"not encrypted": 1}), "GOES ON", "ends the rotation to secretbox key1"),
        (encryption("added"), "GOES ON", "continues the rotation to secretbox key1, which does not write yet"),
        (encryption("first"), "GOES ON", "continues the rotation to secretbox key1, which writes"),
    ]
    found = said(ansible_playbook, tmp_path, [(values, steps) for values, _outcome, _words in expected])
    for (_values, outcome, words), text in zip(expected, found, strict=True):
        assert f'"msg": "{outcome}"' in text
        assert words in text
