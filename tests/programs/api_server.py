# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One etcd and one API server on loopback, with the flags and files of the role apiserver."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.flags import command_flags
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import Role

ENCRYPTION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources: [{resources: [secrets], providers: [{identity: {}}]}]
"""
START_SECONDS = 90


def free_port() -> int:
    """Return a port of loopback on which nothing listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _openssl(directory: pathlib.Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def make_certificates(directory: pathlib.Path) -> None:
    """Write an authority, a server's certificate and an administrator's."""
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    _openssl(directory, "req", "-x509", *key, "-subj", "/CN=ca", "-keyout", "ca-key.pem", "-out", "ca.pem")
    for name, subject in (("server", "/CN=kubernetes"), ("admin", "/O=system:masters/CN=admin")):
        signed = ("-x509", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-addext", "subjectAltName=IP:127.0.0.1")
        usage = ("-addext", "extendedKeyUsage=serverAuth,clientAuth")
        files = ("-keyout", f"{name}-key.pem", "-out", f"{name}.pem")
        _openssl(directory, "req", *signed, *usage, *key, "-subj", subject, *files)


def _flag(name: str, value: t.Any, directory: pathlib.Path) -> t.Any:
    """Return the value that a flag has here."""
    if isinstance(value, list):
        return [_flag(name, entry, directory) for entry in value]
    text = str(value)
    if text.startswith("/etc/kubernetes/config/"):
        return str(directory / pathlib.Path(text).name)
    if not text.endswith(".pem"):
        return value
    if name.endswith(("-ca-file", "cafile", "-certificate-authority")):
        return str(directory / "ca.pem")
    return str(directory / ("server-key.pem" if "-key.pem" in text else "server.pem"))


class Api:
    """The running API server.

    :ivar port: where it listens on loopback.
    :ivar log: the file that it writes its log to.
    :ivar audit: its audit log.
    """

    def __init__(self, directory: pathlib.Path, port: int) -> None:
        self._directory = directory
        self.port = port
        self.log = directory / "kube-apiserver.log"
        self.audit = directory / "audit.log"

    def _context(self, *, certificate: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._directory / "ca.pem")
        if certificate:
            context.load_cert_chain(self._directory / "admin.pem", self._directory / "admin-key.pem")
        return context

    def until_refused(self, path: str, body: t.Any, *, most: int) -> int:
        """Return how many objects are made on one connection until an answer is 429; ``most`` where none is."""
        server = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=20, context=self._context(certificate=True)
        )
        try:
            for number in range(most):
                server.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                answer = server.getresponse()
                answer.read()
                if answer.status == 429:
                    return number
        finally:
            server.close()
        return most

    def ask(
        self, method: str, path: str, body: t.Any = None, *, admin: bool = True, **headers: str
    ) -> tuple[int, t.Any, http.client.HTTPMessage]:
        """Return status, content and headers of an answer, to the administrator or to a stranger."""
        server = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=20, context=self._context(certificate=admin)
        )
        given = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            server.request(
                method, path, None if body is None else json.dumps(body), given | {
                    name.replace("_", "-"): value for name, value in headers.items()
                },
            )  # fmt: skip
            answer = server.getresponse()
            text = answer.read().decode()
        finally:
            server.close()
        is_json = "json" in str(answer.headers.get("Content-Type"))
        return answer.status, json.loads(text) if is_json else text, answer.headers

    def events(self) -> list[dict[str, t.Any]]:
        """Return the entries of the audit log."""
        return [json.loads(line) for line in self.audit.read_text(encoding="utf-8").splitlines()]


def _files(role: Role, directory: pathlib.Path) -> None:
    """Write the files that the role renders for the API server."""
    for path, text in role.files().items():
        if text:
            (directory / pathlib.Path(path).name).write_text(text, encoding="utf-8")


def _flags(role: Role, directory: pathlib.Path, etcd: int, port: int) -> list[str]:
    own = role.flags()
    here = {name: _flag(name, value, directory) for name, value in own.items() if not name.startswith("etcd-")}
    (directory / "encryption.yaml").write_text(ENCRYPTION, encoding="utf-8")
    here |= {
        "audit-log-path": str(directory / "audit.log"),
        "bind-address": "127.0.0.1",
        "cert-dir": str(directory),
        "encryption-provider-config": str(directory / "encryption.yaml"),
        "etcd-servers": f"http://127.0.0.1:{etcd}",
        "secure-port": port,
    }
    return command_flags(here)


@contextlib.contextmanager
def _running(command: list[str], log: pathlib.Path) -> t.Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["nice", "-n", "19", *command], stdout=stream, stderr=stream, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def serving(programs: tuple[str, str], directory: pathlib.Path, **settings: t.Any) -> t.Iterator[Api]:
    """Run an API server, and yield it when it is ready.

    :param programs: the executables kube-apiserver and etcd.
    :param settings: of the role.
    :raises AssertionError: it ended, or was not ready in time; with the end of its log.
    """
    make_certificates(directory)
    role = Role("apiserver", "ctl01", **settings)
    _files(role, directory)
    etcd, peer, port = free_port(), free_port(), free_port()
    urls = [f"--{kind}-client-urls=http://127.0.0.1:{etcd}" for kind in ("listen", "advertise")]
    urls += [f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--data-dir={directory / 'etcd'}"]
    with _running([programs[1], *urls], directory / "etcd.log"):
        command = [programs[0], *_flags(role, directory, etcd, port)]
        api = Api(directory, port)
        with _running(command, api.log) as process:
            end = time.monotonic() + START_SECONDS
            while not _ready(api):
                last = api.log.read_text(encoding="utf-8", errors="replace")[-3000:]
                assert process.poll() is None and time.monotonic() < end, f"kube-apiserver is not ready:\n{last}"
                time.sleep(0.5)
            yield api


def refusal(program: str, directory: pathlib.Path, **settings: t.Any) -> str:
    """Return why an API server does not start with settings of the role; empty where it goes on.

    There is no etcd. One that has read its files would wait for it.
    """
    make_certificates(directory)
    role = Role("apiserver", "ctl01", **settings)
    _files(role, directory)
    log = directory / "kube-apiserver.log"
    # Nothing listens there.
    with _running([program, *_flags(role, directory, 1, free_port())], log) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=8)
        text = log.read_text(encoding="utf-8", errors="replace")
    return "" if process.returncode == -signal.SIGKILL else text[text.rfind('"command failed"') :].strip()


def _ready(api: Api) -> bool:
    try:
        return api.ask("GET", "/readyz")[0] == 200
    except OSError:
        return False
