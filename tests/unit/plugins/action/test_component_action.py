# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's half of component: what is read here, what is sent as a secret, and whose turn it is."""

from __future__ import annotations

import base64
import contextlib
import pathlib
import re
import subprocess
import sys
from unittest import mock

import pytest
from ansible.constants import DEFAULT_VAULT_IDENTITY as DEFAULT_VAULT_ID
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import FileVaultSecret, VaultLib
from ansible.playbook.task import Task
from ansible.template import Templar, trust_as_template
from ansible_collections.hardway.kubernetes.plugins.action import component
from ansible_collections.hardway.kubernetes.plugins.plugin_utils import run_notes
from ansible_collections.hardway.kubernetes.plugins.plugin_utils.turns import Turns

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def _builtin_lookups(monkeypatch):
    """Full names of built-in plugins need Ansible's import machinery, which a plain test run has not."""
    get = component.lookup_loader.get
    monkeypatch.setattr(
        component.lookup_loader, "get", lambda name, **options: get(name.removeprefix("ansible.builtin."), **options)
    )


@pytest.fixture(autouse=True)
def _own_run(monkeypatch, tmp_path):
    """Each test is an ansible-playbook of its own."""
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(run_notes.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "run"))


@pytest.fixture
def action(tmp_path):
    """Make the plugin for a task in a role that is this directory."""

    def action(*, check=False, variables=None, **arguments):
        task = Task()
        task.args = {"name": "etcd", **arguments}
        task.check_mode = check
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        task.get_search_path = lambda: [str(tmp_path)]
        return component.ActionModule(
            task=task,
            connection=mock.MagicMock(),
            play_context=mock.MagicMock(),
            loader=loader,
            templar=Templar(loader=loader, variables=variables or {}),
            shared_loader_obj=None,
        )

    return action


@pytest.fixture
def run(action, tmp_path):
    """Run the plugin; return what the module would get."""

    def run(*files, check=False, unit=None, programs=None, tools=(), published=None, **variables):
        variables = {**variables, "ansible_search_path": [str(tmp_path)]}
        arguments = {"files": [dict(entry) for entry in files], "unit": unit}
        arguments |= {"programs": programs, "tools": list(tools), "published": published} if programs else {}
        made = action(check=check, variables=variables, **arguments)
        with mock.patch.object(made, "_execute_module", return_value={"changed": True}) as module:
            assert made.run(task_vars=variables) == {"changed": True}
        module.assert_called_once()
        assert module.call_args.kwargs["module_name"] == "hardway.kubernetes.component"
        assert module.call_args.kwargs["module_args"]["turn"] == "ask"
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


def test_a_bundle_has_each_content_once(run, tmp_path):
    for name, content in {"new": "new\n", "old": "old", "same": "new\n"}.items():
        (tmp_path / name).write_text(content)
    paths = [str(tmp_path / name) for name in ("new", "old", "same")]
    sent = run({"path": "/etc/ca.pem", "bundle": paths}, {"path": "/etc/one.pem", "bundle": paths[1:2]})
    assert decoded(sent["contents"]) == {"/etc/ca.pem": "new\nold\n", "/etc/one.pem": "old"}
    # One file is copied as any other, and the command that one would type names it.
    assert sent["files"] == [
        {"path": "/etc/ca.pem", "bundle": paths},
        {"path": "/etc/one.pem", "src": paths[1]},
    ]


def test_a_bundle_needs_all_its_files(run, tmp_path):
    (tmp_path / "ca.pem").write_text("own\n")
    paths = [str(tmp_path / "ca-next.pem"), str(tmp_path / "ca.pem")]
    with pytest.raises(AnsibleActionFail, match=r"/etc/ca\.pem: .*ca-next\.pem is not on the control node"):
        run({"path": "/etc/ca.pem", "bundle": paths})
    sent = run({"path": "/etc/ca.pem", "bundle": paths}, check=True)
    assert decoded(sent["contents"]) == {"/etc/ca.pem": f"{paths[0]} does not exist yet\nown\n"}


