# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy on the client host, and behind it a mirror with a name that it alone knows."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import typing as t

from support import local, wait_until

if t.TYPE_CHECKING:
    from support import Node

MIRROR = "mirror.lab.test"
NETWORK = "10.240.0.0/24"
PORT, MIRROR_PORT = 3128, 8443
DIRECTORY = "/root/lab-proxy"
UNITS = ("lab-proxy.service", "lab-mirror.service")

CONFIGURATION = """\
Port {port}
Listen {address}
Timeout 60
LogLevel Connect
Allow {network}
ConnectPort 443
ConnectPort {mirror_port}
"""
SERVER = """\
import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("{directory}/tls.pem", "{directory}/tls.key")
handler = lambda *given: http.server.SimpleHTTPRequestHandler(*given, directory="/srv/mirror")
server = http.server.ThreadingHTTPServer(("127.0.0.1", {port}), handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclasses.dataclass(frozen=True)
class WayOut:
    """The proxy, and what a host needs to go through it.

    :ivar authority: PEM of the mirror's certificate.
    """

    host: Node
    authority: str = dataclasses.field(repr=False)

    @property
    def url(self) -> str:
        """URL of the proxy."""
        return f"http://{self.host.address}:{PORT}"

    @property
    def mirror(self) -> str:
        """URL of the mirror."""
        return f"https://{MIRROR}:{MIRROR_PORT}"

    def targets(self) -> list[str]:
        """Return what the proxy was asked to reach: HOST:PORT, or a URL."""
        log = self.host.out("journalctl", f"--unit={UNITS[0]}", "--output=cat", "--no-pager")
        return re.findall(r"Request \(.*?\): \S+ (\S+) HTTP", log)


def start(host: Node, directory: pathlib.Path) -> WayOut:
    """Install and start both.

    :param directory: for the certificate, on the control node.
    """
    host.out(
        "sh",
        "-c",
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
        "apt-get -qq install --yes --no-install-recommends tinyproxy >&2",
    )
    # The package's own one listens elsewhere.
    host.out("systemctl", "disable", "--now", "tinyproxy.service")
    made = f"-keyout {directory}/tls.key -out {directory}/tls.pem -subj /CN={MIRROR}"
    done = local(
        "openssl",
        *f"req -x509 -newkey rsa:2048 -nodes -days 2 {made} -addext subjectAltName=DNS:{MIRROR}".split(),
    )
    assert done.returncode == 0, done.stderr
    host.out("mkdir", "-p", DIRECTORY)
    for name in ("tls.pem", "tls.key"):
        host.put(f"{DIRECTORY}/{name}", (directory / name).read_text(encoding="utf-8"))
    host.put(f"{DIRECTORY}/mirror.py", SERVER.format(directory=DIRECTORY, port=MIRROR_PORT))
    host.put(
        f"{DIRECTORY}/tinyproxy.conf",
        CONFIGURATION.format(port=PORT, address=host.address, network=NETWORK, mirror_port=MIRROR_PORT),
    )
    # Docker mounts the file: it is written, and not replaced.
    host.out("sh", "-c", f"echo '127.0.0.1 {MIRROR}' >>/etc/hosts")
    commands = (("tinyproxy", "-d", "-c", f"{DIRECTORY}/tinyproxy.conf"), ("python3", f"{DIRECTORY}/mirror.py"))
    for unit, command in zip(UNITS, commands, strict=True):
        host.out("systemd-run", f"--unit={unit}", "--collect", "--quiet", *command)
    way = WayOut(host, (directory / "tls.pem").read_text(encoding="utf-8"))
    asked = ("curl", "--silent", "--fail", "--output", "/dev/null", "--proxy", way.url)
    mirror = ("--cacert", f"{DIRECTORY}/tls.pem", f"{way.mirror}/")
    wait_until(lambda: host.run(*asked, *mirror).rc == 0, seconds=30, what="the mirror answers through the proxy")
    return way


def stop(host: Node) -> None:
    """Remove both; the package stays."""
    host.run("systemctl", "stop", *UNITS)
    host.out("rm", "-rf", DIRECTORY)
    host.out("sh", "-c", f"sed '/{MIRROR}/d' /etc/hosts >/root/hosts && cat /root/hosts >/etc/hosts && rm /root/hosts")


def _closed(outside: str) -> tuple[str, ...]:
    """Return the rule: packets that leave the lab's network are dropped."""
    return ("-o", outside, "!", "-d", NETWORK, "-j", "DROP")


def shut_in(worker: Node, way: WayOut) -> None:
    """Leave a host no way out of the lab's network, and let it trust the mirror."""
    outside = worker.interface("192.0.2.1")
    # As many firewalls do: without an answer, so that programs wait as long as they are set to.
    worker.out("iptables", "-w", "-I", "OUTPUT", *_closed(outside))
    worker.put("/usr/local/share/ca-certificates/lab-mirror.crt", way.authority)
    worker.out("update-ca-certificates")


def let_out(worker: Node) -> None:
    """Take back what :func:`shut_in` did."""
    outside = worker.interface("192.0.2.1")
    worker.run("iptables", "-w", "-D", "OUTPUT", *_closed(outside))
    worker.run("rm", "/usr/local/share/ca-certificates/lab-mirror.crt")
    worker.out("update-ca-certificates", "--fresh")
