# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeconfig files: content, checks, check mode, diffs. kubectl, which `make oracles` provides, is the oracle."""

from __future__ import annotations

import base64
import importlib
import json
import os
import pathlib
import platform
import shutil
import stat
import subprocess

import pytest
import yaml

from cache import cache_directory

MODULE = "kubeconfig"
TOKEN = "s3cr3t-t0ken-value"


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Pairs made by openssl: ca, admin, old (expired), server (no client auth), stray (another authority)."""
    directory = tmp_path_factory.mktemp("pki")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)

    def key(name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}-key.pem")

    for name in ("ca", "other"):
        key(name)
        openssl("req", "-x509", "-new", "-key", f"{name}-key.pem", "-subj", f"/CN={name}", "-days", "30",
                "-out", f"{name}.pem")  # fmt: skip

    def leaf(name, ca, usage, *dates):
        key(name)
        (directory / "ext").write_text(f"extendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n")
        openssl("req", "-new", "-key", f"{name}-key.pem", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}-key.pem",
                "-extfile", "ext", "-out", f"{name}.pem", *(dates or ("-days", "20")))  # fmt: skip

    leaf("admin", "ca", "clientAuth")
    leaf("node", "ca", "clientAuth,serverAuth")
    leaf("server", "ca", "serverAuth")
    leaf("stray", "other", "clientAuth")
    leaf("old", "ca", "clientAuth", "-days", "-1")
    return directory


@pytest.fixture
def pki(material, tmp_path):
    return shutil.copytree(material, tmp_path / "pki")


def entry(name="admin", **changes):
    return {
        "path": f"{name}.kubeconfig",
        "server": "https://127.0.0.1:6443",
        "certificate_authority": "ca.pem",
        "user": name,
        "client_certificate": f"{name}.pem",
        "client_key": f"{name}-key.pem",
        **changes,
    }


@pytest.fixture
def write(run_module, pki):
    def run(*entries, **options):
        return run_module(MODULE, directory=str(pki), kubeconfigs=list(entries), **options)

    return run


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


def test_the_file_is_the_one_of_the_article(write, pki):
    outcome = write(entry())
    assert not outcome.failed, outcome.message
    assert (
        (pki / "admin.kubeconfig").read_text()
        == f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {encoded(pki / "ca.pem")}
    server: https://127.0.0.1:6443
  name: kubernetes-the-hard-way
contexts:
- context:
    cluster: kubernetes-the-hard-way
    user: admin
  name: default
current-context: default
kind: Config
preferences: {{}}
users:
- name: admin
  user:
    client-certificate-data: {encoded(pki / "admin.pem")}
    client-key-data: {encoded(pki / "admin-key.pem")}
"""
    )
    assert stat.S_IMODE((pki / "admin.kubeconfig").stat().st_mode) == 0o600


