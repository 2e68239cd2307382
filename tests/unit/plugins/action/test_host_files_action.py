# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's half of host_files: what is read here, and what is sent as a secret."""

from __future__ import annotations

import base64
import pathlib
import re
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar, trust_as_template
from ansible_collections.hardway.kubernetes.plugins.action import host_files

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def _builtin_lookups(monkeypatch):
    """Full names of built-in plugins need Ansible's import machinery, which a plain test run has not."""
    get = host_files.lookup_loader.get
    monkeypatch.setattr(
        host_files.lookup_loader, "get", lambda name, **options: get(name.removeprefix("ansible.builtin."), **options)
    )


@pytest.fixture
def run(tmp_path):
    """Run the plugin in a role that is this directory; return what the module would get."""

    def run(*files, check=False, changed_files=None, **variables):
        task = Task()
        task.args = {"files": [dict(entry) for entry in files]}
        if changed_files is not None:
            task.args["changed_files"] = changed_files
        task.check_mode = check
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        task.get_search_path = lambda: [str(tmp_path)]
        variables = {**variables, "ansible_search_path": [str(tmp_path)]}
        action = host_files.ActionModule(
            task=task,
            connection=mock.MagicMock(),
            play_context=mock.MagicMock(),
            loader=loader,
            templar=Templar(loader=loader, variables=variables),
            shared_loader_obj=None,
        )
        with mock.patch.object(action, "_execute_module", return_value={"changed": True}) as module:
            assert action.run(task_vars=variables) == {"changed": True}
        module.assert_called_once()
        assert module.call_args.kwargs["module_name"] == "hardway.kubernetes.host_files"
        return module.call_args.kwargs["module_args"]

    return run


def decoded(contents: dict[str, str]) -> dict[str, str]:
    return {path: base64.b64decode(content).decode() for path, content in contents.items()}


def test_all_in_one_call(run, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "unit.j2").write_text("ExecStart={{ program }}\n")
    (tmp_path / "ca.pem").write_text("certificate\n")
    sent = run(
        {"path": "/etc/etcd", "state": "directory", "mode": "0700"},
        {"path": "/etc/unit", "template": "unit.j2"},
        {"path": "/etc/ca.pem", "src": str(tmp_path / "ca.pem")},
        {"path": "/etc/motd", "content": "hello"},
        program=trust_as_template("/usr/bin/etcd"),
    )
    assert decoded(sent["contents"]) == {
        "/etc/unit": "ExecStart=/usr/bin/etcd\n",
        "/etc/ca.pem": "certificate\n",
        "/etc/motd": "hello",
    }
    assert sent["secret_contents"] == {}
    assert [entry["path"] for entry in sent["files"]] == ["/etc/etcd", "/etc/unit", "/etc/ca.pem", "/etc/motd"]
    assert sent["files"][0] == {"path": "/etc/etcd", "state": "directory", "mode": "0700"}


def test_a_file_is_searched_where_the_role_keeps_its_files(run, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "policy.json").write_text("{}")
    assert decoded(run({"path": "/etc/p", "src": "policy.json"})["contents"]) == {"/etc/p": "{}"}


def test_bytes_arrive_as_they_are(run, tmp_path):
    (tmp_path / "blob").write_bytes(b"\x00\xff\n")
    sent = run({"path": "/b", "src": str(tmp_path / "blob")})
    assert base64.b64decode(sent["contents"]["/b"]) == b"\x00\xff\n"


@pytest.mark.parametrize("given", ["marked", "key", "kubeconfig", "template"])
def test_what_is_secret_is_sent_apart(run, tmp_path, given):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "key.j2").write_text("{{ key }}")
    entry = {
        "marked": {"content": "token", "secret": True},
        "key": {"content": KEY},
        "kubeconfig": {"content": "users:\n- user:\n    client-key-data: TUlJRQ==\n"},
        "template": {"template": "key.j2"},
    }[given]
    sent = run({"path": "/etc/key", **entry}, key=KEY.rstrip())
    assert sent["contents"] == {}
    assert list(sent["secret_contents"]) == ["/etc/key"]
    # The list of files goes into logs; content has no place there.
    assert "content" not in sent["files"][0]
    for text in ("token", "MIIE", "TUlJRQ"):
        assert text not in str(sent["files"])


