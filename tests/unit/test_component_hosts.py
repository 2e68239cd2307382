# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts in one ansible-playbook: turns, the first failure, and what check mode hands on.

The hosts are directories of this machine, each with a systemctl of its own in the PATH.
"""

from __future__ import annotations

import json
import sys

import pytest

HOSTS = ("ctl01", "ctl02", "ctl03")

SYSTEMCTL = """\
#!/usr/bin/env python3
# A systemd with one unit, in a directory: it runs on what its file said when it started, and fails on "broken".
import json, os, sys, time
home = os.environ["HOST_HOME"]
path = home + "/unit.json"
state = json.load(open(path))
words = [word for word in sys.argv[1:] if not word.startswith("-")]
if words[0] == "show":
    print("\\n".join(f"{name}={value}" for name, value in state.items()))
elif words[0] in ("start", "restart"):
    with open(os.environ["LOG"], "a") as log:
        log.write(f"begin {os.path.basename(home)}\\n")
        log.flush()
        time.sleep(0.3)
        log.write(f"end {os.path.basename(home)}\\n")
    broken = "broken" in open(home + "/config").read()
    state["ActiveState"] = "failed" if broken else "active"
    state["InvocationID"] = str(int(state["InvocationID"]) + 1)
    state["ExecMainStartTimestampMonotonic"] = str(int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6))
elif words[0] == "reset-failed":
    state["ActiveState"] = "inactive"
json.dump(state, open(path + ".new", "w"))
os.replace(path + ".new", path)
"""

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Run the thing
      hardway.kubernetes.component:
        name: thing
        records: "{{ home }}/records"
        files:
          - {path: "{{ home }}/config", content: "{{ content }}"}
        unit: {name: thing.service, timeout: 5}
      environment:
        PATH: "{{ home | dirname }}/bin:{{ lookup('ansible.builtin.env', 'PATH') }}"
        HOST_HOME: "{{ home }}"
        LOG: "{{ home | dirname }}/log"
"""


@pytest.fixture
def hosts(ansible_playbook, tmp_path):
    """Three hosts that run; a function runs the playbook on them."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "systemctl").write_text(SYSTEMCTL)
    (tmp_path / "bin" / "journalctl").write_text("#!/bin/sh\necho it said why\n")
    for program in (tmp_path / "bin").iterdir():
        program.chmod(0o755)
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    for name in HOSTS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config").write_text("old")
        (tmp_path / name / "unit.json").write_text(
            json.dumps(
                {
                    "LoadState": "loaded",
                    "ActiveState": "active",
                    "SubState": "running",
                    "UnitFileState": "enabled",
                    "NeedDaemonReload": "no",
                    "MainPID": "0",
                    "ExecMainStartTimestampMonotonic": "0",
                    "InvocationID": "1",
                    "DropInPaths": "",
                }
            )
        )
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "hosts": {name: {"home": str(tmp_path / name)} for name in HOSTS},
        }
    }
    (tmp_path / "inventory.yml").write_text(json.dumps(inventory))

    def run(*arguments, playbook="play.yml", **variables):
        return ansible_playbook(playbook, "-e", json.dumps(variables), *arguments)

    return run


def log(tmp_path) -> list[str]:
    try:
        return (tmp_path / "log").read_text().splitlines()
    except FileNotFoundError:
        return []


def turns(names) -> list[str]:
    return [f"{word} {name}" for name in names for word in ("begin", "end")]


@pytest.mark.parametrize("forks", ["1", "3"])
def test_running_units_restart_one_host_at_a_time(hosts, tmp_path, forks):
    finished = hosts("--forks", forks, content="new")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    order = [line.split()[1] for line in log(tmp_path)[::2]]
    assert sorted(order) == list(HOSTS)
    assert log(tmp_path) == turns(order), "none began before the one before it had ended"
    again = hosts("--forks", forks, content="new")
    assert again.stdout.count("changed=0 ") == 3, again.stdout


def test_the_first_failure_stops_the_rest(hosts, tmp_path):
    finished = hosts("--forks", "3", content="broken")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0
    assert finished.stdout.count("failed=1 ") == 3, output
    first = log(tmp_path)[0].split()[1]
    assert log(tmp_path) == turns([first, first]), "once with the new file, once with the old one, and nobody else"
    for name in HOSTS:
        assert (tmp_path / name / "config").read_text() == "old"
    others = [name for name in HOSTS if name != first]
    for name in others:
        assert f"{name}: thing was left as it is, because the change failed on {first}: " in output
    assert "this host serves as before" in output
    assert "it said why" in output
    # The failure that stopped them is of that run alone.
    mended = hosts("--forks", "3", content="new")
    assert mended.returncode == 0, mended.stdout + mended.stderr


def test_a_first_start_waits_for_nobody(hosts, tmp_path):
    for name in HOSTS:
        path = tmp_path / name / "unit.json"
        path.write_text(path.read_text().replace('"active"', '"inactive"'))
    finished = hosts("--forks", "3", content="new")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert sorted(log(tmp_path)) == sorted(turns(HOSTS))


def test_check_mode_predicts_and_v_shows_commands(hosts, tmp_path):
    finished = hosts("--check", "--diff", "-v", content="new")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("changed=1 ") == 3
    assert '"systemctl restart thing.service"' in finished.stdout
    assert log(tmp_path) == []


PKI = """\
- hosts: ctl01
  gather_facts: false
  vars:
    directory: "{{ home }}/pki"
    subject: {CN: thing, key: {algo: ecdsa, size: 256}}
  tasks:
    - hardway.kubernetes.x509_cfssl_compat:
        directory: "{{ directory }}"
        config: {signing: {default: {expiry: 8760h, usages: [server auth]}}}
        authorities: [{name: ca, csr: {CN: ca, key: {algo: ecdsa, size: 256}}}]
        certificates: [{name: thing, csr: "{{ subject }}", hosts: "{{ names }}"}]
    - hardway.kubernetes.component:
        name: files
        records: "{{ home }}/records"
        files:
          - {path: "{{ home }}/ca.pem", src: "{{ directory }}/ca.pem"}
          - {path: "{{ home }}/thing.pem", src: "{{ directory }}/thing.pem"}
"""


def test_check_mode_knows_what_an_earlier_task_would_have_changed(hosts, tmp_path):
    (tmp_path / "pki.yml").write_text(PKI)
    (tmp_path / "ctl01" / "pki").mkdir(mode=0o700)
    made = hosts(playbook="pki.yml", names=["a"])
    assert made.returncode == 0, made.stdout + made.stderr
    predicted = hosts("--check", "-v", playbook="pki.yml", names=["a", "b"])
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
    assert f'"write {tmp_path}/ctl01/thing.pem"' in predicted.stdout
    assert f'"write {tmp_path}/ctl01/ca.pem"' not in predicted.stdout
    assert "changed=0 " in hosts("--check", playbook="pki.yml", names=["a"]).stdout
