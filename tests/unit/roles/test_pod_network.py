# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the role pod_network renders from the API's objects, and its condition for a finished rollout."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import Role

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "pod_network"
NODES = [
    {"metadata": {"name": "wrk02"}, "spec": {"podCIDRs": ["10.200.1.0/24"]}},
    {"metadata": {"name": "wrk01"}, "spec": {"podCIDRs": ["10.200.0.0/24"]}},
    {"metadata": {"name": "left"}, "spec": {"podCIDRs": ["10.200.2.0/24"]}},
    {"metadata": {"name": "new"}, "spec": {}},
]


def tasks(file: str) -> list[dict[str, t.Any]]:
    """Return the tasks of a file of the role, with their templates."""
    loaded = DataLoader().load_from_file(str(ROLE / "tasks" / file), trusted_as_template=True)
    return t.cast("list[dict[str, t.Any]]", loaded)


def task(file: str, begin: str) -> dict[str, t.Any]:
    """Return the task whose name begins like this."""
    return next(one for one in tasks(file) if one["name"].startswith(begin))


# The role's own names are its own: they are read from it.
READ_NODES = task("main.yml", "Read the nodes")["register"]
READ_WEAVE = task("weave.yml", "Read the Weave Net")["register"]
GIVEN_SECRET = task("weave.yml", "Write the password")["register"]
READ_SECRET = task("weave.yml", "Read the password")["register"]
(INTERFACE_MTU,) = task("bridge.yml", "Route packets")["vars"]
ADDRESSES = {"ctl01": "10.0.0.11", "wrk01": "10.0.0.21", "wrk02": "10.0.0.22", "new": "10.0.0.23", "gone": "10.0.0.24"}


# The same, as cluster.status.nodes has it.
STATUS_NODES = {
    node["metadata"]["name"]: {
        "ready": True,
        "pod_cidr": "".join(node["spec"].get("podCIDRs", [])),
        "pod_cidrs": node["spec"].get("podCIDRs", []),
    }
    for node in NODES
}


def short_names(text: str) -> str:
    """Without the loader of collections, which a whole run of Ansible sets up, only the short names are known."""
    return trust_as_template(text.replace("ansible.builtin.", ""))


