# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd pulls images through the proxies of the host."""

from __future__ import annotations

import pathlib

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize("given", [{}, {"HTTP_PROXY": PROXY, "no_proxy": "a,b"}])
def test_containerd_reads_the_proxies(given):
    (task,) = [
        task
        for task in DataLoader().load_from_file(
            str(ROOT / "roles" / "worker" / "tasks" / "containerd.yml"), trusted_as_template=True
        )
        if task["name"].startswith("Run containerd")
    ]
    files = task["hardway.kubernetes.component"]["files"]
    (entry,) = [entry for entry in files if entry["path"] == "/etc/containerd/proxy.env"]
    templar = Templar(loader=DataLoader(), variables={"cluster": {"spec": {"proxy": given}}})
    found = templar.template(entry)
    assert (found["state"], found["mode"], found["secret"]) == ("file" if given else "absent", "0600", True)
    assert found["content"].splitlines()[1:] == [f"{name}={value}" for name, value in given.items()]
    unit = (ROOT / "roles" / "worker" / "templates" / "containerd.service.j2").read_text(encoding="utf-8")
    # A restart is due when a file that the unit names is newer than its process.
    assert ("EnvironmentFile=/etc/containerd/proxy.env" in templar.template(trust_as_template(unit))) is bool(given)
