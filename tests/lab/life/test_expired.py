# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All certificates of a cluster have expired, its authorities too: one run of site.yml heals it."""

from __future__ import annotations

import datetime
import time
import typing as t

import pytest
from cryptography import x509
from playbook import run, variables
from support import local

if t.TYPE_CHECKING:
    from support import Cluster

pytestmark = pytest.mark.disruptive

AUTHORITIES = ["ca", "etcd-ca", "front-proxy-ca"]
# Certificates begin five minutes before they are made. A run has to end within the rest.
LIFETIME = "12m"


def _ends(cluster: Cluster) -> list[datetime.datetime]:
    found = [path for path in cluster.pki.glob("*.pem") if not path.name.endswith("-key.pem")]
    return [x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc for path in found]


def test_one_run_heals_a_cluster_whose_certificates_have_expired(cluster: Cluster, inventory: str) -> None:
    keys = {name: (cluster.pki / f"{name}-key.pem").read_bytes() for name in AUTHORITIES}
    short = dict.fromkeys(("ca_authority_expiry", "ca_expiry", "ca_admin_expiry"), LIFETIME)
    run(inventory, *variables(ca_renew_authorities=AUTHORITIES, **short))
    ends = _ends(cluster)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert now < min(ends)
    assert max(ends) < now + datetime.timedelta(minutes=8)
    time.sleep((max(ends) - now).total_seconds() + 5)
    url = f"https://{cluster.controllers[0].address}:6443/version"
    refused = local("curl", "--silent", "--max-time", "5", "--cacert", str(cluster.pki / "ca.pem"), url)
    assert refused.returncode == 60, "the API server's certificate has expired"
    refused_run = run(inventory, succeeds=False)
    assert "set 'renew: true' on this authority" in refused_run.output
    run(inventory, *variables(ca_renew_authorities=AUTHORITIES))
    assert min(_ends(cluster)) > now + datetime.timedelta(days=60)
    assert keys == {name: (cluster.pki / f"{name}-key.pem").read_bytes() for name in AUTHORITIES}
    assert "True" in {cluster.ready(worker) for worker in cluster.workers}
    assert run(inventory).changed == []
