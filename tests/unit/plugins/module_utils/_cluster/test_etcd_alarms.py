# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms of etcd in the status, and in the warnings of the plan."""

from __future__ import annotations

import pytest
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import computed, running

MIB = 1 << 20


def readings(*alarms, **databases):
    found = running()
    ids = {member["name"]: member["id"] for member in found["ctl01"]["etcd"]["members"]}
    for host in ("ctl01", "ctl02"):
        found[host]["etcd"]["alarms"] = [{"member": ids.get(name, name), "alarm": alarm} for name, alarm in alarms]
        size, quota = databases.get(host, (2 * MIB, 2048 * MIB))
        found[host]["etcd"]["database"] = {"size": size, "in_use": size // 2, "quota": quota}
    return found


def warnings(*alarms, **databases):
    value = computed(readings(*alarms, **databases))
    assert value["plan"]["problems"] == [], "an alarm does not keep its cure from running"
    return [text for text in value["plan"]["warnings"] if text.startswith("etcd r")]


def test_the_status_names_the_member():
    found = computed(readings(("ctl02", "NOSPACE"), ctl02=(16 * MIB, 16 * MIB)))["status"]["etcd"]
    assert found["alarms"] == [{"member": "ctl02", "alarm": "NOSPACE"}]
    assert found["databases"]["ctl02"] == {"size": 16 * MIB, "in_use": 8 * MIB, "quota": 16 * MIB}
    assert found["databases"].keys() == {"ctl01", "ctl02"}


def test_no_alarm_no_warning():
    assert warnings() == []


def test_nospace():
    (text,) = warnings(("ctl01", "NOSPACE"), ("ctl02", "NOSPACE"), ctl02=(16 * MIB, 16 * MIB))
    assert "ctl01 (database 2.0 MiB of a quota of 2.0 GiB, 1.0 MiB in use)" in text
    assert "ctl02 (database 16.0 MiB of a quota of 16.0 MiB, 8.0 MiB in use)" in text
    assert "ansible-playbook hardway.kubernetes.etcd_maintain" in text
    assert "quota-backend-bytes" in text


def test_corrupt():
    (text,) = warnings(("ctl02", "CORRUPT"))
    assert text.startswith("etcd raised the alarm CORRUPT for ctl02 ")
    assert "etcd_replace_member" in text
    assert "etcd_maintain" not in text, "defragmentation does not help"


def test_both_kinds_and_a_member_without_a_name():
    first, second = warnings(("ctl02", "CORRUPT"), ("f00", "NOSPACE"))
    assert "CORRUPT for ctl02" in first
    assert "NOSPACE for f00," in second


@pytest.mark.parametrize(("size", "warned"), [(79, False), (80, True), (100, True)])
def test_a_database_near_its_quota(size, warned):
    found = warnings(ctl01=(size * MIB, 100 * MIB))
    assert bool(found) is warned
    assert all("is near it on ctl01 (" in text and "ctl02" not in text for text in found)


def test_a_quota_that_is_not_known():
    assert warnings(ctl01=(80 * MIB, 0)) == []
