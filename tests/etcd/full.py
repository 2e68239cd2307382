# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the databases of real etcd processes."""

from __future__ import annotations

import base64
import os
import pathlib
import re

from ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.client import Client, EtcdError
from harness import Cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUOTA = 16 << 20
#: Path of the health endpoint of the member itself, in the role.
HEALTH_PATH = re.findall(r"/health[^'\s]*", (ROOT / "roles/etcd/vars/main.yml").read_text())[0]


def write(cluster: Cluster, *, key: str = "key", size: int = 1 << 20) -> None:
    """Write one value; unlike etcdctl's argument it may be as large as etcd allows."""
    body = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(os.urandom(size)).decode()}
    Client.of(cluster.options(request_timeout=10)).first("/v3/kv/put", body)


def fill(cluster: Cluster, *, keys: str = "") -> None:
    """Write until etcd raises the alarm NOSPACE.

    :param keys: write new keys that begin with it, so that compaction frees nothing.
    """
    for number in range(512):
        try:
            if keys:
                write(cluster, key=f"{keys}{number}", size=256 << 10)
            else:
                write(cluster)
        except EtcdError as error:
            assert "database space exceeded" in str(error)
            return
    raise AssertionError("etcd takes more than its quota")


def full_cluster(cluster: Cluster, *names: str) -> Cluster:
    """Form a cluster with a small quota, and fill it."""
    cluster.form(*names, flags=(f"--quota-backend-bytes={QUOTA}",))
    fill(cluster)
    return cluster