def test_bytes_arrive_as_they_are(run, tmp_path):
    (tmp_path / "blob").write_bytes(b"\x00\xff\n")
    sent = run({"path": "/b", "src": str(tmp_path / "blob")})
    assert base64.b64decode(sent["contents"]["/b"]) == b"\x00\xff\n"


VAULTED = b"resources:\n- secrets\n"


@pytest.fixture
def vaulted(tmp_path):
    """A file that Ansible has encrypted, and the file with its password."""
    (tmp_path / "password").write_text("open sesame\n")
    secret = FileVaultSecret(filename=tmp_path / "password", loader=DataLoader())
    secret.load()
    (tmp_path / "encryption-config.yaml").write_bytes(VaultLib().encrypt(VAULTED, secret=secret))
    assert (tmp_path / "encryption-config.yaml").read_bytes().startswith(b"$ANSIBLE_VAULT;")
    return {"path": "/etc/e.yaml", "src": str(tmp_path / "encryption-config.yaml")}


def test_a_vaulted_file_is_decrypted_and_secret(action, vaulted, tmp_path):
    variables = {"ansible_search_path": [str(tmp_path)]}
    made = action(files=[vaulted])
    secrets = [(DEFAULT_VAULT_ID, FileVaultSecret(filename=tmp_path / "password", loader=made._loader))]
    secrets[0][1].load()
    made._loader.set_vault_secrets(secrets)
    with mock.patch.object(made, "_execute_module", return_value={"changed": True}) as module:
        made.run(task_vars=variables)
    sent = module.call_args.kwargs["module_args"]
    assert sent["contents"] == {}, "a diff of it would show what its owner hides"
    assert base64.b64decode(sent["secret_contents"]["/etc/e.yaml"]) == VAULTED
    assert list((tmp_path / "run").iterdir()) == [], "no decrypted copy stays"


def test_a_vaulted_file_without_the_password(action, vaulted, tmp_path):
    with pytest.raises(AnsibleActionFail, match=r"/etc/e.yaml: .*vault password"):
        action(files=[vaulted]).run(task_vars={"ansible_search_path": [str(tmp_path)]})


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
    # Copied files come from an earlier chapter.
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
    run_notes.add_changed_files([str(tmp_path / "link" / "a-key.pem")])
    sent = run(
        {"path": "/etc/a-key.pem", "src": str(tmp_path / "link" / ".." / "pki" / "a-key.pem"), "secret": True},
        {"path": "/etc/b.pem", "src": str(tmp_path / "pki" / "b.pem")},
        check=check,
    )
    wanted = decoded(sent["secret_contents"])["/etc/a-key.pem"]
    assert wanted.endswith("is changed by an earlier task\n") if check else wanted == KEY
    assert decoded(sent["contents"]) == {"/etc/b.pem": "certificate\n"}


@pytest.mark.parametrize("check", [True, False])
def test_what_is_made_from_a_file_that_an_earlier_task_changes(run, tmp_path, check):
    admin, other = str(tmp_path / "admin.kubeconfig"), str(tmp_path / "other")
    run_notes.add_changed_files([admin])
    sent = run(
        {"path": "/root/.kube/config", "content": "merged", "secret": True, "made_from": [other, admin]},
        {"path": "/etc/b", "content": "b", "made_from": [other]},
        check=check,
    )
    wanted = f"{admin} is changed by an earlier task\n" if check else "merged"
    assert decoded(sent["secret_contents"]) == {"/root/.kube/config": wanted}
    assert decoded(sent["contents"]) == {"/etc/b": "b"}


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
    roles = pathlib.Path(component.__file__).resolve().parents[2] / "roles"
    for tasks in [*roles.glob("*/tasks/**/*.yml"), *roles.glob("*/vars/*.yml")]:
        role = roles / tasks.relative_to(roles).parts[0]
        for name in re.findall(r"^\s+template: (\S+\.j2)$", tasks.read_text(encoding="utf-8"), re.MULTILINE):
            assert (role / "templates" / name).is_file(), f"{tasks} names {name}"


