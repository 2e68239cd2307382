# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys are rotated while clients work, killed and continued; etcdctl, kubectl and openssl are the witnesses."""

from __future__ import annotations

import base64
import json
import pathlib
import random
import re
import subprocess
import time
import typing as t

import pytest
import yaml
from playbook import killed, run, variables
from support import local

if t.TYPE_CHECKING:
    from serving import Serving
    from support import Cluster

pytestmark = pytest.mark.disruptive

ENCRYPTION = "playbooks/rotate_encryption_key.yml"
ACCOUNT = "playbooks/rotate_service_account_key.yml"
SECRETS = 30
SEED = 20261128


def _keys(cluster: Cluster) -> list[str]:
    """Return provider and name of each key of the PKI directory, the one that writes first."""
    document = yaml.safe_load((cluster.pki / "encryption-config.yaml").read_text(encoding="utf-8"))
    providers = [provider for entry in document["resources"] for provider in entry["providers"]]
    return [
        f"{name}:v1:{key['name']}"
        for provider in providers
        for name, options in provider.items()
        for key in (options or {}).get("keys", [])
    ]


def _in_etcd(cluster: Cluster, path: str) -> dict[str, int]:
    """Return how many values below a path have which beginning."""
    listed = json.loads(cluster.etcdctl(cluster.members[0], "get", "--prefix", path, "--write-out=json"))
    found: dict[str, int] = {}
    for entry in listed.get("kvs", []):
        value = base64.b64decode(entry["value"])[:200].decode("latin-1")
        known = re.match(r"k8s:enc:(\w+:v1:\w+):", value)
        kind = known[1] if known else "plain"
        found[kind] = found.get(kind, 0) + 1
    return found


def _hosts_are_in_step(cluster: Cluster) -> bool:
    own = (cluster.pki / "encryption-config.yaml").read_text(encoding="utf-8")
    path = "/var/lib/kubernetes/encryption-config.yaml"
    return all(node.out("cat", path) == own for node in cluster.controllers)


@pytest.fixture
def secrets(cluster: Cluster, namespace: str) -> t.Iterator[dict[str, str]]:
    """Secrets with a content that is known."""
    values = {f"rotated-{number}": f"value {number}" for number in range(SECRETS)}
    cluster.apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "stringData": {"value": value},
                "immutable": len(value) % 2 == 0,
            }
            for name, value in values.items()
        )
    )
    yield values
    cluster.kubectl("delete", "secret", f"--namespace={namespace}", *values)


