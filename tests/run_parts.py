# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of `make test`: what each one proves, which runs it belongs to, and how long it takes."""

from __future__ import annotations

import dataclasses
import typing as t

# The classes of parts: minutes that a part takes at most on two cores with a warm cache.
CLASSES = (1, 2, 5, 10, 30)

Stage = t.Literal["fast", "lab", "own hosts", "own lab"]
Runs = t.Literal["always", "drawn", "full"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One line of the table."""

    name: str
    #: Targets of the Makefile, with their variables; the first that fails ends the part.
    targets: tuple[str, ...]
    #: Its hosts: no hosts, the lab of the run, hosts that it makes beside the lab, or a lab in place of that one.
    stage: Stage
    #: Its class: one of CLASSES. Coarse on purpose, so that a part changes its class seldom.
    minutes: int
    #: The properties that it proves.
    proves: str
    #: In every run, drawn, or in the full run alone.
    runs: Runs = "always"
    #: Whether it may have to build programs first, which takes much longer the first time.
    builds: bool = False

    @property
    def stops_after(self) -> int:
        """Return the seconds after which it is stopped, because something hangs."""
        return 3 * 60 * self.minutes + (2400 if self.builds else 600)


def _life(name: str, tests: str, minutes: int, proves: str, runs: str, sizes: str = "CONTROLLERS=3") -> Part:
    """Return a part of `make test-life` on a lab with flannel."""
    lab = f"lab {sizes} SETTINGS=cluster_pod_network=flannel"
    return Part(name, ("lab-down", lab, f"test-life LIFE={tests}", "lab-down"), "own lab", minutes, proves, runs)


def _upgrade(network: str, mode: str) -> tuple[str, ...]:
    """Return targets that upgrade a small lab with a pod network and a mode of kube-proxy."""
    settings = f"'cluster_pod_network={network} cluster_kube_proxy_mode={mode}'"
    return "lab-down", "mirror", f"lab RELEASE=1.36 CONTROLLERS=1 SETTINGS={settings}", "test-life LIFE=test_upgrade"


_TWO_SYSTEMS = 'SETTINGS="ctl02:lab_debian=13 wrk02:lab_debian=13"'

PARTS = (
    Part(
        "lint",
        ("lint",),
        "fast",
        2,
        "style of YAML, Python, shell and Ansible; types of plugins and lab; no function too complex",
    ),
    Part("units", ("units",), "fast", 2, "modules, filters, preflight and documents, without hosts", builds=True),
    Part(
        "fuzz",
        ("fuzz",),
        "fast",
        1,
        "ten thousand damaged PEM, JSON and YAML files are read, or refused in words with nothing written; "
        "`units` has a fifth of it",
        "drawn",
    ),
    Part("integration", ("test-integration",), "fast", 2, "x509_cfssl_compat, kubeconfig and registries as tasks"),
    Part(
        "packaging",
        ('test-packaging CHECKS="contents documents"',),
        "fast",
        1,
        "the archive: what is in it and what is not, ansible-doc, antsibull-docs, changelog, galaxy-importer",
        builds=True,
    ),
    Part(
        "sanity",
        ("test-packaging CHECKS=sanity",),
        "fast",
        5,
        "every sanity test of ansible-test, without an ignore file, on the oldest ansible-core and the oldest Python "
        "of hosts",
        "drawn",
        builds=True,
    ),
    Part(
        "units as packaged",
        ("test-packaging CHECKS=units",),
        "fast",
        2,
        "the plugins' tests by ansible-test, on the oldest ansible-core",
        "drawn",
        builds=True,
    ),
    Part(
        "newest ansible-core",
        ("test-packaging-newest",),
        "fast",
        5,
        "sanity and units on the newest ansible-core, where Python 3.12 or 3.13 is there",
        "drawn",
        builds=True,
    ),
    Part("lab", ("lab-down", "lab"), "lab", 2, "a cluster of six hosts, made from nothing", builds=True),
    Part(
        "etcd modules",
        ("test-etcd",),
        "own hosts",
        1,
        "the etcd modules against real etcd processes on loopback",
        builds=True,
    ),
    Part(
        "programs",
        ("test-programs",),
        "own hosts",
        2,
        "the programs check their own flags and configuration files before a restart; whom and what an API server with "
        "the role's files admits; containerd pulls with the files of registries",
        builds=True,
    ),
    Part(
        "unchanged",
        ("test-unchanged",),
        "lab",
        5,
        "a second run, a check run and every tag alone change nothing: no file's inode or time, no process",
    ),
    Part(
        "installed",
        ("test-installed",),
        "lab",
        1,
        "the archive, installed elsewhere, finds the lab as the repository made it",
    ),
    Part("smoke", ("smoke",), "lab", 1, "the article's checks"),
    Part(
        "state",
        ("test-lab",),
        "lab",
        2,
        "the hosts' state from outside: units, files, listening addresses, TLS, objects",
    ),
    Part(
        "network",
        ("test-network",),
        "lab",
        10,
        "who reaches whom, under which address, in both modes of kube-proxy; API servers reach pods; DNS",
    ),
    Part(
        "check runs",
        ("test-check-runs",),
        "lab",
        10,
        "check runs predict exactly what real runs do, for ten edits of the inventory",
        "drawn",
    ),
    Part(
        "plan",
        ("test-plan",),
        "lab",
        10,
        "plan.yml names what check runs would change, component by component and host by host, and touches nothing",
        "drawn",
    ),
    Part(
        "tags and limits",
        ("test-tags",),
        "lab",
        10,
        "a chapter or a host alone does its work and touches nothing else; one certificate alone is issued again",
        "drawn",
    ),
    Part(
        "worker leaves",
        ("test-remove-worker",),
        "lab",
        5,
        "a worker leaves: not before disruption budgets allow it, and although its host is gone; another takes its "
        "place",
        "drawn",
    ),
    Part(
        "weave password",
        ("test-weave-password",),
        "lab",
        5,
        "Weave Net's password is given, changed and taken away: packets on the wire, the Secret, and nowhere else",
        "drawn",
    ),
    Part(
        "registry",
        ("test-registry",),
        "lab",
        5,
        "a private registry with TLS and a password is the only source of images: all of them come from it, a wrong "
        "password opens nothing, and no output has the right one",
        "drawn",
    ),
    Part(
        "proxy",
        ("test-proxy",),
        "lab",
        5,
        "a worker whose only way out is a proxy is built from nothing: programs and packages come through it; without "
        "the setting the run ends in words",
        "full",
    ),
    Part(
        "operations",
        ("test-operations",),
        "lab",
        10,
        "etcd saves backups on a schedule, a full database takes writes again, damaged data is replaced, a lost PKI "
        "directory comes back from the controllers",
        "drawn",
    ),
    Part(
        "cis",
        ("cis",),
        "lab",
        2,
        "the CIS benchmark for Kubernetes, by kube-bench: automated checks pass or deviate with a reason, manual ones "
        "have an answer",
        "drawn",
        builds=True,
    ),
    Part("rebuild", ("test-rebuild",), "lab", 2, "a wiped worker comes back by tag and limit"),
    Part("faults", ("test-faults",), "lab", 10, "what a client sees while a part fails, and how etcd comes back"),
    Part(
        "broken changes",
        ("test-rollback ROLLBACK_CASES=3 ROLLBACK_KILLS=3",),
        "lab",
        10,
        "three flags, files or programs that do not run end on their first host and are rolled back there under a "
        "writer; a change killed at three moments is finished by the next run",
        "drawn",
    ),
    Part("lab-down", ("lab-down",), "lab", 1, "the lab goes, and leaves nothing"),
    Part(
        "bad input",
        ("test-bad-input",),
        "own hosts",
        5,
        "wrong settings, clocks, small and full disks, damaged downloads: named, nothing half-written, the next run "
        "is fine",
        "drawn",
    ),
    Part(
        "scenario etcd",
        ("molecule SCENARIO=etcd",),
        "own hosts",
        10,
        "members lost, replaced, added, removed, restored under a writer",
    ),
    Part(
        "scenario default",
        ("molecule SCENARIO=default",),
        "own hosts",
        1,
        "preflight and the preparation of a node alone",
        "drawn",
    ),
    Part("scenario ca", ("molecule SCENARIO=ca",), "own hosts", 1, "certificates and kubeconfigs alone", "drawn"),
    Part(
        "scenario control_plane",
        ("molecule SCENARIO=control_plane",),
        "own hosts",
        2,
        "etcd and the control plane without workers",
        "drawn",
    ),
    Part("scenario worker", ("molecule SCENARIO=worker",), "own hosts", 5, "a worker joins a control plane", "drawn"),
    Part("scenario addons", ("molecule SCENARIO=addons",), "own hosts", 2, "pod network and DNS alone", "drawn"),
    Part(
        "scenario site", ("molecule SCENARIO=site",), "own hosts", 10, "the whole sequence on hosts of its own", "drawn"
    ),
    Part(
        "network flannel",
        ("test-networks NETWORK=flannel",),
        "own lab",
        10,
        "the network part on a small lab with flannel and another range of pods; `make test-networks` without NETWORK "
        "does it for every network (weave: its peers and policies, too)",
        "full",
    ),
    Part(
        "dual stack",
        ("test-families FAMILIES=dual NETWORK=flannel",),
        "own lab",
        10,
        "the network part with flannel under the IPv4 and the IPv6 address of pods, Services and hosts; the state of "
        "such hosts; a second run changes nothing",
        "drawn",
    ),
    Part(
        "dual stack bridge",
        ("test-families FAMILIES=dual NETWORK=bridge",),
        "own lab",
        30,
        "the same with bridge",
        "full",
    ),
    Part(
        "IPv6",
        ("test-families FAMILIES=ipv6 NETWORK=flannel",),
        "own lab",
        30,
        "the network part with flannel, and the state of hosts, where everything has IPv6 addresses alone",
        "full",
    ),
    Part(
        "scratch",
        ("test-scratch", "lab-down"),
        "own lab",
        5,
        "empty hosts: a check run writes nothing, killed runs are finished by the next, no secret is said anywhere",
        "drawn",
    ),
    Part(
        "three controllers",
        ("lab-down", "lab CONTROLLERS=2", "lab CONTROLLERS=3", "test-lab", "test-faults", "lab-down"),
        "own lab",
        10,
        "a cluster grows; no single fault stops writes for more than 15 seconds",
        "drawn",
    ),
    Part(
        "virtual address",
        (
            "lab-down",
            "lab CONTROLLERS=1 LBS=2 SETTINGS=lb_virtual_address=10.240.0.250",
            "test-faults FAULTS=virtual_address",
            "lab-down",
        ),
        "own lab",
        5,
        "two load balancers share an address: when the host of one, its nginx or its keepalived ends, a client writes "
        "again within 5 seconds, nothing is lost, and the address does not move back",
        "drawn",
    ),
    Part(
        "ssh",
        (
            "lab-down",
            f"lab CONNECTION=ssh {_TWO_SYSTEMS}",
            "test-lab",
            "smoke",
            "test-unchanged",
            "test-remove-worker",
            "lab-down",
        ),
        "own lab",
        10,
        "Ansible reaches the hosts by SSH as an ordinary user, with sudo and a password; Debian 12 and 13 in one "
        "cluster: it is built, is as any other, a second run changes nothing, a worker leaves",
        "drawn",
    ),
    Part(
        "own machines",
        ("lab-down", f"lab-hosts CONNECTION=ssh {_TWO_SYSTEMS}", "test-own-machines", "lab-down"),
        "own lab",
        10,
        "an ordinary user takes the README's steps for machines of one's own literally, from a clone; the installed "
        "archive, with the requirements alone, changes nothing; backup, restore, a worker leaves",
        "drawn",
    ),
    Part(
        "every broken change",
        (
            "lab-down",
            "lab CONTROLLERS=3 SETTINGS=cluster_pod_network=flannel",
            "test-rollback ROLLBACK_KILLS=1",
            "lab-down",
        ),
        "own lab",
        30,
        "a broken flag, file and program of every component, on three controllers: no write is lost, one host at most "
        "is ever unhealthy, and the old state is back",
        "full",
    ),
    Part(
        "thirty kills",
        (
            "lab-down",
            "lab CONTROLLERS=3 SETTINGS=cluster_pod_network=flannel",
            "test-rollback ROLLBACK_CASES=1 ROLLBACK_KILLS=30",
            "lab-down",
        ),
        "own lab",
        30,
        "a change of etcd and of the API servers, killed at thirty moments, is finished by the next run each time",
        "full",
    ),
    Part(
        "conformance",
        ("lab-down", "lab CONTROLLERS=1 SETTINGS=cluster_pod_network=flannel", "conformance-part", "lab-down"),
        "own lab",
        5,
        "31 tests of Kubernetes' own conformance suite, of every group, with flannel",
        "drawn",
        builds=True,
    ),
    Part(
        "conformance dual stack",
        ("lab-down", "lab FAMILIES=dual CONTROLLERS=1", "conformance-dual", "lab-down"),
        "own lab",
        10,
        "22 tests of Kubernetes' own suite for clusters of both address families, with flannel",
        "drawn",
        builds=True,
    ),
    _life(
        "controllers leave and come",
        "controllers",
        10,
        "three controllers become one and three again under a writing client",
        "drawn",
    ),
    _life(
        "power cut",
        "power_cut",
        5,
        "all hosts lose power at once; everything comes back by itself, and a run changes nothing",
        "drawn",
    ),
    _life(
        "the balancer is replaced",
        "balancers",
        5,
        "nodes and clients go to a new balancer, and the old one is turned off, under a client that loses nothing",
        "drawn",
        "LBS=2",
    ),
    _life(
        "all controllers are lost",
        "restore",
        5,
        "new hosts and a backup bring the cluster back to its workers; pods have gone on, Secrets are readable",
        "drawn",
        "CONTROLLERS=2",
    ),
    _life(
        "an authority is rotated",
        "etcd-ca",
        10,
        "etcd's authority gets a new key under a writing client, which loses nothing",
        "drawn",
    ),
    _life(
        "authorities are rotated",
        "rotate_authorities",
        30,
        "every authority is rotated under a writing client, and what the old one signed is refused afterwards",
        "full",
    ),
    _life(
        "keys are rotated",
        "rotate_keys",
        30,
        "every key is rotated under a writing client, killed on the way and continued; etcdctl finds no old key",
        "full",
    ),
    _life("expired", "expired", 30, "a cluster whose certificates have expired is healed by one run", "full"),
    Part(
        "upgrade",
        (
            "lab-down",
            "mirror",
            "lab RELEASE=1.36 CONTROLLERS=3 WORKERS=3 SETTINGS=cluster_pod_network=flannel",
            "test-life LIFE=killed_upgrade",
            "lab-down",
        ),
        "own lab",
        30,
        "a cluster of release 1.36 becomes one of 1.37 under a writing client and a visited Service, killed on the "
        "way: nothing is lost, the version skew policy holds at every moment, and the next run finishes it",
        "full",
        builds=True,
    ),
    Part(
        "every network is upgraded",
        (
            *_upgrade("weave", "iptables"),
            *_upgrade("weave", "nftables"),
            *_upgrade("bridge", "iptables"),
            *_upgrade("bridge", "nftables"),
            *_upgrade("flannel", "nftables"),
            "lab-down",
        ),
        "own lab",
        30,
        "a cluster of release 1.36 becomes one of 1.37 with each pod network and each mode of kube-proxy, and "
        "no request to a Service fails",
        "full",
        builds=True,
    ),
    Part(
        "upgraded twice and rotated",
        (
            "lab-down",
            "mirror",
            "mirror RELEASE=1.36",
            "lab RELEASE=1.35 CONTROLLERS=3 WORKERS=3 SETTINGS=cluster_pod_network=flannel",
            "test-life LIFE=test_upgrade",
            "inventory RELEASE=1.37 CONTROLLERS=3 WORKERS=3 SETTINGS=cluster_pod_network=flannel",
            "test-life LIFE=load[ca]",
            "conformance-part",
            "lab-down",
        ),
        "own lab",
        30,
        "a cluster of release 1.35 becomes one of 1.37 by way of 1.36: nothing is lost, workers have their turns, "
        "nodes that others cordoned stay cordoned; its authority `ca` gets a new key, and it passes tests of the "
        "conformance suite",
        "full",
        builds=True,
    ),
    Part(
        "reset",
        ("test-reset", "lab-down"),
        "own lab",
        10,
        "a cluster is taken off its hosts, killed on the way: files, packet filter and interfaces are as before it, "
        "but for packages and logs, and a cluster is built on them again",
        "full",
    ),
    Part(
        "release 1.36",
        ("lab-down", "lab RELEASE=1.36", "test-lab", "lab-down"),
        "own lab",
        5,
        "the lab and its state with Kubernetes 1.36",
        "full",
        builds=True,
    ),
    Part(
        "release 1.35",
        ("lab-down", "lab RELEASE=1.35", "test-lab", "lab-down"),
        "own lab",
        5,
        "the lab and its state with Kubernetes 1.35",
        "full",
        builds=True,
    ),
)