def test_a_unit_is_a_template_like_any_other(run, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "etcd.service.j2").write_text("ExecStart={{ program }}\n")
    unit = {"name": "etcd.service", "template": "etcd.service.j2"}
    sent = run(unit=unit, program="/usr/bin/etcd")
    assert decoded(sent["contents"]) == {"/etc/systemd/system/etcd.service": "ExecStart=/usr/bin/etcd\n"}
    assert sent["unit"] == unit
    assert run(unit={"name": "nginx.service"})["contents"] == {}


PROGRAM = {"version": "1", "url": "https://e/x", "checksum_url": "https://e/x.sha256", "directory": "/usr/local/bin"}


def test_what_a_host_does_not_install_does_not_go_there(run):
    published = dict.fromkeys("abc", PROGRAM)
    assert run(programs=["b"], published=published)["published"] == {"b": PROGRAM}
    assert run(programs=["b"], tools=["c"], published=published)["published"] == {"b": PROGRAM, "c": PROGRAM}


def test_an_unknown_program(run):
    with pytest.raises(AnsibleActionFail, match=r"programs: c is not published; known programs: a$"):
        run(programs=["c"], published={"a": PROGRAM})


# --- packages -------------------------------------------------------------------------------------

WITH_PACKAGES = {
    "changed": False,
    "needs_packages": ["nginx"],
    "steps": ["install the package nginx"],
    "reasons": ["the package nginx is not installed"],
    "commands": ["apt-get update", "apt-get install --no-install-recommends nginx"],
    "diff": [{"before": "", "after": "nginx\n"}],
}
STARTED = {"changed": True, "steps": ["start nginx.service"], "reasons": [], "commands": ["systemctl"], "diff": []}


@pytest.fixture
def install(action):
    """Run the plugin on a host that lacks a package; return its result and the calls of modules."""

    def install(*answers):
        made = action(packages=["nginx", "curl"])
        with mock.patch.object(made, "_execute_module", side_effect=[dict(answer) for answer in answers]) as module:
            result = made.run(task_vars={"inventory_hostname": "ctl01"})
        return result, [call.kwargs for call in module.call_args_list]

    return install


def test_packages_are_installed_before_the_rest(install):
    result, calls = install(WITH_PACKAGES, {"changed": True}, STARTED)
    assert [call["module_name"] for call in calls] == [
        "hardway.kubernetes.component",
        "ansible.builtin.apt",
        "hardway.kubernetes.component",
    ]
    assert calls[1]["module_args"] == {
        "name": ["nginx"],
        "update_cache": True,
        "install_recommends": False,
        "lock_timeout": 600,
    }
    assert result == {
        "changed": True,
        "steps": ["install the package nginx", "start nginx.service"],
        "reasons": WITH_PACKAGES["reasons"],
        "commands": [*WITH_PACKAGES["commands"], "systemctl"],
        "diff": WITH_PACKAGES["diff"],
    }


def test_packages_and_a_turn(install):
    result, calls = install(WITH_PACKAGES, {"changed": True}, {**ASKS, "diff": []}, DONE)
    assert [call["module_args"].get("turn") for call in calls] == ["ask", None, "ask", "taken"]
    assert result["steps"] == ["install the package nginx", "restart etcd.service"]


def test_packages_are_a_change_when_nothing_else_is(install):
    result, _calls = install(WITH_PACKAGES, {"changed": True}, {"changed": False, "steps": []})
    assert (result["changed"], result["steps"]) == (True, ["install the package nginx"])


def test_what_apt_finds_under_another_name_is_no_change(install):
    result, _calls = install(WITH_PACKAGES, {"changed": False}, {"changed": False, "steps": []})
    assert result == {"changed": False, "steps": []}


