# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifetimes and names of certificates are looked at before one is issued."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.certificate_problems import (
    certificate_problems,
)
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import settings, topology


def with_worker(name):
    shape = topology()
    shape["workers"] = ["wrk01", name]
    shape["addresses"][name] = "10.0.0.15"
    shape["all_addresses"][name] = ["10.0.0.15"]
    return shape


LONGER = "longer than ca_authority_expiry 43800h"


def test_the_defaults_are_right():
    assert certificate_problems(topology(), settings()) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ca_expiry": "43800h"}, []),
        ({"ca_expiry": "43801h"}, [f"ca_expiry is 43801h, {LONGER}"]),
        ({"ca_admin_expiry": "87600h"}, [f"ca_admin_expiry is 87600h, {LONGER}"]),
        (
            {"ca_authority_expiry": "1h"},
            ["ca_expiry is 8760h, longer than ca_authority_expiry 1h", "ca_admin_expiry is 2160h, longer than"],
        ),
        ({"ca_admin_expiry": "90d"}, ["ca_admin_expiry is '90d', which is not a duration. cfssl does not know 'd'"]),
        ({"ca_expiry": "0h"}, ["ca_expiry is 0h: a certificate needs a lifetime above 0"]),
        ({"ca_authority_expiry": "long"}, ["ca_authority_expiry is 'long', which is not a duration"]),
    ],
)
def test_lifetimes(changes, expected):
    found = certificate_problems(topology(), settings(**changes))
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize("name", ["admin", "ca", "etcdctl", "etcd-ca", "kubernetes", "etcd-ctl01", "ca-key"])
def test_a_worker_with_the_name_of_another_certificate(name):
    shape = with_worker(name)
    (problem,) = [found for found in certificate_problems(shape, settings()) if found.startswith(f"{name}: ")]
    assert f"its certificate {name} would have the same files" in problem


def test_a_worker_with_the_name_of_anothers_serving_certificate():
    found = certificate_problems(with_worker("wrk01-server"), settings())
    assert [problem.split(":")[0] for problem in found] == ["wrk01-server"]


def test_a_wrong_service_network_is_reported_elsewhere():
    assert certificate_problems(topology(), settings(cluster_service_cidr="none")) == []
