# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of a running cluster, and the tools that the tests ask them with."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import shlex
import subprocess
import time
import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.backend.base import CommandResult
    from testinfra.host import Host

ETCD_CREDENTIALS = (
    "--cacert=/etc/etcd/ca.pem",
    "--cert=/etc/etcd/etcdctl.pem",
    "--key=/etc/etcd/etcdctl-key.pem",
)

BUSYBOX = "docker.io/library/busybox:1.35.0"
NGINX = "docker.io/library/nginx:1.22.1"

# All that a host has on its disk, but for what its system writes of its own accord.
_FILES = r"""
find / /usr/local /var/lib/etcd /var/lib/kubelet /var/lib/containerd -xdev \
    \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /srv/mirror \
       -o -path /var/log/journal -o -path /var/lib/systemd \) -prune \
    -o -not -type d -printf '%p %i %s %C@ %m %u\n'
"""


@dataclasses.dataclass(frozen=True)
class Node:
    """A host: its name and addresses in the inventory, one per family, the primary one first; and the way to it."""

    name: str
    addresses: tuple[str, ...]
    host: Host = dataclasses.field(compare=False, repr=False)

    @property
    def address(self) -> str:
        """Return the primary address."""
        return self.addresses[0]

    def of(self, family: str) -> str:
        """Return the address of a family, IPv4 or IPv6."""
        return of_family(self.addresses, family)

    def run(self, *arguments: str) -> CommandResult:
        """Run a command, whatever its exit code."""
        return self.host.run(shlex.join(arguments))

    def out(self, *arguments: str) -> str:
        """Run a command that has to succeed, and return what it printed."""
        result = self.run(*arguments)
        assert result.rc == 0, f"{self.name}: {shlex.join(arguments)} exits with {result.rc}: {result.stderr.strip()}"
        return str(result.stdout)

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file, and its directory where that is missing.

        :param mode: set before the content is there.
        """
        encoded = base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
        file, directory = shlex.quote(path), shlex.quote(str(pathlib.PurePosixPath(path).parent))
        made = f"mkdir --parents {directory} && : >{file} && chmod {mode:o} {file}"
        self.out("sh", "-c", f"{made} && echo {encoded} | base64 --decode >{file}")

    def end_modules(self) -> None:
        """Kill the modules that Ansible runs here. Their source comes through a pipe, so Python has no argument."""
        self.run("pkill", "-KILL", "-xf", r"/usr/bin/python3[0-9.]*")

    def interface(self, address: str) -> str:
        """Return the interface through which packets for an address leave."""
        return self.out("ip", "-oneline", "route", "get", address).partition(" dev ")[2].split()[0]

    def raw(self, *arguments: str) -> bytes:
        """As out, for output that may not be text."""
        result = self.run(*arguments)
        assert result.rc == 0, f"{self.name}: {shlex.join(arguments)} exits with {result.rc}"
        return bytes(result.stdout_bytes)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The hosts by their part, and the article's tools on the hosts where it uses them."""

    groups: dict[str, list[Node]]
    pki: pathlib.Path
    #: One per family, the primary one first.
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    dns_addresses: tuple[str, ...]
    domain: str
    name: str

    @property
    def families(self) -> tuple[str, ...]:
        """Return the families of pods and Services in Kubernetes' words, the primary one first."""
        return tuple(family(cidr) for cidr in self.pod_cidrs)

    @property
    def controllers(self) -> list[Node]:
        return self.groups["controllers"]

    @property
    def members(self) -> list[Node]:
        return self.groups["etcd"]

    @property
    def workers(self) -> list[Node]:
        return self.groups["workers"]

    @property
    def client(self) -> Node:
        return self.groups["clients"][0]

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as the administrator, through the load balancer."""
        return self.client.out("kubectl", *arguments)

    def get(self, *arguments: str) -> dict[str, t.Any]:
        """Return the API's object."""
        return t.cast(dict[str, t.Any], json.loads(self.kubectl("get", *arguments, "--output=json")))

    def ready(self, node: Node) -> str:
        """Return what the API says of whether a node is Ready: True, False or Unknown."""
        conditions = self.get("node", node.name)["status"]["conditions"]
        return next(str(found["status"]) for found in conditions if found["type"] == "Ready")

    def apply(self, *objects: dict[str, t.Any]) -> None:
        """Apply objects as the administrator."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.client.out("sh", "-c", f"{written(listed)} | kubectl apply --filename=-")

    def start(self, namespace: str, name: str, *command: str, node: str = "") -> None:
        """Create a pod of busybox that asks for nothing special.

        :param command: sleeps for an hour unless given.
        :param node: name of its node; the scheduler chooses unless given.
        """
        container = {"name": "busybox", "image": BUSYBOX, "command": list(command) or ["sleep", "3600"]}
        spec = {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **({"nodeName": node} if node else {}),
        }
        metadata = {"namespace": namespace, "name": name}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def etcdctl(self, member: Node, *arguments: str) -> bytes:
        """Run etcdctl on a member, over loopback. The output may not be text."""
        return member.raw("etcdctl", *ETCD_CREDENTIALS, "--endpoints=https://127.0.0.1:2379", *arguments)


def one_per_family(given: str | t.Sequence[str]) -> tuple[str, ...]:
    """Return what a setting has for each family: it is a list, or text with commas."""
    return tuple(one.strip() for one in (given.split(",") if isinstance(given, str) else given))


def family(address: str) -> str:
    """Return the family of an address or a network, in Kubernetes' words."""
    return "IPv6" if ":" in address else "IPv4"


def of_family(addresses: t.Sequence[str], wanted: str) -> str:
    """Return the only address of a family."""
    [found] = [address for address in addresses if family(address) == wanted]
    return found


def in_url(address: str) -> str:
    """Return an address as it stands before a port: in brackets, with IPv6 (RFC 3986)."""
    return f"[{address}]" if family(address) == "IPv6" else address


def own_namespace(cluster: Cluster, name: str, **labels: str) -> t.Iterator[str]:
    """Make a namespace for a fixture; it goes with all that is in it.

    :param labels: of Pod Security, for example ``enforce="privileged"``.
    """
    remove = ("delete", "namespace", name, "--ignore-not-found", "--timeout=60s")
    cluster.kubectl(*remove)
    cluster.kubectl("create", "namespace", name)
    account = ("--namespace", name, "get", "serviceaccount", "default", "--ignore-not-found", "--output=name")
    wait_until(lambda: cluster.kubectl(*account), seconds=30, what="the namespace has its account")
    for mode, level in labels.items():
        cluster.kubectl("label", "namespace", name, f"pod-security.kubernetes.io/{mode}={level}")
    yield name
    cluster.kubectl(*remove)


def files(node: Node) -> set[str]:
    """Return the files of a host with inode, size, time of the last change, mode and owner."""
    return set(node.out("sh", "-c", _FILES).splitlines())


def written(given: dict[str, t.Any]) -> str:
    """Return a shell command that writes an object for kubectl to read."""
    return f"echo {base64.b64encode(json.dumps(given).encode()).decode()} | base64 --decode"


def local(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool on the control node."""
    return subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=30, check=False)


def wait_until(question: t.Callable[[], t.Any], *, seconds: float, what: str) -> t.Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(0.5)
