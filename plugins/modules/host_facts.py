#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_facts
short_description: Read the facts of a host that the collection needs
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Reads operating system, resources, clock, units, installed programs and what an existing cluster was made
    with, in one call. It takes the place of gathering all facts, and changes nothing.
  - The role P(hardway.kubernetes.cluster#role) runs it on each host and hands the readings to
    M(hardway.kubernetes.cluster), which returns them as C(cluster.status.hosts).
  - A reading is a result to register and not a fact. A fact cache could hold one of an earlier run.
extends_documentation_fragment:
  - hardway.kubernetes._attributes
options:
  hosts:
    description:
      - The hosts of each part of the cluster, as C(cluster_hosts) of the role P(hardway.kubernetes.cluster#role) has
        them. With it the module reads no more than a run uses.
      - RV(reading.listeners) has the ports on which the components of the host listen, and no others. For a load
        balancer, whose ports are a setting, it has all of them.
      - RV(reading.identity.api_version) is read where the run leaves out a controller. Its versions are compared with
        the programs of the controllers otherwise.
      - Without it, everything is read.
    type: dict
  pod_network:
    description: The pod network of the cluster, as C(cluster_pod_network) has it. RV(reading.identity.weave) is read
      for V(weave), and without this option.
    type: str
  ports:
    description: Set by the action plugin. Ports in RV(reading.listeners); all of them without it.
    type: list
    elements: int
  ask_api:
    description: Set by the action plugin. Whether RV(reading.identity.api_version) is read.
    type: bool
    default: true
  api_servers:
    description:
      - Set by the action plugin. URLs of the API servers that are not part of the run, by host, for
        RV(reading.identity.api_versions).
    type: dict
    default: {}
notes:
  - The action plugin of the same name derives O(ports), O(ask_api) and O(api_servers) from O(hosts), and compares the
    clocks.
seealso:
  - module: hardway.kubernetes.cluster
"""

EXAMPLES = r"""
- name: Read the host
  hardway.kubernetes.host_facts:
  register: host

- name: Read what this run needs to know of the host
  hardway.kubernetes.host_facts:
    hosts: "{{ cluster_hosts }}"
  register: host
"""

RETURN = r"""
reading:
  description: The reading of the host.
  returned: always
  type: dict
  contains:
    read_at:
      description: Time on the host when it was read, in seconds since the epoch.
      type: float
    clock_offset_seconds:
      description: Range of the offset, in seconds, between the host's clock and the control node's. The width of the
        range is the time that the request took.
      type: dict
      contains:
        least:
          description: Least offset.
          type: float
        most:
          description: Largest offset.
          type: float
    hostname:
      description: Host name of the host.
      type: str
    architecture:
      description: Architecture as publishers name it, V(amd64) or V(arm64); what the kernel says for any other.
      type: str
    distribution:
      description: C(ID) of C(/etc/os-release).
      type: str
    distribution_version:
      description: C(VERSION_ID) of C(/etc/os-release).
      type: str
    service_manager:
      description: Name of process 1.
      type: str
    memory_mib:
      description: Memory, in MiB.
      type: int
    free_mib:
      description: Free space by directory, in MiB.
      type: dict
    addresses:
      description: Addresses of all interfaces.
      type: list
      elements: str
    networks:
      description: C(interface) and C(prefix_length), in bits, of each of these addresses.
      type: dict
      sample: {"10.240.0.10": {"interface": "eth0", "prefix_length": 24}}
    keepalived:
      description: C(addresses), the virtual addresses for which the role P(hardway.kubernetes.lb#role) configured
        keepalived, and C(foreign), whether the host has another configuration of keepalived.
      type: dict
      sample: {"addresses": ["10.240.0.100"], "foreign": false}
    container:
      description: Whether the host is a container.
      type: bool
    cgroup_version:
      description: Version of the control groups, V(1) or V(2).
      type: int
    may_lower_oom_score:
      description: Whether a process may be made less likely to be killed for memory (C(CAP_SYS_RESOURCE)).
      type: bool
    active_swaps:
      description: Devices and files that are swapped to.
      type: list
      elements: str
    fstab_swap:
      description: Whether C(/etc/fstab) has swap.
      type: bool
    swap_units:
      description:
        - Systemd units that turn swap on now or at the next boot, by name. The value is the command of C(systemctl)
          that turns the unit off for good, V(disable) or V(mask).
      type: dict
      sample: {"dev-zram0.swap": "mask"}
    nameservers:
      description: Addresses in C(/etc/resolv.conf).
      type: list
      elements: str
    systemd_resolved:
      description: Whether systemd-resolved runs and keeps a list of its own upstream resolvers.
      type: bool
    listeners:
      description: Systemd unit, else program, that listens on a TCP port, by port. With O(hosts), of the ports that
        the host needs.
      type: dict
      sample: {"22": "ssh.service", "6443": "kube-apiserver.service"}
    package_lock:
      description: Systemd unit or program that holds the lock of the package manager; empty without one.
      type: str
      sample: unattended-upgrades.service (process 4321)
    left_overs:
      description: Paths that other tools for clusters (kubeadm, k3s, RKE2, k0s, MicroK8s) make.
      type: list
      elements: str
      sample: [/etc/kubernetes/admin.conf]
    units:
      description: State of the cluster's systemd units, by unit, as C(systemctl is-active) prints it.
      type: dict
      sample: {"etcd.service": "active", "kubelet.service": "inactive"}
    drop_ins:
      description:
        - C(path) and C(directives) of the drop-ins that override the cluster's systemd units, by unit. A unit without
          drop-ins is left out, and so are drop-ins for all units.
      type: dict
      sample: {"containerd.service": [{"path": "/etc/systemd/system/containerd.service.d/http-proxy.conf",
        "directives": ["Environment"]}]}
    programs:
      description: Versions of the programs that M(hardway.kubernetes.component) installed, by program.
      type: dict
      sample: {"etcd": "3.7.3"}
    registries:
      description: Directories below C(/etc/containerd/certs.d) that M(hardway.kubernetes.registries) wrote.
      type: list
      elements: str
      sample: [registry.example.com_5000_]
    image_archives:
      description:
        - Paths of the archives that M(hardway.kubernetes.image_archives) imported from the host itself, whose images
          are there and whose checksum files are unchanged. For them it has nothing to do.
        - Archives at other addresses are left out. Empty where containerd does not run.
      type: list
      elements: str
      sample: [/srv/mirror/images/registry.k8s.io_pause_3.10.2.tar]
    etcd:
      description: The etcd data of the host, and the members as its own etcd knows them.
      type: dict
      contains:
        directory:
          description: Data directory of its unit; V(/var/lib/etcd) without one.
          type: str
        data:
          description: C(cluster_id) and C(member_id) of the data directory, from its write-ahead log; none without
            data. Where etcd does not run and its data is damaged, C(damaged) has the file and what is wrong with it.
          type: dict
        alarms:
          description: Alarms that the cluster has raised, with C(member), the member's ID, and C(alarm). Empty where
            etcd does not answer or sees no leader.
          type: list
          elements: dict
          sample: [{"member": "8e9e05c52164694d", "alarm": "NOSPACE"}]
        database:
          description: C(size), C(in_use) and C(quota) of the member's database, in bytes. Empty where etcd does not
            answer. The quota is 0 where etcd does not report it.
          type: dict
          sample: {"size": 16822272, "in_use": 14725120, "quota": 2147483648}
        free_mib:
          description: Free space for the data, by directory, in MiB.
          type: dict
        members:
          description: Members of the running cluster, with C(id), C(name), C(peer_urls) and C(learner).
          type: list
          elements: dict
        started_with:
          description: Names of the members that this one was first started with.
          type: list
          elements: str
        was_healthy:
          description: Whether the member was healthy once, or joined a cluster. Without data, it has lost it then.
          type: bool
    cluster:
      description: Settings that the cluster on the host was made with, by variable, from its units, the kubelet's
        configuration file and flannel's lease.
      type: dict
      sample: {"cluster_pod_cidr": "10.200.0.0/16"}
    identity:
      description: The keys and names that distinguish the cluster on the host from another one, without secrets.
      type: dict
      contains:
        certificates:
          description:
            - The certificates in the files of the authorities and of the service account's keys, by path.
            - Of each C(certificate) and C(public_key), which are SHA-256 sums of their DER, and C(key), its algorithm
              and size.
          type: dict
          sample: {"/etc/etcd/ca.pem": [{"certificate": "9f86...", "public_key": "60303...", "key": "rsa 2048"}]}
        encryption_keys:
          description: C(provider), C(name) and C(sha256) of each key that encrypts objects in etcd. None where the host
            does not have a file of them.
          type: list
          elements: dict
        signing_since:
          description:
            - Since when the host's API server signs with the service account's key that is there, in seconds since
              1970. It is when the process started. None where it does not run, or is older than the key.
          type: float
        issuers:
          description: Issuers of service account tokens that its API server accepts; the first is its own.
          type: list
          elements: str
        etcd_prefix:
          description: Prefix of its API server's keys in etcd. Empty without an API server.
          type: str
        api_server:
          description: URL at which its kubelet reaches the API. Empty without one.
          type: str
        api_version:
          description: Version of the API server that answers there. Empty where none does. With O(hosts), empty too
            where the run has all controllers.
          type: str
        api_versions:
          description:
            - Versions of the API servers that the run leaves out, by host, where the kubelet reaches them.
          type: dict
          sample: {"ctl02": "1.37.2"}
        weave:
          description: The Weave Net of the cluster, as the API server of the host knows it. None where no API server
            answers, and for any other O(pod_network).
          type: dict
          contains:
            password:
              description: PBKDF2-HMAC-SHA256 (salt C(weave-net), 100000 rounds) of the password in the Secret
                C(weave-net), hexadecimal. Empty without one.
              type: str
            in_clear:
              description: Whether Weave Net runs and does not have a password.
              type: bool
        kubelet_names:
          description: Names for which the host has the certificate of a node.
          type: list
          elements: str
    nodes:
      description:
        - State of each node in the API server of the host, by node. C(ready), C(version) of the kubelet,
          C(pod_cidr), C(pod_cidrs), C(unschedulable), C(from_inventory), whether it has labels or taints of the
          inventory, and C(cordoned_by_run) where C(playbooks/site.yml) cordoned it and did not finish, and
          C(turn_seconds), how long its turn took in the last upgrade that moved its pods away (0 without one). Empty
          where no API server runs.
      type: dict
    own_node:
      description:
        - The same state of the host's own node, as its kubelet reads it. Empty where the API does not answer. With
          O(hosts), empty too where the run has all controllers.
      type: dict
    api_servers:
      description: Addresses of the API servers that run, from the EndpointSlice of the Service C(kubernetes), as the
        API server of the host has it. Empty where no API server runs.
      type: list
      elements: str
      sample: [10.240.0.11, 10.240.0.12]
    cni_configurations:
      description: Names of the files in C(/etc/cni/net.d) that a container runtime would take a network from.
      type: list
      elements: str
    flannel_mtu:
      description: MTU that flannel wrote when it had set up the network of the host, in bytes, by backend.
      type: dict
      sample: {"vxlan": 1450}
    openvswitch:
      description: Whether the kernel has the module C(openvswitch).
      type: bool
"""

import functools

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hardway.kubernetes.plugins.module_utils._host.facts import collect


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "dict"},
            "pod_network": {"type": "str"},
            "ports": {"type": "list", "elements": "int"},
            "ask_api": {"type": "bool", "default": True},
            "api_servers": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    run = functools.partial(module.run_command, handle_exceptions=False)
    asked = {name: module.params[name] for name in ("ports", "ask_api", "api_servers")}
    reading = collect(run=run, **asked, ask_weave=module.params["pod_network"] in (None, "weave"))
    module.exit_json(changed=False, reading=reading)


if __name__ == "__main__":
    main()
