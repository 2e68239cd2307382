#!/usr/bin/python
# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster
short_description: Compute the cluster as one value with specification, status and plan
version_added: 0.1.0
author: hardway.kubernetes contributors (!UNKNOWN)
description:
  - Computes one value from the inventory, the settings of all roles, the release catalogue and the readings of the
    hosts. Roles look values up in it; they derive nothing.
  - It runs once, on the control node, and asks no host. The role P(hardway.kubernetes.cluster#role) registers its
    result as the variable C(cluster) of every host.
  - It compares the PKI directory (C(cluster_pki_directory)) with the keys on the hosts, and the wanted versions with
    theirs, also for the chapters that C(--tags) and C(--skip-tags) choose. C(plan.problems) has what must not happen.
  - It reads every variable that is an option in a role's argument specification, so that a new setting needs no
    change here.
notes:
  - Nothing may be built while C(plan.problems) is not empty. C(spec) is empty where a problem leaves none, and
    C(status) too where C(cluster_hosts) does not say who the hosts are.
options:
  readings:
    description: Name of the variable in which the results of M(hardway.kubernetes.host_facts) were registered on
      each host.
    type: str
    required: true
attributes:
  check_mode:
    description: Nothing is changed in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Systems it runs on.
    support: full
    platforms: posix
seealso:
  - module: hardway.kubernetes.host_facts
"""

EXAMPLES = r"""
- name: Read the host
  hardway.kubernetes.host_facts:
  register: host

- name: Compute the cluster
  run_once: true
  hardway.kubernetes.cluster:
    readings: host
  register: cluster

- name: Show where the API is
  ansible.builtin.debug:
    msg: "{{ cluster.spec.api.server }}"
"""

RETURN = r"""
check_mode:
  description: Whether this run only predicts. True in the plays of C(playbooks/plan.yml) too, where
    C(ansible_check_mode) is not.
  returned: always
  type: bool
spec:
  description: The specification of the cluster.
  returned: always
  type: dict
  contains:
    name:
      description: Name of the cluster.
      type: str
      sample: kubernetes-the-hard-way
    release:
      description: Kubernetes minor release.
      type: str
      sample: "1.37"
    versions:
      description: Version by component.
      type: dict
      sample: {"kubernetes": "1.37.2", "etcd": "3.7.3"}
    domain:
      description: DNS domain.
      type: str
      sample: cluster.local
    ip_families:
      description: Address families of pods and Services, V(IPv4) or V(IPv6), the primary one first.
      type: list
      elements: str
      sample: [IPv4]
    pod_cidr:
      description: Network of all pods, of the primary family.
      type: str
      sample: 10.200.0.0/16
    pod_cidrs:
      description: Networks of all pods, one of each family, in the order of RV(spec.ip_families).
      type: list
      elements: str
      sample: [10.200.0.0/16]
    node_prefix_length:
      description: Prefix length of a node's part of RV(spec.pod_cidr), in bits.
      type: int
      sample: 24
    node_prefix_lengths:
      description: Prefix lengths of a node's parts of RV(spec.pod_cidrs), in bits.
      type: list
      elements: int
      sample: [24]
    service_cidr:
      description: Network of Services, of the primary family.
      type: str
      sample: 10.32.0.0/24
    service_cidrs:
      description: Networks of Services, one of each family, in the order of RV(spec.ip_families).
      type: list
      elements: str
      sample: [10.32.0.0/24]
    api_service_address:
      description: Address of the API's own Service, which is of the primary family.
      type: str
      sample: 10.32.0.1
    api_service_addresses:
      description: The first address of each of RV(spec.service_cidrs).
      type: list
      elements: str
      sample: [10.32.0.1]
    dns_address:
      description: Address of the cluster DNS, of the primary family.
      type: str
      sample: 10.32.0.10
    dns_addresses:
      description: Addresses of the cluster DNS, the primary one first. It may have one in a cluster of two families.
      type: list
      elements: str
      sample: [10.32.0.10]
    node_port_range:
      description: Ports for Services of type NodePort.
      type: str
      sample: 30000-32767
    pod_network:
      description: Pod network.
      type: str
      sample: flannel
    weave:
      description: How Weave Net sends what peers say to each other.
      type: dict
      contains:
        encrypted:
          description: Whether it encrypts with a password. False for any other pod network.
          type: bool
        password_file:
          description: File of the PKI directory that has the password. Empty where C(pod_network_weave_password) gives
            it, or where there is none.
          type: str
          sample: /home/me/lab/.cluster/pki/weave-password
    kube_proxy_mode:
      description: Mode of kube-proxy.
      type: str
      sample: iptables
    kube_proxy_health_url:
      description: Health endpoint of kube-proxy on a worker's loopback. It answers 200 once the rules are in place.
      type: str
      sample: http://127.0.0.1:10256/healthz
    tls_cipher_suites:
      description:
        - Cipher suites of every server of the cluster in TLS 1.2, by the names of Go's C(crypto/tls). All are AEAD with
          forward secrecy. Those of TLS 1.3 cannot be chosen.
      type: list
      elements: str
      sample: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
    pki_directory:
      description: Directory on the control node with authorities, certificates, kubeconfigs and the encryption key.
      type: str
    packages:
      description: Packages of the hosts' systems that roles install, by purpose.
      type: dict
      sample: {"load_balancer": ["nginx", "libnginx-mod-stream"]}
    proxy:
      description:
        - Environment with which hosts download, C(http_proxy), C(https_proxy) and C(no_proxy) in both cases. Empty
          without a proxy.
      type: dict
    topology:
      description: The hosts of each part of the cluster, and their addresses.
      type: dict
      contains:
        controllers:
          description: Hosts of the control plane.
          type: list
          elements: str
        etcd:
          description: Members of etcd.
          type: list
          elements: str
        load_balancers:
          description: Load balancers for the API.
          type: list
          elements: str
        workers:
          description: Nodes.
          type: list
          elements: str
        clients:
          description: Hosts with kubectl.
          type: list
          elements: str
        hosts:
          description: All of them, each once.
          type: list
          elements: str
        addresses:
          description: Primary address by host.
          type: dict
        all_addresses:
          description: Addresses by host, one of each family, the primary one first.
          type: dict
          sample: {"ctl01": ["10.240.0.11", "fd00:240::11"]}
    hosts:
      description: Address and programs of each host, by host.
      type: dict
      contains:
        address:
          description: Its primary address.
          type: str
        addresses:
          description: Its addresses, one of each family, the primary one first.
          type: list
          elements: str
        listen_address:
          description: Address that reaches a program through each address of the host, V(::) where it has IPv6.
          type: str
          sample: 0.0.0.0
        programs:
          description:
            - Programs for its architecture, by name, as the option
              O(hardway.kubernetes.component#module:published) takes them.
            - Empty for a host that this run did not read.
          type: dict
    api:
      description: How the API is reached.
      type: dict
      contains:
        server:
          description: URL for nodes and clients.
          type: str
          sample: https://10.240.0.10:6443
        local_server:
          description: URL on a controller itself.
          type: str
          sample: https://127.0.0.1:6443
        endpoints:
          description: Primary address and port of each API server, by host.
          type: dict
          sample: {"ctl01": "10.240.0.11:6443", "ctl02": "10.240.0.12:6443"}
        local_kubectl:
          description: Beginning of a command of the administrator on a controller, which asks the API server beside it.
          type: list
          elements: str
          sample:
            - /usr/local/bin/kubectl
            - --kubeconfig=/var/lib/kubernetes/admin.kubeconfig
            - --cache-dir=/run/kubectl
        balanced:
          description: Whether there are several API servers, and RV(spec.api.server) may lead to any of them.
          type: bool
        virtual:
          description:
            - The address that load balancers share, with the number of its VRRP router and the interface of each load
              balancer that was read. The address is empty without O(ignore:lb_virtual_address).
          type: dict
          contains:
            address:
              description: The address.
              type: str
              sample: 10.240.0.100
            router_id:
              description: Number of the VRRP router, V(1) to V(255); V(0) without an address.
              type: int
            interfaces:
              description: Network interface of each load balancer, by host.
              type: dict
              sample: {"kubelb": "eth0"}
        names:
          description: Names and addresses of the API server's certificate.
          type: list
          elements: str
        administrators:
          description: Group of the administrators' certificates, bound to C(cluster-admin).
          type: str
          sample: hardway:cluster-admins
        client_host:
          description: Host that talks to the API for the roles.
          type: str
          sample: localhost
        client_python:
          description:
            - Python that this host runs modules with. On the control node it is the one that runs Ansible, elsewhere
              the host's C(ansible_python_interpreter).
          type: str
          sample: /usr/bin/python3
        kubeconfig:
          description: Kubeconfig that it uses.
          type: str
    etcd:
      description: The members of etcd as the inventory has them.
      type: dict
      contains:
        members:
          description: C(peer_url) and C(client_url) by host.
          type: dict
        member_common_name:
          description: Common name of the members' certificates, without which etcd accepts no peer.
          type: str
          sample: etcd-member
        client_urls:
          description: Client URLs of all members.
          type: list
          elements: str
        initial_cluster:
          description: Value of etcd's C(--initial-cluster).
          type: str
          sample: ctl01=https://10.240.0.11:2380,ctl02=https://10.240.0.12:2380
        interrupts:
          description: Effect of a restart of one member. Empty where the others keep the quorum.
          type: str
    encryption:
      description:
        - C(provider) and C(resources) of an encryption configuration that is created, or whose key is rotated.
      type: dict
      sample: {"provider": "secretbox", "resources": ["secrets"]}
    certificates:
      description: C(config), C(authorities) and C(certificates) as M(hardway.kubernetes.x509_cfssl_compat) takes them.
      type: dict
    trust:
      description:
        - Paths of the files whose certificates hosts and kubeconfigs trust, by authority, the newest first.
        - There is more than one while the authority is rotated.
      type: dict
      sample: {"ca": [/srv/kthw/ca.pem], "etcd-ca": [/srv/kthw/etcd-ca-next.pem, /srv/kthw/etcd-ca.pem]}
    kubeconfigs:
      description: Kubeconfigs as M(hardway.kubernetes.kubeconfig) takes them.
      type: list
      elements: dict
    service_account_keys:
      description:
        - Files of the PKI directory with the keys whose service account tokens API servers accept. The first signs.
          There are others while the key is rotated.
      type: list
      elements: str
      sample: [service-account.pem]
    images:
      description: Full references of the container images that the cluster needs, by name in the release catalogue.
      type: dict
      sample: {"pause": "registry.k8s.io/pause:3.10.2"}
status:
  description: The status of the cluster, from the readings of this run.
  returned: always
  type: dict
  contains:
    exists:
      description: Whether a host that was read has a cluster.
      type: bool
    hosts:
      description:
        - Readings by host, see RV(hardway.kubernetes.host_facts#module:reading). Empty for a host that was not
          reached or is not part of the run.
      type: dict
    etcd:
      description: The etcd cluster that runs.
      type: dict
      contains:
        cluster_id:
          description: ID of the cluster in the data directories; empty without data.
          type: str
        members:
          description: Its members, with C(id), C(name), C(peer_urls) and C(learner).
          type: list
          elements: dict
        alarms:
          description: Alarms that it has raised, with C(member), the member's name, and C(alarm), V(NOSPACE) or
            V(CORRUPT).
          type: list
          elements: dict
          sample: [{"member": "ctl01", "alarm": "NOSPACE"}]
        databases:
          description: C(size), C(in_use) and C(quota) of the members' databases by host, in bytes. A host whose etcd
            does not answer is left out.
          type: dict
          sample: {"ctl01": {"size": 16822272, "in_use": 14725120, "quota": 2147483648}}
    authorities:
      description:
        - How far the rotation of each authority is, by its name.
        - C(phase) is V(none) without a rotation. With V(next) a new authority is trusted beside the old one, which
          signs. With V(previous) the new one signs, and the old one is still trusted. It is V(finishing) where hosts
          still trust an authority that the PKI directory does not have any more.
        - C(behind) has the hosts that do not trust exactly what the PKI directory has.
      type: dict
      sample: {"ca": {"phase": next, "behind": [wrk02]}}
    api_serves:
      description: Whether an API server runs on a controller that was read. True too when no controller was read, so
        that a run of other hosts expects the API to answer.
      type: bool
    nodes:
      description: Nodes as an API server knows them, by name, see
        RV(hardway.kubernetes.host_facts#module:reading.nodes).
      type: dict
    rotations:
      description: How far rotations of keys are.
      type: dict
      contains:
        problems:
          description: Reasons why no key can be rotated in this run, such as a controller that is not part of it.
          type: list
          elements: str
        service_account:
          description: The rotation of the service account's key.
          type: dict
          contains:
            phase:
              description:
                - V(none) without a rotation. With V(next), the new key is accepted and does not sign. With V(previous)
                  it signs, and the old one is accepted.
              type: str
            public_keys:
              description: SHA-256 of the public keys, by file of the PKI directory.
              type: dict
            behind:
              description: Controllers that do not have the same keys as the PKI directory yet.
              type: list
              elements: str
            wait:
              description:
                - Seconds until the last token of the previous key has ended. None in other phases, and where it is not
                  known.
              type: int
        encryption:
          description: The rotation of the key that encrypts objects in etcd.
          type: dict
          contains:
            phase:
              description:
                - V(settled) without a rotation. With V(added), the newest key does not write yet. With V(first), it
                  writes, and older ones read.
              type: str
            key:
              description: Provider and name of the newest key. Empty where nothing is encrypted.
              type: str
              sample: secretbox key2
            behind:
              description: Controllers that do not have the same keys in the same order as the PKI directory yet.
              type: list
              elements: str
            differences:
              description: Those of RV(plan.problems) that a rotation solves.
              type: list
              elements: str
plan:
  description: The plan of the run, from the status to the specification.
  returned: always
  type: dict
  contains:
    changes:
      description:
        - Differences that inventory and readings show, in the order in which a run deals with them. Files are
          compared when a run gets to them.
      type: list
      elements: dict
      contains:
        hosts:
          description: Hosts, in the order in which they change.
          type: list
          elements: str
        component:
          description: Component that changes there.
          type: str
          sample: kube-apiserver
        change:
          description: How.
          type: str
          sample: kube-apiserver 1.36.3 -> 1.37.2
        effect:
          description: Effect on users of the cluster. Empty without one.
          type: str
          sample: "one at a time: no interruption"
    warnings:
      description: Settings and changes that are allowed and have a risk.
      type: list
      elements: str
    problems:
      description: Reasons why a working cluster cannot be built.
      type: list
      elements: str
    blocking:
      description: RV(plan.problems), and RV(plan.etcd.problems) where this run changes etcd. The role
        P(hardway.kubernetes.preflight#role) fails with them.
      type: list
      elements: str
    probes:
      description:
        - TCP ports that a host has to reach, by host, as M(hardway.kubernetes.reachable) takes them, where one of the
          two hosts is new to the cluster.
      type: dict
    peers:
      description:
        - Health addresses of the other members, by V(etcd) or V(apiserver) and host. A healthy member or API server is
          restarted only while all of them are healthy. API servers that never ran, or were stopped, are left out.
      type: dict
      sample: {"etcd": {}, "apiserver": {"ctl01": ["https://10.240.0.12:6443/readyz"], "ctl02": []}}
    removal:
      description: Why a controller cannot be removed from the cluster, by controller. Empty for one that
        C(playbooks/remove_controller.yml) can remove.
      type: dict
      sample: {"ctl01": [], "ctl02": []}
    etcd:
      description: Plan for the members of etcd.
      type: dict
      contains:
        new:
          description: Whether all members start together, as a new cluster.
          type: bool
        joining:
          description: Hosts that join the cluster that runs.
          type: list
          elements: str
        surplus:
          description: Whether there are members that the inventory does not have.
          type: bool
        problems:
          description: Why a host's data cannot be used.
          type: list
          elements: str
    worker_batches:
      description:
        - Workers whose pods are moved away before they change, in batches that follow each other. They are those whose
          kubelet gets another minor release, those whose containerd or runc changes where
          C(worker_drain_on_runtime_change) is set, and those that an interrupted run left cordoned, which come first.
      type: list
      elements: list
      sample: [["wrk01"], ["wrk02"]]
    upgrade:
      description: Steps of an upgrade besides the changes of the components.
      type: dict
      contains:
        backup:
          description: Whether a snapshot of etcd is saved before anything changes, because etcd or API servers do.
          type: bool
        workloads:
          description: Whether the role P(hardway.kubernetes.preflight#role) asks the API what the upgrade would hurt.
          type: bool
        accepts:
          description: Losses that C(worker_drain_accepts) accepts, by worker that is drained.
          type: dict
          sample: {"wrk01": ["local_data"]}
    summary:
      description: The plan as lines of text.
      type: list
      elements: str
"""
