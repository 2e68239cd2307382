# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load balancer's configuration: one client cannot take all connections, and nginx does not name its version."""

from __future__ import annotations

import re

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, empty
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import Role


def number(directive: str, text: str) -> int:
    (found,) = re.findall(rf"^ *{directive} (\d+);$", text, re.MULTILINE)
    return int(found)


def test_nginx_may_open_more_files_than_it_takes_connections():
    text = Role("lb", "kubelb").template("nginx.conf.j2")
    assert number("worker_rlimit_nofile", text) >= 2 * number("worker_connections", text)


@pytest.mark.parametrize("given", [256, "20"])
def test_the_connections_of_one_address_are_limited(given):
    text = Role("lb", "kubelb", lb_connections_per_address=given).template("kubernetes.conf.j2")
    zone, limit = re.findall(r"^ *limit_conn +(\w+) (\d+);$", text, re.MULTILINE)[0]
    assert int(limit) == int(given)
    assert f"limit_conn_zone $binary_remote_addr zone={zone}:" in text


def test_the_error_log_names_an_address_that_is_at_its_limit():
    role = Role("lb", "kubelb")
    levels = ["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"]
    (level,) = re.findall(r"^ *limit_conn_log_level +(\w+);$", role.template("kubernetes.conf.j2"), re.MULTILINE)
    # nginx's own default of error_log is error.
    logged = re.findall(r"^ *error_log +\S+ *(\w+)?;$", role.template("nginx.conf.j2"), re.MULTILINE) or ["error"]
    assert all(levels.index(level) >= levels.index(least or "error") for least in logged)


def test_one_address_cannot_take_all_connections_by_default():
    role = Role("lb", "kubelb")
    # A connection through the balancer has two ends.
    limit = 2 * number("limit_conn +addresses", role.template("kubernetes.conf.j2"))
    assert limit <= number("worker_connections", role.template("nginx.conf.j2")) / 4


def test_without_a_limit():
    assert "limit_conn" not in Role("lb", "kubelb", lb_connections_per_address=0).template("kubernetes.conf.j2")


def test_a_negative_limit_is_refused():
    assert computed(empty(), lb_connections_per_address=-1)["plan"]["problems"] == [
        "ctl01, ctl02, kubelb, wrk01, wrk02, client: lb_connections_per_address: -1 is too small; allowed: 0 and more "
        "(0 means no limit)"
    ]
    assert computed(empty(), lb_connections_per_address=0)["plan"]["problems"] == []


def test_no_answer_over_http_names_the_version():
    beside = Role("lb", "ctl01", parts={"load_balancers": ["ctl01"]}, lb_ports=[8443]).template("nginx.conf.j2")
    health = Role("healthz_nginx", "ctl01", healthz_nginx_server_name="a").template("healthz.conf.j2")
    for text, block in ((beside, "http"), (health, "server")):
        assert re.search(rf"^{block} {{[^{{]*^ *server_tokens off;$", text, re.MULTILINE)
