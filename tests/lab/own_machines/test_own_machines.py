# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md, "On machines of your own", taken literally: by an ordinary user, to hosts that only SSH and sudo lead to.

The hosts are those of `make lab-hosts CONNECTION=ssh`, empty at first. The tests build on each other, in this order.
"""

from __future__ import annotations

import importlib.util
import json
import pathlib
import re
import typing as t

import pytest
import yaml
from ordinary_user import CLONE, ROOT, OrdinaryUser
from readme_steps import steps
from support import wait_until

if t.TYPE_CHECKING:
    from support import Cluster, Node

INVENTORY = "inventories/mine"
ACTIVATE = ". .venv/bin/activate"
KEYS = ROOT / ".lab" / "ssh"
# Where a user of the installed collection works, below the home directory.
ELSEWHERE = "elsewhere"
_COPIES_THE_EXAMPLE = re.compile(r"cp -r inventories/example (\S+)$")


def _kubernetes_core(user: OrdinaryUser, collections: str) -> None:
    """Give the user kubernetes.core as the package `ansible` has it, so that Galaxy is not asked."""
    found = importlib.util.find_spec("ansible_collections")
    assert found and found.submodule_search_locations
    for place in map(pathlib.Path, found.submodule_search_locations):
        source = place / "kubernetes" / "core"
        if source.is_dir():
            names = [str(path.relative_to(place)) for path in sorted(source.rglob("*")) if path.is_file()]
            user.copy_tree(place, names, f"{collections}/ansible_collections")
            return
    pytest.fail("the package ansible, which has kubernetes.core, is not installed: make setup")


def _edited(example: str, addresses: t.Mapping[str, str]) -> str:
    """Return the example's hosts.yml with the addresses and the user of these hosts."""
    for name, address in addresses.items():
        example, count = re.subn(rf"(\n\s+{name}:\n\s+ansible_host: )\S+", rf"\g<1>{address}", example)
        assert count == 1, f"inventories/example/hosts.yml: {name} is there {count} times, 1 is expected"
    example, count = re.subn(r"(\n\s+ansible_user: )\S+", r"\g<1>operator", example)
    assert count == 1
    assert "192.0.2." not in example
    return example


def _changes(output: str) -> int:
    """Return how many changes the recap of a run reports."""
    recap = output.partition("PLAY RECAP")[2]
    counts = re.findall(r"\bchanged=(\d+)", recap)
    assert counts, f"no recap in: {output[-4000:]}"
    return sum(map(int, counts))


@pytest.fixture(scope="module")
def user(request: pytest.FixtureRequest, cluster: Cluster, nodes: dict[str, Node]) -> t.Iterator[OrdinaryUser]:
    """A user who knows the hosts' keys, has a key that they accept, and sudo's password."""
    made = OrdinaryUser()
    version = made.run("python3 -c 'import sys, ensurepip; print(sys.version_info >= (3, 11))'")
    assert version.output.strip() == "True", f"python3 of the control node: 3.11 and venv are needed; {version.output}"
    made.clone()
    made.write(".ssh/id_ed25519", (KEYS / "id_ed25519").read_text())
    made.write(".ssh/known_hosts", (KEYS / "known_hosts").read_text())
    made.write("become_password", (KEYS / "become_password").read_text())
    example = (ROOT / "inventories" / "example" / "hosts.yml").read_text(encoding="utf-8")
    made.write("edited/hosts.yml", _edited(example, {name: node.address for name, node in nodes.items()}))
    # What any lab needs: its mirror, images, and a disk that it shares. The rest is the user's own, as by default.
    settings = yaml.safe_load((ROOT / "inventories" / "lab" / "group_vars" / "all.yml").read_text(encoding="utf-8"))
    del settings["cluster_pki_directory"]
    made.write("edited/group_vars/all.yml", yaml.safe_dump(settings))
    yield made
    # The user of a failure stays, to be looked at.
    if not request.session.testsfailed:
        made.remove()


def _play(user: OrdinaryUser, command: str, *, succeeds: bool = True) -> str:
    """Run a command of the clone's environment, and return what it printed."""
    done = user.run(
        f"cd {CLONE}; {ACTIVATE}; {command}", ANSIBLE_BECOME_PASSWORD_FILE=str(user.home / "become_password")
    )
    assert succeeds == (done.returncode == 0), done.output[-6000:]
    return done.output


def _site(user: OrdinaryUser) -> int:
    return _changes(_play(user, f"ansible-playbook playbooks/site.yml -i {INVENTORY}"))


def test_the_hosts_are_of_both_releases_of_debian(nodes: dict[str, Node]) -> None:
    found = {node.out("sh", "-c", ". /etc/os-release; echo $ID $VERSION_ID").strip() for node in nodes.values()}
    assert found == {"debian 12", "debian 13"}


