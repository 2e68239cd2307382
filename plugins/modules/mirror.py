#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mirror
short_description: A directory with the programs of a release, for hosts without Internet
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Downloads the programs of a release of Kubernetes, as the collection's release catalogue names them, into a
    directory of the control node. It runs there, whichever host the task is for.
  - The layout is that of the publishers. C(https://HOST/PATH) is C(DIRECTORY/HOST/PATH), with the publisher's checksum
    file beside it. A web server that shows the directory, or a copy of it on every host, is what
    C(cluster_mirror) names.
  - Every download is compared with the SHA-256 sum of the catalogue, or of the publisher's checksum file where the
    catalogue has none, before it is put in place. A file that is there and has this sum is not downloaded again.
  - Container images are not downloaded. RV(images) names those that the release needs.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  directory:
    description: Directory of the mirror on the control node. It is made where it is missing.
    type: path
    required: true
  release:
    description: Minor release of Kubernetes, such as V(1.37). Empty for the catalogue's default.
    type: str
    default: ""
  architectures:
    description: Architectures of the hosts, V(amd64) or V(arm64).
    type: list
    elements: str
    default: [amd64]
  programs:
    description: Names of programs, as in the catalogue. Empty for all.
    type: list
    elements: str
    default: []
  versions:
    description: Versions that replace the catalogue's, by component, as in C(cluster_versions).
    type: dict
    default: {}
  checksums:
    description: SHA-256 sums to use instead of the catalogue's and the publishers' checksum files, by upstream address,
      as in C(cluster_checksums).
    type: dict
    default: {}
  source:
    description:
      - Address of another mirror to download from, for example V(https://mirror.example.com) or V(file:///srv/mirror).
      - Empty to download from the publishers.
    type: str
    default: ""
  source_checksums:
    description:
      - Whose SHA-256 sums hold for O(source), as C(cluster_mirror_checksums) says it for C(cluster_mirror).
      - V(catalogue) for a mirror with the publishers' own files. V(mirror) for one whose files were built elsewhere,
        so that only its own checksum files can know them.
    type: str
    choices: [catalogue, mirror]
    default: catalogue
  verify_signatures:
    description:
      - Whether the signatures of Kubernetes' programs are verified as they are downloaded, beyond their sums, with the
        program C(cosign) of the control node. Other publishers' programs are verified by their sums alone.
      - Without C(cosign) the task fails before it downloads anything.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for an address to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Download the default release for both architectures
  hardway.kubernetes.mirror:
    directory: /srv/mirror
    architectures: [amd64, arm64]

- name: Download one program of an older release from a mirror of the company
  hardway.kubernetes.mirror:
    directory: /srv/mirror
    release: "1.36"
    programs: [etcd]
    source: https://mirror.example.com
"""

RETURN = r"""
downloaded:
  description: Programs that were downloaded, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the program.
      type: str
      sample: etcd
    version:
      description: Its version.
      type: str
      sample: 3.7.3
    architecture:
      description: Its architecture.
      type: str
      sample: amd64
    path:
      description: Where it lies in the mirror.
      type: str
      sample: /srv/mirror/dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubectl
    reason:
      description: Why it was downloaded.
      type: str
      sample: /srv/mirror/dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubectl is missing
present:
  description: How many programs were there already, with the right sum.
  returned: success
  type: int
  sample: 12
images:
  description: Container images that the release needs with any pod network, and the name of the archive in which a
    mirror would hold each. They are not downloaded.
  returned: success
  type: dict
  sample:
    registry.k8s.io/pause:3.10.2: registry.k8s.io_pause_3.10.2.tar
"""