def test_a_package_that_cannot_be_installed_stops_the_others(install, hosts):
    result, _calls = install(WITH_PACKAGES, {"failed": True, "msg": "No package matching 'nginx' is available"})
    assert result["msg"] == "No package matching 'nginx' is available"
    with pytest.raises(AnsibleActionFail, match="the change failed on ctl01: No package matching"):
        hosts.change("ctl02", DONE)


def test_apt_is_not_asked_where_no_source_can_be_reached(install, hosts):
    result, calls = install({**WITH_PACKAGES, "unreached_sources": ["http://deb.example.com (Connection timed out)"]})
    assert [call["module_name"] for call in calls] == ["hardway.kubernetes.component"]
    assert result["failed"] is True
    assert result["msg"].startswith("ctl01: none of its package sources can be reached: http://deb.example.com (")
    assert "Packages that it lacks: nginx." in result["msg"]
    assert "set cluster_http_proxy and cluster_https_proxy" in result["msg"]
    with pytest.raises(AnsibleActionFail, match="the change failed on ctl01: ctl01: none of its package sources"):
        hosts.change("ctl02", DONE)


@pytest.mark.parametrize(
    ("reading", "holder"),
    [
        ({"package_lock": "unattended-upgrades.service (process 4321)"}, "unattended-upgrades.service (process 4321)"),
        ({"package_lock": ""}, "a program that has ended since then"),
    ],
)
def test_the_holder_of_the_package_manager_s_lock_is_named(install, reading, holder):
    locked = {"failed": True, "msg": "E: Could not get lock /var/lib/dpkg/lock-frontend"}
    result, calls = install(WITH_PACKAGES, locked, {"reading": reading})
    assert calls[2]["module_name"] == "hardway.kubernetes.host_facts"
    assert result["msg"] == (
        f"{locked['msg']}\nctl01: the package manager was locked for 10 minutes by {holder}. Wait until that has "
        "ended, or stop it, and run again. Nothing of this component was changed."
    )


# --- turns ----------------------------------------------------------------------------------------


class Hosts:
    """Hosts that change one component; the module gives prepared answers."""

    def __init__(self, action):
        self._action = action
        self.calls = []

    def change(self, host, *answers, check=False, name="etcd"):
        answers = list(answers)

        def execute(**options):
            self.calls.append((host, options["module_args"]["turn"]))
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        made = self._action(check=check, name=name)
        with mock.patch.object(made, "_execute_module", side_effect=execute):
            return made.run(task_vars={"inventory_hostname": host})


ASKS = {"changed": False, "needs_turn": True, "steps": ["restart etcd.service"]}
DONE = {"changed": True, "steps": ["restart etcd.service"]}
FAILED = {"failed": True, "msg": "etcd.service is not healthy after 180 s\nLast lines of journalctl"}


@pytest.fixture
def hosts(action):
    return Hosts(action)


def test_what_disturbs_nobody_needs_no_turn(hosts):
    assert hosts.change("ctl01", DONE) == DONE
    assert hosts.calls == [("ctl01", "ask")]


def test_a_turn_is_taken(hosts):
    assert hosts.change("ctl01", ASKS, DONE) == DONE
    assert hosts.calls == [("ctl01", "ask"), ("ctl01", "taken")]


def test_a_turn_is_held_for_as_long_as_the_module_works(action):
    """Another process, as Ansible has one for each host, waits."""
    held = []

    def look(*_arguments, **_options):
        path = Turns("etcd")._lock
        code = "import fcntl,sys; fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        held.append(subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False).returncode)

    made = action()
    answers = [dict(ASKS), dict(DONE)]
    with mock.patch.object(made, "_execute_module", side_effect=lambda **_options: (look(), answers.pop(0))[1]):
        made.run(task_vars={"inventory_hostname": "ctl01"})
    look()
    assert held == [0, 1, 0], "free while it asks, held for the change, free again"