def templar(
    pod_network: str, *, host: str = "ctl01", workers: t.Sequence[str] = ("wrk01", "wrk02"), **variables: t.Any
) -> Templar:
    """Return a templar with the variables that the role's templates see on a host."""
    loader = DataLoader()
    files = (ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml")
    seen: dict[str, t.Any] = {}
    for path in files:
        loaded = loader.load_from_file(str(path), trusted_as_template=True)
        seen |= {name: short_names(value) if isinstance(value, str) else value for name, value in loaded.items()}
    spec = {
        "pod_network": pod_network,
        "ip_families": ["IPv4"],
        "pod_cidr": "10.200.0.0/16",
        "pod_cidrs": ["10.200.0.0/16"],
        "topology": {
            "controllers": ["ctl01"],
            "workers": list(workers),
            "addresses": ADDRESSES,
            "all_addresses": {host: [address] for host, address in ADDRESSES.items()},
        },
        "api": {"server": "https://10.0.0.10:6443"},
        "images": {name: f"registry.example.com/{name}:1" for name in ("flannel", "weave-kube", "weave-npc")},
        "kube_proxy_health_url": "http://127.0.0.1:10256/healthz",
        "trust": {"ca": variables.pop("authorities", [])},
        "weave": {"encrypted": False, "password_file": "", **variables.pop("weave", {})},
    }
    status = {
        "hosts": {name: {"openvswitch": name != "wrk02"} for name in (*workers, "ctl01")},
        "nodes": {},
        "api_serves": True,
    }
    seen |= {
        "ansible_check_mode": False,
        "ansible_play_hosts": ["ctl01", *workers],
        "ansible_search_path": [str(ROLE)],
        "cluster": {
            "spec": spec,
            "status": status | variables.pop("status", {}),
            "check_mode": variables.pop("check_mode", False),
        },
        "inventory_hostname": host,
        READ_NODES: {"resources": NODES},
        INTERFACE_MTU: 0,
    }
    return Templar(loader=loader, variables=seen | variables)


def rendered(template: str, pod_network: str, **options: t.Any) -> str:
    text = (ROLE / "templates" / template).read_text(encoding="utf-8")
    return str(templar(pod_network, **options).template(short_names(text)))


def routes(host: str, pod_network: str, **options: t.Any) -> list[str]:
    first, *others = rendered("pod-network.routes.j2", pod_network, host=host, **options).splitlines()
    assert first == "route flush proto 201"
    begin = "route replace proto 201 "
    assert all(line.startswith(begin) for line in others)
    return [line.removeprefix(begin) for line in others]


@pytest.mark.parametrize("pod_network", ["bridge", "flannel"])
def test_a_controller_reaches_each_node_s_pods_through_that_node(pod_network):
    assert routes("ctl01", pod_network) == ["10.200.0.0/24 via 10.0.0.21", "10.200.1.0/24 via 10.0.0.22"]


@pytest.mark.parametrize("pod_network", ["bridge", "flannel", "weave"])
def test_what_was_read_before_the_run_says_the_same(pod_network):
    """The task that reads the nodes is skipped where it is enough."""
    early = {READ_NODES: {"changed": False, "skipped": True}, "status": {"nodes": STATUS_NODES}}
    for host in ("ctl01", "wrk01"):
        assert routes(host, pod_network, **early) == routes(host, pod_network)
    if pod_network != "weave":
        options = {"host": "wrk02"}
        assert rendered("pod-network.conflist.j2", pod_network, **options, **early) == rendered(
            "pod-network.conflist.j2", pod_network, **options
        )


def test_a_worker_does_not_need_a_route_to_its_own_pods():
    assert routes("wrk01", "bridge") == ["10.200.1.0/24 via 10.0.0.22"]


def test_with_weave_every_worker_is_a_way_to_all_pods():
    assert routes("ctl01", "weave") == ["10.200.0.0/16 nexthop via 10.0.0.21 nexthop via 10.0.0.22"]
    assert routes("ctl01", "weave", workers=["wrk02"]) == ["10.200.0.0/16 via 10.0.0.22"]
    assert routes("wrk02", "weave", workers=["wrk02"]) == []
    # A worker that was removed, and is still in the inventory, is not a way any more.
    assert routes("ctl01", "weave", workers=["gone", "wrk02"]) == ["10.200.0.0/16 via 10.0.0.22"]


@pytest.mark.parametrize(
    ("host", "pod_network", "rules"), [("wrk01", "bridge", 1), ("ctl01", "bridge", 0), ("ctl01", "flannel", 0)]
)
def test_a_policy_that_drops_forwarded_packets_does_not_hold_for_pods(host, pod_network, rules):
    """flannel and Weave Net add such rules themselves."""
    unit = rendered("pod-network.service.j2", pod_network, host=host)
    for rule in ("FORWARD -s 10.200.0.0/16 -j ACCEPT", "FORWARD -d 10.200.0.0/16 -j ACCEPT"):
        assert unit.count(f"iptables --wait -A {rule}'\n") == unit.count(f"iptables --wait -C {rule} ") == rules


@pytest.mark.parametrize(("mtu", "plugin"), [(0, {}), (1400, {"mtu": 1400})])
def test_cni_configuration_has_the_node_s_own_pods(mtu, plugin):
    found = json.loads(rendered("pod-network.conflist.j2", "flannel", host="wrk02", **{INTERFACE_MTU: mtu}))
    assert found["name"] == "flannel"
    assert found["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.1.0/24"}]]
    assert {key: value for key, value in found["plugins"][0].items() if key == "mtu"} == plugin


