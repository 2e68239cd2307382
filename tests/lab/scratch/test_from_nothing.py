# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From empty hosts to a cluster, with a check run first and many interruptions on the way.

Every run is as talkative as it can be; in the end no secret is in what was said, logged or left behind.
The tests build on each other, in the order of this file. HARDWAY_SEED chooses other moments of interruption.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import pathlib
import random
import re
import signal
import subprocess
import time
import typing as t

import pytest
from playbook import ROOT, command, environment, run
from support import files

if t.TYPE_CHECKING:
    from support import Cluster, Node

SEED = os.environ.get("HARDWAY_SEED", "1")
TALKATIVE = ("-vvv", "--diff")
# Made once, and then never again.
IRREPLACEABLE = (
    "ca-key.pem",
    "etcd-ca-key.pem",
    "front-proxy-ca-key.pem",
    "service-account-key.pem",
    "encryption-config.yaml",
    # With this pod network alone.
    "weave-password",
)


class Diary:
    """The output of the runs, in files, and the checks of irreplaceable files."""

    def __init__(self, inventory: str, directory: pathlib.Path) -> None:
        self.inventory = inventory
        self.directory = directory
        self.tasks: list[tuple[str, str]] = []
        self.seen: dict[str, str] = {}

    def path(self, name: str) -> pathlib.Path:
        return self.directory / f"{name}.log"

    def environment(self) -> dict[str, str]:
        return environment(ANSIBLE_LOG_PATH=str(self.path("ansible")))

    def watch(self, cluster: Cluster) -> None:
        """Assert that what was there before is still the same."""
        for name in IRREPLACEABLE:
            path = cluster.pki / name
            if path.exists():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                assert self.seen.setdefault(name, digest) == digest, f"{name} was made twice"
        for node in cluster.members:
            inode = node.run("stat", "--format=%i", "/var/lib/etcd/member").stdout.strip()
            if inode:
                assert self.seen.setdefault(node.name, inode) == inode, f"{node.name}: a second data directory"


