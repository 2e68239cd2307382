# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as one value, from whole inventories and recorded readings: what is wanted, found, and done about it."""

from __future__ import annotations

import ast

import pytest
import yaml
from ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.releases import chapters
from ansible_collections.hardway.kubernetes.plugins.modules import cluster as documented
from ansible_collections.hardway.kubernetes.tests.unit.plugins.module_utils._cluster.examples import (
    ADDRESSES,
    CATALOGUE,
    PARTS,
    ROOT,
    computed,
    empty,
    reading,
    running,
)

UNREACHED = "could not be reached; check its connection variables and that it runs"
SETTING = "it is a setting of the cluster as a whole: set it once, in group_vars/all"
NOT_THERE = "which is not in the inventory; take it out, or give the inventory the host"
FOUND = {"exists": True, "cluster_id": "d1cfaf999eb97a2a", "members": ["ctl01", "ctl02"], "nodes": ["wrk01", "wrk02"]}
STAYS = {"new": False, "joining": [], "surplus": False, "problems": []}


def words(value):
    """Return what changes as (hosts, component, change), in order."""
    return [(", ".join(change["hosts"]), change["component"], change["change"]) for change in value["plan"]["changes"]]


def test_nothing_is_built_yet():
    found = computed(empty())
    versions = found["spec"]["versions"]
    kubernetes = versions["kubernetes"]
    assert found["plan"]["problems"] == []
    assert found["plan"]["etcd"] == {**STAYS, "new": True}
    assert found["status"]["exists"] is False
    assert words(found) == [
        ("ctl01, ctl02", "etcd", f"install etcd {versions['etcd']}, start"),
        ("ctl01, ctl02", "kube-apiserver", f"install kube-apiserver {kubernetes}, start"),
        ("ctl01, ctl02", "kube-controller-manager", f"install kube-controller-manager {kubernetes}, start"),
        ("ctl01, ctl02", "kube-scheduler", f"install kube-scheduler {kubernetes}, start"),
        ("ctl01, ctl02", "health proxy", "start"),
        ("kubelb", "load balancer", "start"),
        ("client", "kubectl", f"install kubectl {kubernetes}"),
        (
            "wrk01, wrk02",
            "containerd",
            f"install containerd {versions['containerd']}, install runc {versions['runc']}, install crictl "
            f"{versions['crictl']}, install cni-plugins {versions['cni_plugins']}, start",
        ),
        ("wrk01, wrk02", "kubelet", f"install kubelet {kubernetes}, start"),
        ("wrk01, wrk02", "kube-proxy", f"install kube-proxy {kubernetes}, start"),
    ]
    assert {change["effect"] for change in found["plan"]["changes"]} == {""}
    assert found["plan"]["summary"][0] == f"kubernetes-the-hard-way: Kubernetes {kubernetes} is built on 6 hosts"


def test_an_existing_cluster_with_nothing_to_do():
    readings = running()
    found = computed(readings)
    assert found["plan"]["changes"] == []
    assert found["plan"]["problems"] == []
    assert found["plan"]["etcd"] == STAYS
    assert found["status"]["hosts"] == readings
    assert [member["name"] for member in found["status"]["etcd"]["members"]] == ["ctl01", "ctl02"]
    assert len(found["plan"]["warnings"]) == 2


def test_a_newer_release():
    """Versions in words, in the order of a rolling upgrade, with what each interrupts."""
    old, new = CATALOGUE["releases"]["1.36"], CATALOGUE["releases"]["1.37"]
    readings = running()
    for name, found in readings.items():
        components = {program: CATALOGUE["programs"][program]["version"] for program in found["programs"]}
        readings[name]["programs"] = {program: old[component] for program, component in components.items()}
    assert computed(readings, cluster_release="1.36")["plan"]["changes"] == []
    value = computed(readings, cluster_release="1.37")

    def step(program):
        component = CATALOGUE["programs"][program]["version"]
        return f"{program} {old[component]} -> {new[component]}"

    backup, drain = (
        change["change"] for change in value["plan"]["changes"] if change["component"] in ("etcd backup", "drain")
    )
    assert words(value) == [
        ("ctl01", "etcd backup", backup),
        ("ctl01, ctl02", "etcd", step("etcd")),
        ("ctl01, ctl02", "kube-apiserver", step("kube-apiserver")),
        ("ctl01, ctl02", "kube-controller-manager", step("kube-controller-manager")),
        ("ctl01, ctl02", "kube-scheduler", step("kube-scheduler")),
        ("client", "kubectl", step("kubectl")),
        ("wrk01, wrk02", "drain", drain),
        ("wrk01, wrk02", "containerd", f"{step('containerd')}, {step('runc')}"),
        ("wrk01, wrk02", "kubelet", step("kubelet")),
        ("wrk01, wrk02", "kube-proxy", step("kube-proxy")),
    ]
    assert [change["effect"] for change in value["plan"]["changes"]] == [
        "no interruption",
        "etcd has 2 members and needs all of them: no writes while one restarts, mostly less than 10 seconds",
        "one at a time: no interruption",
        "",
        "",
        "",
        "pods move to other workers; disruption budgets are kept",
        "after its pods have moved to other workers",
        "after its pods have moved to other workers",
        "",
    ]


