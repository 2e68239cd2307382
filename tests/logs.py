# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect logs and states of the lab's hosts after a failure, in one file per host and command."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

# Commands on each host; the error of a command that a host does not have is kept as well.
_QUESTIONS = {
    "units": "systemctl --no-pager --all list-units --type=service; systemctl --no-pager --failed",
    "journal": "journalctl --no-pager --lines=5000",
    "processes": "ps -ef; ss -tlnp; ip address; ip route; df -h",
    "containers": (
        "command -v crictl >/dev/null || exit 0; crictl pods; crictl ps --all;"
        ' for id in $(crictl ps --all --quiet); do echo "== $id"; crictl logs --tail 500 "$id" 2>&1; done'
    ),
    "etcd": (
        "command -v etcdctl >/dev/null || exit 0; etcdctl --cacert=/etc/etcd/ca.pem --cert=/etc/etcd/etcdctl.pem"
        " --key=/etc/etcd/etcdctl-key.pem --endpoints=https://127.0.0.1:2379 endpoint status --cluster -w table"
    ),
    "kubectl": (
        "command -v kubectl >/dev/null || exit 0; export KUBECONFIG=/root/.kube/config; test -f $KUBECONFIG || exit 0;"
        " kubectl get all,events --all-namespaces -o wide;"
        " kubectl describe nodes; kubectl describe pods --all-namespaces"
    ),
}


def collect(folder: pathlib.Path) -> None:
    """Ask every host of every lab on this machine; folder: where the answers go, a directory for each host."""
    if not shutil.which("docker"):
        return
    listed = subprocess.run(
        ["docker", "ps", "--all", "--filter=label=hardway.lab", "--format={{.Names}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    for host in sorted(listed.stdout.split()):
        (folder / host).mkdir(parents=True, exist_ok=True)
        for question, script in _QUESTIONS.items():
            with (folder / host / f"{question}.log").open("wb") as answer:
                try:
                    subprocess.run(
                        ["docker", "exec", host, "sh", "-c", script],
                        stdin=subprocess.DEVNULL,
                        stdout=answer,
                        stderr=subprocess.STDOUT,
                        timeout=60,
                        check=False,
                    )
                except subprocess.TimeoutExpired:
                    answer.write(b"no answer within 60 seconds\n")