@pytest.fixture(scope="module")
def diary(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Diary:
    return Diary(pytestconfig.option.ansible_inventory, tmp_path_factory.mktemp("diary"))


def _hosts(cluster: Cluster) -> list[Node]:
    return list(dict.fromkeys(node for part in cluster.groups.values() for node in part))


def _files(cluster: Cluster) -> dict[str, set[str]]:
    return {node.name: files(node) for node in _hosts(cluster)}


def _role(task: str) -> str:
    return task.removeprefix("hardway.kubernetes.").partition(" : ")[0]


def test_hosts_are_empty(cluster: Cluster) -> None:
    for node in _hosts(cluster):
        assert node.run("test", "-e", "/etc/kubernetes").rc == 1, f"{node.name}: these tests need empty hosts"
    assert not cluster.pki.exists() or not list(cluster.pki.iterdir())


def test_a_check_run_on_empty_hosts_writes_nothing(cluster: Cluster, diary: Diary) -> None:
    before = _files(cluster)
    with diary.path("check").open("w") as log:
        subprocess.run(
            command(diary.inventory, "--check", *TALKATIVE),
            stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=diary.environment(), check=True,
        )  # fmt: skip
    assert _files(cluster) == before
    assert not cluster.pki.exists() or not list(cluster.pki.iterdir())
    diary.tasks = [
        (_role(task), task)
        for task in re.findall(
            r"^TASK \[(hardway\.kubernetes\.[^\]]+)\]", diary.path("check").read_text(), re.MULTILINE
        )
        if not task.startswith("hardway.kubernetes.cluster : ")
    ]
    assert {role for role, _task in diary.tasks} >= {"ca", "etcd", "apiserver", "worker", "pod_network", "addons"}


def _moments(diary: Diary) -> list[tuple[str, float]]:
    """A task of each role, in the order of the run, and how many seconds later to strike."""
    chance = random.Random(SEED)
    roles = list(dict.fromkeys(role for role, _task in diary.tasks))
    return [
        (chance.choice([task for found, task in diary.tasks if found == role]), chance.uniform(0.0, 1.2))
        for role in roles
    ]


def _interrupt(diary: Diary, task: str, delay: float, name: str) -> bool:
    """Run until the task begins, and kill everything a moment later. Return whether it was still running."""
    process = subprocess.Popen(
        command(diary.inventory, *TALKATIVE),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=diary.environment(),
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    struck = False
    with diary.path(name).open("w") as log:
        for line in process.stdout:
            log.write(line)
            if line.startswith(f"TASK [{task}]"):
                time.sleep(delay)
                struck = process.poll() is None
                # A run that has ended leaves nobody to kill: its output is read to the end instead.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                break
        log.write(process.stdout.read())
    process.wait()
    return struck


def test_interrupted_runs_are_finished_by_the_next(
    cluster: Cluster, diary: Diary, request: pytest.FixtureRequest
) -> None:
    moments = _moments(diary)
    struck = 0
    for number, (task, delay) in enumerate(moments):
        print(f"seed {SEED}: kill {delay:.2f} s into {task}")
        struck += _interrupt(diary, task, delay, f"interrupted-{number:02d}")
        diary.watch(cluster)
    # A task that only a first run has may not come again.
    assert struck >= len(moments) - 2
    with diary.path("last").open("w") as log:
        subprocess.run(
            command(diary.inventory, *TALKATIVE),
            stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=diary.environment(), check=True,
        )  # fmt: skip
    diary.watch(cluster)
    other_network = request.getfixturevalue("pod_network") != "weave"
    made = set(IRREPLACEABLE) - ({"weave-password"} if other_network else set())
    assert set(diary.seen) == made | {node.name for node in cluster.members}
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"
    assert run(diary.inventory).changed == []


def _secrets(cluster: Cluster) -> dict[str, set[str]]:
    """Return the text that must not be found anywhere, by file: lines of keys, as they are and within base64."""
    secrets: dict[str, set[str]] = {}
    for path in cluster.pki.glob("*-key.pem"):
        body = path.read_bytes()
        lines = [line for line in body.decode().splitlines() if not line.startswith("-----")]
        encoded = base64.b64encode(body).decode()
        secrets[path.name] = {lines[len(lines) // 2], encoded[400:460]}
    key = re.search(r"secret: (\S+)", (cluster.pki / "encryption-config.yaml").read_text())
    assert key, "encryption-config.yaml has no key"
    secrets["encryption-config.yaml"] = {key.group(1)}
    for path in cluster.pki.glob("weave-password"):
        word = path.read_bytes().rstrip()
        secrets[path.name] = {word.decode(), base64.b64encode(word).decode()}
    tokens = (
        "find /var/lib/kubelet/pods -type f -path '*/volumes/kubernetes.io~projected/*/token' "
        """-exec sh -c 'for file; do cat "$file"; echo; done' sh {} +"""
    )
    for node in cluster.workers:
        found = node.out("sh", "-c", tokens).split()
        secrets |= {f"token {number} on {node.name}": {token} for number, token in enumerate(found)}
    return secrets


def test_no_secret_is_said_logged_or_left_behind(cluster: Cluster, diary: Diary) -> None:
    secrets = _secrets(cluster)
    assert len(secrets) >= 10
    assert any(name.startswith("token ") for name in secrets), "no pod has a token"
    places = {path.name: path.read_text(errors="replace") for path in diary.directory.iterdir()}
    assert len(places) > 5 and all(places.values())
    for node in _hosts(cluster):
        places[f"journal of {node.name}"] = node.out("journalctl", "--no-pager", "--output=cat")
        places[f"processes of {node.name}"] = node.out(
            # Weave Net's program gets its password in this variable.
            "sh",
            "-c",
            "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -a -v ^WEAVE_PASSWORD=",
        )
        places[f"leftovers on {node.name}"] = node.raw(
            "sh", "-c", "find /tmp /var/tmp /root/.ansible -type f -exec cat {} + 2>/dev/null; true"
        ).decode(errors="replace")
        places[f"logs of {node.name}"] = node.raw(
            "sh", "-c", "find /var/log -type f -not -path '/var/log/journal/*' -exec cat {} +"
        ).decode(errors="replace")
    found = [
        f"{name} in {place}"
        for place, text in places.items()
        for name, parts in secrets.items()
        for part in parts
        if part in text
    ]
    assert found == []


def test_the_search_finds_what_is_there(cluster: Cluster) -> None:
    """The measure itself: the secrets are found where they belong."""
    secrets = _secrets(cluster)
    held = cluster.controllers[0].out("sh", "-c", "cat /var/lib/kubernetes/*")
    for name in ("kubernetes-key.pem", "kube-scheduler-key.pem", "encryption-config.yaml"):
        assert any(part in held for part in secrets[name]), name
