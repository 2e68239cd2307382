# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as one value: specification, status and plan."""

from __future__ import annotations

import typing as t

from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.authentication import authentication_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.catalogue import Catalogue, release_versions
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.certificate_problems import (
    certificate_problems,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.controllers import (
    controller_problems,
    removal,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.drop_ins import (
    drop_in_problems,
    drop_in_warnings,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.encryption import (
    encryption_problems,
    encryption_rotation,
    encryption_warnings,
    setting_differences,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd import Membership, membership
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.etcd_alarms import alarm_warnings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.existing import existing_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.families import normalized
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.firewall import firewall_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.flags import flag_problems, flag_warnings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.identity import PkiIdentity, identity_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.limits import limit_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.node_marks import mark_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.peers import peers
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.plan import changes, summary
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.probes import probes
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.problems import (
    cluster_problems,
    cluster_warnings,
    host_problems,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.registries import registry_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.releases import (
    Chapters,
    chapters,
    release_problems,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.reserved import reserved_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.rollout import (
    batches,
    rollout,
    rollout_problems,
    way_back,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.rotations import (
    account_files,
    account_rotation,
    rotation_problems,
    rotation_warnings,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.settings import (
    Options,
    Settings,
    argument_problems,
    differences,
    settings,
    wrong_arguments,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.spec import Spec, specification
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.status import Reading, Status, status
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.supply import supply_problems
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.topology import Topology, topology
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.trust import authorities, authority_warnings
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.virtual_address import (
    entrances,
    shared_address,
    virtual_address_problems,
    virtual_address_warnings,
)
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.weave import weave_problems, weave_spec
from ansible_collections.hardway.kubernetes.plugins.module_utils._errors import HardwayError

__all__ = ("cluster",)


def cluster(
    *,
    known: Options,
    values: t.Mapping[str, t.Any],
    host_variables: t.Mapping[str, t.Mapping[str, t.Any]],
    readings: t.Mapping[str, Reading],
    catalogue: Catalogue,
    encryption: tuple[str, str] | None = None,
    pki: PkiIdentity | None = None,
    runs: Chapters | None = None,
    made: t.Collection[str] = (),
    registry_files: t.Mapping[str, str | None] | None = None,
) -> dict[str, t.Any]:
    """Return ``spec``, ``status`` and ``plan``.

    Where a problem leaves no specification, it is empty. The status is empty too where ``cluster_hosts`` does not say
    who the hosts are.

    :param known: the options of all roles.
    :param values: what the inventory gives them for the cluster as a whole.
    :param host_variables: what each host's variables give them, with ``node_address`` and ``ansible_host``.
    :param readings: of ``host_facts``, by host of the run; empty for a host that could not be reached.
    :param catalogue: the release catalogue.
    :param encryption: path and content of the encryption configuration, where there is one.
    :param pki: the identity of the PKI directory; None to compare nothing with it.
    :param runs: the chapters of the run; all of them unless given.
    :param made: names of files that an earlier task of this run would have made in the PKI directory, in check mode.
    :param registry_files: contents of the files that ``worker_registries`` names; None for one that cannot be read.
    """
    problems = _wrong_arguments(known, values, host_variables)
    wanted = settings(known, values)
    pods = wanted.get("cluster_pod_cidr")
    wanted = normalized(wanted, pods)
    parts = wanted.get("cluster_hosts", {})
    unknown = _unknown_hosts(parts, host_variables)
    problems += unknown
    if not parts or unknown:
        return {"spec": {}, "status": {}, "plan": _plan(problems)}
    shape = topology(host_variables, wanted["cluster_hosts"])
    converted = {
        host: normalized(settings(_given(known, given), given), pods) for host, given in host_variables.items()
    }
    problems += differences(wanted, converted) + flag_problems(shape, converted) + limit_problems(converted, wanted)
    problems += mark_problems(converted)
    everything = {host: {**wanted, **given} for host, given in converted.items()}
    wanted["lb_virtual_address"] = shared_address(shape, everything, wanted)
    problems += virtual_address_problems(shape, readings, everything, wanted)
    problems += reserved_problems(shape, readings, everything) + authentication_problems(shape, everything)
    problems += drop_in_problems(shape, readings) + (encryption_problems(*encryption) if encryption else [])
    problems += cluster_problems(shape, wanted, catalogue) + certificate_problems(shape, wanted)
    problems += firewall_problems(wanted) + registry_problems(shape, everything, registry_files or {})
    problems += host_problems(shape, readings, wanted, catalogue) + rollout_problems(shape, everything)
    found = status(shape, readings)
    found["authorities"] = authorities(shape, readings, _keys(pki))
    controllers = [everything[host] for host in shape["controllers"]]
    found["rotations"] = {
        "problems": rotation_problems(shape, readings),
        "service_account": account_rotation(shape, readings, pki, controllers),
        "encryption": encryption_rotation(shape, readings, encryption if found["exists"] else None, wanted),
    }
    problems += found["rotations"]["encryption"]["differences"]
    problems += existing_problems(shape, readings, wanted, converted, found)
    problems += controller_problems(shape, readings, found)
    problems += identity_problems(
        shape,
        readings,
        pki,
        new_front_proxy=wanted["ca_new_front_proxy_authority"],
        weave_password=bool(weave_spec(wanted)["password_file"]),
    )
    problems += weave_problems(readings, wanted, pki)
    versions = _wanted_versions(wanted, catalogue)
    runs = runs or chapters()
    if versions:
        problems += release_problems(shape, readings, versions, runs, exists=found["exists"])
    plan = _plan(problems)
    plan["warnings"] = cluster_warnings(shape, wanted) + virtual_address_warnings(shape, wanted)
    plan["warnings"] += alarm_warnings(found) + flag_warnings(shape, converted)
    plan["warnings"] += rotation_warnings(found["rotations"])
    plan["warnings"] += drop_in_warnings(shape, readings) + _encryption_warnings(encryption, wanted, found)
    plan["warnings"] += authority_warnings(found["authorities"])
    plan["probes"] = probes(shape, readings, [] if wanted["cluster_api_server"] else entrances(shape, wanted))
    directories = {host: str(everything[host].get("etcd_data_directory")) for host in shape["etcd"]}
    plan["etcd"] = membership(shape, found["hosts"], directories)
    plan["peers"] = peers(shape, found, plan["etcd"]["joining"])
    try:
        spec = specification(shape, wanted, catalogue, found["hosts"], [*made, *_files(pki)])
    except (HardwayError, ValueError, LookupError):
        # A playbook that repairs a host needs the specification in spite of problems, if it can be computed.
        if not problems:
            raise
        return {"spec": {}, "status": found, "plan": plan}
    spec["service_account_keys"] = account_files(pki)
    problems += supply_problems(spec, wanted)
    plan["blocking"] = problems + _etcd_problems(shape, found, plan["etcd"], runs)
    plan["removal"] = removal(shape, found, spec["api"]["server"])
    _add_changes(plan, spec, found, everything, runs)
    return {"spec": spec, "status": found, "plan": plan}


def _etcd_problems(shape: Topology, found: Status, etcd: Membership, runs: Chapters) -> list[str]:
    """Return the problems of etcd's data, if this run changes etcd: one that leaves etcd out goes on."""
    changes_etcd = runs("etcd") and any(found["hosts"].get(host) for host in shape["etcd"])
    return etcd["problems"] if changes_etcd else []


def _encryption_warnings(encryption: tuple[str, str] | None, wanted: Settings, found: Status) -> list[str]:
    if not encryption:
        return []
    # Before there is a cluster the file may be what the user wants; afterwards these are problems.
    unlike = [] if found["exists"] else setting_differences(*encryption, wanted, exists=False)
    return unlike + encryption_warnings(*encryption)


def _keys(pki: PkiIdentity | None) -> t.Mapping[str, t.Sequence[str]]:
    return pki["keys"] if pki else {}


def _files(pki: PkiIdentity | None) -> list[str]:
    """Return the names of the files of the PKI directory that were compared, or could not be."""
    return [*pki["keys"], *pki["skipped"]] if pki else []


def _add_changes(
    plan: dict[str, t.Any], spec: Spec, found: Status, everything: t.Mapping[str, Settings], runs: Chapters
) -> None:
    """Add the changes to the plan, and what an upgrade does besides them."""
    plan["worker_batches"] = batches(spec, found, everything, runs)
    plan["upgrade"] = rollout(spec, found, everything, plan["worker_batches"], runs)
    plan["warnings"] += way_back(spec, found, runs)
    directories = [str(everything[host].get("etcd_backup_directory") or "") for host in spec["topology"]["etcd"]]
    plan["changes"] = changes(
        spec,
        found,
        plan["etcd"],
        batches=plan["worker_batches"],
        backup=directories[0] if plan["upgrade"]["backup"] else None,
    )
    plan["summary"] = summary(spec, found, plan)


def _wrong_arguments(
    known: Options, values: t.Mapping[str, t.Any], host_variables: t.Mapping[str, t.Mapping[str, t.Any]]
) -> list[str]:
    errors = {host: wrong_arguments(known, given) for host, given in host_variables.items()}
    said = {message for messages in errors.values() for message in messages}
    return argument_problems(errors) + [text for text in wrong_arguments(known, values) if text not in said]


def _unknown_hosts(parts: t.Mapping[str, t.Iterable[str]], host_variables: t.Container[str]) -> list[str]:
    return [
        f"cluster_hosts.{part} has {host}, which is not in the inventory; take it out, or give the inventory the host"
        for part, hosts in parts.items()
        for host in hosts
        if host not in host_variables
    ]


def _wanted_versions(wanted: t.Mapping[str, t.Any], catalogue: Catalogue) -> dict[str, str]:
    """Return the wanted versions; nothing where the catalogue does not have them, which is a problem of its own."""
    try:
        release = wanted["cluster_release"] or catalogue["default_release"]
        return release_versions(catalogue, release, versions=wanted["cluster_versions"])
    except HardwayError:
        return {}


def _given(known: Options, given: t.Mapping[str, t.Any]) -> Options:
    return {name: known[name] for name in known if name in given}


def _plan(problems: list[str]) -> dict[str, t.Any]:
    return {
        "changes": [],
        "warnings": [],
        "problems": problems,
        "blocking": problems,
        "probes": {},
        "peers": {},
        "removal": {},
        "etcd": {"new": False, "joining": [], "surplus": False, "problems": []},
        "worker_batches": [],
        "upgrade": {"backup": False, "workloads": False, "accepts": {}},
        "summary": [],
    }