def test_a_worker_is_added():
    readings = {**running(), "wrk03": reading(addresses=["10.0.0.17"])}
    parts = {"workers": [*PARTS["workers"], "wrk03"]}
    value = computed(readings, hosts={"wrk03": {"ansible_host": "10.0.0.17"}}, parts=parts)
    assert value["plan"]["problems"] == []
    assert [(hosts, component) for hosts, component, _change in words(value)] == [
        ("wrk03", "containerd"),
        ("wrk03", "kubelet"),
        ("wrk03", "kube-proxy"),
        ("wrk03", "node"),
    ]
    assert words(value)[-1] == ("wrk03", "node", "join the cluster")
    assert "wrk03" in [entry["name"] for entry in value["spec"]["certificates"]["certificates"]]
    assert "wrk03.kubeconfig" in [entry["path"] for entry in value["spec"]["kubeconfigs"]]


def test_an_etcd_member_joins():
    parts = {"etcd": ["ctl01", "ctl02", "client"]}
    value = computed(running(), parts=parts)
    assert value["plan"]["problems"] == []
    assert value["plan"]["etcd"] == {**STAYS, "joining": ["client"]}
    etcd = value["spec"]["versions"]["etcd"]
    assert words(value) == [
        ("client", "etcd", f"install etcd {etcd}, start"),
        ("client", "etcd membership", "join the etcd cluster, as a learner first"),
    ]
    assert value["spec"]["etcd"]["interrupts"] == ""


def test_an_etcd_member_is_surplus():
    readings = running()
    for host in ("ctl01", "ctl02"):
        member = {"id": "99", "name": "ctl09", "peer_urls": ["https://10.0.0.99:2380"], "learner": False}
        readings[host]["etcd"]["members"].append(member)
    value = computed(readings)
    assert value["plan"]["problems"] == []
    assert value["plan"]["etcd"] == {**STAYS, "surplus": True}
    assert words(value) == [
        ("ctl09", "etcd membership", "remove from the etcd cluster: the inventory does not have it")
    ]
    assert value["plan"]["changes"][0]["effect"] == "no interruption"


@pytest.mark.parametrize(
    ("tags", "skipped", "hosts", "blocks"),
    [
        (["all"], [], ["ctl01", "ctl02", "wrk01"], True),
        (["apiserver", "etcd"], [], ["ctl01"], True),
        (["worker"], [], ["ctl01", "ctl02", "wrk01"], False),
        (["all"], ["etcd"], ["ctl01", "ctl02", "wrk01"], False),
        (["all"], [], ["wrk01"], False),
    ],
)
def test_data_of_etcd_blocks_a_run_that_changes_etcd(tags, skipped, hosts, blocks):
    readings = running()
    readings["ctl01"]["etcd"] = {**readings["ctl01"]["etcd"], "data": None, "was_healthy": True}
    readings["ctl02"]["etcd"] = {**readings["ctl02"]["etcd"], "data": None, "was_healthy": True}
    plan = computed({host: readings[host] for host in hosts}, runs=chapters(tags, skipped))["plan"]
    assert plan["etcd"]["problems"]
    assert plan["blocking"] == (plan["etcd"]["problems"] if blocks else [])


