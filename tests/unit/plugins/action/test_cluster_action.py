# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin cluster collects data from a run, and hands it to the logic as plain data."""

from __future__ import annotations

import hashlib
import json
import typing as t
from unittest import mock

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.playbook.task import Task
from ansible.template import Templar, trust_as_template
from ansible_collections.hardway.kubernetes.plugins.action import cluster
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.weave import password_hash
from ansible_collections.hardway.kubernetes.plugins.modules import cluster as documented
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    MADE,
    PARTS,
    ROOT,
    running,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Variables(dict):
    """Variables of a host, of which some cannot be made."""

    def __init__(self, broken: t.Collection[str], **values: t.Any) -> None:
        super().__init__(values)
        self._broken = broken

    def __contains__(self, name: object) -> bool:
        return name in self._broken or super().__contains__(name)

    def __getitem__(self, name: str) -> t.Any:
        if name in self._broken:
            raise AnsibleError(f"{name} is undefined")
        return super().__getitem__(name)


_loader = DataLoader


@pytest.fixture
def compute():
    """Run the plugin on the article's inventory, with the readings of a finished cluster."""

    def compute(
        *,
        play_hosts: t.Sequence[str] = tuple(ADDRESSES),
        registered: t.Mapping[str, t.Any] | None = None,
        hosts: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
        broken: t.Mapping[str, t.Collection[str]] | None = None,
        check: bool = False,
        wrap: type[dict[str, t.Any]] = dict,
        **everywhere: t.Any,
    ) -> dict[str, t.Any]:
        answers = {host: {"changed": False, "reading": found} for host, found in running().items()}
        answers |= registered or {}
        hostvars = {
            host: Variables(
                (broken or {}).get(host, ()),
                node_address=address,
                # A fact cache has the reading of an earlier run.
                ansible_facts={"reading": {"architecture": "riscv64"}},
                **({"found": answers[host]} if host in play_hosts and answers[host] else {}),
                **(hosts or {}).get(host, {}),
            )
            for host, address in ADDRESSES.items()
        }
        variables = {
            **MADE,
            "cluster_hosts": PARTS,
            **everywhere,
            "hostvars": wrap(hostvars),
            "ansible_play_hosts_all": [*play_hosts, "bastion"],
            "ansible_playbook_python": "/opt/ansible/bin/python",
        }
        task = Task()
        task.args = {"readings": "found"}
        task.check_mode = check
        loader = _loader()
        action = cluster.ActionModule(
            task=task,
            connection=mock.MagicMock(),
            play_context=mock.MagicMock(),
            loader=loader,
            templar=Templar(loader=loader, variables=variables),
            shared_loader_obj=None,
        )
        with mock.patch.object(action, "_execute_module", side_effect=AssertionError("a host is asked")):
            return action.run(task_vars=variables)

    return compute


def test_the_result_is_what_the_documentation_says(compute):
    found = compute()
    assert found["changed"] is False
    assert yaml.safe_load(documented.RETURN).keys() == found.keys() - {"changed"}
    assert found["plan"]["problems"] == []
    assert found["status"]["hosts"] == running()
    assert json.loads(json.dumps(found)) == found, "plain data"


@pytest.mark.parametrize("check", [False, True])
def test_check_mode(compute, check):
    assert compute(check=check)["check_mode"] is check


def test_a_host_that_was_not_reached_and_one_that_is_not_part_of_the_run(compute):
    hosts = [host for host in ADDRESSES if host != "client"]
    found = compute(play_hosts=hosts, registered={"wrk02": {"unreachable": True, "msg": "no route to host"}})
    assert found["status"]["hosts"]["wrk02"] == found["status"]["hosts"]["client"] == {}
    assert found["plan"]["problems"] == ["wrk02: could not be reached; check its connection variables and that it runs"]
    assert compute(play_hosts=["wrk01"])["plan"]["problems"] == []


def test_variables_are_templates(compute):
    found = compute(
        cluster_pki_directory=trust_as_template("{{ base }}/pki"),
        base="/srv",
        cluster_node_prefix_length="25",
    )
    assert found["spec"]["pki_directory"] == "/srv/pki"
    assert found["spec"]["node_prefix_length"] == 25


def test_what_its_role_alone_knows_is_left_to_it(compute):
    found = compute(
        broken={"wrk01": ["worker_timeout"]},
        worker_timeout=trust_as_template("{{ worker_of_its_own_role }}"),
    )
    assert found["plan"]["problems"] == []


def test_a_setting_of_the_cluster_has_to_be_there(compute):
    with pytest.raises(AnsibleError, match="'nowhere' is undefined"):
        compute(cluster_domain=trust_as_template("{{ nowhere }}"))