def test_the_steps_of_the_readme_build_a_cluster(user: OrdinaryUser, cluster: Cluster) -> None:
    commands = steps((ROOT / "README.md").read_text(encoding="utf-8"))
    (copies,) = (command for command in commands if _COPIES_THE_EXAMPLE.fullmatch(command))
    assert copies.split()[-1] == INVENTORY
    _kubernetes_core(user, f"{CLONE}/.collections")
    # One shell, as a user has it. The edit is what the README asks for behind this step.
    script = [f"cd {CLONE}"]
    for command in commands:
        script += [f"echo '$' {json.dumps(command)}", command]
        if command == copies:
            script.append(f"cp -r ~/edited/. {INVENTORY}/")
        if "plan.yml" in command:
            # It writes nothing, not even where the first run keeps its certificates.
            script.append(f"test ! -e {INVENTORY}/.cluster")
    output = user.run(
        "\n".join(script), seconds=2700, ANSIBLE_BECOME_PASSWORD_FILE=str(user.home / "become_password")
    ).text()
    runs = output.split("$ ansible-playbook ")
    assert [run.split()[0] for run in runs[1:]] == ["playbooks/plan.yml", "playbooks/site.yml", "playbooks/smoke.yml"]
    plan, site, _smoke = runs[1:]
    assert "is built on 6 hosts" in plan
    assert _changes(site) > 0
    for worker in cluster.workers:
        assert cluster.ready(worker) == "True"


def test_the_user_has_no_other_way_to_the_hosts(user: OrdinaryUser) -> None:
    assert user.run("docker ps").returncode != 0
    assert user.run("sudo -n true").returncode != 0
    assert user.run("id -un; id -Gn").text().split() == ["hardway-user", "hardway-user"]


def test_a_host_with_another_key_is_not_spoken_to(user: OrdinaryUser) -> None:
    # Connections that are still open would not ask for it.
    options = json.dumps({"ansible_ssh_common_args": "-o ControlPath=none -o UserKnownHostsFile=/dev/null"})
    refused = _play(user, f"ansible ctl01 -i {INVENTORY} -m ping -e '{options}'", succeeds=False)
    assert "Host key verification failed" in refused


def test_a_wrong_password_is_said(user: OrdinaryUser) -> None:
    user.write("wrong_password", "wrong")
    refused = user.run(
        f"cd {CLONE}; {ACTIVATE}; ansible-playbook playbooks/site.yml -i {INVENTORY}",
        ANSIBLE_BECOME_PASSWORD_FILE=str(user.home / "wrong_password"),
    )
    assert refused.returncode != 0
    assert "Incorrect sudo password" in refused.output
    assert _changes(refused.output) == 0


def test_a_second_run_changes_nothing(user: OrdinaryUser) -> None:
    assert _site(user) == 0


def test_the_installed_archive_changes_nothing(user: OrdinaryUser) -> None:
    """In an environment that has only what requirements.txt says, and without the clone's ansible.cfg."""
    _kubernetes_core(user, ".ansible/collections")
    output = user.run(
        f"""
        mkdir -p {ELSEWHERE}/inventories
        cd {ELSEWHERE}
        python3 -m venv .venv
        . .venv/bin/activate
        pip install --quiet -r ~/{CLONE}/requirements.txt
        ansible-galaxy collection build ~/{CLONE} --output-path .
        ansible-galaxy collection install hardway-kubernetes-*.tar.gz
        cp -r ~/{CLONE}/{INVENTORY} inventories/
        ansible-playbook hardway.kubernetes.site -i {INVENTORY}
        """,
        ANSIBLE_BECOME_PASSWORD_FILE=str(user.home / "become_password"),
    ).text()
    assert _changes(output) == 0


def test_a_backup_is_restored(user: OrdinaryUser, cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "configmap", "early", f"--namespace={namespace}")
    _play(user, f"ansible-playbook playbooks/etcd_backup.yml -i {INVENTORY}")
    snapshot = _play(user, f"ls -1 {INVENTORY}/.etcd-backup/*.db").strip()
    assert snapshot.endswith(".db")
    assert "\n" not in snapshot
    assert _play(user, f"stat --format='%a %U' {snapshot}").split() == ["600", "hardway-user"]
    cluster.kubectl("create", "configmap", "late", f"--namespace={namespace}")
    confirmed = f"-e etcd_snapshot={user.home}/{CLONE}/{snapshot} -e etcd_confirm={cluster.name}"
    _play(user, f"ansible-playbook playbooks/etcd_restore.yml -i {INVENTORY} {confirmed}")

    def kept() -> set[str]:
        shown = cluster.get("configmaps", f"--namespace={namespace}")
        return {item["metadata"]["name"] for item in shown["items"]} & {"early", "late"}

    assert kept() == {"early"}
    for worker in cluster.workers:
        wait_until(lambda worker=worker: cluster.ready(worker) == "True", seconds=60, what=f"{worker.name} is Ready")
    assert _site(user) == 0


def test_a_worker_leaves(user: OrdinaryUser, cluster: Cluster) -> None:
    leaving = cluster.workers[-1]
    _play(user, f"ansible-playbook playbooks/remove_worker.yml -i {INVENTORY} -e worker={leaving.name}")
    left = {node["metadata"]["name"] for node in cluster.get("nodes")["items"]}
    assert left == {node.name for node in cluster.workers} - {leaving.name}
    assert leaving.run("systemctl", "is-active", "kubelet").stdout.strip() == "inactive"
