# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenario, playbooks on them, and a writer that never rests."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "lab"))

from cache import mirror_directory  # noqa: E402

SCENARIO = ROOT / "molecule" / "etcd"
STATE = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
BIN = pathlib.Path(sys.executable).parent
CLUSTER = "kubernetes-the-hard-way"
ETCDCTL = [
    "etcdctl",
    "--cacert=/etc/etcd/ca.pem",
    "--cert=/etc/etcd/etcdctl.pem",
    "--key=/etc/etcd/etcdctl-key.pem",
    "--endpoints=https://127.0.0.1:2379",
]


def on(host: str, *command: str, check: bool = True, stdin: bytes | None = None) -> str:
    """Run a command on a host."""
    options = ["--interactive"] if stdin is not None else []
    done = subprocess.run(
        ["docker", "exec", *options, f"hardway-etcd-{host}", *command],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 or not check, f"{host}: {' '.join(command)}: {done.stderr.decode()}"
    return done.stdout.decode()


def etcdctl(host: str, *arguments: str) -> str:
    """Run etcdctl on a member, over loopback."""
    return on(host, *ETCDCTL, *arguments)


def members(host: str) -> dict[str, str]:
    """The voting members that have started, by name, with their IDs; as etcdctl has them."""
    rows = [line.split(", ") for line in etcdctl(host, "member", "list").splitlines()]
    assert all(row[1] == "started" and row[5] == "false" for row in rows), rows
    return {row[2]: row[0] for row in rows}


@dataclasses.dataclass
class Run:
    """A playbook's run."""

    code: int
    output: str

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host."""
        found = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", self.output, re.MULTILINE)
        return {host: int(number) for host, number in found}

    def ok(self) -> Run:
        """Fail unless it went well."""
        assert self.code == 0, self.output[-6000:]
        return self


def environment() -> dict[str, str]:
    cache = str(mirror_directory())
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "HARDWAY_MIRROR": cache}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))}
    # There the scenario's certificates and backups are.
    kept["MOLECULE_EPHEMERAL_DIRECTORY"] = str(STATE)
    return {**kept, **settings, "PATH": f"{BIN}:{kept['PATH']}"}


def playbook(path: str, *options: str, inventories: t.Sequence[str] = ("inventory",)) -> Run:
    """Run a playbook of the collection, or of the scenario."""
    chosen = [f"--inventory={SCENARIO / name}" for name in inventories]
    done = subprocess.run(
        [BIN / "ansible-playbook", *chosen, str(ROOT / path), *options],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr)


def converge(*options: str, inventories: t.Sequence[str] = ("inventory",)) -> Run:
    return playbook("molecule/etcd/converge.yml", *options, inventories=inventories)


def module(host: str, plugin: str, /, **options: t.Any) -> dict[str, t.Any]:
    """Run a module of the collection on a host and return its result."""
    options = {
        "endpoints": ["https://127.0.0.1:2379"],
        "ca_cert": "/etc/etcd/ca.pem",
        "client_cert": "/etc/etcd/etcdctl.pem",
        "client_key": "/etc/etcd/etcdctl-key.pem",
        **options,
    }
    done = subprocess.run(
        [
            BIN / "ansible",
            f"--inventory={SCENARIO / 'inventory'}",
            host,
            f"--module-name=hardway.kubernetes.{plugin}",
            f"--args={json.dumps(options)}",
        ],
        cwd=ROOT,
        env={**environment(), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r"^\S+ \| [A-Z]+!? => (\{.*^\})", done.stdout, re.MULTILINE | re.DOTALL)
    assert found, done.stdout + done.stderr
    return t.cast(dict[str, t.Any], json.loads(found.group(1)))


class Writer:
    """Writes a key every 50 ms on a member, and knows which writes were acknowledged."""

    def __init__(self, host: str, prefix: str) -> None:
        self.host, self.prefix = host, prefix
        self.directory = f"/run/writer-{prefix}"
        self.running = True
        script = (pathlib.Path(__file__).parent / "writer.py").read_bytes()
        on(host, "sh", "-c", "cat > /run/writer.py", stdin=script)
        on(host, "systemd-run", "--quiet", "python3", "/run/writer.py", self.directory, prefix)

    def stop(self) -> None:
        if self.running:
            on(self.host, "touch", f"{self.directory}/stop")
            time.sleep(3.2)
        self.running = False

    def acknowledged(self) -> list[tuple[int, float]]:
        lines = on(self.host, "cat", f"{self.directory}/acknowledged").splitlines()
        return [(int(number), float(when)) for number, when in (line.split() for line in lines)]

    def missing(self) -> list[int]:
        """Acknowledged writes that are not there."""
        keys = set(etcdctl(self.host, "get", "--prefix", "--keys-only", self.prefix).split())
        return [number for number, _when in self.acknowledged() if f"{self.prefix}{number:08d}" not in keys]

    def longest_gap(self, since: float = 0.0) -> float:
        """Seconds between two acknowledged writes."""
        times = [when for _number, when in self.acknowledged() if when >= since]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


@pytest.fixture(scope="module")
def writer() -> t.Iterator[Writer]:
    made = Writer("etcd01", "numbered-")
    yield made
    made.stop()
