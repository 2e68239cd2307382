# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One list of cipher suites, on every port that serves TLS."""

from __future__ import annotations

import ssl

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.flags import command_flags
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import TLS_CIPHER_SUITES
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import Role

FLAGS = {
    "apiserver": "tls-cipher-suites",
    "controller_manager": "tls-cipher-suites",
    "scheduler": "tls-cipher-suites",
    "etcd": "cipher-suites",
}


def flags(role: str, **settings: object) -> list[str]:
    """Return the command line that the role's unit file has."""
    return command_flags(Role(role, "ctl01", **settings).flags())


def test_all_are_authenticated_and_forward_secret():
    for name in TLS_CIPHER_SUITES:
        exchange, _with, cipher = name.partition("_WITH_")
        assert exchange in ("TLS_ECDHE_ECDSA", "TLS_ECDHE_RSA")
        assert "_GCM_" in cipher or "POLY1305" in cipher


def test_clients_have_them():
    context = ssl.create_default_context()
    # OpenSSL's names are others: AES128-GCM and not AES_128_GCM, without WITH.
    known = {found["name"].replace("-", "") for found in context.get_ciphers()}
    for name in TLS_CIPHER_SUITES:
        short = name.removeprefix("TLS_").replace("WITH_", "").replace("_", "")
        assert short in known or short.removesuffix("SHA256") in known


@pytest.mark.parametrize("role", list(FLAGS))
def test_each_program_has_the_list(role):
    assert f"--{FLAGS[role]}={','.join(TLS_CIPHER_SUITES)}" in flags(role)


def test_etcd_with_tls_1_3_alone_has_no_list():
    found = flags("etcd", etcd_extra_flags={"tls-min-version": "TLS1.3"})
    assert "--tls-min-version=TLS1.3" in found
    assert not [flag for flag in found if "cipher" in flag]
    assert any("cipher" in flag for flag in flags("etcd", etcd_extra_flags={"tls-min-version": "TLS1.2"}))
