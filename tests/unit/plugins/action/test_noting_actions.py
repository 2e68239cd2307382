# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""x509_cfssl_compat and kubeconfig as actions: what check mode tells the tasks that follow."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible.playbook.task import Task
from ansible_collections.hardway.kubernetes.plugins.action import kubeconfig, x509_cfssl_compat
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


def test_a_failure_notes_nothing(run):
    run(x509_cfssl_compat, failed=True)
    assert run_notes.changed_files() == []
    assert run_notes.RunNotes("steps").read() == []
