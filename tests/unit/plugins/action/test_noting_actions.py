# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions that note what their modules would change: for the plan, and for the tasks that follow."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible.playbook.task import Task
from ansible_collections.hardway.kubernetes.plugins.action import (
    etcd_member,
    image_archives,
    kubeconfig,
    note,
    workload_info,
    x509_cfssl_compat,
)
from ansible_collections.hardway.kubernetes.plugins.plugin_utils import run_notes


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an action, whose module says that it changes files; return the module's arguments."""
    monkeypatch.setattr(run_notes.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))

    def run(plugin, *changed, check=True, failed=False, **arguments):
        task = Task()
        task.args = arguments
        task.check_mode = check
        made = plugin.ActionModule(
            task=task,
            connection=mock.MagicMock(),
            play_context=mock.MagicMock(),
            loader=None,
            templar=None,
            shared_loader_obj=None,
        )
        answer = {"failed": True} if failed else {"changed": bool(changed), "changed_files": list(changed)}
        with mock.patch.object(made, "_execute_module", return_value=answer) as module:
            assert made.run(task_vars={}) == answer
        return module.call_args.kwargs["module_args"]

    return run


def test_what_check_mode_would_change_is_noted(run):
    assert run(x509_cfssl_compat, "/pki/a.pem", "/pki/b.pem", directory="/pki") == {"directory": "/pki"}
    assert run_notes.changed_files() == ["/pki/a.pem", "/pki/b.pem"]
    sent = run(kubeconfig, "/pki/admin.kubeconfig", directory="/pki", changed_files=["/pki/c.pem", "/pki/b.pem"])
    assert sent["changed_files"] == ["/pki/c.pem", "/pki/b.pem", "/pki/a.pem"]
    assert run_notes.changed_files() == ["/pki/a.pem", "/pki/b.pem", "/pki/admin.kubeconfig"]
    assert [(note["component"], note["steps"]) for note in run_notes.RunNotes("steps").read()] == [
        ("certificates", ["write a.pem", "write b.pem"]),
        ("kubeconfigs", ["write admin.kubeconfig"]),
    ]


@pytest.mark.parametrize("plugin", [x509_cfssl_compat, kubeconfig])
def test_a_run_that_writes_notes_nothing(run, plugin):
    assert run(plugin, "/pki/a.pem", check=False, directory="/pki") == {"directory": "/pki"}
    assert run_notes.changed_files() == []
    assert run_notes.RunNotes("steps").read() == []


@pytest.fixture
def noted(monkeypatch, tmp_path):
    """Run an action whose module answers this; return the notes of the run."""
    monkeypatch.setattr(run_notes.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))

    def noted(plugin, answer=None, *, check=True, delegate_to=None, **arguments):
        task = Task()
        task.args, task.check_mode, task.delegate_to = arguments, check, delegate_to
        made = plugin.ActionModule(
            task=task,
            connection=mock.MagicMock(),
            play_context=mock.MagicMock(),
            loader=None,
            templar=None,
            shared_loader_obj=None,
        )
        with mock.patch.object(made, "_execute_module", return_value=answer):
            made.run(task_vars={"inventory_hostname": "wrk01"})
        return [(one["host"], one["component"], one["steps"]) for one in run_notes.RunNotes("steps").read()]

    return noted


def test_image_archives(noted):
    answer = {"changed": True, "imported": {"/srv/a.tar": "it was not imported", "https://m.test/b.tar": "changed"}}
    assert noted(image_archives, answer, check=False) == []
    assert noted(image_archives, {"changed": False, "imported": {}}) == []
    assert noted(image_archives, answer) == [("wrk01", "images", ["import a.tar", "import b.tar"])]


def test_etcd_member(noted):
    """Another member does it; the plan names the host that joins."""
    answer = {"changed": True, "actions": ["add wrk01 as a learner"]}
    expected = [("wrk01", "etcd membership", ["add wrk01 as a learner"])]
    assert noted(etcd_member, answer, delegate_to="ctl01") == expected


def applied(kind, name, *, changed):
    return {"changed": changed, "result": {"kind": kind, "metadata": {"name": name}}}


def test_objects_that_were_applied(noted):
    several = {
        "changed": True,
        "result": {
            "results": [
                applied("ConfigMap", "coredns", changed=False),
                applied("Deployment", "coredns", changed=True),
            ]
        },
    }
    one = applied("DaemonSet", "flannel", changed=True)
    assert noted(note, component="CoreDNS") == []
    assert noted(note, component="CoreDNS", applied={"changed": False, "skipped": True}) == []
    assert noted(note, component="CoreDNS", applied=applied("DaemonSet", "flannel", changed=False)) == []
    assert noted(note, component="CoreDNS", applied=several, delegate_to="localhost") == [
        ("localhost", "CoreDNS", ["apply Deployment coredns"])
    ]
    assert noted(note, component="network", applied=one, steps=["first"])[1:] == [
        ("wrk01", "network", ["first", "apply DaemonSet flannel"])
    ]


def test_a_failure_notes_nothing(run):
    run(x509_cfssl_compat, failed=True)
    assert run_notes.changed_files() == []
    assert run_notes.RunNotes("steps").read() == []


def told(answer, monkeypatch, tmp_path):
    """Return what the action returns for a module's answer, and the warnings of the run."""
    monkeypatch.setattr(run_notes.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    task = Task()
    task.args = {"kubeconfig": "/pki/admin", "nodes": {"wrk01": ["local_data"]}, "release": "1.37"}
    made = workload_info.ActionModule(
        task=task,
        connection=mock.MagicMock(),
        play_context=mock.MagicMock(),
        loader=None,
        templar=None,
        shared_loader_obj=None,
    )
    with mock.patch.object(made, "_execute_module", return_value=answer):
        found = made.run(task_vars={})
    return found, [note["text"] for note in run_notes.RunNotes("warnings").read()]


def test_workloads_that_an_upgrade_hurts(monkeypatch, tmp_path):
    pods = [
        {"node": "wrk01", "name": "a/web", "managed": True, "local_data": True},
        {"node": "wrk01", "name": "a/bare", "managed": False, "local_data": False},
    ]
    reading = {"pods": pods, "single": [], "budgets": [], "deprecated": []}
    found, warnings = told({"changed": False, "workloads": reading}, monkeypatch, tmp_path)
    assert found["workloads"] == reading
    assert found["effects"] == warnings
    assert [text.split(" ")[1] for text in warnings] == ["a/web"]
    assert [text.split(" ")[1] for text in found["problems"]] == ["a/bare"]


def test_workloads_that_cannot_be_read(monkeypatch, tmp_path):
    """That is not a reason to stop: the drain itself does not take a pod that must not go."""
    found, warnings = told({"failed": True, "msg": "connection refused"}, monkeypatch, tmp_path)
    assert warnings == ["the workloads that this upgrade could hurt could not be read: connection refused"]
    assert found == {"changed": False, "effects": warnings, "problems": []}