def test_variables_of_single_hosts_are_looked_at(compute):
    (problem,) = compute(hosts={"wrk02": {"cluster_domain": "x.test"}})["plan"]["problems"]
    assert problem.startswith("wrk02: cluster_domain is 'x.test', the cluster has 'cluster.local'; ")


@pytest.mark.parametrize(
    ("hosts", "problem"),
    [
        ({**PARTS, "workers": ["wrk01", "wrk09"]}, "cluster_hosts.workers has wrk09, which is not in the inventory"),
        ({"controllers": ["ctl01"]}, "missing required arguments: clients, etcd, load_balancers, workers found in"),
        ("ctl01", "argument 'cluster_hosts' is of type"),
    ],
)
def test_who_the_hosts_are_cannot_be_read(compute, hosts, problem):
    found = compute(cluster_hosts=hosts)
    assert found["spec"] == found["status"] == {}
    (text,) = found["plan"]["problems"]
    assert text.startswith(problem)


def test_the_variables_of_every_role_are_looked_at():
    known = cluster._known_options()
    for role in (ROOT / "roles").iterdir():
        defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8"))
        assert defaults.keys() <= known.keys(), role.name


ENCRYPTION = "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: []\n"


@pytest.mark.parametrize("vaulted", [False, True])
def test_the_encryption_configuration_is_looked_at(compute, monkeypatch, tmp_path, vaulted):
    path = tmp_path / "encryption-config.yaml"
    secrets = [("default", VaultSecret(b"x"))]
    path.write_bytes(VaultLib(secrets).encrypt(ENCRYPTION) if vaulted else ENCRYPTION.encode())

    def loader():
        made = DataLoader()
        made.set_vault_secrets(secrets)
        return made

    monkeypatch.setitem(globals(), "_loader", loader)
    plan = compute(cluster_pki_directory=str(tmp_path))["plan"]
    assert plan["problems"] == [f"{path}: resources is missing or empty; it is a list with at least one entry"]


def test_an_encryption_configuration_that_does_not_encrypt_is_a_warning(compute, tmp_path):
    providers = "resources: [{resources: [secrets], providers: [{identity: {}}]}]"
    (tmp_path / "encryption-config.yaml").write_text(ENCRYPTION.replace("resources: []", providers))
    found = compute(cluster_pki_directory=str(tmp_path))
    (warning,) = [text for text in found["plan"]["warnings"] if "is identity" in text]
    assert f"Warning: {warning}" in found["plan"]["summary"]
    assert found["plan"]["problems"] == []


@pytest.mark.parametrize(
    ("client_host", "python"),
    [("localhost", "/opt/ansible/bin/python"), ("client", "/opt/kubernetes/bin/python"), ("ctl01", "auto")],
)
def test_the_python_of_the_host_that_talks_to_the_api(compute, client_host, python):
    found = compute(
        hosts={"client": {"ansible_python_interpreter": "/opt/kubernetes/bin/python"}},
        cluster_api_client_host=client_host,
    )
    assert found["spec"]["api"]["client_python"] == python


@pytest.mark.parametrize(("value", "refused"), [(True, True), ("true", True), ("false", False), (False, False)])
def test_tasks_of_the_control_node_that_would_become_root(compute, value, refused):
    problems = compute(ansible_become=value)["plan"]["problems"]
    assert [problem.split(":")[0] for problem in problems] == (["ansible_become"] if refused else [])


@pytest.mark.parametrize(("given", "directory"), [("mine/pki", "{}/mine/pki"), ("~/pki", "{}/home/pki"), ("/a", "/a")])
def test_the_pki_directory_is_relative_to_the_current_one(compute, monkeypatch, tmp_path, given, directory):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    everywhere = {host: {"cluster_pki_directory": given} for host in ADDRESSES}
    found = compute(cluster_pki_directory=given, hosts=everywhere)
    assert found["plan"]["problems"] == []
    assert found["spec"]["pki_directory"] == directory.format(tmp_path)


# --- the PKI directory ----------------------------------------------------------------------------


def pki_problems(compute, directory):
    """Return the problems of a run with a PKI directory on hosts that have another authority."""
    found = running()
    certificate = {"certificate": "00", "public_key": "ab" * 32, "key": "rsa 2048"}
    found["wrk01"]["identity"]["certificates"] = {"/var/lib/kubernetes/ca.pem": [certificate]}
    registered = {"wrk01": {"reading": found["wrk01"]}}
    return compute(cluster_pki_directory=str(directory), registered=registered)["plan"]["problems"]