@pytest.mark.parametrize("answers", [[FAILED], [ASKS, FAILED]])
def test_after_a_failure_the_others_are_left_as_they_are(hosts, answers):
    assert hosts.change("ctl01", *answers)["failed"] is True
    hosts.calls.clear()
    with pytest.raises(AnsibleActionFail) as caught:
        hosts.change("ctl02", ASKS, DONE)
    assert str(caught.value).startswith(
        "ctl02: etcd was left as it is, because the change failed on ctl01: etcd.service is not healthy after 180 s\n"
    )
    assert hosts.calls == []
    assert hosts.change("ctl02", DONE, name="kube-apiserver") == DONE, "another component is another matter"


def test_a_failure_while_another_host_waits_for_its_turn(hosts, monkeypatch):
    taken = Turns.taken

    @contextlib.contextmanager
    def after_a_failure(turns):
        with taken(turns):
            Turns("etcd").fail("ctl01", "it does not start")
            yield

    monkeypatch.setattr(Turns, "taken", after_a_failure)
    with pytest.raises(AnsibleActionFail, match="ctl02: etcd was left as it is, because the change failed on ctl01"):
        hosts.change("ctl02", ASKS, DONE)
    assert hosts.calls == [("ctl02", "ask")]


def test_a_host_that_is_lost_in_its_turn_stops_the_others(hosts):
    with pytest.raises(AnsibleConnectionFailure):
        hosts.change("ctl01", ASKS, AnsibleConnectionFailure("no route"))
    with pytest.raises(AnsibleActionFail, match="failed on ctl01: no route"):
        hosts.change("ctl02", ASKS, DONE)


def test_a_host_that_is_down_stops_nobody(hosts):
    with pytest.raises(AnsibleConnectionFailure):
        hosts.change("wrk01", AnsibleConnectionFailure("no route"))
    assert hosts.change("wrk02", ASKS, DONE) == DONE


def test_a_template_that_fails_stops_the_others(action, hosts):
    with pytest.raises(AnsibleActionFail):
        action(files=[{"path": "/etc/x", "template": "no-such.j2"}]).run(task_vars={"inventory_hostname": "ctl01"})
    with pytest.raises(AnsibleActionFail, match="the change failed on ctl01: "):
        hosts.change("ctl02", DONE)


def test_check_mode_predicts_every_host(hosts):
    assert hosts.change("ctl01", FAILED, check=True)["failed"] is True
    assert hosts.change("ctl02", DONE, check=True) == DONE
    assert hosts.change("ctl03", DONE) == DONE


def test_the_first_failure_counts():
    turns = Turns("a/b")
    assert turns.failure() is None
    turns.fail("ctl01", "first")
    turns.fail("ctl02", "second")
    assert turns.failure() == ("ctl01", "first")


def test_check_mode_adds_to_the_plan_of_the_run(hosts):
    hosts.change("ctl01", DONE, check=True)
    hosts.change("ctl02", {"changed": True, "steps": ["start etcd.service"]}, check=True)
    hosts.change("ctl03", {"changed": False, "steps": []}, check=True)
    hosts.change("ctl03", DONE)
    assert run_notes.RunNotes("steps").read() == [
        {"host": "ctl01", "component": "etcd", "steps": ["restart etcd.service"], "effect": "one host at a time"},
        {"host": "ctl02", "component": "etcd", "steps": ["start etcd.service"], "effect": ""},
    ]


def test_the_plan_names_the_host_that_a_task_is_delegated_to(action):
    made = action(check=True)
    made._task.delegate_to = "localhost"
    done = {"changed": True, "steps": ["write /pki/encryption-config.yaml"]}
    with mock.patch.object(made, "_execute_module", return_value=done):
        made.run(task_vars={"inventory_hostname": "ctl01"})
    assert [note["host"] for note in run_notes.RunNotes("steps").read()] == ["localhost"]
