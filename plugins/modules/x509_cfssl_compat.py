#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: x509_cfssl_compat
short_description: Keep a directory of cfssl certificates in the state that their CSRs describe
version_added: 0.1.0
author:
  - hardway.kubernetes contributors (!UNKNOWN)
description:
  - Reads cfssl's own CSR and signing config JSON and makes the certificates that C(cfssl gencert) and
    C(cfssljson -bare) would make from them, all of them in one call. cfssl itself is not needed.
  - A certificate that is there is kept as long as its key, subject, SANs, usages, constraints, issuer, lifetime and
    remaining time still fit. When it does not, it is made again with the key it has, and the result says why.
    Certificates that cfssl, openssl or kubeadm made are adopted when they fit.
  - Each certificate has three files in O(directory), named as cfssljson names them. C(NAME.pem) is the certificate,
    C(NAME-key.pem) its key and C(NAME.csr) the request. RSA keys are PKCS#1, ECDSA keys SEC1 and ed25519 keys PKCS#8.
  - All files of a call are put in place together or not at all, also when the disk fills up. When the run is
    killed half-way, the next one finishes what was decided.
notes:
  - The module reports mistakes that cfssl ignores silently. An unknown field, usage or profile, a host that would end
    up as a URI, an empty host or a network are errors, unless O(strict=false).
  - A leaf never outlives its authority. Its end is cut to the authority's, with a warning.
  - Fields that need a remote signer, an authentication key, a certificate transparency log or a linter are errors as
    soon as a profile that sets them is used.
  - cfssl's header for ed25519 keys cannot be read by other programs. Such keys are read, and never written.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
  - hardway.kubernetes._pki
options:
  directory:
    description:
      - Where keys, certificates and requests are. Made with mode V(0700) when it does not exist.
      - Relative paths in O(config) and in the csr options start here.
    type: path
    required: true
  config:
    description:
      - cfssl's signing config, as a mapping or as the path of a JSON file.
      - Without it, cfssl's built-in one is taken, with digital signature, key encipherment, server auth and client auth
        for one year.
    type: raw
  authorities:
    description:
      - Self-signed authorities, as C(cfssl gencert -initca) makes them.
      - An authority is made when neither its key nor its certificate is there. It is never made again unasked. When it
        is unreadable, incomplete, expired or not what its CSR says, the call fails and says how to go on.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The beginning of the file names.
        type: str
        required: true
      csr:
        description:
          - cfssl's CSR, as a mapping or as the path of a JSON file.
          - The authority lives as long as C(expiry) in the section C(ca) says, and five years without it.
          - Leave it out to use an authority that is there as it is.
        type: raw
      renew:
        description:
          - Lets the certificate be made again with the same key when it has expired, is about to, or no longer fits its
            CSR. Certificates that it has signed stay valid.
        type: bool
        default: false
      force:
        description:
          - Makes the certificate again in every run, with a new key when there is none that can be used or
            O(authorities[].regenerate_key=true). Certificates that the old key has signed are then made again as well.
        type: bool
        default: false
      regenerate_key:
        description: Together with O(authorities[].force), makes a new key even if the old one is good.
        type: bool
        default: false
      renew_before:
        description: As O(renew_before), for this authority. Without O(authorities[].renew) it leads to a warning only.
        type: str
      passphrase:
        description: Opens the key when it is protected. New keys are not protected.
        type: str
  certificates:
    description: Certificates that an authority signs, as C(cfssl gencert -ca ... -profile ...) makes them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The beginning of the file names.
        type: str
        required: true
      csr:
        description: cfssl's CSR, as a mapping or as the path of a JSON file.
        type: raw
        required: true
      ca:
        description:
          - The authority that signs, by the beginning of its file names. It is one of O(authorities), a certificate of
            this call whose profile has C(ca_constraint.is_ca), or a pair that is in O(directory).
          - Without it, the only one of O(authorities), or else V(ca).
        type: str
      profile:
        description: A profile of O(config). Without it, the default one.
        type: str
      hosts:
        description: Host names and addresses for the SAN. As cfssl's C(-hostname), they replace the CSR's.
        type: list
        elements: str
      renew_before:
        description: As O(renew_before), for this certificate.
        type: str
      renew:
        description: For a certificate that is itself an authority, as O(authorities[].renew).
        type: bool
        default: false
      force:
        description: Makes the certificate again in every run.
        type: bool
        default: false
      regenerate_key:
        description: Makes a new key whenever the certificate is made again.
        type: bool
        default: false
      passphrase:
        description: Opens the key when it is protected. New keys are not protected.
        type: str
  renew_before:
    description:
      - How long before its end a certificate is made again. A duration such as V(720h) or V(30d), or a share of the
        lifetime such as V(20%).
      - The default is 30 days, but at most a third of the lifetime.
    type: str
  force:
    description: Makes all O(certificates) again in every run. Authorities have a switch of their own.
    type: bool
    default: false
  regenerate_key:
    description: Makes a new key whenever one of O(certificates) is made again. Otherwise keys are kept.
    type: bool
    default: false
  strict:
    description:
      - Whether a mistake that cfssl ignores silently is an error.
      - When V(false), the module does as cfssl does, and warns.
    type: bool
    default: true
  state:
    description:
      - V(present) makes what is missing or does not fit.
      - V(inspected) only reports the changes of V(present). Nothing is written, and RV(ignore:changed) is always false.
        See RV(results[].status) and RV(results[].days_left).
    type: str
    choices: [present, inspected]
    default: present
  mode:
    description: The mode of certificates and requests.
    type: str
    default: "0644"
  owner:
    description: The owner of certificates and requests. Files that are there keep theirs when it is left out.
    type: str
  group:
    description: The group of certificates and requests. Files that are there keep theirs when it is left out.
    type: str
  key_mode:
    description: The mode of keys.
    type: str
    default: "0600"
  key_owner:
    description: The owner of keys. Files that are there keep theirs when it is left out.
    type: str
  key_group:
    description: The group of keys. Files that are there keep theirs when it is left out.
    type: str