def test_the_pki_directory_is_read(compute, tmp_path):
    (problem,) = pki_problems(compute, tmp_path / "none")
    assert problem.startswith(
        f"cluster_pki_directory {tmp_path}/none: ca.pem is missing there, and the cluster on wrk01 has it;"
    )
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (problem,) = pki_problems(compute, tmp_path)
    assert problem.startswith(f"cluster_pki_directory {tmp_path}: ca.pem is another authority than that of wrk01")
    (tmp_path / "ca.pem").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert pki_problems(compute, tmp_path) == []


@pytest.mark.parametrize("vaulted", [False, True])
@pytest.mark.parametrize(("word", "refused"), [("own", False), ("other", True)])
def test_the_password_of_weave_net_is_compared_and_not_returned(compute, monkeypatch, tmp_path, vaulted, word, refused):
    secrets = [("default", VaultSecret(b"x"))]
    text = f"the {word} word\n"
    (tmp_path / "weave-password").write_bytes(VaultLib(secrets).encrypt(text) if vaulted else text.encode())

    def loader():
        made = DataLoader()
        made.set_vault_secrets(secrets)
        return made

    monkeypatch.setitem(globals(), "_loader", loader)
    found = running()
    for host in ("wrk01", "wrk02"):
        found[host]["cni_configurations"] = []
    found["ctl01"]["identity"]["weave"] = {"password": password_hash(b"the own word"), "in_clear": False}
    done = compute(
        cluster_pki_directory=str(tmp_path),
        cluster_pod_network="weave",
        registered={host: {"reading": reading} for host, reading in found.items()},
    )
    problems = [problem for problem in done["plan"]["problems"] if "weave-password" in problem]
    assert ["has another password than" in problem for problem in problems] == [True] * refused
    assert done["spec"]["weave"] == {"encrypted": True, "password_file": f"{tmp_path}/weave-password"}
    assert f"the {word} word" not in json.dumps(done)


def test_the_public_half_of_the_service_accounts_key(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.DER, form)
    style = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, style, serialization.NoEncryption())
    (tmp_path / "service-account-key.pem").write_bytes(pem)
    found = cluster._pki_directory(tmp_path)
    assert found["keys"] == {"service-account-key.pem": [hashlib.sha256(public).hexdigest()]}
    (tmp_path / "service-account-key.pem").write_text("no key")
    assert cluster._pki_directory(tmp_path)["keys"] == {"service-account-key.pem": []}
    assert cluster._pki_directory("") is None


def test_the_variables_of_a_host_are_made_once(compute):
    """Ansible makes all variables of a host at each look."""

    class Hostvars(dict):
        looks: t.ClassVar[list[str]] = []

        def __getitem__(self, host: str) -> t.Any:
            self.looks.append(host)
            return super().__getitem__(host)

    compute(wrap=Hostvars)
    assert sorted(Hostvars.looks) == sorted(ADDRESSES)


@pytest.mark.parametrize(
    ("tags", "refused"),
    [
        ({}, False),
        ({"ansible_run_tags": ["all"], "ansible_skip_tags": []}, False),
        ({"ansible_run_tags": ["worker"]}, True),
        ({"ansible_run_tags": ["worker", "apiserver"]}, False),
        ({"ansible_run_tags": ["all"], "ansible_skip_tags": ["apiserver"]}, True),
    ],
)
def test_the_tags_of_the_run(compute, tags, refused):
    registered = {}
    for host, found in running().items():
        found["programs"] = {
            name: "1.36.3" if name.startswith("kube") else text for name, text in found["programs"].items()
        }
        registered[host] = {"reading": found}
    problems = compute(registered=registered, **tags)["plan"]["problems"]
    kubelets = [problem[:34] for problem in problems if problem.startswith("kubelet")]
    assert kubelets == ["kubelet: wrk01, wrk02 would get 1."] * refused
    assert bool(problems) is refused


def test_check_mode_knows_the_authorities_that_an_earlier_task_would_make(compute, monkeypatch):
    directory = MADE["cluster_pki_directory"]
    noted = [f"{directory}/ca-next.pem", f"{directory}/ca-next-key.pem", "/elsewhere/etcd-ca-next.pem"]
    monkeypatch.setattr(cluster, "changed_files", lambda: noted)
    assert compute(check=True)["spec"]["trust"] == {
        "ca": [f"{directory}/ca-next.pem", f"{directory}/ca.pem"],
        "etcd-ca": [f"{directory}/etcd-ca.pem"],
        "front-proxy-ca": [f"{directory}/front-proxy-ca.pem"],
    }
    assert compute()["spec"]["trust"]["ca"] == [f"{directory}/ca.pem"]
