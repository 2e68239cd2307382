# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chapter of the certificates touches the control node alone. What it makes is tested in state/test_pki.py."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from support import Node


def test_no_host_has_a_key(node: Node) -> None:
    assert node.out("sh", "-c", "find /etc /var/lib /root -name '*-key.pem' -o -name '*.kubeconfig'") == ""
