# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the parts of `make test` one after the other, and say at the end what ran, how long, and what did not and why.

The table `PARTS` is the one place that says what each part proves and which runs it belongs to; `make parts` prints it.

`make test` has the parts that are `always` there. The others take long, so that each run has as many of them as fit
into DRAWN minutes. They are drawn by a seed, and the seed is the hash of the work tree: the same commit is judged in
the same way every time. The first line prints the seed; `make test SEED=...` draws by another. A part counts with the
minutes of its class, which are the same on every machine. Some parts are in the full run alone, because they build
another release or a lab of another size.

Times are measured, not written down: the cache directory keeps those of earlier runs, and the summary shows them beside
the new ones. Nothing is decided by them. Only a run that had to build the programs first leaves drawn parts out by the
clock, when it would take longer than BUDGET otherwise, and says so.

A part that fails keeps only those from running that need what it left: see `hindrance`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import typing as t

import logs

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lab"))

from cache import cache_directory

# Minutes that the drawn parts of a run may take together, by their classes.
DRAWN = 12
# Seconds within which a run with drawn parts has to end.
BUDGET = 75 * 60
# The classes of parts: minutes that a part takes at most on two cores with a warm cache.
CLASSES = (1, 2, 5, 10, 30)
# How a part says that something of it was not done, and why.
LEFT_OUT = b"left out: "

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
        30,
        "the network part with flannel under the IPv4 and the IPv6 address of pods, Services and hosts; the state of "
        "such hosts; a second run changes nothing",
        "full",
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
        30,
        "Ansible reaches the hosts by SSH as an ordinary user, with sudo and a password; Debian 12 and 13 in one "
        "cluster: it is built, is as any other, a second run changes nothing, a worker leaves",
        "full",
    ),
    Part(
        "own machines",
        ("lab-down", f"lab-hosts CONNECTION=ssh {_TWO_SYSTEMS}", "test-own-machines", "lab-down"),
        "own lab",
        30,
        "an ordinary user takes the README's steps for machines of one's own literally, from a clone; the installed "
        "archive, with the requirements alone, changes nothing; backup, restore, a worker leaves",
        "full",
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
        "full",
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


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a part: "ok", "FAILED" or "not run", with a remark."""

    word: str
    remark: str = ""
    seconds: float = 0.0


def work_tree(root: pathlib.Path = ROOT) -> tuple[str, bool]:
    """Return the hash of the work tree as git would write it, and whether it is that of the last commit.

    :param root: the top directory of a clone.
    :returns: the tree's hash with what is changed or new in it, what .gitignore names left out; True for a commit.
    :raises RuntimeError: the directory is not a clone, so that there is nothing to hash.
    """

    def git(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"{root} has no hash to draw parts by, give one: SEED=1; git said: {done.stderr.strip()}"
            )
        return done.stdout.strip()

    committed = git("rev-parse", "HEAD^{tree}")
    objects = git("rev-parse", "--path-format=absolute", "--git-path", "objects")
    with tempfile.TemporaryDirectory() as scratch:
        # An index and objects of its own: a run leaves the user's as they are.
        beside = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        git("read-tree", "HEAD", **beside)
        git("add", "--all", **beside)
        found = git("write-tree", **beside)
    return found, found == committed


def drawn_by(given: str | None) -> tuple[str, str]:
    """Return the seed of a run and a text that says where it comes from.

    :param given: the seed that the user gave, or None for the work tree's hash.
    """
    if given is not None:
        return given, "as given"
    tree, committed = work_tree()
    return tree[:12], "the hash of the last commit's tree" if committed else "the hash of the work tree, not committed"


def environment(seed: str) -> dict[str, str]:
    """Return what parts that draw something themselves take their seeds from."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    return {"HARDWAY_SEED": seed, "FUZZ_SEED": str(number)}


def chosen(parts: t.Sequence[Part], which: str, seed: str, room: int = DRAWN) -> dict[Part, str]:
    """Return why a part of the run is left out; the empty string for those that run.

    :param which: "fast" for what needs no hosts and is always there, "full" for everything, else what is always there
        and what the seed draws.
    :param room: minutes that drawn parts may take together.
    """
    if which == "full":
        return dict.fromkeys(parts, "")
    if which == "fast":
        return {
            part: "needs hosts: make test"
            if part.stage != "fast"
            else ""
            if part.runs == "always"
            else "make test-full"
            for part in parts
        }
    drawn: set[Part] = set()
    rotating = [part for part in parts if part.runs == "drawn"]
    for part in random.Random(seed).sample(rotating, k=len(rotating)):
        if sum(one.minutes for one in drawn) + part.minutes <= room:
            drawn.add(part)
    why_not = {"always": "", "drawn": f"not drawn by seed {seed}: make test-full", "full": "make test-full"}
    return {part: "" if part in drawn else why_not[part.runs] for part in parts}


def hindrance(part: Part, results: t.Mapping[Part, Result]) -> str:
    """Return why a part cannot run after what happened before it; the empty string when it can.

    Without hosts, everything runs. Hosts are made only when all of that is well. The lab that a part failed on stays as
    it is, to be looked at; what has hosts of its own beside it runs nevertheless.
    """
    failed = {stage: one.name for one, result in results.items() if result.word == "FAILED" for stage in [one.stage]}
    stands_on: dict[Stage, list[Stage]] = {
        "fast": [],
        "lab": ["fast", "lab", "own lab"],
        "own hosts": ["fast"],
        "own lab": ["fast", "lab", "own lab"],
    }
    for stage in stands_on[part.stage]:
        if stage in failed:
            return f"{failed[stage]} failed" + ("" if stage == "fast" else ", and its hosts stay")
    return ""


def out_of_time(part: Part, to_come: t.Iterable[Part], passed: float, budget: float = BUDGET) -> str:
    """Return why a drawn part is left out after all; the empty string when it fits.

    :param to_come: the parts after it.
    :param passed: seconds since the run began.
    :param budget: seconds that the run may take.
    """
    needed = 60 * (part.minutes + sum(one.minutes for one in to_come if one.runs == "always"))
    if part.runs == "always" or passed + needed <= budget:
        return ""
    return f"{passed / 60:.0f} of {budget / 60:.0f} minutes are over: make test-full"


def read_times(file: pathlib.Path) -> dict[str, float]:
    """Return the seconds that each part took last time on this machine, by name; empty when nothing is kept."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {name: float(seconds) for name, seconds in kept.items() if isinstance(seconds, int | float)}


def keep_times(file: pathlib.Path, results: t.Mapping[Part, Result]) -> None:
    """Keep the seconds of the parts that passed, beside those of parts that did not run this time."""
    passed = {part.name: round(result.seconds, 1) for part, result in results.items() if result.word == "ok"}
    kept = read_times(file) | passed
    with contextlib.suppress(OSError):  # a cache that cannot be written does not make a run fail
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def table(parts: t.Sequence[Part], results: t.Mapping[Part, Result], before: t.Mapping[str, float]) -> str:
    """Return the summary: part, seconds, seconds of the time before, result."""
    width = max(len(part.name) for part in parts)
    rows = [f"{'part':<{width}}  {'took':>6}  {'before':>6}  result"]
    for part in parts:
        result = results.get(part, Result("not run", "the run was stopped"))
        took = f"{result.seconds:.0f} s" if result.seconds else "-"
        last = f"{before[part.name]:.0f} s" if part.name in before else "-"
        remarks = [result.remark] if result.remark else []
        if result.word == "ok" and result.seconds > 60 * part.minutes:
            remarks.append(f"longer than the {part.minutes} min of its class")
        said = ": ".join([result.word, "; ".join(remarks)]) if remarks else result.word
        rows.append(f"{part.name:<{width}}  {took:>6}  {last:>6}  {said}")
    total = sum(result.seconds for result in results.values())
    return "\n".join([*rows, f"{'total':<{width}}  {f'{total:.0f} s':>6}"])


def listing(parts: t.Sequence[Part], before: t.Mapping[str, float]) -> str:
    """Return what `make parts` prints: every part, the runs that have it, how long it takes, what it proves."""
    said = {"always": "in every run", "drawn": "drawn", "full": "make test-full"}
    blocks = []
    for part in parts:
        took = f", here {before[part.name]:.0f} s" if part.name in before else ""
        head = f"{part.name}: {said[part.runs]}; at most {part.minutes} min{took}; needs: {_NEEDS[part.stage]}"
        commands = "; ".join(f"make {target}" for target in part.targets)
        proves = textwrap.wrap(part.proves, 110, initial_indent="    ", subsequent_indent="    ")
        blocks.append("\n".join([head, *proves, f"    {commands}"]))
    return "\n\n".join(blocks)


_NEEDS: dict[Stage, str] = {
    "fast": "no hosts",
    "lab": "the lab",
    "own hosts": "hosts that it makes beside the lab",
    "own lab": "a lab in place of the other",
}


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(part: Part, folder: pathlib.Path, seeds: t.Mapping[str, str] | None = None) -> Result:
    """Run a part, its output here and in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    ends = begun + part.stops_after
    left_out: list[str] = []
    with (folder / "output.log").open("wb") as log:
        for target in part.targets:
            # A process group of its own, so that nothing of it is left when it hangs.
            process = subprocess.Popen(
                ["make", "--no-print-directory", *shlex.split(target)],
                cwd=ROOT,
                env=os.environ | dict(seeds or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stop = threading.Timer(max(0.0, ends - time.monotonic()), _kill, (process,))
            stop.start()
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    sys.stdout.buffer.write(line)
                    sys.stdout.buffer.flush()
                    log.write(line)
                    if line.startswith(LEFT_OUT):
                        left_out.append(line.decode(errors="replace").strip())
                code = process.wait()
            except BaseException:
                # Stopping the run also stops its part.
                _kill(process)
                raise
            finally:
                stop.cancel()
            if time.monotonic() >= ends:
                print(f"{part.name}: make {target} was stopped after {part.stops_after} seconds", flush=True)
            if code != 0:
                return Result("FAILED", f"make {target}", time.monotonic() - begun)
    return Result("ok", "; ".join(left_out), time.monotonic() - begun)


def run_all(
    left_out: t.Mapping[Part, str],
    folder: pathlib.Path,
    budget: float,
    seeds: t.Mapping[str, str] | None = None,
) -> dict[Part, Result]:
    """Run the parts that are not left out, each as far as nothing hinders it, and keep the hosts' logs of failures."""
    begun = time.monotonic()
    results: dict[Part, Result] = {}
    parts = list(left_out)
    try:
        for number, part in enumerate(parts):
            to_come = [one for one in parts[number + 1 :] if not left_out[one]]
            why = (
                left_out[part]
                or hindrance(part, results)
                or out_of_time(part, to_come, time.monotonic() - begun, budget)
            )
            if why:
                results[part] = Result("not run", why)
                continue
            print(f"\n=== {part.name}", flush=True)
            results[part] = run(part, folder / part.name.replace(" ", "-"), seeds)
            if results[part].word == "FAILED":
                logs.collect(folder / part.name.replace(" ", "-"))
    except KeyboardInterrupt:
        results[part] = Result("FAILED", "stopped by hand")
    return results


def main() -> int:
    """Run what the command line asks for, and return the exit code."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("which", choices=["fast", "test", "full", "parts"])
    reading.add_argument("--seed", help="what draws parts and inputs (default: the hash of the work tree)")
    reading.add_argument("--logs", type=pathlib.Path, default=ROOT / ".logs", help="folder of what the parts print")
    given = reading.parse_args()
    times = cache_directory() / "times.json"
    before = read_times(times)
    if given.which == "parts":
        print(listing(PARTS, before))
        return 0
    try:
        seed, source = drawn_by(given.seed)
    except RuntimeError as error:
        sys.exit(f"run.py: {error}")
    left_out = chosen(PARTS, given.which, seed)
    print(f"seed {seed}, {source} (again with the same parts: make test SEED={seed})", flush=True)
    if given.which == "test":
        drawn = [part.name for part, why in left_out.items() if part.runs == "drawn" and not why]
        print(f"drawn: {', '.join(drawn)}", flush=True)
    # All files in it are of this run.
    shutil.rmtree(given.logs, ignore_errors=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    budget = BUDGET if given.which == "test" else float("inf")
    results = run_all(left_out, given.logs, budget, environment(seed))
    keep_times(times, results)
    print(f"\n{table(PARTS, results, before)}", flush=True)
    failed = [part.name for part, result in results.items() if result.word == "FAILED"]
    if not failed:
        return 0
    folder = given.logs / failed[0].replace(" ", "-") if len(failed) == 1 else given.logs
    print(f"failed: {', '.join(failed)}; output and the logs of the hosts are in {folder}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
