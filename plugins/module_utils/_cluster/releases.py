# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the wanted versions with those on the hosts: the steps that Kubernetes and etcd do not support are refused.

https://kubernetes.io/releases/version-skew-policy and etcd's upgrade guides are the rules.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology

__all__ = ("Chapters", "chapters", "parsed_version", "release_problems")

#: Major, minor, patch.
Version = tuple[int, int, int]
#: Returns whether a chapter (a tag of ``site.yml``) is part of the run.
Chapters = t.Callable[[str], bool]

_PROGRAMS = {
    "etcd": "etcd",
    "kube-apiserver": "controllers",
    "kube-controller-manager": "controllers",
    "kube-scheduler": "controllers",
    "kubelet": "workers",
    "kube-proxy": "workers",
}
#: Programs beside the API server that must not be newer, by chapter.
_CLIENTS = {"controller_manager": "kube-controller-manager", "scheduler": "kube-scheduler"}
#: A kubelet may be this many minor releases older than an API server.
_OLDER_KUBELET = 3


def chapters(tags: t.Iterable[str] = ("all",), skipped: t.Iterable[str] = ()) -> Chapters:
    """Return the chapters of a run.

    :param tags: of ``--tags``; ``all`` without them.
    :param skipped: of ``--skip-tags``.
    """
    chosen, left_out = set(tags) or {"all"}, set(skipped)
    return lambda name: bool({"all", "tagged", name} & chosen) and not {"all", "tagged", name} & left_out


