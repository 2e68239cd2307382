# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host: shows each certificate of a directory to each server, and prints what it was let in as.

ask.py DIRECTORY SERVERS: the servers are JSON, name to [address, port, method, path]. Every request claims to be made
for an administrator, as the front proxy may. The output is JSON: certificate, name of a server, answer.
"""

import http.client
import json
import os
import ssl
import sys

CLAIMED = {"X-Remote-User": "claimed", "X-Remote-Group": "system:masters", "Content-Type": "application/json"}
REVIEW = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})


def context(directory, name):
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if name:
        path = os.path.join(directory, name)
        made.load_cert_chain(path + ".pem", path + "-key.pem")
    return made


def answer(tls, address, port, method, path):
    """Return the HTTP status, the name of the user where the server says it, or that there is no way in."""
    connection = http.client.HTTPSConnection(address, port, timeout=10, context=tls)
    try:
        connection.request(method, path, body=REVIEW if method == "POST" else None, headers=CLAIMED)
        response = connection.getresponse()
        body = response.read()
    except ConnectionRefusedError:
        return "no server"
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return "refused"
    finally:
        connection.close()
    if response.status == 201:
        return json.loads(body)["status"]["userInfo"]["username"]
    return response.status


def main(directory, servers):
    names = sorted(name[:-4] for name in os.listdir(directory) if name.endswith(".pem") and "-key." not in name)
    found = {
        name: {server: answer(context(directory, name), *where) for server, where in json.loads(servers).items()}
        for name in ["", *names]
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
