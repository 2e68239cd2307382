# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rotate_authorities.yml with directories in the place of hosts, and a site.yml that fills them.

The phases are decided by the collection's own logic from what the directories have. A run that stops anywhere is
continued by the same command.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOSTS = ("ctl01", "ctl02")
NAME = "etcd-ca"
COLLECTION = pathlib.Path("collections", "ansible_collections", "hardway", "kubernetes")
FIRST = """
- hosts: controllers
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: hardway.kubernetes.cluster}
- ansible.builtin.import_playbook: site.yml
"""

# What the role cluster computes, from the directories of the hosts.
CLUSTER = r"""
import json, pathlib, sys
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster import identity, topology, trust
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.identity import certificates

home, pki = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1], "pki")
hosts = {host: {"node_address": f"10.0.0.{number}"} for number, host in enumerate(("ctl01", "ctl02"))}
shape = topology.topology(hosts, {part: [] for part in topology.PARTS} | {"controllers": [*hosts], "etcd": [*hosts]})
texts = {name: (pki / name).read_text() for name in identity.FILES if (pki / name).exists()}
keys = identity.pki_identity(str(pki), texts)["keys"]
readings = {}
for host in hosts:
    found = {
        path: certificates((home / host / f"{name}.pem").read_text())
        for name, paths in trust.ON_HOSTS.items() for path in paths
    }
    readings[host] = {"identity": {"certificates": found}}
csr = {"CN": "x", "key": {"algo": "ecdsa", "size": 256}}
print(json.dumps({
    "spec": {
        "pki_directory": str(pki), "trust": trust.trust(str(pki), keys), "topology": shape,
        "certificates": {
            "authorities": [{"name": name, "csr": {**csr, "CN": name}} for name in trust.AUTHORITIES],
            "certificates": [{"name": "member", "ca": "etcd-ca", "csr": csr}],
        },
    },
    "status": {"exists": True, "authorities": trust.authorities(shape, readings, keys)},
    "plan": {"problems": []},
}))
"""
# As the action plugin cluster: a task that is skipped registers nothing of use.
ACTION = """
import json, subprocess, sys
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        command = [sys.executable, f"{task_vars['home']}/cluster.py", task_vars["home"]]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return {**super().run(tmp, task_vars), **found, "check_mode": self._task.check_mode}
"""
AGAIN = """
- fake_cluster:
  register: cluster
"""
SITE = """
- hosts: localhost
  gather_facts: false
  tags: [always]
  tasks:
    - ansible.builtin.assert: {that: groups | length > 0}
- hosts: controllers
  gather_facts: false
  any_errors_fatal: true
  vars:
    stop: "{{ lookup('file', home ~ '/stop') if (home ~ '/stop') is exists else '' }}"
    number: "{{ lookup('file', home ~ '/log') | regex_findall('started') | length }}"
    own: "{{ home }}/{{ inventory_hostname }}"
  tasks:
    - ansible.builtin.shell: "echo started >>{{ home }}/log"
      run_once: true
    - ansible.builtin.fail: {msg: stopped before}
      when: stop == number ~ ' before'
    - hardway.kubernetes.x509_cfssl_compat:
        directory: "{{ cluster.spec.pki_directory }}"
        authorities: "{{ cluster.spec.certificates.authorities }}"
        certificates: "{{ cluster.spec.certificates.certificates }}"
      run_once: true
    - hardway.kubernetes.component:
        name: fake
        records: "{{ home }}/records"
        files:
          - {path: "{{ own }}/ca.pem", bundle: "{{ cluster.spec.trust.ca }}"}
          - {path: "{{ own }}/etcd-ca.pem", bundle: "{{ cluster.spec.trust['etcd-ca'] }}"}
          - {path: "{{ own }}/front-proxy-ca.pem", bundle: "{{ cluster.spec.trust['front-proxy-ca'] }}"}
          - {path: "{{ own }}/member.pem", src: "{{ home }}/pki/member.pem"}
      when: inventory_hostname == 'ctl01' or stop != number ~ ' middle'
    - ansible.builtin.fail: {msg: stopped in the middle}
      when: stop == number ~ ' middle'
"""


@pytest.fixture(scope="session")
def built(run_ansible, tmp_path_factory):
    """Return the directory of a cluster of two controllers, after a first run of site.yml."""
    tmp_path = tmp_path_factory.mktemp("rotated")
    collection = tmp_path / COLLECTION
    (collection / "playbooks").mkdir(parents=True)
    (collection / "roles" / "cluster" / "tasks").mkdir(parents=True)
    for name in ("plugins", "meta", "galaxy.yml", "roles/ca"):
        (collection / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "playbooks" / "rotate_authorities.yml", collection / "playbooks")
    (collection / "playbooks" / "site.yml").write_text(SITE)
    (collection / "playbooks" / "action_plugins").mkdir()
    (collection / "playbooks" / "action_plugins" / "fake_cluster.py").write_text(ACTION)
    for name in ("main", "again"):
        (collection / "roles" / "cluster" / "tasks" / f"{name}.yml").write_text(AGAIN)
    (tmp_path / "cluster.py").write_text(CLUSTER)
    for host in HOSTS:
        (tmp_path / host).mkdir()
        for name in ("ca", "etcd-ca", "front-proxy-ca"):
            (tmp_path / host / f"{name}.pem").touch()
    (collection / "playbooks" / "first.yml").write_text(FIRST)
    done = play(run_ansible, tmp_path, "first.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path


def play(run_ansible, home, playbook, *arguments):
    """Run a playbook on the hosts in a directory."""
    everywhere = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "home": str(home),
    }
    hosts: dict[str, dict[str, str]] = {host: {} for host in HOSTS}
    children = {"controllers": {"hosts": hosts}, "etcd": {"hosts": hosts}}
    (home / "inventory.yml").write_text(json.dumps({"all": {"vars": everywhere, "children": children}}))
    (home / "log").write_text("")
    return run_ansible(
        *("ansible-playbook", "-i", "inventory.yml", home / COLLECTION / "playbooks" / playbook, *arguments),
        home=home,
        collections=home / "collections",
        ANSIBLE_LOCALHOST_WARNING="0",
        PYTHONPATH=str(home / "collections"),
    )


