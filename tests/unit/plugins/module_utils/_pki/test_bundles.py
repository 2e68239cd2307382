# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several PEM files as one."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.bundles import bundle


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([b"one"], b"one"),
        ([b"one\n\n"], b"one\n\n"),
        ([b"new\n", b"old\n"], b"new\nold\n"),
        ([b"new", b"old\n\n"], b"new\nold\n"),
        ([b"new\n", b"new\n", b"old\n"], b"new\nold\n"),
        ([b"one\n", b"one\n"], b"one\n"),
    ],
)
def test_a_bundle(files, expected):
    assert bundle(files) == expected


def test_the_order_is_kept_before_and_after_the_switch():
    assert bundle([b"new\n", b"old\n"]) == bundle([b"new\n", b"new\n", b"old\n"])
