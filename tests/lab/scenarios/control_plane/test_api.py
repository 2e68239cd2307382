# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane without nodes."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from support import Cluster, Node


def test_api_answers_through_the_load_balancer(cluster: Cluster) -> None:
    for _attempt in range(2 * len(cluster.controllers)):
        assert cluster.kubectl("get", "--raw", "/readyz") == "ok"


def test_there_are_no_nodes(cluster: Cluster) -> None:
    assert cluster.get("nodes")["items"] == []


def test_the_host_of_a_later_chapter_is_empty(worker: Node) -> None:
    for path in ("/etc/kubernetes", "/var/lib/kubernetes", "/usr/local/bin/kubelet"):
        assert worker.run("test", "-e", path).rc == 1, path