@pytest.fixture
def rotate(run_ansible, built, tmp_path):
    """A cluster of its own; a function runs the playbook, by default for etcd's authority."""
    shutil.copytree(built, tmp_path, symlinks=True, dirs_exist_ok=True)

    def run(*arguments, name=NAME):
        given = () if name is None else ("-e", f"rotate_authorities_name={name}")
        return play(run_ansible, tmp_path, "rotate_authorities.yml", *given, *arguments)

    run.home, run.pki = tmp_path, tmp_path / "pki"
    run.first = key(run.pki / f"{NAME}.pem")
    return run


def key(path):
    return openssl("x509", "-in", str(path), "-noout", "-pubkey")


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True, text=True).stdout


def trusted(path):
    """Return the public keys of a bundle, in its order."""
    blocks = path.read_text().split("-----END CERTIFICATE-----\n")
    found = []
    for block in blocks[:-1]:
        done = subprocess.run(
            ["openssl", "x509", "-noout", "-pubkey"],
            input=f"{block}-----END CERTIFICATE-----\n",
            capture_output=True,
            check=True,
            text=True,
        )
        found.append(done.stdout)
    return found


def is_over(run):
    """Return the public key of the new authority, which alone is trusted and has issued everything."""
    names = {path.name for path in run.pki.iterdir()}
    assert not {name for name in names if "-next" in name or "-previous" in name}, names
    new = key(run.pki / f"{NAME}.pem")
    for host in HOSTS:
        assert trusted(run.home / host / f"{NAME}.pem") == [new], host
        verified = openssl("verify", "-CAfile", str(run.pki / f"{NAME}.pem"), str(run.home / host / "member.pem"))
        assert verified.endswith("OK\n")
    return new


def test_a_rotation_from_begin_to_end(rotate):
    others = {name: (rotate.pki / name).read_bytes() for name in ("ca.pem", "front-proxy-ca.pem", "ca-key.pem")}
    done = rotate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert is_over(rotate) != rotate.first
    assert others == {name: (rotate.pki / name).read_bytes() for name in others}
    assert f"The rotation of {NAME} is over." in done.stdout
    assert (rotate.home / "log").read_text().count("started") == 3


PHASES = {
    "1 middle": "next",
    "2 before": "previous",
    "3 middle": "finishing",
}


@pytest.mark.parametrize("stop", PHASES)
def test_a_run_that_stops_is_continued_by_the_same_command(rotate, stop):
    (rotate.home / "stop").write_text(stop)
    done = rotate()
    assert done.returncode != 0
    assert "stopped" in done.stdout
    phase = json.loads(
        subprocess.run(
            [sys.executable, str(rotate.home / "cluster.py"), str(rotate.home)],
            capture_output=True,
            check=True,
            env={"PYTHONPATH": str(rotate.home / "collections")},
        ).stdout
    )["status"]["authorities"][NAME]["phase"]
    assert phase == PHASES[stop]
    # A host that is not reached goes on: what it shows is trusted by every other.
    new = key(rotate.pki / (f"{NAME}-next.pem" if phase == "next" else f"{NAME}.pem"))
    assert all(set(trusted(rotate.home / host / f"{NAME}.pem")) & {rotate.first, new} for host in HOSTS)
    (rotate.home / "stop").unlink()
    done = rotate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert is_over(rotate) == new, "a second rotation began"


def test_check_mode_predicts_the_first_phase_alone(rotate):
    before = {path: path.read_bytes() for path in rotate.home.glob("*/*.pem")}
    done = rotate("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "only the first phase is predicted" in done.stdout
    assert before == {path: path.read_bytes() for path in rotate.home.glob("*/*.pem")}


def test_wrong_requests_are_refused(rotate):
    before = {path: path.read_bytes() for path in rotate.home.glob("*/*.pem")}
    for name, arguments, message in (
        (None, (), "rotate_authorities_name is not given: name one of ca, etcd-ca, front-proxy-ca"),
        ("etcd", (), "rotate_authorities_name is etcd: name one of"),
        (NAME, ("--tags", "worker"), "Tags were given: worker"),
        (NAME, ("--skip-tags", "worker"), "Tags were given: all, worker"),
        (NAME, ("--limit", "ctl01"), "ctl02: it is not part of this run"),
    ):
        done = rotate(*arguments, name=name)
        assert done.returncode != 0, message
        assert message in done.stdout
        assert "Nothing was changed" in done.stdout
        assert before == {path: path.read_bytes() for path in rotate.home.glob("*/*.pem")}


def test_one_rotation_at_a_time(rotate):
    (rotate.home / "stop").write_text("1 middle")
    assert rotate().returncode != 0
    (rotate.home / "stop").unlink()
    done = rotate(name="front-proxy-ca")
    assert done.returncode != 0
    assert f"The rotation of {NAME} is not over" in done.stdout
    assert not (rotate.pki / "front-proxy-ca-next.pem").exists()