def parsed_version(text: t.Any) -> Version | None:
    """Return major, minor and patch of a version such as ``v1.37.2`` or ``1.37``; None where the text is not one."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", str(text))
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _found(shape: Topology, readings: t.Mapping[str, Reading], program: str) -> dict[str, Version]:
    """Return the versions of a program by host of the part that runs it."""
    part: list[str] = shape[_PROGRAMS[program]]  # type: ignore[literal-required]
    versions = {host: parsed_version((readings.get(host) or {}).get("programs", {}).get(program)) for host in part}
    return {host: found for host, found in versions.items() if found}


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def _named(hosts: t.Mapping[str, Version]) -> str:
    return ", ".join(f"{host} {_text(version)}" for host, version in hosts.items())


def _older(shape: Topology, readings: t.Mapping[str, Reading], versions: t.Mapping[str, str]) -> list[str]:
    """Return what would become older than it is."""
    problems = []
    for program in _PROGRAMS:
        component = "etcd" if program == "etcd" else "kubernetes"
        wanted = parsed_version(versions[component])
        newer = {host: found for host, found in _found(shape, readings, program).items() if wanted and found > wanted}
        if not newer:
            continue
        most = max(newer.values())
        reason = "etcd does not start on the data of a newer one" if program == "etcd" else "Kubernetes cannot go back"
        problems.append(
            f"{program}: {_named(newer)}, the inventory says {versions[component]}; {reason}. Set cluster_release to a "
            f"release that has {_text(most)} or a newer one, or cluster_versions to {{{component}: {_text(most)}}}"
        )
    return problems


def _skipped(program: str, component: str, found: t.Mapping[str, Version], wanted: str) -> list[str]:
    """Return whether more than one minor release would be skipped."""
    new = parsed_version(wanted)
    behind = {host: version for host, version in found.items() if new and new[:2] > (version[0], version[1] + 1)}
    if not behind:
        return []
    oldest = min(behind.values())
    following = f"{oldest[0]}.{oldest[1] + 1}"
    way = f"cluster_release {following}" if component == "kubernetes" else f"a version {following} in cluster_versions"
    return [
        f"{program}: {_named(behind)}, the inventory says {wanted}; one minor release at a time: set {way} first, run "
        "site.yml, then go on"
    ]


def _newer_clients(shape: Topology, readings: t.Mapping[str, Reading], wanted: Version, runs: Chapters) -> list[str]:
    """Return the controller managers and schedulers that would be newer than an API server of the run."""
    if runs("apiserver"):
        return []
    servers = _found(shape, readings, "kube-apiserver")
    behind = {host: found for host, found in servers.items() if found[:2] < wanted[:2]}
    return [
        f"{program}: {', '.join(behind)} would get {_text(wanted)}, newer than kube-apiserver ({_named(behind)}), "
        f"which this run leaves out; {program} must not be newer: run site.yml with the tag apiserver too, or without "
        "tags"
        for chapter, program in _CLIENTS.items()
        if behind and runs(chapter)
    ]


def _newer_kubelets(shape: Topology, readings: t.Mapping[str, Reading], wanted: Version, runs: Chapters) -> list[str]:
    """Return the kubelets that would be newer than an API server that this run does not change before them."""
    workers = [host for host in shape["workers"] if readings.get(host)]
    servers = {} if runs("apiserver") else _found(shape, readings, "kube-apiserver")
    if not all(readings.get(host) for host in shape["controllers"]):
        servers.update(_reached(readings, workers))
    behind = {host: version for host, version in servers.items() if version[:2] < wanted[:2]}
    if not behind or not workers or not runs("worker"):
        return []
    return [
        f"kubelet: {', '.join(workers)} would get {_text(wanted)}, newer than kube-apiserver ({_named(behind)}), which "
        "this run leaves out; a kubelet must not be newer: run site.yml with the tag apiserver, without a limit, first"
    ]


def _reached(readings: t.Mapping[str, Reading], workers: t.Iterable[str]) -> dict[str, Version]:
    """Return the versions of the API servers that answer kubelets: of controllers that are not in the run."""
    identities = {host: readings[host].get("identity", {}) for host in workers}
    # By name where a kubelet reaches them one by one: a load balancer leads to any of them.
    texts = {name: text for found in identities.values() for name, text in found.get("api_versions", {}).items()}
    texts.update({f"reached from {host}": found.get("api_version") for host, found in identities.items()})
    return {name: found for name, text in texts.items() if (found := parsed_version(text))}


def _old_kubelets(shape: Topology, readings: t.Mapping[str, Reading], wanted: Version, runs: Chapters) -> list[str]:
    """Return the kubelets that are too old for the wanted API servers, also those that only these know."""
    known = {
        name: version
        for found in readings.values()
        for name, node in (found.get("nodes") or {}).items()
        if (version := parsed_version(node["version"]))
    }
    known.update(_found(shape, readings, "kubelet"))
    old = {host: version for host, version in known.items() if version[1] + _OLDER_KUBELET < wanted[1]}
    if not old or not runs("apiserver"):
        return []
    return [
        f"kubelet: {_named(old)}, more than {_OLDER_KUBELET} minor releases older than the kube-apiserver "
        f"{_text(wanted)} of the inventory; bring the kubelets to the release of the API servers first, with "
        "the old cluster_release"
    ]


def release_problems(
    shape: Topology,
    readings: t.Mapping[str, Reading],
    versions: t.Mapping[str, str],
    runs: Chapters,
    *,
    exists: bool,
) -> list[str]:
    """Return the changes of version that are not supported, one sentence each.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param versions: wanted versions by component.
    :param runs: see :func:`chapters`.
    :param exists: whether there is a cluster; on hosts of a build that stopped nothing is refused.
    """
    wanted = parsed_version(versions["kubernetes"])
    if not exists or not wanted:
        return []
    servers, members = _found(shape, readings, "kube-apiserver"), _found(shape, readings, "etcd")
    problems = _older(shape, readings, versions)
    problems += _skipped("kube-apiserver", "kubernetes", servers, versions["kubernetes"])
    problems += _skipped("etcd", "etcd", members, versions["etcd"])
    problems += _newer_clients(shape, readings, wanted, runs)
    problems += _newer_kubelets(shape, readings, wanted, runs)
    return problems + _old_kubelets(shape, readings, wanted, runs)
