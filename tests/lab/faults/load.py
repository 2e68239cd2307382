# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes and reads through the load balancer, ten times a second, and keeps count. Runs on the client host.

usage: load.py LOG KUBECONFIG NAMESPACE http|kubectl

Each write adds a numbered entry to a ConfigMap; each read asks for it back. A line of LOG is
"KIND NUMBER BEGIN END OUTCOME", times in seconds since the epoch. It needs python3 and kubectl, no package.
With "kubectl" each request is a run of kubectl, which takes a good part of a second of its own.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time

PERIOD = 0.1
# A request that gets no answer within this time counts as failed.
TIMEOUT = 2.0
NAME = "load"


def connection(kubeconfig):
    """Return how to reach the API, as the kubeconfig says."""
    shown = subprocess.run(
        ["kubectl", "config", "view", "--raw", "--output=json", "--kubeconfig", kubeconfig],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    config = json.loads(shown)
    cluster = config["clusters"][0]["cluster"]
    user = config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile(mode="wb") as pair:
        pair.write(base64.b64decode(user["client-certificate-data"]))
        pair.write(base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    host, port = cluster["server"].split("//", 1)[1].rsplit(":", 1)
    return lambda: http.client.HTTPSConnection(host, int(port), timeout=TIMEOUT, context=context)


def over_http(kubeconfig, namespace):
    """Return a function that asks the API: (method, body) -> (status, answer)."""
    connect = connection(kubeconfig)
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    def ask(method, body=None):
        # A connection of its own each time: the load balancer has to choose again.
        server = connect()
        try:
            headers = {"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"}
            url = path if method == "POST" else path + "/" + NAME
            server.request(method, url, body=json.dumps(body) if body else None, headers=headers)
            answer = server.getresponse()
            return answer.status, answer.read()
        finally:
            server.close()

    return ask


def with_kubectl(kubeconfig, namespace):
    """Return the same as over_http, by the tool that people use; its exit code stands for a status."""
    kubectl = ["kubectl", f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", f"--request-timeout={TIMEOUT:g}s"]

    def ask(method, body=None):
        arguments = {
            "POST": ["create", "configmap", NAME],
            "PATCH": ["patch", "configmap", NAME, "--type=merge", "--patch", json.dumps(body)],
            "GET": ["get", "configmap", NAME, "--output=json"],
        }[method]
        done = subprocess.run([*kubectl, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return 200 if done.returncode == 0 else done.returncode, done.stdout

    return ask


def main():
    log_path, kubeconfig, namespace, way = sys.argv[1:]
    ask = {"http": over_http, "kubectl": with_kubectl}[way](kubeconfig, namespace)

    def timed(log, kind, number, method, body=None):
        start = time.time()
        answer = None
        try:
            status, found = ask(method, body)
            outcome = "ok" if status == 200 else f"status-{status}"
            answer = found if status == 200 else None
        except (OSError, http.client.HTTPException) as error:
            outcome = type(error).__name__
        log.write(f"{kind} {number} {start:.3f} {time.time():.3f} {outcome}\n")
        return answer

    ask("POST", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}})
    number = 0
    with open(log_path, "w", encoding="ascii", buffering=1) as log:
        while not os.path.exists(log_path + ".stop"):
            number += 1
            entry = f"{number:07d}"
            begun = time.time()
            written = timed(log, "write", number, "PATCH", {"data": {entry: "x"}})
            read = timed(log, "read", number, "GET")
            if written and read and entry not in json.loads(read)["data"]:
                log.write(f"stale {number} {begun:.3f} {time.time():.3f} missing\n")
            time.sleep(max(0.0, begun + PERIOD - time.time()))


if __name__ == "__main__":
    main()
