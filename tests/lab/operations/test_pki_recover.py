# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PKI directory of a running cluster is lost, and comes back from the controllers. docs/operate/certificates.md."""

from __future__ import annotations

import shutil
import typing as t

import pytest
from playbook import run, variables

if t.TYPE_CHECKING:
    from support import Cluster

pytestmark = pytest.mark.disruptive

RECOVERED = (
    "ca.pem",
    "etcd-ca.pem",
    "front-proxy-ca.pem",
    "service-account.pem",
    "service-account-key.pem",
    "encryption-config.yaml",
)

BACKED_UP = ("ca-key.pem", "etcd-ca-key.pem")


def test_a_lost_directory_comes_back(cluster: Cluster, namespace: str, inventory: str, pod_network: str) -> None:
    cluster.kubectl("create", "secret", "generic", "kept", "--from-literal=word=mellon", f"--namespace={namespace}")
    token = cluster.kubectl("create", "token", "default", f"--namespace={namespace}")
    names = (*RECOVERED, "weave-password") if pod_network == "weave" else RECOVERED
    originals = {name: (cluster.pki / name).read_bytes() for name in names}
    aside = cluster.pki.with_name("pki-aside")
    cluster.pki.rename(aside)
    try:
        refused = run(inventory, succeeds=False)
        assert refused.changed == []
        assert "hardway.kubernetes.pki_recover" in " ".join(refused.failures)
        assert not cluster.pki.exists() or list(cluster.pki.iterdir()) == []
        recovered = run(inventory, playbook="playbooks/pki_recover.yml")
        assert "only a backup has it: ca-key.pem, etcd-ca-key.pem, front-proxy-ca-key.pem" in recovered.output
        assert {path.name: path.read_bytes() for path in cluster.pki.iterdir()} == originals
        # Without the key of an authority it can issue no certificate. Two come from the backup.
        for key in BACKED_UP:
            lacking = run(inventory, succeeds=False)
            assert lacking.changed == []
            assert f"{key} is missing" in " ".join(lacking.failures)
            shutil.copy2(aside / key, cluster.pki / key)
        lacking = run(inventory, succeeds=False)
        assert lacking.changed == []
        assert "front-proxy-ca-key.pem is missing" in " ".join(lacking.failures)
        run(inventory, *variables(ca_new_front_proxy_authority=True))
        assert run(inventory).changed == []
    except BaseException:
        # The lab goes on with the directory that it had.
        shutil.rmtree(cluster.pki, ignore_errors=True)
        aside.rename(cluster.pki)
        raise
    shutil.rmtree(aside)
    # Secrets are readable, tokens are valid, and the API serves with certificates of the same authority.
    asked = ("get", "secret", "kept", f"--namespace={namespace}", "--output=jsonpath={.data.word}")
    assert cluster.kubectl(*asked) == "bWVsbG9u"
    server = cluster.kubectl("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")
    whoami = cluster.kubectl(
        "auth", "whoami", "--kubeconfig=/dev/null", f"--server={server}", "--insecure-skip-tls-verify",
        f"--token={token.strip()}", "--output=jsonpath={.status.userInfo.username}",
    )  # fmt: skip
    assert whoami == f"system:serviceaccount:{namespace}:default"
    run(inventory, playbook="playbooks/smoke.yml")
