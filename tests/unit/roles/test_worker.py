# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role worker leaves out on a host that the reading shows to be finished."""

from __future__ import annotations

import pathlib

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

TASKS = pathlib.Path(__file__).resolve().parents[3] / "roles" / "worker" / "tasks"


@pytest.mark.parametrize(
    ("wanted", "found", "runs"),
    [
        ([], [], False),
        (["/srv/a.tar"], ["/srv/a.tar", "/srv/old.tar"], False),
        (["/srv/a.tar"], [], True),
        (["/srv/a.tar", "/srv/b.tar"], ["/srv/a.tar"], True),
        (["https://example.com/a.tar"], ["/srv/a.tar"], True),
    ],
)
def test_archives_are_imported_where_the_reading_does_not_have_their_images(wanted, found, runs):
    tasks = DataLoader().load_from_file(str(TASKS / "containerd.yml"), trusted_as_template=True)
    (task,) = (task for task in tasks if "hardway.kubernetes.image_archives" in task)
    variables = {
        "worker_image_archives": wanted,
        "inventory_hostname": "wrk01",
        "cluster": {"status": {"hosts": {"wrk01": {"image_archives": found}}}},
    }
    assert Templar(loader=DataLoader(), variables=variables).evaluate_conditional(task["when"]) is runs