def test_a_host_that_was_not_reached():
    value = computed({**running(), "wrk01": {}})
    assert value["plan"]["problems"] == [f"wrk01: {UNREACHED}"]
    assert value["status"]["hosts"]["wrk01"] == {}
    # A playbook that repairs a host needs the specification in spite of problems.
    assert value["spec"]["hosts"]["wrk01"] == {
        "address": "10.0.0.14",
        "addresses": ["10.0.0.14"],
        "listen_address": "0.0.0.0",
        "programs": {},
    }
    assert value["spec"]["hosts"]["wrk02"]["programs"]


@pytest.mark.parametrize("host", list(ADDRESSES))
def test_a_run_of_one_host(host):
    """With --limit the specification is the same, and the other hosts are neither missed nor judged."""
    value = computed({host: running()[host]})
    whole = computed(running())
    assert value["plan"]["problems"] == value["plan"]["changes"] == []
    assert value["status"]["hosts"] == {**{name: {} for name in ADDRESSES}, host: running()[host]}
    assert value["spec"]["hosts"][host] == whole["spec"]["hosts"][host]
    assert {**value["spec"], "hosts": {}} == {**whole["spec"], "hosts": {}}
    assert value["plan"]["etcd"]["new"] is False
    fresh = computed({host: empty()[host]})["plan"]["etcd"]
    assert fresh["new"] is False, "the others may have data"
    assert fresh["joining"] == ([host] if host in PARTS["etcd"] else [])


LOUD = (
    "argument 'scheduler_verbosity' is of type str and we were unable to convert to int: \"'loud'\" cannot be "
    "converted to an int"
)
# Variables of single hosts, of all hosts, hosts by part, and what is wrong with them.
REFUSED = [
    (
        {"wrk01": {"worker_timeout": [60]}},
        {"scheduler_verbosity": "loud"},
        {},
        [
            f"ctl01, ctl02, kubelb, wrk01, wrk02, client: {LOUD}",
            "wrk01: argument 'worker_timeout' is of type list and we were unable to convert to int: \"[60]\" cannot be "
            "converted to an int",
        ],
    ),
    # A wrong value is left out, and all other values are still checked.
    (
        {"wrk02": {"node_address": "10.0.0.14"}},
        {"preflight_memory_mib": "lots", "cluster_release": "1.18"},
        {},
        [
            "ctl01, ctl02, kubelb, wrk01, wrk02, client: argument 'preflight_memory_mib' is of type str and we were "
            "unable to convert to int: \"'lots'\" cannot be converted to an int",
            "wrk01 and wrk02: have the same node_address 10.0.0.14; each host needs its own",
            "cluster_release: '1.18' is unknown; known: 1.37, 1.36, 1.35",
            "wrk02: node_address 10.0.0.14 is on none of its interfaces; it has 127.0.0.1, 10.0.0.15",
        ],
    ),
    (
        {"wrk01": {"cluster_domain": "x.test"}, "wrk02": {"cluster_node_prefix_length": "24"}},
        {},
        {},
        [f"wrk01: cluster_domain is 'x.test', the cluster has 'cluster.local'; {SETTING}"],
    ),
    (
        {},
        {"cluster_versions": {"kubernets": "1"}},
        {},
        [
            "cluster_versions: component 'kubernets' is not in the release catalogue; known: cni_plugins, containerd, "
            "coredns, crictl, etcd, flannel, kubernetes, pause, runc, weave"
        ],
    ),
    ({}, {}, {"workers": ["wrk01", "wrk09"]}, [f"cluster_hosts.workers has wrk09, {NOT_THERE}"]),
]


@pytest.mark.parametrize(("hosts", "everywhere", "parts", "problems"), REFUSED)
def test_refused(hosts, everywhere, parts, problems):
    assert computed(empty(), hosts=hosts, parts=parts, **everywhere)["plan"]["problems"] == problems


@pytest.mark.parametrize("value", [["ctl01"], {"controllers": ["ctl01"]}, 5])
def test_who_the_hosts_are_cannot_be_read(value):
    found = computed(empty(), cluster_hosts=value)
    assert found["spec"] == found["status"] == {}
    assert found["plan"]["problems"]
    assert all("cluster_hosts" in problem for problem in found["plan"]["problems"])


def test_a_wrong_variable_of_the_play_is_told_too():
    assert computed(empty(), play={"scheduler_verbosity": "loud"})["plan"]["problems"] == [LOUD]


# --- its documentation ----------------------------------------------------------------------------