def _read(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Return the content of the Secrets, through the API."""
    listed = cluster.get("secret", f"--namespace={namespace}")["items"]
    return {
        entry["metadata"]["name"]: base64.b64decode(entry["data"]["value"]).decode()
        for entry in listed
        if entry["metadata"]["name"].startswith("rotated-")
    }


def test_the_encryption_key_is_replaced(
    cluster: Cluster, inventory: str, namespace: str, serving: Serving, secrets: dict[str, str]
) -> None:
    (old,) = _keys(cluster)
    assert set(_in_etcd(cluster, "/registry/secrets/")) == {old}
    predicted = run(inventory, "--check", playbook=ENCRYPTION)
    assert "A run makes a new key" in predicted.output
    assert _keys(cluster) == [old]
    with serving.during("rotation of the encryption key"):
        run(inventory, playbook=ENCRYPTION)
    (new,) = _keys(cluster)
    assert new != old
    assert set(_in_etcd(cluster, "/registry/secrets/")) == {new}
    assert _hosts_are_in_step(cluster)
    assert _read(cluster, namespace) == secrets
    assert run(inventory).changed == []


def test_another_provider_and_more_resources(
    cluster: Cluster, inventory: str, namespace: str, serving: Serving, secrets: dict[str, str]
) -> None:
    (old,) = _keys(cluster)
    other = "aescbc" if old.startswith("secretbox") else "secretbox"
    wanted = variables(ca_encryption_provider=other, ca_encryption_resources=["secrets", "configmaps"])
    refused = run(inventory, *wanted, succeeds=False)
    assert refused.changed == []
    assert "playbooks/rotate_encryption_key.yml" in " ".join(refused.failures)
    assert set(_in_etcd(cluster, "/registry/configmaps/")) == {"plain"}
    with serving.during(f"rotation of the encryption key to {other}"):
        run(inventory, *wanted, playbook=ENCRYPTION)
    (new,) = _keys(cluster)
    assert new.startswith(other)
    for path in ("/registry/secrets/", "/registry/configmaps/"):
        assert set(_in_etcd(cluster, path)) == {new}
    assert _read(cluster, namespace) == secrets
    assert run(inventory, *wanted).changed == []
    # The lab goes on with what its inventory says. Nothing decrypts, so that the file is put there by hand.
    kept = yaml.safe_load((cluster.pki / "encryption-config.yaml").read_text(encoding="utf-8"))
    more = variables(ca_encryption_resources=["secrets", "configmaps"])
    run(inventory, *more, playbook=ENCRYPTION)
    (last,) = _keys(cluster)
    assert last.startswith(old.partition(":")[0])
    _decrypt_config_maps(cluster, inventory, kept, more)
    assert run(inventory).changed == []


def _decrypt_config_maps(cluster: Cluster, inventory: str, kept: dict[str, t.Any], more: tuple[str, ...]) -> None:
    """Let ConfigMaps be written unencrypted, as Kubernetes' documentation does it, and leave them out then."""
    path = cluster.pki / "encryption-config.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    (entry,) = document["resources"]
    plain = {"resources": ["configmaps"], "providers": [{"identity": {}}, entry["providers"][0]]}
    alone = {**entry, "resources": ["secrets"]}
    path.write_text(yaml.safe_dump({**kept, "resources": [alone, plain]}), encoding="utf-8")
    run(inventory, *more, "--tags=apiserver")
    cluster.client.out(
        "sh", "-c", "kubectl get configmaps --all-namespaces --output=json | kubectl replace --filename=-"
    )
    assert set(_in_etcd(cluster, "/registry/configmaps/")) == {"plain"}
    path.write_text(yaml.safe_dump({**kept, "resources": [alone]}), encoding="utf-8")
    run(inventory, "--tags=apiserver")


def test_a_killed_rotation_is_continued_and_not_turned_back(
    cluster: Cluster, inventory: str, namespace: str, serving: Serving, secrets: dict[str, str]
) -> None:
    choose = random.Random(SEED)
    (old,) = _keys(cluster)
    with serving.during("rotations of the encryption key that are killed"):
        for _number in range(4):
            before = _keys(cluster)
            killed(inventory, after=choose.uniform(5, 60), playbook=ENCRYPTION)
            # A run of site.yml serves what the file says.
            after = _keys(cluster)
            run(inventory)
            assert _keys(cluster) == after
            assert _hosts_are_in_step(cluster)
            assert _read(cluster, namespace) == secrets
            assert max(int(key.rpartition("key")[2]) for key in after) >= max(
                int(key.rpartition("key")[2]) for key in before
            )
        run(inventory, playbook=ENCRYPTION)
    (new,) = _keys(cluster)
    assert new != old
    assert set(_in_etcd(cluster, "/registry/secrets/")) == {new}
    assert _read(cluster, namespace) == secrets


# --- the service account's key --------------------------------------------------------------------

# Seconds for which API servers remember that they accepted a token, and some.
CACHED = 15


def _token(cluster: Cluster, namespace: str) -> str:
    return cluster.kubectl("create", "token", "default", f"--namespace={namespace}", "--duration=2h").strip()


def _accepted(cluster: Cluster, token: str) -> set[bool]:
    """Return whether API servers accept a token, each asked on its own host."""
    body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    found = set()
    for node in cluster.controllers:
        asked = local(
            *("curl", "--silent", "--insecure", "--max-time", "5", "--request", "POST", "--data", body),
            *("--header", "Content-Type: application/json"),
            *("--header", f"Authorization: Bearer {token}"),
            f"https://{node.address}:6443/apis/authentication.k8s.io/v1/selfsubjectreviews",
        )
        found.add("system:serviceaccount" in asked.stdout)
    return found


def _kid(token: str) -> str:
    header = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


def _kid_of(path: pathlib.Path) -> str:
    """Return what openssl makes of a certificate's key, as a token names it."""
    done = subprocess.run(
        ["sh", "-c", f"openssl x509 -in '{path}' -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum"],
        capture_output=True,
        text=True,
        check=True,
    )
    return base64.urlsafe_b64encode(bytes.fromhex(done.stdout.split()[0])).decode().rstrip("=")


def _create_pods_again(cluster: Cluster) -> None:
    """Give the pods of the system tokens of the key that signs."""
    for kind in ("daemonset", "deployment"):
        for name in cluster.kubectl("get", kind, "--namespace=kube-system", "--output=name").split():
            cluster.kubectl("rollout", "restart", "--namespace=kube-system", name)
            cluster.kubectl("rollout", "status", "--namespace=kube-system", "--timeout=180s", name)


def test_the_service_account_key_is_replaced(
    cluster: Cluster, inventory: str, namespace: str, serving: Serving
) -> None:
    old = _token(cluster, namespace)
    assert _kid(old) == _kid_of(cluster.pki / "service-account.pem")
    assert "A run makes a new key" in run(inventory, "--check", playbook=ACCOUNT).output
    assert _kid(_token(cluster, namespace)) == _kid(old)
    with serving.during("rotation of the service account's key"):
        begun = run(inventory, playbook=ACCOUNT)
    assert "Run the playbook again after that" in begun.output
    new = _token(cluster, namespace)
    assert _kid(new) == _kid_of(cluster.pki / "service-account.pem") != _kid(old)
    assert _kid_of(cluster.pki / "service-account-previous.pem") == _kid(old)
    assert _accepted(cluster, old) == _accepted(cluster, new) == {True}
    assert run(inventory).changed == []
    waiting = run(inventory, playbook=ACCOUNT)
    assert waiting.changed == []
    assert "Run the playbook again after that" in waiting.output
    # As if a day were over: pods have tokens of the new key.
    _create_pods_again(cluster)
    ended = run(inventory, *variables(rotate_service_account_key_revoke_now=True), playbook=ACCOUNT)
    assert "The API refuses tokens of the old key" in ended.output
    assert not list(cluster.pki.glob("service-account-[np]*"))
    assert _accepted(cluster, new) == {True}
    time.sleep(CACHED)
    assert _accepted(cluster, old) == {False}
    assert run(inventory).changed == []


def test_the_service_account_key_is_revoked_at_once(cluster: Cluster, inventory: str, namespace: str) -> None:
    names = ("service-account.pem", "service-account-key.pem")
    kept = {name: (cluster.pki / name).read_bytes() for name in names}
    old = _token(cluster, namespace)
    done = run(inventory, *variables(rotate_service_account_key_revoke_now=True), playbook=ACCOUNT)
    assert "The API refuses tokens of the old key" in done.output
    time.sleep(CACHED)
    assert _accepted(cluster, old) == {False}
    assert _accepted(cluster, _token(cluster, namespace)) == {True}
    assert not list(cluster.pki.glob("service-account-[np]*"))
    _create_pods_again(cluster)
    assert run(inventory).changed == []
    # A copy of the directory from before would turn the cluster back.
    newer = {name: (cluster.pki / name).read_bytes() for name in names}
    try:
        for name, content in kept.items():
            (cluster.pki / name).write_bytes(content)
        refused = run(inventory, succeeds=False)
    finally:
        for name, content in newer.items():
            (cluster.pki / name).write_bytes(content)
    assert refused.changed == []
    assert "is another service account's key" in " ".join(refused.failures)
    assert run(inventory).changed == []
