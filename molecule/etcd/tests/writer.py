# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a member: puts a numbered key through loopback every 50 ms, and notes the numbers that etcd acknowledged.

usage: writer.py DIRECTORY PREFIX

Until DIRECTORY/stop is there. DIRECTORY/acknowledged has a line for each write: its number and when it was answered.
"""

import base64
import http.client
import json
import os
import ssl
import sys
import time

directory, prefix = sys.argv[1:]
os.makedirs(directory, exist_ok=True)
context = ssl.create_default_context(cafile="/etc/etcd/ca.pem")
context.load_cert_chain("/etc/etcd/etcdctl.pem", "/etc/etcd/etcdctl-key.pem")
connection = None
number = 0
with open(os.path.join(directory, "acknowledged"), "w", buffering=1) as acknowledged:
    while not os.path.exists(os.path.join(directory, "stop")):
        begun = time.monotonic()
        number += 1
        key = base64.b64encode(f"{prefix}{number:08d}".encode()).decode()
        try:
            if connection is None:
                connection = http.client.HTTPSConnection("127.0.0.1", 2379, timeout=3, context=context)
            connection.request("POST", "/v3/kv/put", json.dumps({"key": key, "value": key}))
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                acknowledged.write(f"{number} {time.time():.3f}\n")
        except (OSError, http.client.HTTPException):
            if connection is not None:
                connection.close()
            connection = None
        time.sleep(max(0.0, 0.05 - (time.monotonic() - begun)))
