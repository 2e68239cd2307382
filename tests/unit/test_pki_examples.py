# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the documentation of x509_cfssl_compat and kubeconfig run, one after the other, and again."""

from __future__ import annotations

import getpass
import grp
import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.modules import kubeconfig, x509_cfssl_compat

ROOT = pathlib.Path(__file__).resolve().parents[2]
RSA = {"algo": "rsa", "size": 2048}


@pytest.fixture(scope="module")
def directory(tmp_path_factory, openssl):
    """Make the files that the examples assume: a cfssl user's files, two authorities, a home directory."""
    top = tmp_path_factory.mktemp("examples")
    for name in ("srv/kthw", "home/.kube", "etc/deploy"):
        (top / name).mkdir(parents=True)
    (tree := top / "ansible_collections" / "hardway").mkdir(parents=True)
    (tree / "kubernetes").symlink_to(ROOT, target_is_directory=True)
    files = {
        "ca-config": {
            "signing": {
                "default": {"expiry": "8760h"},
                "profiles": {"kubernetes": {"usages": ["signing", "server auth", "client auth"], "expiry": "8760h"}},
            }
        },
        "kubernetes-csr": {"CN": "kubernetes", "key": RSA},
        "ca-csr": {
            "CN": "Kubernetes",
            "key": RSA,
            "names": [{"C": "US", "L": "Portland", "O": "Kubernetes", "OU": "CA", "ST": "Oregon"}],
        },
    }
    for name, document in files.items():
        (top / "srv" / "kthw" / f"{name}.json").write_text(json.dumps(document))
    for name in ("blue", "green"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={name}", "-keyout", f"{name}-key.pem", "-out", f"{name}-ca.pem",
                cwd=top / "etc" / "deploy")  # fmt: skip
    return top


@pytest.fixture(scope="module")
def tasks(directory):
    """The examples, with places and people of this machine in them."""
    text = x509_cfssl_compat.EXAMPLES + kubeconfig.EXAMPLES.replace("wrk02", "wrk01")
    # Two nodes in one example of kubeconfig are one and the same here, under two names.
    text = text.replace("path: wrk01.kubeconfig", "path: first.kubeconfig", 1)
    for old, new in (
        ("/srv/", f"{directory}/srv/"),
        ("/etc/deploy", f"{directory}/etc/deploy"),
        ("/home/cloud_user", f"{directory}/home"),
        ("owner: cloud_user", f"owner: {getpass.getuser()}"),
        ("group: cloud_user", f"group: {grp.getgrgid(os.getgid()).gr_name}"),
    ):
        assert old in text
        text = text.replace(old, new)
    return yaml.safe_load(text)


@pytest.fixture(scope="module")
def runs(directory, tasks):
    """The output of each task, in the first and in the second run."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"vault_deployer_token": "not-a-secret", "ansible_python_interpreter": sys.executable},
        "tasks": tasks,
    }
    (directory / "examples.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    said = []
    for _run in range(2):
        finished = subprocess.run(
            [pathlib.Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "examples.yml"],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(directory),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_FORCE_COLOR": "0",
            },
            cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert finished.returncode == 0, (finished.stdout + finished.stderr)[-3000:]
        said.append(json.loads(finished.stdout)["plays"][0]["tasks"])
    return said


def outcomes(run):
    return {task["task"]["name"]: task["hosts"]["localhost"] for task in run}


def test_every_example_runs(runs, tasks):
    assert set(outcomes(runs[0])) == {task["name"] for task in tasks}
    assert len(tasks) >= 8


def test_what_they_make_is_there(runs, directory):
    made = {path.name for path in (directory / "srv" / "kthw").iterdir()}
    assert {"ca.pem", "front-proxy-ca.pem", "admin.pem", "wrk01-key.pem", "kubernetes.pem"} <= made
    assert {"admin.kubeconfig", "wrk01.kubeconfig", "first.kubeconfig"} <= made
    merged = yaml.safe_load((directory / "home" / ".kube" / "config").read_text())
    assert {user["name"] for user in merged["users"]} >= {"kthw-admin", "lab-admin"}
    assert {context["name"] for context in merged["contexts"]} == {"kubernetes-the-hard-way", "lab"}
    deployed = yaml.safe_load((directory / "etc" / "deploy" / "kubeconfig").read_text())
    assert {context["name"]: context["context"]["user"] for context in deployed["contexts"]} == {
        "blue": "deployer",
        "green": "deployer",
    }


def test_the_second_run_changes_nothing_but_what_two_examples_disagree_about(runs):
    # The administrator's file is owned as a whole by one example, and two others add entries to it.
    changed = {name for name, outcome in outcomes(runs[1]).items() if outcome["changed"]}
    assert changed <= {
        "Write the remote administrator's kubeconfig",
        "Add the cluster to the kubeconfig that an administrator has",
        "Add the context of a kubeconfig on the control node to that of a user on a host",
    }
