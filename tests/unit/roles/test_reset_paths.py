# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reset.yml takes off what the roles put on hosts: a new file, unit or user of a role cannot be forgotten."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLES = ROOT / "roles"
COMPONENT = "hardway.kubernetes.component"
REMOVAL = "hardway.kubernetes.removal"
UNITS = "/etc/systemd/system"
# Paths that a role writes without being asked to: what the programs of the cluster make.
MADE_BY_PROGRAMS = (
    "/etc/systemd/logind.conf.d/99-kubelet.conf",
    "/var/lib/containerd",
    "/var/lib/cni",
    "/var/lib/weave",
    "/opt/cni",
    "/opt/containerd",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/run/containerd",
    "/run/flannel",
    "/run/kubectl",
    "/var/lib/kubelet/pods",
)
# Directories of packages, and those that stay because of what is in them.
STAY = {
    "/etc/nginx/sites-available",
    "/etc/nginx/sites-enabled",
    "{{ apiserver_audit_log_directory }}",
    "{{ etcd_backup_member_directory }}",
}
# Tasks that write other than as a component, and why there is nothing to remove.
OTHERS = {
    "roles/etcd/tasks/backup_fetch.yml": "the control node",
    "roles/etcd/tasks/restore_prepare.yml": "in etcd's data directory",
    "roles/etcd/tasks/replace_wipe.yml": "it removes",
    "roles/etcd/tasks/leave.yml": "it removes",
    "roles/etcd/tasks/backup.yml": "in etcd's data directory, and removed again",
    "roles/apiserver/tasks/leave.yml": "it removes",
    "roles/worker/tasks/forget.yml": "it removes",
    "roles/worker/tasks/swap.yml": "reset.yml finds its mark",
}
WRITERS = re.compile(
    r"ansible\.builtin\.(copy|template|file|replace|lineinfile|blockinfile|unarchive|get_url|tempfile)"
)


def tasks_of(found: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Every task, also those in blocks."""
    for task in found or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part))


def read(path: pathlib.Path) -> list[dict[str, t.Any]]:
    return list(tasks_of(yaml.safe_load(path.read_text(encoding="utf-8"))))


# The role ca writes on the control node, and smoke_test to the API.
FILES = [
    path
    for path in sorted(ROLES.glob("*/tasks/*.yml"))
    if path.name != "reset.yml" and path.parents[1].name not in ("ca", "smoke_test")
]
COMPONENTS = [(path.parents[1].name, task[COMPONENT]) for path in FILES for task in read(path) if COMPONENT in task]
IMPORT = "ansible.builtin.import_tasks"
RESETS = [
    (path.parents[1].name, task[REMOVAL])
    for path in sorted(ROLES.glob("*/tasks/reset.yml"))
    for found in read(path)
    for task in (read(path.with_name(found[IMPORT])) if IMPORT in found else [found])
    if REMOVAL in task
]


def named(role: str, text: str) -> str:
    """A private variable of a role as it is."""
    variables = ROLES / role / "vars" / "main.yml"
    known = yaml.safe_load(variables.read_text(encoding="utf-8")) if variables.is_file() else {}
    return re.sub(r"\{\{ (__\w+) \}\}", lambda match: str(known.get(match[1], match[0])), text)


def written() -> set[str]:
    """The paths of all components, templates as they are written; and of units."""
    found = set(MADE_BY_PROGRAMS)
    for role, component in COMPONENTS:
        for file in component.get("files", []):
            if isinstance(file, str):
                # An entry that depends on settings.
                paths = re.findall(r"'path': (?:(client_home) ~ )?'([^']+)'", file)
                assert paths, file
                found |= {f"{{{{ {start} }}}}{path}" if start else path for start, path in paths}
            elif file.get("state") != "absent":
                found.add(named(role, file["path"]))
        unit = component.get("unit", {})
        if "template" in unit:
            found.add(f"{UNITS}/{unit['name']}")
    return found - STAY


def removed() -> set[str]:
    found = set()
    for _role, given in RESETS:
        found |= {*given.get("paths", []), *given.get("empty", []), *given.get("conffiles", [])}
        found |= {f"{UNITS}/{unit}" for unit in given.get("units", [])}
    return found


def users() -> set[str]:
    return {component["user"] for _role, component in COMPONENTS if "user" in component}


def uncovered(paths: t.Iterable[str]) -> set[str]:
    gone = removed()
    whole = {path for _role, given in RESETS for path in given.get("paths", [])}
    return {path for path in paths if path not in gone and not any(path.startswith(f"{top}/") for top in whole)}


def test_every_path_of_a_component_is_removed():
    assert len(written()) > 50
    assert uncovered(written()) == set()


@pytest.mark.parametrize("path", ["/etc/kubernetes/new.yaml", f"{UNITS}/new.service", "/var/lib/etcd-other"])
def test_a_path_that_no_reset_names_is_found(path):
    assert uncovered([path]) == {path}


def test_every_unit_is_stopped():
    stopped = {unit for _role, given in RESETS for unit in [*given.get("units", []), *given.get("stopped", [])]}
    run = {component["unit"]["name"] for _role, component in COMPONENTS if "unit" in component}
    # Tasks for several units stop them.
    run = {name for name in run if "{{" not in name}
    # It applies kernel settings at boot, and is the distribution's.
    assert run - {"systemd-sysctl.service"} <= stopped


def test_every_user_is_removed():
    assert users() == {user for _role, given in RESETS for user in given.get("users", [])}


def test_programs_go_by_the_record_of_them():
    assert [given["records"] for _role, given in RESETS if "records" in given] == ["/var/lib/hardway"]


def test_tasks_that_write_otherwise_are_known():
    found = {
        str(path.relative_to(ROOT))
        for path in FILES
        for task in read(path)
        if any(WRITERS.fullmatch(key) for key in task)
    }
    assert found == set(OTHERS)


def test_the_marks_of_swap_agree():
    (swap,) = (
        task["ansible.builtin.replace"]
        for task in read(ROLES / "worker" / "tasks" / "swap.yml")
        if "ansible.builtin.replace" in task
    )
    (reset,) = (
        task["ansible.builtin.replace"]
        for task in read(ROLES / "worker" / "tasks" / "reset.yml")
        if "ansible.builtin.replace" in task
    )
    before = "UUID=1 / ext4 defaults 0 1\n# a comment\n\t/swapfile none swap sw 0 0\n#/dev/sdb none swap sw 0 0\n"
    off = re.sub(swap["regexp"], swap["replace"], before, flags=re.MULTILINE)
    assert off != before
    assert re.sub(reset["regexp"], reset["replace"], off, flags=re.MULTILINE) == before


def test_every_role_with_a_reset_is_in_the_playbook():
    plays = yaml.safe_load((ROOT / "playbooks" / "reset.yml").read_text(encoding="utf-8"))
    used = {
        task["ansible.builtin.import_role"]["name"].rpartition(".")[2]
        for play in plays
        for task in play["tasks"]
        if task.get("ansible.builtin.import_role", {}).get("tasks_from") == "reset"
    }
    assert used == {path.parents[1].name for path in ROLES.glob("*/tasks/reset.yml")}