@pytest.mark.parametrize(("host", "state"), [("wrk01", "file"), ("ctl01", "absent")])
def test_with_the_bridge_one_task_lays_the_routes_and_connects_pods(host, state):
    """Of a controller, which has no part of the pod network, the configuration can be rendered too."""
    (one,) = tasks("bridge.yml")
    found = templar("bridge", host=host).template(one["hardway.kubernetes.component"])
    assert [entry["path"] for entry in found["files"] if entry.get("state") != "directory"] == [
        "/etc/kubernetes/config/pod-network.routes",
        "/etc/kubernetes/config/pod-network-ipv6.routes",
        "/etc/cni/net.d/10-bridge.conflist",
    ]
    assert found["files"][-1]["state"] == state
    subnet = "10.200.0.0/24" if host == "wrk01" else ""
    configuration = json.loads(rendered(found["files"][-1]["template"], "bridge", host=host))
    assert configuration["plugins"][0]["ipam"]["ranges"] == [[{"subnet": subnet}]]


LEASE = base64.b64encode(b"FLANNEL_NETWORK=10.200.0.0/16\nFLANNEL_MTU=1430\n").decode()


@pytest.mark.parametrize(
    ("read", "answer", "waits", "mtu"),
    [
        ({"vxlan": 1450}, {"skipped": True}, False, 1450),
        ({"host-gw": 1500}, {"content": LEASE}, True, 1430),  # the file of another backend
        ({}, {"content": LEASE}, True, 1430),
        ({}, {"msg": "file not found"}, True, 0),
    ],
)
def test_the_file_of_flannel_is_read_where_the_reading_does_not_have_it(read, answer, waits, mtu):
    wait = task("flannel.yml", "Wait until flannel")
    status = {"hosts": {"wrk01": {"flannel_mtu": read}}}
    before = templar("flannel", host="wrk01", status=status)
    assert all(before.evaluate_conditional(condition) for condition in wait["when"]) is waits
    after = templar("flannel", host="wrk01", status=status, **{wait["register"]: answer})
    assert after.evaluate_conditional(wait["until"]) is (mtu > 0)
    checked = task("flannel.yml", "Connect pods")["vars"]
    assert after.template(checked)[INTERFACE_MTU] == mtu


def rolled_out(daemon_sets: list[dict[str, t.Any]], away: int) -> bool:
    """Return what the role makes of an answer of the API in which so many nodes do not take part."""
    wait = task("weave.yml", "Wait until Weave Net is rolled out")
    nodes = {"resources": [{"metadata": {"name": f"node{number}"}} for number in range(2 + away)]}
    answers = {READ_NODES: nodes, wait["register"]: {"resources": daemon_sets}}
    return bool(templar("weave", **wait["vars"], **answers).evaluate_conditional(wait["until"]))


@pytest.mark.parametrize(
    ("generation", "updated", "available", "away", "done"),
    [
        (2, 3, 3, 0, True),
        (3, 3, 3, 0, False),  # the controller has not seen the newest version yet
        (2, 2, 3, 0, False),
        (2, 3, 2, 0, False),
        (2, 2, 2, 1, True),
        (2, None, None, 0, False),
    ],
)
def test_weave_net_is_rolled_out(generation, updated, available, away, done):
    status = {"observedGeneration": 2, "desiredNumberScheduled": 3}
    status |= {} if updated is None else {"updatedNumberScheduled": updated, "numberAvailable": available}
    daemon_set = {"kind": "DaemonSet", "metadata": {"generation": generation}, "status": status}
    assert rolled_out([daemon_set], away) is done
    assert not rolled_out([], away)
    assert not rolled_out([{"kind": "DaemonSet", "metadata": {"generation": 1}}], away)


def objects(network: str, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {found["kind"]: found for found in yaml.safe_load_all(rendered(f"{network}.yaml.j2", network, **options))}


def weave(**options: t.Any) -> dict[str, dict[str, t.Any]]:
    return objects("weave", **options)


@pytest.mark.parametrize(("network", "account"), [("weave", "weave-net"), ("flannel", "flannel")])
def test_the_account_of_the_network_changes_its_own_node_alone(network, account):
    rights = Role("apiserver", "ctl01", cluster_pod_network=network).template("rbac.yaml.j2")
    found = {one["kind"]: one for one in yaml.safe_load_all(rights)}
    policy, binding = found["ValidatingAdmissionPolicy"], found["ValidatingAdmissionPolicyBinding"]
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}
    assert policy["spec"]["matchConditions"][0]["expression"].endswith(f"'system:serviceaccount:kube-system:{account}'")
    assert policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"] == ["nodes", "nodes/status"]
    # What RBAC gives the account is what the policy looks at.
    objects = [one for one in yaml.safe_load_all(rendered(f"{network}.yaml.j2", network)) if one]
    (role,) = (one for one in objects if one["kind"] == "ClusterRole")
    writes = [rule["resources"] for rule in role["rules"] if set(rule["verbs"]) & {"patch", "update"}]
    assert (role["metadata"]["name"], writes) == (account, [["nodes/status"]])


