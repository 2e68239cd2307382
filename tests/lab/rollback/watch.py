# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host's own units for their health five times a second, and notes each change. Runs on the hosts.

usage: watch.py LOG CHECKS

CHECKS is JSON: lists of unit, address, and files (authority, certificate, key) that may be null. A null address
makes an active unit a healthy one. A line of LOG is "TIME UNIT up|down".
"""

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request


def healthy(unit, url, authority, certificate, key):
    if subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode != 0:
        return False
    if url is None:
        return True
    context = None
    if url.startswith("https:"):
        context = ssl.create_default_context(cafile=authority)
        if authority is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate, key)
    try:
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        with urllib.request.build_opener(*handlers).open(url, timeout=3) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


def main():
    log_path, checks = sys.argv[1:]
    known = {}
    with open(log_path, "w", encoding="ascii", buffering=1) as log:
        while not os.path.exists(log_path + ".stop"):
            for unit, *check in json.loads(checks):
                state = "up" if healthy(unit, *check) else "down"
                if known.get(unit) != state:
                    log.write(f"{time.time():.3f} {unit} {state}\n")
                known[unit] = state
            time.sleep(0.2)


if __name__ == "__main__":
    main()
