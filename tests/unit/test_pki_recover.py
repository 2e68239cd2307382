# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/pki_recover.yml on directories of this machine in place of hosts."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = {
    "ca.pem": "authority\n",
    "ca-key.pem": "key of the authority\n",
    "etcd-ca.pem": "authority of etcd\n",
    "front-proxy-ca.pem": "front proxy\n",
    "service-account.pem": "certificate\n",
    "service-account-key.pem": "a secret key\n",
    "encryption-config.yaml": "kind: EncryptionConfiguration\n",
}
# Answers as the API server of one controller does; that of the other is down.
KUBECTL = """#!/bin/sh
test "$*" = "--kubeconfig=/var/lib/kubernetes/admin.kubeconfig --cache-dir=/run/kubectl --request-timeout=5s \\
--namespace=kube-system get secret weave-net --output=jsonpath={.data.password}" || exit 2
printf %s 'd29yZCBvZiB3ZWF2ZQ=='
"""


@pytest.fixture
def recover(ansible_playbook, tmp_path):
    """Two controllers with the same files; a function runs the playbook."""
    for host in ("ctl01", "ctl02"):
        (tmp_path / host).mkdir()
        for name, text in FILES.items():
            (tmp_path / host / name).write_text(text)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    hosts = {
        host: {
            "node_address": f"10.0.0.1{number}",
            "pki_source": str(tmp_path / host),
            "pki_kubectl": str(kubectl) if host == "ctl02" else "/bin/false",
        }
        for number, host in enumerate(("ctl01", "ctl02"), 1)
    }
    everywhere = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "cluster_pki_directory": str(tmp_path / "pki"),
    }
    inventory = {"all": {"vars": everywhere, "children": {"controllers": {"hosts": hosts}}}}
    (tmp_path / "inventory.yml").write_text(json.dumps(inventory))

    def run(*arguments):
        return ansible_playbook("-v", ROOT / "playbooks" / "pki_recover.yml", *arguments)

    run.home = tmp_path
    run.pki = tmp_path / "pki"
    return run


def content(directory):
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_an_empty_directory_gets_what_hosts_have(recover):
    done = recover()
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(recover.pki) == FILES
    assert recover.pki.stat().st_mode & 0o777 == 0o700
    for name in ("ca-key.pem", "service-account-key.pem", "encryption-config.yaml"):
        assert (recover.pki / name).stat().st_mode & 0o777 == 0o600
    for name in ("ca.pem", "service-account.pem"):
        assert (recover.pki / name).stat().st_mode & 0o777 == 0o644
    assert f"Recovered: {', '.join(FILES)}" in done.stdout, done.stdout
    assert "only a backup has it: etcd-ca-key.pem, front-proxy-ca-key.pem." in done.stdout, done.stdout
    assert "secret key" not in done.stdout + done.stderr


def test_a_key_that_is_being_rotated(recover):
    for host in ("ctl01", "ctl02"):
        (recover.home / host / "service-account-previous.pem").write_text("previous certificate\n")
    done = recover()
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(recover.pki) == {**FILES, "service-account-previous.pem": "previous certificate\n"}


def test_what_is_there_is_kept(recover):
    recover.pki.mkdir(mode=0o700)
    (recover.pki / "ca.pem").write_text("another one\n")
    for host in ("ctl01", "ctl02"):
        (recover.home / host / "encryption-config.yaml").unlink()
        (recover.home / host / "ca-key.pem").unlink()
    done = recover()
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {**FILES, "ca.pem": "another one\n"}
    del expected["encryption-config.yaml"], expected["ca-key.pem"]
    assert content(recover.pki) == expected
    assert "Kept as it was: ca.pem" in done.stdout, done.stdout
    lost = "ca-key.pem, encryption-config.yaml, etcd-ca-key.pem, front-proxy-ca-key.pem."
    assert f"only a backup has it: {lost}" in done.stdout, done.stdout
    assert "changed=0" in recover().stdout


WEAVE = ("-e", "cluster_pod_network=weave")


def test_the_password_of_weave_net_comes_from_the_api(recover):
    done = recover(*WEAVE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(recover.pki) == {**FILES, "weave-password": "word of weave"}
    assert (recover.pki / "weave-password").stat().st_mode & 0o777 == 0o600
    assert f"Recovered: {', '.join(FILES)}, weave-password" in done.stdout, done.stdout
    assert "weave-password" not in done.stdout.split("only a backup has it")[1]
    assert "d29yZCBvZiB3ZWF2ZQ" not in done.stdout + done.stderr
    assert "word of weave" not in done.stdout + done.stderr
    (recover.pki / "weave-password").write_text("another")
    done = recover(*WEAVE)
    assert "changed=0" in done.stdout
    assert (recover.pki / "weave-password").read_text() == "another"


def test_a_password_that_no_api_server_says_is_lost(recover):
    done = recover(*WEAVE, "--limit=ctl01")
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(recover.pki) == FILES
    assert "only a backup has it: weave-password, etcd-ca-key.pem" in done.stdout, done.stdout


def test_a_password_of_the_setting_is_not_recovered(recover):
    done = recover(*WEAVE, "-e", "pod_network_weave_password=mine")
    assert content(recover.pki) == FILES
    assert "weave-password" not in done.stdout.split("TASK [Report")[1]


def test_hosts_that_differ_are_not_chosen_from(recover):
    (recover.home / "ctl02" / "encryption-config.yaml").write_text("kind: another\n")
    done = recover()
    assert done.returncode != 0
    assert "ctl01, ctl02: have different files encryption-config.yaml. Nothing was changed." in done.stdout, done.stdout
    assert not recover.pki.exists()
    limited = recover("--limit=ctl02")
    assert limited.returncode == 0, limited.stdout
    assert content(recover.pki)["encryption-config.yaml"] == "kind: another\n"
