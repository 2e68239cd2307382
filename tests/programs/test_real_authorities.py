# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real API server while its authority of clients is rotated: whom it lets in, and what it publishes."""

from __future__ import annotations

import base64
import pathlib
import subprocess
import time
import typing as t

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.authorities import (
    bundled,
    outdated_pods,
    retire,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._api.client import ApiError, Client
from api_server import Api, serving

if t.TYPE_CHECKING:
    from conftest import Programs

PUBLISHED = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
ENTRIES = ("client-ca-file", "requestheader-client-ca-file")


def _openssl(directory: pathlib.Path, *arguments: str) -> None:
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run(["openssl", "req", "-x509", *key, *arguments], cwd=directory, check=True, capture_output=True)


def _client(directory: pathlib.Path, api: Api, name: str) -> Client:
    data = {
        field: base64.b64encode((directory / f"{file}.pem").read_bytes()).decode()
        for field, file in (
            ("certificate-authority", "old"),
            ("client-certificate", name),
            ("client-key", f"{name}-key"),
        )
    }
    lines = [f"server: https://127.0.0.1:{api.port}", *(f"{field}-data: {value}" for field, value in data.items())]
    path = directory / f"{name}.kubeconfig"
    path.write_text("\n".join(lines) + "\n")
    return Client(str(path))


def _publishes(client: Client, count: int) -> bool:
    try:
        data = client.request("GET", PUBLISHED)["data"]
    except ApiError:
        # It makes the ConfigMap a moment after it is ready.
        return False
    return all(data[name].count("BEGIN CERTIFICATE") == count for name in ENTRIES)


def _until(question: t.Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 90
    while not question():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def _replace(path: pathlib.Path, text: str) -> None:
    """Replace a file as the module component does."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


def test_clients_of_both_authorities_then_of_the_new_one(programs: Programs, tmp_path: pathlib.Path) -> None:
    paths = programs.path("kube-apiserver"), programs.path("etcd")
    with serving(paths, tmp_path) as api:
        old = (tmp_path / "ca.pem").read_text()
        (tmp_path / "old.pem").write_text(old)
        before = _client(tmp_path, api, "admin")
        _until(lambda: _publishes(before, 1), "the authority is published")
        # The new one has the name of the old one.
        _openssl(tmp_path, "-subj", "/CN=ca", "-keyout", "new-key.pem", "-out", "new.pem")
        _openssl(tmp_path, "-CA", "new.pem", "-CAkey", "new-key.pem", "-addext", "extendedKeyUsage=clientAuth",
                 "-subj", "/O=system:masters/CN=later", "-keyout", "later-key.pem", "-out", "later.pem")  # fmt: skip
        new = (tmp_path / "new.pem").read_text()
        later = _client(tmp_path, api, "later")
        with pytest.raises(ApiError, match="401"):
            later.request("GET", "/version")
        _replace(tmp_path / "ca.pem", new + old)
        _until(lambda: _publishes(before, 2), "both are published")
        for client in (before, later):
            client.request("GET", "/version")
        _replace(tmp_path / "ca.pem", new)
        trusted = dict.fromkeys(ENTRIES, new)
        assert sorted(retire(later, trusted=trusted, write=True)) == sorted(ENTRIES)
        assert later.request("GET", PUBLISHED)["data"]["client-ca-file"] == new
        assert retire(later, trusted=trusted, write=True) == []
        with pytest.raises(ApiError, match="401"):
            _client(tmp_path, api, "admin").request("GET", "/version")
        # What the run asks besides.
        assert outdated_pods(later) == []
        assert bundled(later, old=old, new=new) == []