def test_many_in_one_call(write, pki):
    entries = [entry(), entry("node", server="https://10.0.0.1:6443", context="node")]
    outcome = write(*entries)
    assert not outcome.failed, outcome.message
    assert [result["status"] for result in outcome.data["results"]] == ["created", "created"]
    assert outcome.data["results"][0]["days_left"] == 19
    admin, node = (yaml.safe_load((pki / f"{name}.kubeconfig").read_text()) for name in ("admin", "node"))
    assert admin["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert node["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"
    assert node["current-context"] == "node"
    inodes = [(pki / f"{name}.kubeconfig").stat().st_ino for name in ("admin", "node")]
    assert write(*entries).data["changed"] is False
    assert inodes == [(pki / f"{name}.kubeconfig").stat().st_ino for name in ("admin", "node")]


def test_paths_instead_of_data(write, pki):
    (pki / "deeper").mkdir()
    outcome = write(entry(path="deeper/config", embed_certs=False))
    assert not outcome.failed, outcome.message
    data = yaml.safe_load((pki / "deeper" / "config").read_text())
    assert data["clusters"][0]["cluster"]["certificate-authority"] == "../ca.pem"
    assert data["users"][0]["user"] == {"client-certificate": "../admin.pem", "client-key": "../admin-key.pem"}
    assert write(entry(path="deeper/config", embed_certs=False)).data["changed"] is False


def test_several_clusters_users_and_contexts(write, pki):
    login = {"command": "login", "args": ["--now", "1"], "env": {"MODE": "yes"}}
    entries = [
        {
            "path": "config", "context": "b", "cluster_name": "blue", "server": "https://blue:6443",
            "proxy_url": "http://proxy:3128", "user": "robot", "token": TOKEN, "namespace": "shop",
            "current_context": "a",
        },
        {
            "path": "config", "context": "a", "cluster_name": "green", "server": "https://green:6443",
            "tls_server_name": "kubernetes", "user": "man", "exec": login,
        },
        # A cluster may be said again, or be named; so may a user.
        {
            "path": "config", "context": "c", "cluster_name": "green", "server": "https://green:6443",
            "tls_server_name": "kubernetes", "user": "robot",
        },
        {"path": "config", "context": "d", "cluster_name": "blue", "user": "man", "exec": login},
    ]  # fmt: skip
    outcome = write(*entries)
    assert not outcome.failed, outcome.message
    assert [result["path"] for result in outcome.data["results"]] == [str(pki / "config")]
    data = yaml.safe_load((pki / "config").read_text())
    assert [cluster["name"] for cluster in data["clusters"]] == ["blue", "green"]
    assert data["users"][0]["user"]["exec"] == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "args": ["--now", "1"],
        "command": "login",
        "env": [{"name": "MODE", "value": "yes"}],
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
    }
    assert data["users"][1]["user"] == {"token": TOKEN}
    assert {context["name"]: context["context"] for context in data["contexts"]} == {
        "a": {"cluster": "green", "user": "man"},
        "b": {"cluster": "blue", "user": "robot", "namespace": "shop"},
        "c": {"cluster": "green", "user": "robot"},
        "d": {"cluster": "blue", "user": "man"},
    }
    assert data["current-context"] == "a"
    assert TOKEN not in outcome.output
    assert write(*entries).data["changed"] is False


CACHE = cache_directory()


@pytest.fixture(scope="session")
def kubectl_program(tmp_path_factory):
    """The kubectl of the artifact mirror, where it is without its mode."""
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = sorted((CACHE / "mirror").glob(f"dl.k8s.io/release/*/bin/linux/{arch}/kubectl"))
    if not found:
        pytest.fail(f"there is no kubectl in {CACHE / 'mirror'}: `make oracles` provides it", pytrace=False)
    program = tmp_path_factory.mktemp("kubectl") / "kubectl"
    shutil.copy(found[-1], program)
    program.chmod(0o755)
    return program


@pytest.fixture
def kubectl(kubectl_program, pki):
    """Runs `kubectl config` in the directory, on one of its files, and returns what it says."""

    def run(path, *arguments):
        return subprocess.run(
            [kubectl_program, "config", *arguments, f"--kubeconfig={path}"],
            check=True, capture_output=True, cwd=pki, text=True,
        ).stdout  # fmt: skip

    return run


@pytest.mark.parametrize("embed_certs", [True, False])
def test_kubectl_makes_the_same_file(write, pki, kubectl, embed_certs):
    embed = f"--embed-certs={str(embed_certs).lower()}"
    user = "system:node:admin"
    cluster = "kubernetes-the-hard-way"
    kubectl("theirs", "set-cluster", cluster, "--certificate-authority=ca.pem", embed, "--server=https://h:6443")
    kubectl("theirs", "set-credentials", user, "--client-certificate=admin.pem", "--client-key=admin-key.pem", embed)
    kubectl("theirs", "set-context", "default", f"--cluster={cluster}", f"--user={user}", "--namespace=kube-system")
    kubectl("theirs", "use-context", "default")
    params = entry(path="ours", user=user, server="https://h:6443", namespace="kube-system", embed_certs=embed_certs)
    write(params)
    ours, theirs = (yaml.safe_load((pki / name).read_text()) for name in ("ours", "theirs"))
    assert ours | {"preferences": {}} == theirs | {"preferences": {}}
    # A file that kubectl wrote fits as it is.
    assert write({**params, "path": "theirs"}).data["changed"] is False
    shown = json.loads(kubectl("ours", "view", "--raw", "-o", "json"))
    assert shown == json.loads(kubectl("theirs", "view", "--raw", "-o", "json"))
    assert shown["users"][0]["name"] == user


