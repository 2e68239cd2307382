# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a web server ten times a second, each time on a new connection, and keeps count. Runs on a worker.

usage: visit.py LOG ADDRESS

A line of LOG is "TIME OUTCOME", with seconds since the epoch, from the first request that is answered: kube-proxy may
learn of a new Service later than its maker. It needs python3, no package.
"""

from __future__ import annotations

import http.client
import os
import sys
import time

PERIOD = 0.1
# A request that gets no answer within this time counts as failed.
TIMEOUT = 2.0


def visit(address):
    """Return the outcome of one request."""
    server = http.client.HTTPConnection(address, 80, timeout=TIMEOUT)
    try:
        server.request("GET", "/")
        status = server.getresponse().status
        return "ok" if status == 200 else f"status-{status}"
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        server.close()


def main():
    log_path, address = sys.argv[1:]
    while visit(address) != "ok":
        time.sleep(PERIOD)
    with open(log_path, "w", encoding="ascii", buffering=1) as log:
        while not os.path.exists(log_path + ".stop"):
            begun = time.time()
            log.write(f"{begun:.3f} {visit(address)}\n")
            time.sleep(max(0.0, begun + PERIOD - time.time()))


if __name__ == "__main__":
    main()