def test_a_certificate_is_no_secret(run):
    sent = run({"path": "/etc/ca.pem", "content": "-----BEGIN CERTIFICATE-----\nMIIE\n"})
    assert list(sent["contents"]) == ["/etc/ca.pem"]


@pytest.mark.parametrize("option", ["src", "template"])
def test_a_missing_file_is_named_with_where_it_goes(run, option):
    with pytest.raises(AnsibleActionFail) as caught:
        run({"path": "/etc/etcd/ca.pem", option: "no-such-file"})
    assert str(caught.value).startswith("/etc/etcd/ca.pem: ")
    assert "no-such-file" in str(caught.value)
    # What is copied comes from an earlier chapter.
    assert ("--tags ca" in str(caught.value)) is (option == "src")


def test_check_mode_expects_what_an_earlier_task_makes(run, tmp_path):
    missing = tmp_path / "pki" / "ca.pem"
    sent = run({"path": "/etc/ca.pem", "src": str(missing)}, check=True)
    assert decoded(sent["contents"]) == {"/etc/ca.pem": f"{missing} does not exist yet\n"}


@pytest.mark.parametrize("check", [True, False])
def test_what_an_earlier_task_changes_differs_in_check_mode_alone(run, tmp_path, check):
    (tmp_path / "pki").mkdir()
    (tmp_path / "link").symlink_to("pki")
    for name, content in (("a-key.pem", KEY), ("b.pem", "certificate\n")):
        (tmp_path / "pki" / name).write_text(content)
    sent = run(
        {"path": "/etc/a-key.pem", "src": str(tmp_path / "link" / ".." / "pki" / "a-key.pem"), "secret": True},
        {"path": "/etc/b.pem", "src": str(tmp_path / "pki" / "b.pem")},
        check=check,
        changed_files=[str(tmp_path / "link" / "a-key.pem")],
    )
    wanted = decoded(sent["secret_contents"])["/etc/a-key.pem"]
    assert wanted.endswith("is changed by an earlier task\n") if check else wanted == KEY
    assert decoded(sent["contents"]) == {"/etc/b.pem": "certificate\n"}
    assert "changed_files" not in sent


def test_check_mode_does_not_forgive_a_template(run):
    with pytest.raises(AnsibleActionFail):
        run({"path": "/etc/unit", "template": "no-such-file.j2"}, check=True)


def test_an_undefined_variable_names_the_path(run, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "unit.j2").write_text("{{ no_such_variable }}")
    with pytest.raises(AnsibleActionFail) as caught:
        run({"path": "/etc/unit", "template": "unit.j2"})
    assert str(caught.value).startswith("/etc/unit: ")
    assert "no_such_variable" in str(caught.value)


def test_the_tasks_arguments_stay_as_they_are(run):
    entry = {"path": "/etc/motd", "content": "hello"}
    run(entry)
    assert entry == {"path": "/etc/motd", "content": "hello"}


def test_nothing_is_asked_for(run):
    assert run()["files"] == []


def test_every_role_template_is_found():
    """Names in the roles' lists are names of files."""
    roles = pathlib.Path(host_files.__file__).resolve().parents[2] / "roles"
    for tasks in [*roles.glob("*/tasks/**/*.yml"), *roles.glob("*/vars/*.yml")]:
        role = roles / tasks.relative_to(roles).parts[0]
        for name in re.findall(r"^\s+template: (\S+\.j2)$", tasks.read_text(encoding="utf-8"), re.MULTILINE):
            assert (role / "templates" / name).is_file(), f"{tasks} names {name}"