def test_kubectl_reads_every_field(write, kubectl):
    """client-go silently drops fields with names that it does not know."""
    cluster = {
        "path": "all", "cluster_name": "blue", "server": "https://blue:6443", "certificate_authority": "ca.pem",
        "tls_server_name": "api.blue", "proxy_url": "socks5://proxy:1080",
    }  # fmt: skip
    login = {
        "command": "login", "args": ["--for", "yes"], "env": {"REGION": "on"}, "install_hint": "install it",
        "interactive_mode": "Never", "provide_cluster_info": True,
    }  # fmt: skip
    outcome = write(
        {**cluster, "context": "a", "user": "t", "token": TOKEN, "namespace": "shop"},
        {**cluster, "context": "b", "user": "e", "exec": login, "current_context": "b"},
    )
    assert not outcome.failed, outcome.message
    shown = json.loads(kubectl("all", "view", "--raw", "-o", "json"))
    assert shown["current-context"] == "b"
    (cluster,) = shown["clusters"]
    assert cluster["cluster"].pop("certificate-authority-data")
    assert cluster["cluster"] == {
        "server": "https://blue:6443", "tls-server-name": "api.blue", "proxy-url": "socks5://proxy:1080",
    }  # fmt: skip
    assert {user["name"]: user["user"] for user in shown["users"]} == {
        "t": {"token": TOKEN},
        "e": {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1", "command": "login", "args": ["--for", "yes"],
                "env": [{"name": "REGION", "value": "on"}], "installHint": "install it", "interactiveMode": "Never",
                "provideClusterInfo": True,
            }
        },
    }  # fmt: skip
    assert {context["name"]: context["context"] for context in shown["contexts"]} == {
        "a": {"cluster": "blue", "user": "t", "namespace": "shop"},
        "b": {"cluster": "blue", "user": "e"},
    }


def test_another_layout_is_left_alone_and_another_content_is_not(write, pki):
    write(entry())
    path = pki / "admin.kubeconfig"
    data = yaml.safe_load(path.read_text())
    del data["preferences"]
    path.write_text(json.dumps(data))
    before = path.stat().st_mtime_ns
    assert write(entry()).data["changed"] is False
    assert path.stat().st_mtime_ns == before
    data["contexts"].append({"name": "mine", "context": {"cluster": "x", "user": "y"}})
    data["clusters"][0]["cluster"]["server"] = "https://elsewhere"
    path.write_text(json.dumps(data))
    outcome = write(entry())
    assert outcome.data["results"][0]["reasons"] == [
        "Cluster kubernetes-the-hard-way: server is https://elsewhere instead of https://127.0.0.1:6443",
        "Context mine is not wanted",
    ]


def test_a_new_certificate_is_noticed_and_never_shown(write, pki):
    write(entry())
    old_key = encoded(pki / "admin-key.pem")
    for suffix in (".pem", "-key.pem"):
        shutil.copy(pki / f"node{suffix}", pki / f"admin{suffix}")
    outcome = write(entry(), diff=True)
    assert outcome.data["results"][0]["reasons"] == [
        "User admin: client-certificate-data differs",
        "User admin: client-key-data differs",
    ]
    (diff,) = outcome.data["diff"]
    assert "client-key-data: (hidden)" in diff["before"]
    assert "client-key-data: (hidden, changed)" in diff["after"]
    assert "CN=node" in diff["after"]
    for secret in (old_key, encoded(pki / "admin-key.pem")):
        assert secret not in outcome.output


@pytest.mark.parametrize(
    "content",
    [
        "token: |\n  s3cr3t-t0ken-value\n",
        "users: [{name: a, user: {token: s3cr3t-t0ken-value}}]",
        "s3cr3t-t0ken-value: [",
        "note: s3cr3t-t0ken-value\nusers:\n- name: admin\n  user:\n    auth-provider: {c: s3cr3t-t0ken-value}",
        "users:\n- name: admin\n  user: {exec: {args: [s3cr3t-t0ken-value], env: [{value: s3cr3t-t0ken-value}]}}",
        "clusters: [s3cr3t-t0ken-value]\nusers: s3cr3t-t0ken-value",
    ],
)
def test_secrets_of_the_file_before_stay_hidden(write, pki, content):
    (pki / "admin.kubeconfig").write_text(content)
    outcome = write(entry(), diff=True)
    assert outcome.data["results"][0]["status"] == "updated"
    assert TOKEN not in outcome.output


