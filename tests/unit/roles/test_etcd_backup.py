# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduled backup of the role etcd: its files fit together."""

from __future__ import annotations

import pathlib
import re

import jinja2

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "etcd"
SETTINGS = {
    "etcd_backup_schedule": "*-*-* 02:00:00",
    "etcd_backup_member_directory": "/srv/back ups",
    "etcd_backup_member_keep": 3,
    "cluster": {"spec": {"name": "lab"}},
}


def rendered(name):
    client = {
        "endpoints": ["https://127.0.0.1:2379"],
        "ca_cert": "/etc/etcd/ca.pem",
        "client_cert": "/etc/etcd/etcdctl.pem",
        "client_key": "/etc/etcd/etcdctl-key.pem",
    }
    values = re.findall(r"\b__\w+", text := (ROLE / "templates" / name).read_text(encoding="utf-8"))
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(text)
    return template.render(**SETTINGS, **dict.fromkeys(values, client))


def test_the_environment_has_what_the_script_reads():
    lines = [line.partition("=") for line in rendered("backup.env.j2").splitlines()]
    environment = {name: value for name, _equal, value in lines}
    script = (ROLE / "files" / "etcd-backup.sh").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{?([A-Z]{2,})\b", script)) - {"PATH"}
    assert read == {name for name in environment if not name.startswith("ETCDCTL_")}
    assert environment["DIRECTORY"] == '"/srv/back ups"'
    assert environment["ETCDCTL_KEY"] == "/etc/etcd/etcdctl-key.pem"


def test_the_timer_starts_the_service_that_runs_the_script():
    assert "OnCalendar=*-*-* 02:00:00\n" in rendered("etcd-backup.timer.j2")
    service = rendered("etcd-backup.service.j2")
    tasks = (ROLE / "tasks" / "backup_schedule.yml").read_text(encoding="utf-8")
    for line, path in (("ExecStart=", "/usr/local/bin/etcd-backup"), ("EnvironmentFile=", "/etc/etcd/backup.env")):
        assert re.search(f"^{line}{path}( |$)", service, re.MULTILINE)
        assert f"- path: {path}\n" in tasks
    # etcd's user reads its key; the snapshots are for nobody else.
    assert "User=etcd\n" in service
    assert 'mode: "0700"' in tasks
