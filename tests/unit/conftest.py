# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `ansible_collections.hardway.kubernetes` importable, in a plain clone as well as under ansible-test."""

from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import typing as t

import pytest
from hypothesis import settings

ROOT = pathlib.Path(__file__).absolute().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from collection import make_importable

make_importable()

# The same commit is tested with the same examples; the fuzz tests take others, by a seed that is printed.
settings.register_profile("same every time", derandomize=True)
settings.load_profile("same every time")


@pytest.fixture(scope="session")
def openssl():
    """Run openssl with these arguments; return what it printed."""

    def run(*arguments: object, cwd: pathlib.Path | None = None) -> str:
        command = ["openssl", *(str(argument) for argument in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def serving():
    """Serve requests on loopback: a context whose value is the running server, for a class of handlers."""

    @contextlib.contextmanager
    def serving(
        handler: type[http.server.BaseHTTPRequestHandler],
    ) -> t.Iterator[http.server.ThreadingHTTPServer]:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            yield running
            running.shutdown()

    return serving


@pytest.fixture(scope="session")
def run_ansible():
    """Run one of Ansible's programs in a directory that is its home, with the collections of another one alone."""

    def run(
        *command: str | pathlib.Path, home: pathlib.Path, collections: pathlib.Path, **more: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1", "HOME": str(home), **more}
        return subprocess.run(
            [pathlib.Path(sys.executable).parent / command[0], *command[1:]],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def ansible_playbook(tmp_path, run_ansible):
    """Run ansible-playbook in the temporary directory, with this checkout as the collection and inventory.yml there."""
    collections = tmp_path / "collections"
    collection = collections / "ansible_collections" / "hardway" / "kubernetes"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(ROOT, target_is_directory=True)

    def run(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
        command = ("ansible-playbook", "-i", "inventory.yml", *arguments)
        return run_ansible(*command, home=tmp_path, collections=collections, ANSIBLE_LOCALHOST_WARNING="0")

    return run
