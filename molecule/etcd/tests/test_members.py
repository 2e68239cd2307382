# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to the members of an etcd cluster in its life, in that order, while somebody writes."""

from __future__ import annotations

import datetime
import json
import time

import pytest
from conftest import CLUSTER, STATE, Writer, converge, etcdctl, members, module, on, playbook
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

THREE = ["etcd01", "etcd02", "etcd03"]
FIVE = [*THREE, "etcd04", "etcd05"]


def lose_data(host: str) -> None:
    on(host, "systemctl", "kill", "--signal=KILL", "etcd")
    on(host, "systemctl", "stop", "etcd")
    on(host, "rm", "-r", "/var/lib/etcd/member")


def expired_certificate() -> bytes:
    """A client certificate of the cluster's own authority whose time is over, with its key."""
    authority = x509.load_pem_x509_certificate((STATE / "pki" / "etcd-ca.pem").read_bytes())
    signer = serialization.load_pem_private_key((STATE / "pki" / "etcd-ca-key.pem").read_bytes(), None)
    key = (STATE / "pki" / "etcdctl-key.pem").read_bytes()
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "expired")]))
        .issuer_name(authority.subject)
        .public_key(serialization.load_pem_private_key(key, None).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now - datetime.timedelta(days=1))
        .sign(signer, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM) + key


def test_formed(writer):
    assert sorted(members("etcd01")) == THREE
    info = module("etcd02", "etcd_member_info")
    assert (info["voting"], info["quorum"], info["tolerates"]) == (3, 2, 1)
    assert {member["id"] for member in info["members"]} == set(members("etcd01").values())
    plain = on(
        "etcd01",
        "python3",
        "-c",
        "import urllib.request as r; r.urlopen('http://10.241.0.11:2379/health')",
        check=False,
    )
    assert plain == ""


def test_errors_name_endpoint_and_cause():
    message = module("etcd01", "etcd_member_info", ca_cert="/etc/etcd/etcdctl.pem")["msg"]
    assert message.startswith("https://127.0.0.1:2379: certificate not trusted")
    message = module("etcd01", "etcd_member_info", endpoints=["https://10.241.0.14:2379"])["msg"]
    assert message.startswith("https://10.241.0.14:2379: connection refused")
    on("etcd01", "sh", "-c", "cat > /run/expired.pem", stdin=expired_certificate())
    expired = {"client_cert": "/run/expired.pem", "client_key": "/run/expired.pem"}
    message = module("etcd01", "etcd_member_info", **expired)["msg"]
    assert message.startswith("https://127.0.0.1:2379: client certificate not accepted")
    assert "expired" in message


def test_a_removal_that_would_lose_the_quorum_is_refused():
    on("etcd03", "systemctl", "stop", "etcd")
    refused = module("etcd01", "etcd_member", name="etcd02", state="absent")
    assert "without it 1 of 2 voting members would be healthy and 2 are needed" in refused["msg"]
    assert "etcd03" in refused["msg"]
    on("etcd03", "systemctl", "start", "etcd")
    assert sorted(members("etcd01")) == THREE


def test_a_member_that_lost_its_data(writer):
    before = members("etcd01")
    lose_data("etcd02")
    refused = converge()
    assert refused.code != 0
    assert "has no data any more, so it must not take part under that ID again" in refused.output
    since = time.time()
    playbook("playbooks/etcd_replace_member.yml", "-e", "etcd_lost=etcd02").ok()
    after = members("etcd01")
    assert sorted(after) == THREE
    assert after["etcd02"] != before["etcd02"]
    assert writer.longest_gap(since) < 3, "two of three go on writing"
    assert set(converge().ok().changed.values()) == {0}


def test_a_member_that_is_well_is_not_replaced():
    refused = playbook("playbooks/etcd_replace_member.yml", "-e", "etcd_lost=etcd03")
    assert refused.code != 0
    assert "etcd03 is healthy and has not lost its data" in refused.output


def test_five_and_three_again(writer):
    since = time.time()
    starts = {host: on(host, "systemctl", "show", "etcd", "--property=MainPID") for host in THREE}
    converge(inventories=["inventory", "five"]).ok()
    assert sorted(members("etcd01")) == FIVE
    assert set(converge(inventories=["inventory", "five"]).ok().changed.values()) == {0}
    converge().ok()
    assert sorted(members("etcd01")) == THREE
    assert set(converge().ok().changed.values()) == {0}
    assert {host: on(host, "systemctl", "show", "etcd", "--property=MainPID") for host in THREE} == starts
    assert writer.longest_gap(since) < 3
    # They come back only without their old data.
    again = converge(inventories=["inventory", "five"])
    assert again.code != 0
    assert "which is not in the cluster any more" in again.output


def test_a_changed_unit_restarts_one_member_at_a_time(writer):
    since = time.time()
    converge("-e", '{"etcd_extra_flags": {"auto-compaction-retention": "8"}}').ok()
    starts = [on(host, "systemctl", "show", "etcd", "--property=ActiveEnterTimestampMonotonic") for host in THREE]
    assert len(set(starts)) == 3
    # The writer goes through one member, and that one was away for a moment.
    assert writer.longest_gap(since) < 15
    on("etcd03", "systemctl", "stop", "etcd")
    refused = converge("-e", "etcd_timeout=3", "--limit", "etcd01")
    assert refused.code != 0
    assert "etcd.service was not restarted: on another host it is not healthy" in refused.output
    on("etcd03", "systemctl", "start", "etcd")
    converge().ok()


