# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private registry on the client host: Debian's, with TLS of its own authority and a password."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import re
import secrets
import typing as t

from support import local, wait_until

if t.TYPE_CHECKING:
    from support import Node

PORT = 5443
USER = "cluster"
DIRECTORY = "/root/lab-registry"
UNIT = "lab-registry.service"
MIRROR = "/srv/mirror/images"


@dataclasses.dataclass(frozen=True)
class Registry:
    """The registry: where it runs, and the way in.

    :ivar authority: the certificate of its authority, on the control node.
    """

    host: Node
    authority: pathlib.Path
    password: str = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The registry as images' names begin with it."""
        return f"{self.host.address}:{PORT}"

    def entry(self, host: str, **more: t.Any) -> dict[str, t.Any]:
        """Return an entry of worker_registries that has this registry alone behind a name."""
        given = {"authority": str(self.authority), "username": USER, "password": self.password}
        return {"host": host, "server": f"https://{self.name}", **given, **more}

    def secrets(self) -> tuple[str, ...]:
        """Return what nobody else may read: the password, and the forms that it is sent and written in."""
        pair = f"{USER}:{self.password}"
        return (
            self.password,
            base64.b64encode(pair.encode()).decode(),
            base64.b64encode(self.password.encode()).decode(),
        )

    def pulled(self) -> set[str]:
        """Return the repositories whose content somebody has read."""
        log = self.host.out("journalctl", f"--unit={UNIT}", "--output=cat", "--no-pager")
        return set(re.findall(r'"GET /v2/(\S+)/blobs/\S* HTTP', log))


def _issue(directory: pathlib.Path, address: str) -> None:
    """Make an authority, and a certificate of it for the address."""
    (directory / "extensions").write_text(f"subjectAltName=IP:{address}\n", encoding="utf-8")
    ca, tls = directory / "ca", directory / "tls"
    for command in (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry-ca -keyout {ca}.key -out {ca}.pem",
        f"req -newkey rsa:2048 -nodes -subj /CN=registry -keyout {tls}.key -out {tls}.csr",
        f"x509 -req -in {tls}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 2 -out {tls}.pem "
        f"-extfile {directory}/extensions",
    ):
        done = local("openssl", *command.split())
        assert done.returncode == 0, done.stderr


def start(host: Node, directory: pathlib.Path) -> Registry:
    """Install and start an empty registry on a host.

    :param directory: for certificates, on the control node.
    """
    host.out(
        "sh",
        "-c",
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
        "apt-get -qq install --yes --no-install-recommends docker-registry skopeo apache2-utils >&2",
    )
    # The package's own one has neither TLS nor a password.
    host.out("systemctl", "disable", "--now", "docker-registry.service")
    _issue(directory, host.address)
    password = secrets.token_urlsafe(24)
    host.out("mkdir", "-p", f"{DIRECTORY}/certs")
    for name in ("tls.pem", "tls.key"):
        host.put(f"{DIRECTORY}/{name}", (directory / name).read_text(encoding="utf-8"), mode=0o600)
    host.put(f"{DIRECTORY}/certs/ca.crt", (directory / "ca.pem").read_text(encoding="utf-8"), mode=0o600)
    host.out("sh", "-c", f"htpasswd -Bbn {USER} {password} >{DIRECTORY}/htpasswd")
    tls = {"certificate": f"{DIRECTORY}/tls.pem", "key": f"{DIRECTORY}/tls.key"}
    configuration = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": f"{DIRECTORY}/data"}},
        "http": {"addr": f"{host.address}:{PORT}", "tls": tls},
        "auth": {"htpasswd": {"realm": "lab", "path": f"{DIRECTORY}/htpasswd"}},
    }
    # YAML has JSON in it.
    host.put(f"{DIRECTORY}/config.yml", json.dumps(configuration), mode=0o600)
    host.out(
        "systemd-run", f"--unit={UNIT}", "--collect", "--quiet", "docker-registry", "serve", f"{DIRECTORY}/config.yml"
    )
    answer = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}")
    url = ("--cacert", f"{DIRECTORY}/certs/ca.crt", f"https://{host.address}:{PORT}/v2/")
    wait_until(lambda: host.run(*answer, *url).stdout == "401", seconds=30, what="the registry asks for a password")
    return Registry(host, directory / "ca.pem", password)


def stop(host: Node) -> None:
    """Remove the registry; the packages stay."""
    host.run("systemctl", "stop", UNIT)
    host.out("rm", "-rf", DIRECTORY)


def fill(registry: Registry, images: t.Iterable[str]) -> None:
    """Copy images of the lab's mirror into the registry, under the path that they have at their own registries."""
    for image in images:
        archive = f"{MIRROR}/{re.sub('[/:]', '_', image)}.tar"
        path = image.partition("/")[2]
        registry.host.out(
            *("skopeo", "--insecure-policy", "copy", "--quiet", f"--dest-cert-dir={DIRECTORY}/certs"),
            *(f"--dest-creds={USER}:{registry.password}", f"docker-archive:{archive}"),
            f"docker://{registry.name}/{path}",
        )
