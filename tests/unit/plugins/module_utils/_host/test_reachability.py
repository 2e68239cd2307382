# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that answer, that refuse, and that a firewall makes silent."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.reachability import unreached


@pytest.fixture
def silent():
    """A port that does not answer: the queue of its socket is full, so that the kernel drops further packets."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _number in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def target(port: int, address: str = "127.0.0.1") -> dict[str, object]:
    return {"address": address, "port": port, "words": f"a does not reach {address}, port {port}"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_an_open_port_and_one_on_which_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert unreached([target(server.getsockname()[1]), target(free_port())], timeout=5) == []


def test_ports_that_are_silent_take_the_time_of_one(silent):
    started = time.monotonic()
    found = unreached([target(silent)] * 10 + [target(free_port())], timeout=1)
    assert found == [f"a does not reach 127.0.0.1, port {silent}: no answer within 1 s"] * 10
    assert time.monotonic() - started < 5


def test_no_way_at_all():
    (found,) = unreached([target(6443, "255.255.255.255")], timeout=1)
    assert found.startswith("a does not reach 255.255.255.255, port 6443: ")


def test_a_name_that_does_not_exist():
    assert len(unreached([target(6443, "api.invalid")], timeout=1)) == 1


def test_nothing_to_try():
    assert unreached([], timeout=1) == []