def test_no_acknowledged_write_is_missing(writer):
    writer.stop()
    acknowledged = writer.acknowledged()
    assert len(acknowledged) > 500
    assert writer.missing() == []
    print(f"{len(acknowledged)} writes acknowledged, none missing; longest gap {writer.longest_gap():.1f} s")


def test_backup_and_restore():
    etcdctl("etcd01", "put", "before", "kept")
    playbook("playbooks/etcd_backup.yml").ok()
    (snapshot,) = sorted((STATE / "backup").glob("*.db"))[-1:]
    assert snapshot.stat().st_mode & 0o777 == 0o600
    noted = json.loads(snapshot.with_suffix(".json").read_text())
    assert snapshot.with_suffix(".json").stat().st_mode & 0o777 == 0o600
    assert noted["cluster"] == CLUSTER
    assert noted["member"] in THREE
    assert noted["key_count"] == len(etcdctl("etcd01", "get", "", "--prefix", "--keys-only").split())
    assert "backup-" not in on(noted["member"], "ls", "/var/lib/etcd"), "nothing stays on the member"
    etcdctl("etcd02", "put", "after", "gone")
    options = ["-e", f"etcd_snapshot={snapshot}"]
    refused = playbook("playbooks/etcd_restore.yml", *options)
    assert refused.code != 0
    assert "Nothing was changed" in refused.output
    assert etcdctl("etcd01", "get", "after", "--print-value-only") == "gone\n"
    # One host after the other: no member waits for another that has not started yet.
    options += ["--forks", "1", "-e", f"etcd_confirm={CLUSTER}"]
    playbook("playbooks/etcd_restore.yml", *options, "--check").ok()
    assert etcdctl("etcd01", "get", "after", "--print-value-only") == "gone\n"
    restored = playbook("playbooks/etcd_restore.yml", *options).ok()
    assert "as when the snapshot was taken, none younger" in restored.output
    for host in THREE:
        assert etcdctl(host, "get", "before", "--print-value-only") == "kept\n"
        assert etcdctl(host, "get", "after") == ""
    assert sorted(members("etcd03")) == THREE
    assert set(converge().ok().changed.values()) == {0}


def test_the_newest_backups_are_kept():
    (old,) = (STATE / "backup").glob("*.db")
    playbook("playbooks/etcd_backup.yml", "-e", "etcd_backup_keep=1").ok()
    (new,) = (STATE / "backup").glob("*.db")
    assert new.name > old.name
    assert [path.stem for path in (STATE / "backup").glob("*.json")] == [new.stem]


def test_a_damaged_snapshot_is_refused(tmp_path):
    (snapshot,) = sorted((STATE / "backup").glob("*.db"))[-1:]
    damaged = bytearray(snapshot.read_bytes())
    damaged[-40] ^= 0xFF
    (tmp_path / "damaged.db").write_bytes(damaged)
    refused = playbook(
        "playbooks/etcd_restore.yml", "-e", f"etcd_snapshot={tmp_path / 'damaged.db'}", "-e", f"etcd_confirm={CLUSTER}"
    )
    assert refused.code != 0
    assert etcdctl("etcd01", "get", "before", "--print-value-only") == "kept\n", "nothing was stopped"


def test_data_of_another_cluster_is_refused():
    swap = "cd /var/lib/etcd; systemctl stop etcd; mv member ours; cp -a before-restore-*/member member"
    on("etcd03", "sh", "-euc", swap)
    refused = converge()
    assert refused.code != 0
    assert "the data directories belong to different clusters" in refused.output
    on("etcd03", "sh", "-euc", "cd /var/lib/etcd; rm -r member; mv ours member; systemctl start etcd")
    assert set(converge().ok().changed.values()) == {0}


@pytest.fixture
def two() -> Writer:
    for host in ("etcd04", "etcd05"):
        on(host, "sh", "-c", "systemctl stop etcd; rm -rf /var/lib/etcd/member /etc/etcd/bootstrap.env")
    # Neither becomes healthy without the other, and one is started after the other.
    converge("--forks", "1", inventories=["two"]).ok()
    return Writer("etcd04", "pair-")


def test_the_survivor_of_two(two):
    time.sleep(3)
    lose_data("etcd05")
    lost = ["-e", "etcd_lost=etcd05"]
    refused = playbook("playbooks/etcd_replace_member.yml", *lost, inventories=["two"])
    assert refused.code != 0
    assert "etcd04 alone is not a quorum of two, and writes have stopped for" in refused.output
    confirmed = [*lost, "-e", f"etcd_confirm={CLUSTER}"]
    done = playbook("playbooks/etcd_replace_member.yml", *confirmed, inventories=["two"]).ok()
    assert "Writes were stopped for" in done.output
    time.sleep(2)
    two.stop()
    assert sorted(members("etcd04")) == ["etcd04", "etcd05"]
    assert two.missing() == []
    print(f"{len(two.acknowledged())} writes acknowledged, none missing; longest gap {two.longest_gap():.1f} s")
    assert "force" not in on("etcd04", "cat", "/proc/1/environ", "/etc/systemd/system/etcd.service")
    assert set(converge(inventories=["two"]).ok().changed.values()) == {0}