def test_check_mode_predicts_and_writes_nothing(write, pki):
    outcome = write(entry(), check=True, diff=True)
    assert outcome.data["results"][0]["status"] == "created"
    assert not (pki / "admin.kubeconfig").exists()
    real = write(entry(), diff=True)
    assert real.data["diff"] == outcome.data["diff"]
    # On an empty host the certificates are predicted too, by the task before.
    (pki / "admin.pem").unlink()
    outcome = write(entry(path="new"), check=True)
    assert outcome.data["changed"] is True
    assert "not there yet" in outcome.data["results"][0]["reasons"][0]
    outcome = write(entry(path="new"))
    assert outcome.failed and "admin.pem does not exist" in outcome.message


def test_modes_and_backup(write, pki):
    write(entry())
    (pki / "admin.kubeconfig").chmod(0o644)
    outcome = write(entry())
    assert outcome.data["results"][0]["status"] == "unchanged"
    assert outcome.data["changed"] is True
    assert stat.S_IMODE((pki / "admin.kubeconfig").stat().st_mode) == 0o600
    before = (pki / "admin.kubeconfig").read_text()
    outcome = write(entry(namespace="x"), backup=True)
    backup = pki / outcome.data["results"][0]["backup_file"]
    assert backup.read_text() == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_several_authorities_are_embedded(write, pki):
    params = entry("stray", further_authorities=["other.pem", "ca.pem"])
    outcome = write(params)
    assert not outcome.failed, outcome.message
    cluster = yaml.safe_load((pki / "stray.kubeconfig").read_text())["clusters"][0]["cluster"]
    both = (pki / "ca.pem").read_text() + (pki / "other.pem").read_text()
    assert base64.b64decode(cluster["certificate-authority-data"]).decode() == both
    assert write(params).data["changed"] is False
    assert write(entry("stray", certificate_authority="other.pem")).data["changed"] is True


def test_a_further_authority_that_is_missing_is_named(write, pki):
    outcome = write(entry(further_authorities=["ca-next.pem"]))
    assert "ca-next.pem does not exist" in outcome.message
    assert not (pki / "admin.kubeconfig").exists()


@pytest.mark.parametrize("change", [{"embed_certs": False}, {"certificate_authority": None}])
def test_further_authorities_need_embedded_certificates(write, pki, change):
    outcome = write(entry(further_authorities=["other.pem"], **change))
    assert f"further_authorities is given, and {next(iter(change))} is" in outcome.message
    assert not (pki / "admin.kubeconfig").exists()


