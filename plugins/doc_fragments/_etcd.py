# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options with which a module reaches an etcd cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Endpoints and certificates."""

    DOCUMENTATION = r"""
options:
  endpoints:
    description:
      - Client URLs of the cluster's members, C(https://HOST:PORT). The next one is tried when one fails.
    type: list
    elements: str
    required: true
  ca_cert:
    description: CA file that the members' certificates are verified with. Required for C(https) endpoints.
    type: path
  client_cert:
    description: Client certificate. etcd with C(--client-cert-auth) rejects a client without one.
    type: path
  client_key:
    description: Key of the client certificate.
    type: path
  request_timeout:
    description:
      - Seconds for one request to one endpoint.
      - etcd itself cancels a request without a quorum after 7 seconds.
    type: float
    default: 10
"""
