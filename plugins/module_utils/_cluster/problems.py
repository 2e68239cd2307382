# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find everything that is wrong with an inventory before anything is changed.

Each problem is one sentence that names host, variable, what was found and what is allowed.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import (
    Catalogue,
    images,
    release_versions,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.host_problems import (
    occupied,
    shared_ports,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.image_names import image_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.network_problems import (
    NODE_NAME,
    address_problems,
    family_problems,
    network_problems,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.proxies import proxy_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import Settings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.virtual_address import leads_to_one
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import CatalogueError

__all__ = ("KUBE_PROXY_MODES", "POD_NETWORKS", "cluster_problems", "cluster_warnings", "host_problems")

# As the Corefile takes it: one word, without what ends a block there.
_FILE = re.compile(r"/[^\s{}\"#]+")
_REQUIRED = {"controllers": "API servers", "etcd": "etcd members", "workers": "nodes"}
#: Modes of kube-proxy, and pod networks, that the roles know: the choices of their options.
KUBE_PROXY_MODES = ("iptables", "nftables")
POD_NETWORKS = ("bridge", "flannel", "weave", "none")
_WITHOUT_NETWORK_POLICY = ("bridge", "flannel")


def _choices(settings: Settings, catalogue: Catalogue) -> list[str]:
    problems = []
    mode = settings["cluster_kube_proxy_mode"]
    if mode == "ipvs":
        problems.append(
            "cluster_kube_proxy_mode: 'ipvs' is deprecated since Kubernetes 1.35, has no maintainers and will be "
            f"removed; use nftables, which replaces it; allowed: {', '.join(KUBE_PROXY_MODES)}"
        )
    elif mode not in KUBE_PROXY_MODES:
        problems.append(f"cluster_kube_proxy_mode: {mode!r} is unknown; known: {', '.join(KUBE_PROXY_MODES)}")
    configured = settings["worker_kube_proxy_config"]
    if isinstance(configured, t.Mapping) and configured.get("mode", mode) != mode:
        problems.append(
            f"worker_kube_proxy_config.mode: {configured['mode']!r} differs from cluster_kube_proxy_mode {mode!r}, "
            "which other roles read too; set cluster_kube_proxy_mode and leave the mode out of worker_kube_proxy_config"
        )
    release = settings["cluster_release"] or catalogue["default_release"]
    if release in catalogue["releases"]:
        problems += _replaced(settings, catalogue, release)
    else:
        problems.append(f"cluster_release: {release!r} is unknown; known: {', '.join(catalogue['releases'])}")
    network = settings["cluster_pod_network"]
    if network not in POD_NETWORKS:
        problems.append(f"cluster_pod_network: {network!r} is unknown; known: {', '.join(POD_NETWORKS)}")
    return problems


def _replaced(settings: Settings, catalogue: Catalogue, release: str) -> list[str]:
    """Return what replaces something that the catalogue does not have."""
    problems = []
    try:
        release_versions(catalogue, release, versions=settings["cluster_versions"])
    except CatalogueError as error:
        problems.append(f"cluster_versions: {error}")
    try:
        images(catalogue, release=release, pod_network="", digests=settings["cluster_image_digests"])
    except CatalogueError as error:
        problems.append(f"cluster_image_digests: {error}")
    return problems + image_problems(settings, catalogue)


def _resolvers(variable: str, value: t.Any) -> list[str]:
    allowed = "allowed: addresses such as 10.0.0.53, 10.0.0.53:5353 or tls://9.9.9.9, and paths of files"
    if not isinstance(value, (list, tuple)):
        return [f"{variable}: {value!r} is not a list of resolvers; {allowed}"]
    return [f"{variable}: {entry!r} is not a resolver; {allowed}" for entry in value if not _is_resolver(str(entry))]


def _is_resolver(text: str) -> bool:
    """Whether CoreDNS' forward plugin takes it (https://coredns.io/plugins/forward): no name is looked up."""
    if _FILE.fullmatch(text):
        return True
    address = re.sub(r"^(dns|tls)://", "", text)
    port = re.fullmatch(r"(?:\[(?P<six>[^]]+)]|(?P<four>[^:]+)):(?P<number>\d{1,5})", address)
    if port:
        address = port["six"] or port["four"]
    return _is_address(address) and (port is None or 0 < int(port["number"]) < 65536)


def _is_address(value: t.Any) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def _pairs(variable: str, value: t.Any, problems: list[str]) -> t.Iterable[tuple[t.Any, t.Any]]:
    if isinstance(value, t.Mapping):
        return value.items()
    problems.append(f"{variable}: {value!r} is not a mapping")
    return ()


def _dns(settings: Settings) -> list[str]:
    """CoreDNS does not start with a wrong configuration, so that names would be missed long after the run."""
    problems = _resolvers("addons_dns_upstreams", settings["addons_dns_upstreams"])
    for zone, resolvers in _pairs("addons_dns_zones", settings["addons_dns_zones"], problems):
        if not NODE_NAME.fullmatch(str(zone).removesuffix(".")):
            problems.append(f"addons_dns_zones: {zone!r} is not a DNS zone; allowed: a name such as corp.example.com")
        elif not resolvers:
            problems.append(f"addons_dns_zones.{zone} has no resolver; it needs at least one")
        else:
            problems += _resolvers(f"addons_dns_zones.{zone}", resolvers)
    for name, address in _pairs("addons_dns_hosts", settings["addons_dns_hosts"], problems):
        if not NODE_NAME.fullmatch(str(name).removesuffix(".")):
            problems.append(
                f"addons_dns_hosts: {name!r} is not a DNS name; allowed: a name such as registry.example.com"
            )
        elif not _is_address(address):
            problems.append(f"addons_dns_hosts.{name}: {address!r} is not an IP address")
    return problems


def cluster_problems(shape: Topology, settings: Settings, catalogue: Catalogue) -> list[str]:
    """Return what is wrong with the inventory as a whole, one sentence each."""
    problems = [
        f"group {group!r} has no host; it needs at least one ({purpose} run there)"
        for group, purpose in _REQUIRED.items()
        if not shape[group]  # type: ignore[literal-required]
    ]
    problems += address_problems(shape) + family_problems(shape, settings) + network_problems(shape, settings)
    problems += shared_ports(shape, settings) + proxy_problems(settings)
    return problems + _choices(settings, catalogue) + _dns(settings)


def cluster_warnings(shape: Topology, settings: Settings) -> list[str]:
    """Return what is allowed but should be known, one sentence each."""
    warnings = []
    if settings["cluster_pod_network"] in _WITHOUT_NETWORK_POLICY:
        warnings.append(
            f"cluster_pod_network {settings['cluster_pod_network']} does not enforce NetworkPolicy: the API takes such "
            "objects, and every pod still reaches every other"
        )
    members = len(shape["etcd"])
    if members and members % 2 == 0:
        survived = (members - 1) // 2
        warnings.append(
            f"etcd has {members} members: that survives {survived} failure{'' if survived == 1 else 's'}, no more than "
            f"{members - 1} would; 1, 3 or 5 members are usual"
        )
    server = settings["cluster_api_server"]
    alone = not server or leads_to_one(server, shape["controllers"], shape)
    if len(shape["controllers"]) > 1 and not shape["load_balancers"] and alone:
        warnings.append(
            f"group 'lb' is empty: nodes and clients use {server or shape['controllers'][0]} alone of "
            f"{len(shape['controllers'])} API servers; add a host to the group, or name an external load balancer in "
            "cluster_api_server"
        )
    return warnings


def _resources(host: str, facts: Reading, settings: Settings, *, member: bool) -> list[str]:
    problems = []
    if facts["memory_mib"] < settings["preflight_memory_mib"]:
        problems.append(
            f"{host}: has {facts['memory_mib']} MiB of memory; preflight_memory_mib requires "
            f"{settings['preflight_memory_mib']}"
        )
    problems += [
        f"{host}: has {free} MiB free under {path}; {setting} requires {settings[setting]}"
        for setting, found in (
            ("preflight_free_mib", facts["free_mib"]),
            ("preflight_etcd_free_mib", facts["etcd"]["free_mib"]),
        )
        if setting == "preflight_free_mib" or member
        for path, free in found.items()
        if free < settings[setting]
    ]
    return problems


def _system(host: str, facts: Reading, settings: Settings, architectures: t.Sequence[str]) -> list[str]:
    problems = []
    system = f"{facts['distribution']} {facts['distribution_version']}"
    if system not in settings["preflight_systems"]:
        problems.append(
            f"{host}: runs {system.strip() or 'an unknown system'}; supported: "
            f"{', '.join(settings['preflight_systems'])}"
        )
    if facts["architecture"] not in architectures:
        problems.append(f"{host}: is of architecture {facts['architecture']}; supported: {', '.join(architectures)}")
    if facts["service_manager"] != "systemd":
        problems.append(f"{host}: process 1 is {facts['service_manager']!r}, systemd is needed")
    return problems


def _cni(host: str, facts: Reading, settings: Settings) -> list[str]:
    chosen = settings["cluster_pod_network"]
    ours = {f"10-{network}.conflist": network for network in POD_NETWORKS}
    problems = []
    for name in facts["cni_configurations"]:
        if ours.get(name) == chosen:
            continue
        if name in ours:
            problems.append(
                f"{host}: the cluster on it was made with cluster_pod_network={ours[name]}, the inventory says "
                f"{chosen}; its pods would be cut off from new ones: put the old value back, build a new cluster, or "
                "move this one as docs/operate/networks.md says"
            )
        elif chosen != "none":
            problems.append(
                f"{host}: /etc/cni/net.d/{name} is another network than cluster_pod_network={chosen}, and pods might "
                "get that one; move the file away, or set cluster_pod_network to none to keep it"
            )
    return problems


def _datapath(host: str, facts: Reading, settings: Settings) -> list[str]:
    """By default the role decides, when it knows what runs."""
    wanted = settings["cluster_pod_network"] == "weave" and settings.get("pod_network_weave_fast_datapath")
    if not wanted or facts["openvswitch"]:
        return []
    return [
        f"{host}: its kernel does not have openvswitch, which Weave Net's fast datapath needs. Install a kernel that "
        "has it, or set pod_network_weave_fast_datapath to false; on a cluster that runs with the fast datapath this "
        "cuts pods off until every worker is restarted."
    ]


def _pods_resolvers(host: str, facts: Reading, settings: Settings) -> list[str]:
    """CoreDNS, which may run on any worker, would ask itself, notice the loop, and stop."""
    upstreams = settings["addons_dns_upstreams"]
    uses_the_hosts = isinstance(upstreams, (list, tuple)) and "/etc/resolv.conf" in upstreams
    if not uses_the_hosts or facts["systemd_resolved"]:
        return []
    found = facts["nameservers"]
    if any(not address.startswith("127.") and address != "::1" for address in found):
        return []
    return [
        f"{host}: /etc/resolv.conf names {', '.join(found) or 'no server'}, which pods cannot reach. Set "
        "addons_dns_upstreams to the addresses of your resolvers, or to [] for none."
    ]


def _quorum(shape: Topology, facts: t.Mapping[str, Reading]) -> list[str]:
    members: list[str] = []
    for found in facts.values():
        if found and found["etcd"]["data"]:
            names = [member["name"] for member in found["etcd"]["members"] if member["name"]]
            members += [name for name in names or found["etcd"]["started_with"] if name not in members]
    needed = len(members) // 2 + 1
    missing = [member for member in members if member not in shape["etcd"]]
    if not members or len(members) - len(missing) >= needed:
        return []
    return [
        f"group 'etcd' lacks {', '.join(missing)} of the running etcd cluster ({', '.join(members)}), which needs "
        f"{needed} of its {len(members)} members to work; put them back, and take members away one at a time"
    ]


def host_problems(
    shape: Topology, readings: t.Mapping[str, Reading], settings: Settings, catalogue: Catalogue
) -> list[str]:
    """Return what is wrong with the hosts themselves, one sentence each.

    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    """
    problems: list[str] = []
    for host, found in readings.items():
        if not found:
            problems.append(f"{host}: could not be reached; check its connection variables and that it runs")
            continue
        problems += _system(host, found, settings, catalogue["architectures"])
        problems += _resources(host, found, settings, member=host in shape["etcd"])
        problems += occupied(host, found, shape, settings)
        if host in shape["workers"]:
            problems += _cni(host, found, settings) + _datapath(host, found, settings)
            problems += _pods_resolvers(host, found, settings)
        problems += [
            f"{host}: node_address {address} is on none of its interfaces; it has {', '.join(found['addresses'])}"
            for address in shape["all_addresses"].get(host, [])
            if found["addresses"] and address not in found["addresses"]
        ]
    problems += _quorum(shape, readings)
    reached = {host: found for host, found in readings.items() if found}
    return problems + _clocks(reached, settings["preflight_clock_seconds"])


def _clocks(facts: t.Mapping[str, Reading], allowed: float) -> list[str]:
    """Return the two clocks that are furthest apart for sure, if that is too far."""
    if not facts:
        return []
    offsets = {host: found["clock_offset_seconds"] for host, found in facts.items()}
    # A slow connection makes the range wide; it must not look like a wrong clock.
    fast = max(offsets, key=lambda host: offsets[host]["least"])
    slow = min(offsets, key=lambda host: offsets[host]["most"])
    apart = offsets[fast]["least"] - offsets[slow]["most"]
    if apart <= allowed:
        return []
    return [
        f"{fast} and {slow}: their clocks are at least {apart:.1f} s apart, at most {allowed} s are allowed; "
        "synchronise them (chrony, systemd-timesyncd)"
    ]