REFUSALS = [
    (entry(client_key="node-key.pem"), "client_key is not the key of client_certificate (CN=admin)"),
    (entry("old"), "expired on"),
    (entry("server"), "lack 'client auth'"),
    (entry("stray"), "(CN=stray) was not signed by certificate_authority (CN=ca)"),
    (entry(server="http://127.0.0.1:8080"), "must begin with https://"),
    (entry(server="127.0.0.1:6443"), "must begin with https://"),
    (entry(server="https://"), "there is no host in it"),
    (entry(server="https://h:99999999"), "which is not a URL"),
    (entry(server=None), "there is no cluster"),
    (entry(client_key=None), "has client_certificate but no client_key"),
    (entry(client_key=None, client_certificate=None), "nothing to log in with"),
    (entry(client_key="-----BEGIN EC PRIVATE KEY-----"), "client_key must be a path"),
    (entry(certificate_authority="admin-key.pem"), "admin-key.pem is not a PEM certificate"),
    (entry(client_certificate="nowhere.pem"), "nowhere.pem does not exist"),
    (entry(current_context="x"), "current_context 'x' is not among the contexts: default"),
    (entry(path="nowhere/config"), "nowhere does not exist"),
    (entry(proxy_url="ftp://user:s3cr3t-t0ken-value@h"), "proxy_url is 'ftp://...@h'"),
    (entry(token=TOKEN, exec={"command": "y"}), "both token and exec"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSALS, ids=[refusal[1][:30] for refusal in REFUSALS])
def test_refusals_name_file_and_field_and_nothing_is_written(write, pki, wrong, message):
    outcome = write(entry("node"), wrong)
    assert outcome.failed
    assert message in outcome.message
    assert TOKEN not in outcome.message
    assert not list(pki.glob("*.kubeconfig"))


SECOND_ENTRIES = [
    (entry(context="x", cluster_name="y", server=None, certificate_authority=None), "context x names the cluster 'y'"),
    (entry(cluster_name="y", server="https://y:6443"), "context 'default' occurs twice"),
    (entry(), "context 'default' occurs twice"),
    (entry(context="x", server="https://y:6443"), "cluster 'kubernetes-the-hard-way' occurs twice"),
    (entry(context="x", client_key="node-key.pem"), "user 'admin' occurs twice"),
    (entry(context="x", mode="0644"), "mode is '0600' in one of its entries and '0644' in another"),
    (entry(context="x", merge=True), "merge is False in one of its entries and True in another"),
    (entry(context="x", current_context="y"), "current_context is given as default and as y"),
    (entry(path="./admin.kubeconfig"), "are the same file"),
]


@pytest.mark.parametrize(("second", "message"), SECOND_ENTRIES, ids=[pair[1][:30] for pair in SECOND_ENTRIES])
def test_entries_of_one_file_that_contradict_each_other_are_refused(write, pki, second, message):
    outcome = write(entry(current_context="default"), second)
    assert outcome.failed
    assert message in outcome.message
    assert "admin.kubeconfig" in outcome.message
    assert not list(pki.glob("*.kubeconfig"))


def test_a_relative_path_needs_a_directory(run_module):
    outcome = run_module(MODULE, kubeconfigs=[entry()])
    assert outcome.failed and "'directory'" in outcome.message


def test_verify_can_be_left_out(write, pki):
    assert not write(entry("stray", verify=False)).failed


def test_a_chain_in_the_client_certificate_leads_to_the_authority(write, pki, run_module):
    config = {
        "signing": {
            "default": {"expiry": "1h"},
            "profiles": {
                "middle": {"usages": ["cert sign"], "expiry": "99h", "ca_constraint": {"is_ca": True}},
                "leaf": {"usages": ["client auth"], "expiry": "9h"},
            },
        }
    }
    made = run_module(
        "x509_cfssl_compat",
        directory=str(pki / "chain"),
        config=config,
        authorities=[{"name": "ca", "csr": {"CN": "root"}}],
        certificates=[
            {"name": "middle", "profile": "middle", "csr": {"CN": "middle"}},
            {"name": "leaf", "ca": "middle", "profile": "leaf", "csr": {"CN": "leaf"}},
        ],
    )
    assert not made.failed, made.message
    params = entry(
        certificate_authority="chain/ca.pem", client_certificate="chain/leaf.pem", client_key="chain/leaf-key.pem"
    )
    assert "was not signed by" in write(params).message
    with (pki / "chain" / "leaf.pem").open("ab") as stream:
        stream.write((pki / "chain" / "middle.pem").read_bytes())
    assert not write(params).failed


def test_check_mode_knows_what_an_earlier_task_changes(write, pki):
    write(entry())
    # The present file may be unusable: an earlier task of a real run repairs it.
    (pki / "admin.pem").write_text("not a certificate\n")
    (pki / "link").symlink_to(pki)
    predicted = write(entry(), changed_files=[str(pki / "link" / "admin.pem")], check=True, diff=True)
    assert predicted.data["changed_files"] == [str(pki / "admin.kubeconfig")]
    assert predicted.data["results"][0]["status"] == "updated"
    assert predicted.data["results"][0]["reasons"] == [f"It embeds {pki / 'admin.pem'}, which an earlier task changes"]
    assert "PRIVATE" not in predicted.output
    # Only what the file is made from counts, and only in check mode.
    unchecked = entry(verify=False)
    assert write(unchecked, changed_files=[str(pki / "ca.pem")]).data["changed"] is True  # admin.pem
    assert write(unchecked, changed_files=[str(pki / "other.pem")], check=True).data["changed"] is False
    refused = write(entry(), changed_files=[str(pki / "admin.pem")])
    assert refused.failed
    assert "not a PEM certificate" in refused.message


def test_paths_of_changed_files_stay_the_same(write, pki):
    write(entry(embed_certs=False))
    changing = [str(pki / name) for name in ("ca.pem", "admin.pem", "admin-key.pem")]
    assert write(entry(embed_certs=False), changed_files=changing, check=True).data["changed"] is False


FOREIGN = """\
# mine
apiVersion: v1
kind: Config
clusters:
- name: blue
  cluster: {server: "https://blue:6443", insecure-skip-tls-verify: true, extensions: [{name: a, extension: {n: 1}}]}
- name: kubernetes-the-hard-way
  cluster: {server: "https://old:6443"}
users:
- name: me
  user: {auth-provider: {name: oidc, config: {expiry: 2026-01-01T00:00:00Z, id-token: s3cr3t-of-oidc, "n": "007"}}}
contexts:
- name: blue
  context: {cluster: blue, user: me}
current-context: blue
preferences: {colors: true}
"""


def test_merge_changes_the_named_entries_alone(write, pki):
    path = pki / "config"
    path.write_text(FOREIGN)
    params = entry(path="config", merge=True)
    predicted = write(params, check=True, diff=True)
    assert path.read_text() == FOREIGN
    outcome = write(params, diff=True)
    assert not outcome.failed, outcome.message
    assert predicted.data["results"] == [{**outcome.data["results"][0]}]
    assert "s3cr3t" not in outcome.output
    before, after = (yaml.load(text, Loader=yaml.BaseLoader) for text in (FOREIGN, path.read_text()))
    assert after["clusters"][0] == before["clusters"][0]
    assert after["clusters"][1]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert after["users"] == [before["users"][0], after["users"][1]]
    assert [context["name"] for context in after["contexts"]] == ["blue", "default"]
    assert after["preferences"] == before["preferences"]
    assert after["current-context"] == "blue" == outcome.data["results"][0]["current_context"]
    assert write(params).data["changed"] is False
    assert write({**params, "current_context": "default"}).data["results"][0]["current_context"] == "default"
    assert write(params).data["changed"] is False
    alone = {"path": "config", "merge": True, "current_context": "blue"}
    assert write(alone).data["results"][0]["reasons"] == ["Current-context is default instead of blue"]
    assert "the entry is empty" in write({"path": "config", "merge": True}).message
    # Only entries that are in the file can be named.
    context = {"path": "config", "merge": True, "context": "n", "cluster_name": "blue", "user": "admin"}
    assert write(context).data["changed"] is True
    context["user"] = "nobody"
    assert "names the user 'nobody'. There is only: me, admin." in write(context).message


def test_kubectl_reads_what_was_merged(write, pki, kubectl):
    (pki / "config").write_text(FOREIGN)
    write(entry(path="config", merge=True, current_context="default"))
    data = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    assert data["current-context"] == "default"
    assert {user["name"] for user in data["users"]} == {"me", "admin"}
    me = next(user for user in data["users"] if user["name"] == "me")
    assert me["user"]["auth-provider"]["config"] == {
        "expiry": "2026-01-01T00:00:00Z", "id-token": "s3cr3t-of-oidc", "n": "007",
    }  # fmt: skip


def test_merge_without_a_file_makes_one(write, pki):
    assert write(entry(merge=True)).data["results"][0]["status"] == "created"
    assert yaml.safe_load((pki / "admin.kubeconfig").read_text())["current-context"] == "default"
    assert write(entry()).data["changed"] is False


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "- a\n",
        "kind: Pod\n",
        "clusters: 5\n",
        "users: [x]\n",
        "contexts: [{name: 7}]\n",
        "clusters: [{name: {colors: true}}]\n",
        "\x00",
        "a: !!python/x y",
    ],
)
def test_merge_never_overwrites_what_it_cannot_read(write, pki, content):
    (pki / "config").write_text(content)
    outcome = write(entry(path="config", merge=True))
    assert outcome.failed
    assert "was not changed" in outcome.message
    assert (pki / "config").read_text() == content