seealso:
  - module: hardway.kubernetes.kubeconfig
  - name: cfssl
    description: The program whose input this module reads and whose output it makes.
    link: https://github.com/cloudflare/cfssl
"""

EXAMPLES = r"""
- name: Two authorities and two certificates, in one task
  hardway.kubernetes.x509_cfssl_compat:
    directory: /srv/kthw
    config:
      signing:
        default: {expiry: 8760h}
        profiles:
          kubernetes:
            usages: [signing, key encipherment, server auth, client auth]
            expiry: 8760h
    authorities:
      - name: ca
        csr:
          CN: Kubernetes
          key: {algo: rsa, size: 2048}
          names: [{C: US, L: Portland, O: Kubernetes, OU: CA, ST: Oregon}]
      - name: front-proxy-ca
        csr:
          CN: front-proxy-ca
          key: {algo: rsa, size: 2048}
    certificates:
      - name: admin
        ca: ca
        profile: kubernetes
        csr:
          CN: admin
          key: {algo: rsa, size: 2048}
          names: [{O: "system:masters"}]
      - name: wrk01
        ca: ca
        profile: kubernetes
        hosts: [wrk01, 10.240.0.21]
        csr:
          CN: "system:node:wrk01"
          key: {algo: rsa, size: 2048}
          names: [{O: "system:nodes"}]
  register: pki

- name: Report the certificates that were made, and the reasons
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.status }} ({{ item.reasons | join('; ') }})"
  loop: "{{ pki.results | selectattr('changed') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Read the files of a cfssl user
  hardway.kubernetes.x509_cfssl_compat:
    directory: /srv/kthw
    config: ca-config.json
    certificates:
      - name: kubernetes
        ca: ca
        profile: kubernetes
        csr: kubernetes-csr.json
        hosts: [10.32.0.1, 127.0.0.1, localhost, kubernetes.default]

- name: Renew an authority that is about to expire, with the key it has
  hardway.kubernetes.x509_cfssl_compat:
    directory: /srv/kthw
    authorities:
      - name: ca
        csr: ca-csr.json
        renew: true
        renew_before: 4320h
"""

RETURN = r"""
results:
  description: One entry for each of O(authorities) and O(certificates), in that order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name that was given.
      type: str
      sample: wrk01
    authority:
      description: Whether the certificate may sign others.
      type: bool
    changed:
      description: Whether any of the three files was or would be changed, if only in owner or mode.
      type: bool
    status:
      description:
        - V(unchanged) is a certificate that fits.
        - V(issued) is one that did not exist before.
        - V(renewed) was made again because of its age alone.
        - V(reissued) was made again because it did not fit.
      type: str
      sample: reissued
    reasons:
      description: Sentences that say why something was changed.
      type: list
      elements: str
      sample: ["SAN IP:10.0.0.7 is missing"]
    new_key:
      description: Whether the key was or would be made as well.
      type: bool
    certificate:
      description: The path of the certificate.
      type: str
      sample: /srv/kthw/wrk01.pem
    private_key:
      description: The path of the key.
      type: str
      sample: /srv/kthw/wrk01-key.pem
    csr:
      description: The path of the request. It is written together with the certificate.
      type: str
      sample: /srv/kthw/wrk01.csr
    subject:
      description: The subject, in the order of the certificate.
      type: str
      sample: "O=system:nodes, CN=system:node:wrk01"
    issuer:
      description: The subject of the authority that signed it.
      type: str
      sample: "C=US, ST=Oregon, L=Portland, O=Kubernetes, OU=CA, CN=Kubernetes"
    serial:
      description:
        - The serial number in hexadecimal, as C(openssl x509 -serial) prints it.
        - Null for a certificate that check mode would make.
      type: str
      sample: 1603D1B1A5F8C60C2A3F5A2DF3B9E7B6C1A0F00D
    not_before:
      description: The beginning of its validity.
      type: str
      sample: "2026-01-31T11:55:00Z"
    not_after:
      description: The end of its validity.
      type: str
      sample: "2027-01-31T11:55:00Z"
    days_left:
      description: Whole days until its end.
      type: int
      sample: 364
    sans:
      description: The subject alternative names.
      type: list
      elements: str
      sample: ["DNS:wrk01", "IP:10.240.0.21"]
    fingerprint_sha256:
      description: The SHA-256 of the certificate. Null for one that check mode would make.
      type: str
