# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real etcd processes on loopback, with TLS for clients and peers."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import tarfile
import time
import typing as t
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cache import mirror_directory

_DAY = datetime.timedelta(days=1)


def unpack(version: str, directory: pathlib.Path) -> pathlib.Path:
    """Unpack etcd from the mirror and return the directory of its programs.

    :raises FileNotFoundError: the mirror does not have it.
    """
    name = f"etcd-v{version}-linux-amd64"
    archive = mirror_directory() / "github.com/etcd-io/etcd/releases/download" / f"v{version}" / f"{name}.tar.gz"
    if not archive.is_file():
        raise FileNotFoundError(f"{archive} is missing: `make test-etcd` puts it there")
    with tarfile.open(archive) as tar:
        # Debian 12's own Python does not have the filter.
        tar.extractall(directory, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return directory / name


class Authority:
    """A CA that issues certificates into a directory."""

    def __init__(self, directory: pathlib.Path, name: str = "ca") -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key(), _DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = self._write(directory / f"{name}.pem", builder)

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, ends: datetime.timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * _DAY)
            .not_valid_after(now + ends)
        )

    def _write(self, path: pathlib.Path, builder: x509.CertificateBuilder) -> pathlib.Path:
        signed = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self, name: str, *, addresses: t.Sequence[str] = ("127.0.0.1",), ends: datetime.timedelta = _DAY
    ) -> tuple[pathlib.Path, pathlib.Path]:
        """Issue a certificate for servers and clients; return its path and that of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        sans = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)) for address in addresses])
        usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._builder(subject, key.public_key(), ends)
        builder = builder.add_extension(sans, critical=False).add_extension(usage, critical=False)
        certificate = self._write(self.directory / f"{name}.pem", builder)
        private = self.directory / f"{name}-key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, private


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclasses.dataclass
class Node:
    """One etcd process, running or not."""

    name: str
    client_url: str
    peer_url: str
    data: pathlib.Path
    process: subprocess.Popen[bytes] | None = None


class Cluster:
    """etcd processes that form one cluster, and etcdctl to ask it."""

    def __init__(self, programs: pathlib.Path, directory: pathlib.Path) -> None:
        self.programs = programs
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(directory)
        self.certificate, self.key = self.authority.issue("kubernetes")
        self.nodes: dict[str, Node] = {}

    def node(self, name: str) -> Node:
        """Return a node that does not run yet."""
        client, peer = (f"https://127.0.0.1:{free_port()}" for _number in range(2))
        self.nodes[name] = Node(name, client, peer, self.directory / f"{name}.etcd")
        return self.nodes[name]

    def form(self, *names: str, flags: t.Sequence[str] = ()) -> Cluster:
        """Start a new cluster of these members and wait until all are healthy.

        :param flags: further flags of each.
        """
        nodes = [self.node(name) for name in names]
        initial = ",".join(f"{node.name}={node.peer_url}" for node in nodes)
        for node in nodes:
            self.start(node, initial, "new", *flags)
        for node in nodes:
            self.wait(node)
        return self

    def start(self, node: Node, initial_cluster: str = "", state: str = "new", *more: str) -> None:
        """Start one process; a member that has data needs no initial cluster."""
        tls = {"cert-file": self.certificate, "key-file": self.key}
        flags = {
            "name": node.name,
            "data-dir": node.data,
            "listen-client-urls": node.client_url,
            "advertise-client-urls": node.client_url,
            "listen-peer-urls": node.peer_url,
            "initial-advertise-peer-urls": node.peer_url,
            "initial-cluster": initial_cluster or f"{node.name}={node.peer_url}",
            "initial-cluster-state": state,
            **tls,
            **{f"peer-{name}": path for name, path in tls.items()},
            "trusted-ca-file": self.authority.certificate,
            "peer-trusted-ca-file": self.authority.certificate,
            "heartbeat-interval": "50",
            "election-timeout": "500",
        }
        command = [str(self.programs / "etcd"), "--client-cert-auth", "--peer-client-cert-auth", *more]
        command += [f"--{name}={value}" for name, value in flags.items()]
        with (self.directory / f"{node.name}.log").open("ab") as log:
            # A process group of its own: an interrupt of the tests is not its own.
            node.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def stop(self, node: Node, how: signal.Signals = signal.SIGKILL) -> None:
        """End one process."""
        if node.process is not None:
            node.process.send_signal(how)
            node.process.wait(timeout=20)
            node.process = None

    def close(self) -> None:
        """End all processes."""
        for node in self.nodes.values():
            self.stop(node)

    def wait(self, node: Node, seconds: float = 20, path: str = "/health") -> None:
        """Wait until a member is healthy."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(self.certificate, self.key)
        end = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"{node.client_url}{path}", context=context, timeout=2):
                    return
            except OSError:
                if time.monotonic() > end:
                    log = (self.directory / f"{node.name}.log").read_text(errors="replace")
                    raise TimeoutError(f"{node.name} is not healthy:\n{log[-2000:]}") from None
                time.sleep(0.05)

    def etcdctl(self, *arguments: str, endpoint: str | None = None) -> str:
        """Run etcdctl against the first process that runs, or an endpoint."""
        running = [node.client_url for node in self.nodes.values() if node.process is not None]
        done = subprocess.run(
            [
                self.programs / "etcdctl",
                f"--cacert={self.authority.certificate}",
                f"--cert={self.certificate}",
                f"--key={self.key}",
                f"--endpoints={endpoint or running[0]}",
                *arguments,
            ],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def members(self) -> dict[str, tuple[str, bool]]:
        """The members in etcdctl's output: name (or peer URL before the first start) -> ID and if it is a learner."""
        # ID, status, name, peer URLs, client URLs, learner: the JSON of some versions leaves the last out.
        rows = [line.split(", ") for line in self.etcdctl("member", "list").splitlines()]
        return {row[2] or row[3]: (row[0], row[5] == "true") for row in rows}

    def options(self, **more: t.Any) -> dict[str, t.Any]:
        """The options with which the modules reach it."""
        return {
            "endpoints": [node.client_url for node in self.nodes.values()],
            "ca_cert": str(self.authority.certificate),
            "client_cert": str(self.certificate),
            "client_key": str(self.key),
            **more,
        }