def test_a_symbolic_link_is_written_through(write, pki):
    (pki / "elsewhere").mkdir()
    target, link = pki / "elsewhere" / "real", pki / "admin.kubeconfig"
    link.symlink_to("elsewhere/real")
    outcome = write(entry())
    assert not outcome.failed, outcome.message
    assert outcome.data["results"][0]["status"] == "created", "a link to a file that is still to be made"
    assert os.readlink(link) == "elsewhere/real"
    first = target.stat().st_ino
    outcome = write(entry(namespace="shop"))
    assert outcome.data["changed_files"] == [str(link)]
    assert os.readlink(link) == "elsewhere/real"
    assert yaml.safe_load(target.read_text())["contexts"][0]["context"]["namespace"] == "shop"
    assert target.stat().st_ino != first, "the target is replaced as a whole"
    assert os.listdir(pki / "elsewhere") == ["real"]
    assert write(entry(namespace="shop")).data["changed"] is False


@pytest.mark.parametrize("linked", [False, True])
def test_a_backup_has_mode_and_owner_of_the_original_from_its_first_byte(write, pki, monkeypatch, linked):
    write(entry())
    path = pki / "admin.kubeconfig"
    if linked:
        path.rename(pki / "real")
        path.symlink_to("real")
    os.chown(path, *((1, 1) if os.getuid() == 0 else (-1, os.getgroups()[-1])))
    path.chmod(0o640)
    owner = (path.stat().st_uid, path.stat().st_gid)
    seen = []
    really_open = os.open

    def watched(name, flags, mode=0o777, **options):
        if flags & os.O_CREAT and "~" in str(name):
            seen.append(mode)
        return really_open(name, flags, mode, **options)

    monkeypatch.setattr(os, "open", watched)
    before = path.read_bytes()
    outcome = write(entry(namespace="shop"), backup=True)
    backup = pathlib.Path(outcome.data["results"][0]["backup_file"])
    assert backup.parent == pki
    assert backup.read_bytes() == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    assert (backup.stat().st_uid, backup.stat().st_gid) == owner
    assert seen == [0o600]