changed_files:
  description:
    - Paths of certificates, keys and requests whose content was changed, or would be in check mode.
    - A file that is only given another owner or mode is not among them.
    - In check mode later tasks of the same run with M(hardway.kubernetes.kubeconfig) or M(hardway.kubernetes.component)
      know them, and predict what they would write.
  returned: success
  type: list
  elements: str
  sample: [/srv/kthw/wrk01.pem, /srv/kthw/wrk01.csr]
summary:
  description: How many of RV(results) have each status.
  returned: success
  type: dict
  sample: {unchanged: 8, issued: 0, renewed: 1, reissued: 0}
"""

import datetime as dt
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError
from ansible_collections.hardway.kubernetes.plugins.module_utils._files.atomic import Attributes
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.orders import Order, Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.requirements import (
    CRYPTOGRAPHY,
    CRYPTOGRAPHY_ERROR,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._pki.run import run

AUTHORITY_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "csr": {"type": "raw"},
    "renew": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "regenerate_key": {"type": "bool", "default": False, "no_log": False},
    "renew_before": {"type": "str"},
    "passphrase": {"type": "str", "no_log": True},
}
CERTIFICATE_SPEC: dict[str, t.Any] = {
    **AUTHORITY_SPEC,
    "csr": {"type": "raw", "required": True},
    "ca": {"type": "str"},
    "profile": {"type": "str"},
    "hosts": {"type": "list", "elements": "str"},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "directory": {"type": "path", "required": True},
    "config": {"type": "raw"},
    "authorities": {"type": "list", "elements": "dict", "default": [], "options": AUTHORITY_SPEC},
    "certificates": {"type": "list", "elements": "dict", "default": [], "options": CERTIFICATE_SPEC},
    "renew_before": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "regenerate_key": {"type": "bool", "default": False, "no_log": False},
    "strict": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "inspected"], "default": "present"},
    "mode": {"type": "str", "default": "0644"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "key_mode": {"type": "str", "default": "0600", "no_log": False},
    "key_owner": {"type": "str", "no_log": False},
    "key_group": {"type": "str", "no_log": False},
}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def _order(entry: dict[str, t.Any], *, authority: bool) -> Order:
    hosts = entry.get("hosts")
    return Order(**{**entry, "authority": authority, "hosts": None if hosts is None else tuple(hosts)})


def _settings(params: dict[str, t.Any]) -> Settings:
    same = ("directory", "config", "renew_before", "force", "regenerate_key", "strict")
    return Settings(
        **{name: params[name] for name in same},
        certificate_attributes=Attributes.parse(owner=params["owner"], group=params["group"], mode=params["mode"]),
        key_attributes=Attributes.parse(
            owner=params["key_owner"], group=params["key_group"], mode=params["key_mode"], prefix="key_"
        ),
        now=_now(),
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if CRYPTOGRAPHY_ERROR is not None:
        module.fail_json(msg=missing_required_lib(CRYPTOGRAPHY), exception=str(CRYPTOGRAPHY_ERROR))
    params = module.params
    orders = [_order(entry, authority=True) for entry in params["authorities"]]
    orders += [_order(entry, authority=False) for entry in params["certificates"]]
    inspect_only = params["state"] == "inspected"
    try:
        report = run(_settings(params), orders, write=not module.check_mode and not inspect_only)
    except HardwayError as error:
        module.fail_json(msg=str(error))
    for warning in report.warnings:
        module.warn(warning)
    outcome: dict[str, t.Any] = {
        "changed": report.changed and not inspect_only,
        "results": report.results(),
        "changed_files": report.changed_files(),
        "summary": report.summary(),
    }
    if module._diff:
        outcome["diff"] = report.diffs()
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