@pytest.mark.parametrize("network", ["bridge", "none"])
def test_a_network_without_an_account_has_no_policy(network):
    rights = Role("apiserver", "ctl01", cluster_pod_network=network).template("rbac.yaml.j2")
    assert "Policy" not in rights


def environment(daemon_set: dict[str, t.Any]) -> dict[str, t.Any]:
    return {entry["name"]: entry for entry in daemon_set["spec"]["template"]["spec"]["containers"][0]["env"]}


def test_weave_net_starts_with_the_role_s_script():
    command = weave()["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["command"]
    script = (ROLE / "files" / "weave-net.sh").read_text(encoding="utf-8")
    assert [part.strip() for part in command] == ["/bin/sh", "-c", script.strip(), "launch.sh"]


def test_weave_net_s_secret_holds_the_password_alone():
    without = weave()
    assert "data" not in without["Secret"]
    assert "WEAVE_PASSWORD" not in environment(without["DaemonSet"])
    fields = [{"manager": "kubelet", "time": "1"}, {"manager": "hardway.kubernetes", "time": "2026-01-01T00:00:00Z"}]
    applied = {"result": {"metadata": {"managedFields": fields}}}
    given = weave(weave={"encrypted": True}, **{GIVEN_SECRET: applied})
    # The task before has applied it.
    assert "Secret" not in given
    assert "secretKeyRef" in environment(given["DaemonSet"])["WEAVE_PASSWORD"]["valueFrom"]
    assert annotations(given).pop("hardway.kubernetes/password-changed") == "2026-01-01T00:00:00Z"
    assert "hardway.kubernetes/password-changed" not in annotations(without)


def annotations(found: dict[str, dict[str, t.Any]]) -> dict[str, str]:
    return t.cast("dict[str, str]", found["DaemonSet"]["spec"]["template"]["metadata"]["annotations"])


def test_pods_restart_when_their_authorities_change(tmp_path):
    def trusting(*names: str) -> tuple[str, str]:
        paths = [str(tmp_path / name) for name in names]
        given = objects("flannel", authorities=paths), weave(authorities=paths)
        first, second = (annotations(found)["hardway.kubernetes/authorities"] for found in given)
        return first, second

    for name, text in {"ca": "old\n", "next": "new\n", "renewed": "renewed\n"}.items():
        (tmp_path / name).write_text(text)
    before, during = trusting("ca"), trusting("next", "ca")
    assert before == trusting("ca")
    assert len({*before, *during, *trusting("renewed"), *trusting("not-there-yet", "ca")}) == 4
    # The new authority signs: the same two are trusted.
    (tmp_path / "previous").write_text("old\n")
    (tmp_path / "ca").write_text("new\n")
    assert during == trusting("ca", "previous") == trusting("next", "ca", "previous")


def kept(password: str | None) -> dict[str, t.Any]:
    """Return the API's answer for the Secret, which may be empty."""
    data = {} if password is None else {"data": {"password": base64.b64encode(password.encode()).decode()}}
    return {"resources": [{"kind": "Secret", **data}]}


def daemon_set(*variables: str) -> dict[str, t.Any]:
    containers: list[dict[str, t.Any]] = [{"env": [{"name": name} for name in variables]}, {}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def password_task(begin: str, **options: t.Any) -> tuple[dict[str, t.Any], Templar]:
    found = task("weave.yml", begin)
    return found, templar("weave", **options)


@pytest.mark.parametrize(
    ("own", "file", "password"),
    [("", "from-the-file\n", "from-the-file"), ("given", None, "given"), ("", None, "")],
)
def test_the_secret_has_the_password_of_the_setting_or_of_the_pki_directory(tmp_path, own, file, password):
    path = tmp_path / "weave-password"
    if file is not None:
        path.write_text(file)
    spec = {"encrypted": True, "password_file": "" if own else str(path)}
    found, variables = password_task("Write the password", weave=spec, pod_network_weave_password=own)
    assert variables.evaluate_conditional(found["when"]) is True
    assert found["no_log"] is True
    data = variables.template(found["kubernetes.core.k8s"]["definition"]["data"])
    assert data == {"password": base64.b64encode(password.encode()).decode()}


def test_a_network_in_the_clear_gets_no_password(tmp_path):
    found, variables = password_task("Write the password")
    assert variables.evaluate_conditional(found["when"]) is False


RUNS = ("HOSTNAME", "WEAVE_PASSWORD")


@pytest.mark.parametrize(
    ("file", "secret", "running", "wrong"),
    [
        ("own", kept("own"), RUNS, ""),
        ("own", {"resources": []}, None, ""),  # a first run
        ("own", kept("own"), None, ""),  # a run that was interrupted
        ("own", {"resources": []}, RUNS, ""),  # the Secret was deleted
        ("own", kept("other"), RUNS, "has another password than the Secret weave-net of the cluster"),
        ("own", kept("other"), None, "has another password than the Secret weave-net of the cluster"),
        ("own", kept(None), ("HOSTNAME",), "sends in the clear"),
        ("own", {"resources": []}, ("HOSTNAME",), "sends in the clear"),
        (None, kept("own"), RUNS, "it is missing or empty"),
        ("\n", kept("own"), RUNS, "it is missing or empty"),
    ],
)
def test_a_cluster_does_not_get_another_password_in_silence(tmp_path, file, secret, running, wrong):
    path = tmp_path / "weave-password"
    if file is not None:
        path.write_text(file)
    answers = {READ_SECRET: secret, READ_WEAVE: {"resources": [] if running is None else [daemon_set(*running)]}}
    options = {"weave": {"encrypted": True, "password_file": str(path)}, **answers}
    found, variables = password_task("Check that the password", **options)
    check = found["ansible.builtin.assert"]
    assert variables.evaluate_conditional(check["that"]) is not bool(wrong)
    message = variables.template(check["fail_msg"])
    assert wrong in message
    assert message.endswith("Nothing was changed.") is bool(wrong)
    assert "own" not in message.split()
    if file is None and secret == kept("own"):
        # The run that is predicted would have created it.
        _found, predicted = password_task("Check", check_mode=True, **{**options, READ_SECRET: {"resources": []}})
        assert predicted.evaluate_conditional(check["that"]) is True


@pytest.mark.parametrize("begin", ["Read the password", "Check that the password"])
def test_only_a_password_of_the_pki_directory_is_compared(begin):
    found, variables = password_task(begin, weave={"encrypted": True})
    assert variables.evaluate_conditional(found["when"]) is False
    found, variables = password_task(begin, weave={"encrypted": True, "password_file": "/pki/weave-password"})
    assert variables.evaluate_conditional(found["when"]) is True
    assert begin != "Read the password" or found["no_log"] is True


@pytest.mark.parametrize(
    ("running", "workers", "fast"),
    [
        ([], ["wrk01"], True),
        ([], ["wrk01", "wrk02"], False),  # the kernel of wrk02 does not have openvswitch
        (["HOSTNAME"], ["wrk01", "wrk02"], True),
        (["HOSTNAME", "WEAVE_NO_FASTDP"], ["wrk01"], False),
    ],
)
def test_weave_net_keeps_its_datapath(running, workers, fast):
    found = weave(workers=workers, **{READ_WEAVE: {"resources": [daemon_set(*running)] if running else []}})
    assert ("WEAVE_NO_FASTDP" not in environment(found["DaemonSet"])) is fast