def test_a_link_of_another_user_does_not_lead_to_files_of_a_third(write, pki, monkeypatch):
    link = pki / "admin.kubeconfig"
    link.symlink_to("/kubeconfig-of-a-test")
    if os.geteuid() == 0:
        os.lchown(link, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
    for options in ({"check": True}, {}):
        outcome = write(entry(), **options)
        assert outcome.failed
        assert f"{link} is a symbolic link to /kubeconfig-of-a-test, and its owner does not own /." in outcome.message
    assert not os.path.lexists("/kubeconfig-of-a-test")


def test_links_in_a_circle_are_refused(write, pki):
    (pki / "admin.kubeconfig").symlink_to("node.kubeconfig")
    (pki / "node.kubeconfig").symlink_to("admin.kubeconfig")
    outcome = write(entry())
    assert outcome.failed and "lead in a circle" in outcome.message


@pytest.mark.parametrize("library", ["CRYPTOGRAPHY_ERROR", "YAML_ERROR"])
def test_a_missing_library_is_named(write, monkeypatch, library):
    module = importlib.import_module(f"ansible_collections.hardway.kubernetes.plugins.modules.{MODULE}")
    monkeypatch.setattr(module, library, ImportError("it is not there"))
    outcome = write(entry())
    assert outcome.failed
    assert {"CRYPTOGRAPHY_ERROR": "cryptography", "YAML_ERROR": "PyYAML"}[library] in outcome.message
    assert "Failed to import the required Python library" in outcome.message


# --- from another kubeconfig -----------------------------------------------------------------------


@pytest.fixture
def content(write, pki):
    """The text of a kubeconfig, as a task reads it on the control node."""
    outcome = write(entry(path="source", namespace="shop", tls_server_name="kubernetes", proxy_url="http://proxy:3128"))
    assert not outcome.failed, outcome.message
    return (pki / "source").read_text()


RENAMED = {"path": "config", "merge": True, "context": "lab", "cluster_name": "lab", "user": "lab-admin"}


def test_the_context_of_another_kubeconfig_is_merged(write, pki, content):
    path = pki / "config"
    path.write_text(FOREIGN)
    predicted = write({**RENAMED, "content": content}, check=True, diff=True)
    assert path.read_text() == FOREIGN
    outcome = write({**RENAMED, "content": content}, diff=True)
    assert not outcome.failed, outcome.message
    assert (predicted.data["results"], predicted.data["diff"]) == (outcome.data["results"], outcome.data["diff"])
    assert outcome.data["results"][0]["days_left"] == 19
    for secret in ("s3cr3t", encoded(pki / "admin-key.pem"), "PRIVATE KEY"):
        assert secret not in outcome.output
    before, source, after = (yaml.load(text, Loader=yaml.BaseLoader) for text in (FOREIGN, content, path.read_text()))
    assert after["clusters"] == [*before["clusters"], {"name": "lab", "cluster": source["clusters"][0]["cluster"]}]
    assert after["users"] == [*before["users"], {"name": "lab-admin", "user": source["users"][0]["user"]}]
    lab = {"name": "lab", "context": {"cluster": "lab", "user": "lab-admin", "namespace": "shop"}}
    assert after["contexts"] == [*before["contexts"], lab]
    assert after["current-context"] == "blue"
    assert write({**RENAMED, "content": content}).data["changed"] is False
    # A certificate that was renewed on the control node replaces that of the entry alone.
    for suffix in (".pem", "-key.pem"):
        shutil.copy(pki / f"node{suffix}", pki / f"admin{suffix}")
    write(entry(path="source"))
    outcome = write({**RENAMED, "content": (pki / "source").read_text()})
    assert "User lab-admin: client-certificate-data differs" in outcome.data["results"][0]["reasons"]
    assert yaml.load(path.read_text(), Loader=yaml.BaseLoader)["users"][0] == before["users"][0]


def test_the_names_of_another_kubeconfig_stay_where_none_are_given(write, pki, content):
    outcome = write({"path": "config", "content": content})
    assert not outcome.failed, outcome.message
    assert (pki / "config").read_text() == content


def test_another_kubeconfig_keeps_its_program_and_token(write, pki):
    login = {"command": "login", "args": ["--now"], "env": {"MODE": "yes"}, "install_hint": "install it",
             "interactive_mode": "Never", "provide_cluster_info": True}  # fmt: skip
    cluster = {"path": "source", "server": "https://h:6443"}
    for credentials in ({"token": TOKEN}, {"exec": login}):
        write({**cluster, "user": "u", **credentials})
        source = (pki / "source").read_text()
        outcome = write({"path": "config", "content": source})
        assert not outcome.failed, outcome.message
        assert (pki / "config").read_text() == source
        assert TOKEN not in outcome.output


def test_check_mode_expects_another_kubeconfig_to_be_made(write, pki, content):
    (pki / "config").write_text(FOREIGN)
    outcome = write({**RENAMED, "content": ""}, check=True)
    assert not outcome.failed, outcome.message
    assert outcome.data["changed_files"] == [str(pki / "config")]
    outcome = write({**RENAMED, "content": ""})
    assert outcome.failed and "content is empty" in outcome.message
    assert (pki / "config").read_text() == FOREIGN


DAMAGE = [
    (("", "{"), "content is not YAML"),
    (("kind: Config", "kind: Pod"), "content is not a kubeconfig"),
    (("current-context: default", "current-context: x"), "the context in use is 'x', and the contexts are: default"),
    (("cluster: kubernetes-the-hard-way", "cluster: y"), "names 'y', which is not among its clusters"),
    (("certificate-authority-data: ", "certificate-authority-data: ~"), "certificate-authority-data is not base64"),
    (
        ("server: https", "insecure-skip-tls-verify: true\n    server: https"),
        "has insecure-skip-tls-verify, ",
    ),
    (("client-key-data:", "client-key:"), "has client-key, which would be lost"),
    (("server: https", "server: http"), "must begin with https://"),
    (("server: https://127.0.0.1:6443", "server: 7"), "server is not text"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[damage[1][:30] for damage in DAMAGE])
def test_another_kubeconfig_is_checked(write, pki, content, damage, message):
    outcome = write({**RENAMED, "content": content.replace(*damage, 1)})
    assert outcome.failed
    assert message in outcome.message
    assert str(pki / "config") in outcome.message
    assert not (pki / "config").exists()


def test_the_certificate_in_another_kubeconfig_is_checked(write, pki):
    write(entry("stray", path="source", verify=False))
    source = (pki / "source").read_text()
    assert "was not signed by" in write({**RENAMED, "content": source}).message
    assert not write({**RENAMED, "content": source, "verify": False}).failed
    assert "mutually exclusive" in write({**RENAMED, "content": source, "server": "https://h"}).message


@pytest.mark.parametrize("name", ["admin.pem", "admin-key.pem", "ca.pem"])
def test_a_file_in_a_vault(write, pki, name):
    (pki / name).write_text("$ANSIBLE_VAULT;1.1;AES256\n36\n")
    message = write(entry()).message
    assert f"{pki / name} is encrypted with ansible-vault" in message
    assert f"ansible-vault decrypt {pki / name}" in message
