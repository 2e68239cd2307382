# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are full although preflight does not check them: existing files stay whole, and a larger disk helps."""

from __future__ import annotations

import re
import typing as t

from site_runs import VERSIONS

if t.TYPE_CHECKING:
    import pathlib

    from site_runs import Site
    from support import Node

ETCD = ("--tags=etcd",)
HEALTH = (
    "curl", "--silent", "--show-error", "--cacert", "/etc/etcd/ca.pem", "--cert", "/etc/etcd/etcdctl.pem",
    "--key", "/etc/etcd/etcdctl-key.pem", "https://127.0.0.1:2379/health",
)  # fmt: skip


def test_no_room_for_programs(
    site: Site, certificates: pathlib.Path, small_disk: t.Callable[[Node, str, int], None]
) -> None:
    node = site.cluster.controllers[0]
    small_disk(node, "/usr/local", 16)
    failure = site.fails(*ETCD, preflight_free_mib=0)
    assert re.fullmatch(
        rf"hardway\.kubernetes\.etcd : Install, configure and run etcd: {node.name}: "
        rf"file:///srv/mirror/\S+/etcd-v{VERSIONS['etcd']}-linux-\w+\.tar\.gz: the download failed "
        r"\(.*No space left on device.*\)\. Nothing was replaced\. Check the address and the free space of "
        r"/usr/local/bin; cluster_mirror names a mirror\.",
        failure,
    ), failure
    assert node.out("find", "/usr/local", "-not", "-type", "d") == "", "something is left of the download"
    assert node.run("test", "-e", "/etc/systemd/system/etcd.service").rc == 1


def test_no_room_to_unpack_programs(
    site: Site, certificates: pathlib.Path, small_disk: t.Callable[[Node, str, int], None]
) -> None:
    node = site.cluster.controllers[0]
    small_disk(node, "/usr/local", 32)
    failure = site.fails(*ETCD, preflight_free_mib=0)
    assert re.search(r"etcd-\S+: the archive cannot be unpacked \(.*No space left on device.*\)\. Nothing was", failure)
    assert "free space of /usr/local/bin" in failure
    assert node.out("find", "/usr/local", "-not", "-type", "d") == "", "something is left of the download"


def test_no_room_for_the_data_of_etcd(
    site: Site, certificates: pathlib.Path, small_disk: t.Callable[[Node, str, int], None]
) -> None:
    node = site.cluster.controllers[0]
    small_disk(node, "/var/lib/etcd", 16)
    failure = site.fails(*ETCD, preflight_etcd_free_mib=0, etcd_timeout=15)
    task = "hardway.kubernetes.etcd : Run etcd and wait until it is healthy"
    assert failure.startswith(f"{task}: {node.name}: etcd.service is not healthy after ")
    assert "no space left on device" in failure
    # The finished steps stay, and the next run continues from there.
    node.out("systemctl", "stop", "etcd")
    node.out("mount", "-o", "remount,size=512m", "/var/lib/etcd")
    site.succeeds(*ETCD)
    assert node.out(*HEALTH).strip() == '{"health":"true","reason":""}'
    node.out("systemctl", "stop", "etcd")


def test_the_next_run_is_fine(site: Site) -> None:
    node = site.cluster.controllers[0]
    # The data went with the small disk, and an empty etcd does not take its place unasked.
    assert "has no data any more" in site.fails(*ETCD)
    node.out("rm", "/etc/etcd/bootstrap.env")
    site.succeeds(*ETCD)
    assert node.out(*HEALTH).strip() == '{"health":"true","reason":""}'
    assert site.succeeds(*ETCD).changed == []


def test_what_runs_stays_when_its_successor_is_refused(site: Site) -> None:
    node = site.cluster.controllers[0]
    process = node.out("systemctl", "show", "--property=MainPID,ExecMainStartTimestamp", "etcd")
    archive = next(line for line in node.out("cat", "/var/lib/hardway/programs.json").splitlines() if '"url"' in line)
    address = archive.split('"')[3]
    failure = site.fails(*ETCD, cluster_checksums={address: "f" * 64})
    assert f"expected {'f' * 64}. Nothing was replaced." in failure
    assert node.out("systemctl", "show", "--property=MainPID,ExecMainStartTimestamp", "etcd") == process
    assert site.succeeds(*ETCD).changed == []
