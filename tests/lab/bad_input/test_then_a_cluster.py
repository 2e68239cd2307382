# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker's sources fail one after the other; with good ones the same hosts become a cluster."""

from __future__ import annotations

import json
import re
import typing as t

from site_runs import RECORD, sum_of

if t.TYPE_CHECKING:
    import pathlib

    from site_runs import Site
    from support import Node


def test_a_mirror_that_goes_away_between_programs(
    site: Site, certificates: pathlib.Path, breaks_off: t.Callable[[Node, str, str], str]
) -> None:
    """What came before is whole and stays; the next run fetches the rest."""
    worker = site.cluster.workers[0]
    mirror = breaks_off(worker, "gone", "kubelet")
    failure = site.fails("--tags=worker", cluster_mirror=mirror)
    assert failure.startswith("hardway.kubernetes.worker : Install programs: wrk01: ")
    assert re.search(r"/kubelet: the download failed \(.*reset by peer.*\)\. Nothing was replaced\.", failure)
    left = worker.out("find", "/usr/local/bin", "/opt/cni/bin", "-name", ".*", "-o", "-name", "kubelet")
    assert left == "", "something is left of the download"
    record = json.loads(worker.out("cat", RECORD))
    assert sorted(record) == ["cni-plugins", "containerd", "crictl", "runc"]
    assert worker.run("systemctl", "is-active", "containerd").stdout.strip() == "inactive"
    inodes = {
        path: worker.out("stat", "--format=%i", path).strip() for entry in record.values() for path in entry["files"]
    }

    # As far as the images; there is no API yet that a node could ask.
    failure = site.fails("--tags=worker", worker_image_archives=["/srv/mirror/images/none.tar"])
    assert "/srv/mirror/images/none.tar: its checksum file /srv/mirror/images/none.tar.sha256 cannot be read" in failure
    assert {path: worker.out("stat", "--format=%i", path).strip() for path in inodes} == inodes
    assert worker.run("test", "-x", "/usr/local/bin/kubelet").rc == 0


def test_an_image_archive_that_is_damaged(site: Site, certificates: pathlib.Path) -> None:
    worker = site.cluster.workers[0]
    (source,) = worker.out("sh", "-c", "ls /srv/mirror/images/*pause*.tar").split()
    name = source.rpartition("/")[2]
    damaged = f"/var/tmp/{name}"
    worker.out("cp", source, f"{source}.sha256", "/var/tmp/")
    worker.out("sh", "-c", f"printf X | dd of={damaged} bs=1 seek=1024 conv=notrunc status=none")
    failure = site.fails("--tags=worker", worker_image_archives=[damaged])
    assert failure == (
        f"hardway.kubernetes.worker : Import image archives: wrk01: {damaged}: its SHA-256 sum is "
        f"{sum_of(worker, damaged)}, expected {sum_of(worker, source)}; nothing was imported"
    )
    assert worker.out("ctr", "--namespace=k8s.io", "images", "list", "--quiet") == ""
    worker.out("rm", damaged, f"{damaged}.sha256")


def test_the_same_hosts_become_a_cluster(site: Site) -> None:
    site.succeeds()
    nodes = site.cluster.get("nodes")["items"]
    ready = [item["status"] for item in nodes[0]["status"]["conditions"] if item["type"] == "Ready"]
    assert (len(nodes), ready) == (1, ["True"])
    assert site.succeeds().changed == []