# Dictionaries whose documented keys are those of each value.
BY_NAME = {"spec.hosts"}


def undocumented(contains, value, where=""):
    """Return keys that are documented and not returned, or returned and not documented."""
    found = [f"{where}{key}" for key in contains.keys() ^ value.keys()]
    for key in contains.keys() & value.keys():
        path, inner = f"{where}{key}", contains[key].get("contains")
        if inner is None:
            continue
        entries = value[key] if isinstance(value[key], list) else [value[key]]
        if path in BY_NAME:
            entries = list(value[key].values())
        assert entries, f"the example has nothing in {path}"
        for entry in entries:
            found += undocumented(inner, entry, f"{path}.")
    return sorted(set(found))


def test_the_value_is_what_the_documentation_says():
    contains = yaml.safe_load(documented.RETURN)
    # The action plugin adds it.
    del contains["check_mode"], contains["spec"]["contains"]["api"]["contains"]["client_python"]
    assert undocumented(contains, computed(empty())) == []
    assert undocumented(contains, computed({**running(), "client": reading(addresses=[])})) == []
    refused = computed(empty(), cluster_hosts=5)
    assert undocumented({"plan": contains["plan"]}, {"plan": {**refused["plan"], "changes": [CHANGE]}}) == []


CHANGE = {"hosts": [], "component": "", "change": "", "effect": ""}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": 1, "b": {"c": 1}}, []),
        ({"a": 1, "b": {}}, ["b.c"]),
        ({"b": [{"c": 1}, {"c": 1, "d": 1}]}, ["a", "b.d"]),
    ],
)
def test_the_comparison_can_fail(value, found):
    assert undocumented({"a": {"type": "int"}, "b": {"contains": {"c": {"type": "int"}}}}, value) == found


# --- nothing but functions of data ----------------------------------------------------------------

PACKAGE = ROOT / "plugins" / "module_utils" / "_cluster"
# A mirror is downloaded. Nothing of the value is computed from it, and nothing below may import it.
SOURCES = sorted(set(PACKAGE.glob("*.py")) - {PACKAGE / "mirror.py"})
PURE = {
    "__future__",
    "ast",
    "collections",
    "dataclasses",
    "datetime",
    "functools",
    "ipaddress",
    "itertools",
    "posixpath",
    "re",
    "typing",
    "urllib.parse",
}
OURS = ("ansible_collections.hardway.kubernetes.plugins.module_utils._cluster.",)
ALLOWED = {
    "ansible.module_utils.common.arg_spec",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._errors",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._etcd.sizes",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._pki",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._pki.beside",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._pki.certificates",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._pki.keys",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._pki.times",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._host.annotations",
    # Their functions of texts; host_facts reads with them too.
    "ansible_collections.hardway.kubernetes.plugins.module_utils._host.identity",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._host.weave",
    "ansible_collections.hardway.kubernetes.plugins.module_utils._host.hosts_toml",
}
# The catalogue is read from its file, in one function.
READS = {"catalogue.py": {"pathlib", "yaml"}}
# The encryption configuration and the annotation of a node come as text.
DECODES = {"encryption.py": {"base64", "binascii", "yaml"}, "node_marks.py": {"json"}}


@pytest.mark.parametrize("path", SOURCES, ids=[path.name for path in SOURCES])
def test_the_logic_is_pure(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name for name in imported if not name.startswith(OURS) or name.endswith(".mirror")}
    assert others <= PURE | ALLOWED | READS.get(path.name, set()) | DECODES.get(path.name, set())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not used & {"open", "input", "print", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", SOURCES, ids=[path.name for path in SOURCES])
def test_nothing_but_the_catalogue_is_read(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    reading_functions = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr in {"read_text", "read_bytes", "open", "now", "today"}
    }
    assert reading_functions == ({"read_catalogue"} if path.name in READS else set())


def test_etcd_alone_has_a_specification():
    """A part of the sequence builds members of etcd without a Kubernetes; the problems say that it is no cluster."""
    parts = {"controllers": [], "load_balancers": [], "workers": [], "clients": []}
    value = computed(empty(), parts=parts, cluster_api_server="https://api.example.com:6443")
    assert value["plan"]["problems"]
    assert value["spec"]["api"]["server"] == "https://api.example.com:6443"
    assert value["spec"]["certificates"]
