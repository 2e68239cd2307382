# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading of a host, from files that look like a host's."""

from __future__ import annotations

import json
import os
import platform
import time

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import facts as _host_facts
from ansible_collections.hardway.kubernetes.plugins.module_utils._host import servers
from ansible_collections.hardway.kubernetes.plugins.modules import host_facts

CONTROLLER_MANAGER = r"""[Service]
ExecStart=/usr/local/bin/kube-controller-manager \
  --cluster-cidr=10.200.0.0/16 \
  --cluster-name=kubernetes-the-hard-way \
  --service-cluster-ip-range=10.32.0.0/24 \
  --v=2
"""
BOOTSTRAP = """# Comment
ETCD_INITIAL_CLUSTER=ctl01=https://10.0.0.11:2380,ctl02=https://10.0.0.12:2380
ETCD_INITIAL_CLUSTER_STATE=new
"""
ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo
1: lo    inet6 ::1/128 scope host
2: eth0    inet 10.0.0.11/24 brd 10.0.0.255 scope global eth0
2: eth0    inet6 fd00::11/64 scope global
2: eth0    inet6 fe80::1/64 scope link
"""


@pytest.fixture
def host(monkeypatch):
    """A host: its files by path, and what its commands print."""
    files = {
        "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n',
        "/proc/meminfo": "MemTotal:        4030876 kB\nMemFree: 1 kB\n",
        "/proc/1/comm": "systemd\n",
        "/proc/1/status": "Name:\tsystemd\nCapBnd:\t000001ffffffffff\n",
        "/proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
        "/etc/fstab": "UUID=1 / ext4 defaults 0 1\n",
        "/etc/resolv.conf": "search example.com\nnameserver 10.0.0.2\nnameserver fd00::2\n",
    }
    output = {"ip": ADDRESSES, "systemctl": "inactive\n" * len(_host_facts.UNITS)}
    commands = []
    monkeypatch.setattr(_host_facts, "_text", lambda path: files.get(path, ""))

    def run(command):
        commands.append(command)
        program = os.path.basename(command[0])
        if program not in output:
            raise FileNotFoundError(program)
        return (0 if program == "ctr" else 3), output[program], ""

    class Host:
        def __init__(self):
            self.files, self.output, self.commands = files, output, commands

        def facts(self, **options):
            return _host_facts.collect(run=run, **options)

    return Host()


def test_a_host_without_a_cluster(host):
    facts = host.facts()
    assert facts["distribution"] == "debian"
    assert facts["distribution_version"] == "12"
    assert facts["service_manager"] == "systemd"
    assert facts["memory_mib"] == 3936
    assert facts["addresses"] == ["127.0.0.1", "::1", "10.0.0.11", "fd00::11", "fe80::1"]
    assert facts["networks"]["10.0.0.11"] == {"interface": "eth0", "prefix_length": 24}
    assert facts["networks"]["fd00::11"] == {"interface": "eth0", "prefix_length": 64}
    assert facts["keepalived"] == {"addresses": [], "foreign": False}
    assert facts["nameservers"] == ["10.0.0.2", "fd00::2"]
    assert facts["active_swaps"] == []
    assert facts["fstab_swap"] is False
    assert facts["may_lower_oom_score"] is True
    assert facts["cluster"] == {}
    assert facts["etcd"]["free_mib"]["/var/lib/etcd"] > 0
    assert facts["etcd"] | {"free_mib": {}} == {
        "alarms": [],
        "database": {},
        "directory": "/var/lib/etcd",
        "data": None,
        "free_mib": {},
        "members": [],
        "started_with": [],
        "was_healthy": False,
    }
    assert facts["identity"]["certificates"] == {}
    assert set(facts["free_mib"]) == {"/usr/local", "/var/lib"}
    assert all(free > 0 for free in facts["free_mib"].values())
    assert facts["programs"] == facts["nodes"] == {}
    assert facts["api_servers"] == []
    assert facts["units"] == dict.fromkeys(_host_facts.UNITS, "inactive")


def test_the_reading_is_what_the_documentation_says(host):
    contains = yaml.safe_load(host_facts.RETURN)["reading"]["contains"]
    facts = host.facts()
    # The action plugin adds it.
    assert contains.keys() ^ facts.keys() == {"clock_offset_seconds"}
    documented = {key for key, entry in contains.items() if "contains" in entry}
    assert documented == {"clock_offset_seconds", "etcd", "identity"}
    assert contains["etcd"]["contains"].keys() == facts["etcd"].keys()
    assert contains["identity"]["contains"].keys() == facts["identity"].keys()
    assert contains["clock_offset_seconds"]["contains"].keys() == {"least", "most"}


def test_network_configurations(tmp_path):
    assert _host_facts.cni_configurations(str(tmp_path / "none")) == []
    for name in ("10-bridge.conflist", "05-other.conf", "10-bridge.conflist.old", "README"):
        (tmp_path / name).touch()
    assert _host_facts.cni_configurations(str(tmp_path)) == ["05-other.conf", "10-bridge.conflist"]


def test_mtu_of_flannel(tmp_path):
    assert _host_facts.flannel_mtu(str(tmp_path / "none")) == {}
    (tmp_path / "vxlan.env").write_text("FLANNEL_NETWORK=10.200.0.0/16\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n")
    (tmp_path / "host-gw.env").write_text("FLANNEL_NETWORK=10.200.0.0/16\n")
    (tmp_path / "README").write_text("FLANNEL_MTU=9000\n")
    assert _host_facts.flannel_mtu(str(tmp_path)) == {"vxlan": 1450}


def test_an_existing_cluster(host):
    host.files["/etc/systemd/system/kube-controller-manager.service"] = CONTROLLER_MANAGER
    host.files["/etc/etcd/bootstrap.env"] = BOOTSTRAP
    facts = host.facts()
    assert facts["cluster"] == {
        "cluster_pod_cidr": "10.200.0.0/16",
        "cluster_service_cidr": "10.32.0.0/24",
        "cluster_name": "kubernetes-the-hard-way",
    }
    assert facts["etcd"]["started_with"] == ["ctl01", "ctl02"]
    assert facts["etcd"]["was_healthy"] is False
    host.files["/etc/etcd/bootstrap.env"] = BOOTSTRAP.replace("STATE=new", "STATE=existing")
    assert host.facts()["etcd"]["was_healthy"] is True


def test_units(host):
    host.output["systemctl"] = "active\n" + "inactive\n" * (len(_host_facts.UNITS) - 1)
    assert host.facts()["units"] == {**dict.fromkeys(_host_facts.UNITS, "inactive"), "etcd.service": "active"}
    assert ["systemctl", "is-active", *_host_facts.UNITS] in host.commands
    assert not any("kubectl" in command[0] for command in host.commands), "no API server runs here"


@pytest.mark.parametrize(
    ("record", "programs"),
    [
        ('{"etcd": {"version": "3.7.3", "files": {}}, "odd": {}}', {"etcd": "3.7.3", "odd": ""}),
        ("{", {}),
        ("", {}),
    ],
)
def test_programs(host, record, programs):
    host.files["/var/lib/hardway/programs.json"] = record
    assert host.facts()["programs"] == programs


@pytest.mark.parametrize(("recorded", "runs"), [(True, True), (True, False), (False, True)])
def test_images_are_read_where_archives_were_imported_and_containerd_runs(host, monkeypatch, tmp_path, recorded, runs):
    archive = tmp_path / "a.tar"
    (tmp_path / "a.tar.sha256").write_text(f"{'a' * 64}  a.tar\n")
    record = tmp_path / "images.json"
    monkeypatch.setattr(_host_facts, "_IMAGES_RECORD", str(record))
    if recorded:
        record.write_text(json.dumps({f"file://{archive}": {"sha256": "a" * 64, "images": ["example.com/a:1"]}}))
    states = ("active" if runs and unit == "containerd.service" else "inactive" for unit in _host_facts.UNITS)
    host.output |= {"systemctl": "\n".join(states), "ctr": "example.com/a:1\n"}
    asked = recorded and runs
    assert host.facts()["image_archives"] == ([str(archive)] if asked else [])
    assert any(command[0] == "ctr" for command in host.commands) is asked


NODES = {
    "items": [
        {
            "metadata": {"name": "wrk01", "annotations": {"hardway.kubernetes/from-inventory": "{}"}},
            "spec": {"podCIDR": "10.200.0.0/24", "podCIDRs": ["10.200.0.0/24", "fd00:200::/64"]},
            "status": {
                "conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
                "nodeInfo": {"kubeletVersion": "v1.37.2"},
            },
        },
        {
            "metadata": {
                "name": "wrk02",
                "annotations": {"hardway.kubernetes/cordoned": "site.yml", "hardway.kubernetes/turn-seconds": "34"},
            },
            "spec": {"unschedulable": True},
        },
    ]
}


@pytest.mark.parametrize(
    ("answer", "nodes"),
    [
        (
            json.dumps(NODES),
            {
                "wrk01": {
                    "ready": True,
                    "version": "1.37.2",
                    "pod_cidr": "10.200.0.0/24",
                    "pod_cidrs": ["10.200.0.0/24", "fd00:200::/64"],
                    "unschedulable": False,
                    "from_inventory": True,
                    "cordoned_by_run": False,
                    "turn_seconds": 0,
                },
                "wrk02": {
                    "ready": False,
                    "version": "",
                    "pod_cidr": "",
                    "pod_cidrs": [],
                    "unschedulable": True,
                    "from_inventory": False,
                    "cordoned_by_run": True,
                    "turn_seconds": 34,
                },
            },
        ),
        ("", {}),  # The API server does not answer.
        (None, {}),  # There is no kubectl.
    ],
)
def test_nodes_as_the_api_server_of_the_host_knows_them(host, answer, nodes):
    states = ("active" if unit == "kube-apiserver.service" else "inactive" for unit in _host_facts.UNITS)
    host.output["systemctl"] = "\n".join(states)
    if answer is not None:
        host.output["kubectl"] = answer
    assert host.facts()["nodes"] == nodes


@pytest.mark.parametrize("state", ["active", "inactive"])
@pytest.mark.parametrize(
    ("answer", "addresses"),
    [
        ({"endpoints": [{"addresses": ["10.0.0.11"]}, {"addresses": ["10.0.0.12"]}]}, ["10.0.0.11", "10.0.0.12"]),
        ({"endpoints": None}, []),  # The last one has stopped.
        (None, []),  # The API server does not answer.
    ],
)
def test_the_api_servers_that_run(host, state, answer, addresses):
    states = (state if unit == "kube-apiserver.service" else "inactive" for unit in _host_facts.UNITS)
    host.output["systemctl"] = "\n".join(states)
    host.output["kubectl"] = json.dumps(answer) if answer else ""
    assert host.facts()["api_servers"] == (addresses if state == "active" else [])


@pytest.mark.parametrize(
    ("runs", "options", "found"),
    [
        (True, {}, {"password": "", "in_clear": False}),
        (True, {"ask_weave": False}, None),
        (False, {}, None),
    ],
)
def test_weave_net_is_asked_for_where_an_api_server_runs(host, runs, options, found):
    host.output["systemctl"] = "\n".join(
        "active" if runs and unit == "kube-apiserver.service" else "inactive" for unit in _host_facts.UNITS
    )
    host.output["kubectl"] = '{"items": []}'
    assert host.facts(**options)["identity"]["weave"] == found
    asked = [command[-1] for command in host.commands if "weave-net" in command[-1]]
    assert len(asked) == (2 if found else 0)
    assert all(command.startswith("--raw=/api") for command in asked)


@pytest.mark.parametrize(
    ("given", "asked"), [({}, True), ({"pod_network": "weave"}, True), ({"pod_network": "flannel"}, False)]
)
def test_the_module_asks_for_weave_net_where_it_is_the_pod_network(monkeypatch, given, asked):
    options = []
    monkeypatch.setattr(host_facts, "collect", lambda **found: options.append(found) or {})
    with patch_module_args(given), pytest.raises(SystemExit):
        host_facts.main()
    assert [found["ask_weave"] for found in options] == [asked]


@pytest.mark.parametrize("runs", [True, False])
def test_etcd_is_asked_where_it_runs(host, monkeypatch, runs):
    answer = {"members": [{"id": "a1"}], "database": {"size": 300}}
    monkeypatch.setattr(servers, "etcd", lambda: answer)
    host.output["systemctl"] = "active\n" if runs else "inactive\n"
    found = host.facts()["etcd"]
    assert {name: found[name] for name in ("members", "alarms", "database")} == {
        "members": answer["members"] if runs else [],
        "alarms": [],
        "database": answer["database"] if runs else {},
    }


KUBECONFIG = "clusters:\n- cluster:\n    server: https://10.0.0.13:6443\n"


@pytest.mark.parametrize(
    ("kubeconfig", "options", "answer", "version"),
    [
        (KUBECONFIG, {}, '{"major": "1", "gitVersion": "v1.37.2"}', "1.37.2"),
        (KUBECONFIG, {"ask_api": False}, '{"gitVersion": "v1.37.2"}', ""),
        ("", {}, '{"gitVersion": "v1.37.2"}', ""),
        (KUBECONFIG, {}, "", ""),
        (KUBECONFIG, {}, "{}", ""),
        (KUBECONFIG, {}, "[]", ""),
        (KUBECONFIG, {}, "Unable to connect to the server", ""),
    ],
)
def test_the_api_is_asked_by_a_kubelet_where_the_run_needs_it(host, kubeconfig, options, answer, version):
    host.files["/var/lib/kubelet/kubeconfig"] = kubeconfig
    host.output["kubectl"] = answer
    assert host.facts(**options)["identity"]["api_version"] == version
    asked = [command for command in host.commands if command[0].endswith("kubectl")]
    expected = ["--request-timeout=3s", "--kubeconfig=/var/lib/kubelet/kubeconfig", "get", "--raw=/version"]
    assert [command[1:] for command in asked] == ([expected] if kubeconfig and not options else [])


@pytest.mark.parametrize(("ago", "signs"), [(10, True), (100, True), (1000, False), (None, False)])
def test_since_when_the_api_server_signs_with_its_key(host, monkeypatch, tmp_path, ago, signs):
    key = tmp_path / "service-account-key.pem"
    monkeypatch.setattr(_host_facts, "_SIGNING_KEY", str(key))
    now, monotonic = time.time(), time.clock_gettime(time.CLOCK_MONOTONIC)
    host.output["systemctl"] = f"{int((monotonic - ago) * 1e6)}\n" if ago else "0\n"
    assert host.facts()["identity"]["signing_since"] is None
    key.write_text("")
    os.utime(key, (now - 500, now - 500))
    # A process that is older than the file has the key before.
    found = host.facts()["identity"]["signing_since"]
    assert found == (pytest.approx(now - ago, abs=5) if signs else None)


@pytest.mark.parametrize(
    ("kubeconfig", "answer", "versions"),
    [
        (KUBECONFIG, '{"gitVersion": "v1.37.2"}', {"ctl02": "1.37.2"}),
        (KUBECONFIG, "", {}),
        ("", '{"gitVersion": "v1.37.2"}', {}),
    ],
)
def test_api_servers_that_the_run_leaves_out_are_asked_one_by_one(host, kubeconfig, answer, versions):
    host.files["/var/lib/kubelet/kubeconfig"] = kubeconfig
    host.output["kubectl"] = answer
    found = host.facts(ask_api=False, api_servers={"ctl02": "https://10.0.0.12:6443"})
    assert found["identity"]["api_versions"] == versions
    asked = [command[3:] for command in host.commands if command[0].endswith("kubectl")]
    assert asked == ([["--server=https://10.0.0.12:6443", "get", "--raw=/version"]] if kubeconfig else [])


@pytest.mark.parametrize(
    ("options", "answer", "node"),
    [
        (
            {},
            json.dumps(NODES["items"][1]),
            {"unschedulable": True, "cordoned_by_run": True, "turn_seconds": 34, "from_inventory": False},
        ),
        ({"ask_api": False}, json.dumps(NODES["items"][1]), None),
        ({}, "", None),
        ({}, '{"kind": "Status", "code": 404}', None),
    ],
)
def test_a_kubelet_reads_its_own_node_where_the_run_needs_it(host, monkeypatch, options, answer, node):
    monkeypatch.setattr(
        _host_facts.cluster_identity, "identity", lambda _read: {"api_server": "", "kubelet_names": ["wrk02"]}
    )
    host.output["kubectl"] = answer
    found = host.facts(**options)["own_node"]
    assert found == ({"ready": False, "version": "", "pod_cidr": "", "pod_cidrs": [], **node} if node else {})
    asked = [command[-1] for command in host.commands if command[0].endswith("kubectl")]
    assert asked == ([] if options else ["--raw=/api/v1/nodes/wrk02"])


def test_a_worker_without_kubectl_does_not_know_the_version_of_the_api(host):
    host.files["/var/lib/kubelet/kubeconfig"] = KUBECONFIG
    assert host.facts()["identity"]["api_version"] == ""


def test_owners_of_the_ports_that_a_run_needs(host, monkeypatch):
    given = []
    monkeypatch.setattr(_host_facts.system, "listeners", lambda text, **options: given.append(options) or {})
    host.facts()
    host.facts(ports=[10250])
    assert given == [{"ports": None}, {"ports": [10250]}]


@pytest.mark.parametrize("runs", [True, False])
def test_data_is_examined_while_etcd_does_not_run(host, tmp_path, runs):
    (tmp_path / "member" / "wal").mkdir(parents=True)
    host.files["/etc/systemd/system/etcd.service"] = f"ExecStart=/usr/local/bin/etcd --data-dir={tmp_path} \\\n"
    host.output["systemctl"] = "active\n" if runs else "failed\n"
    data = host.facts()["etcd"]["data"]
    assert data["member_id"] == "unknown"
    assert data.get("damaged") == (None if runs else f"{tmp_path}/member/wal: it has no file of the write-ahead log")


@pytest.mark.parametrize("healthy", [True, False])
def test_a_first_start_that_failed_is_no_damage(host, tmp_path, healthy):
    """On a full disk etcd makes the directory, and no log in it."""
    (tmp_path / "member" / "snap").mkdir(parents=True)
    state = "existing" if healthy else "new"
    host.files["/etc/etcd/bootstrap.env"] = f"ETCD_INITIAL_CLUSTER=ctl01=x\nETCD_INITIAL_CLUSTER_STATE={state}\n"
    host.files["/etc/systemd/system/etcd.service"] = f"ExecStart=/usr/local/bin/etcd --data-dir={tmp_path} \\\n"
    host.output["systemctl"] = "failed\n"
    assert ("damaged" in host.facts()["etcd"]["data"]) is healthy


def test_the_clock(host):
    asked = time.time()
    assert asked <= host.facts()["read_at"] <= time.time()


@pytest.mark.parametrize(
    ("machine", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")]
)
def test_architecture(host, monkeypatch, machine, architecture):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert host.facts()["architecture"] == architecture


def test_swap(host):
    host.files["/proc/swaps"] += "/dev/sda2 partition 1000 0 -2\n/swap file 1000 0 -3\n"
    host.files["/etc/fstab"] += "/dev/sda2\tnone\tswap\tsw\t0\t0\n"
    facts = host.facts()
    assert facts["active_swaps"] == ["/dev/sda2", "/swap"]
    assert facts["fstab_swap"] is True


@pytest.mark.parametrize("line", ["#/dev/sda2 none swap sw 0 0", "/dev/sda3 /swap ext4 defaults 0 2"])
def test_no_swap_in_fstab(host, line):
    host.files["/etc/fstab"] = f"{line}\n"
    assert host.facts()["fstab_swap"] is False


def test_a_container_that_may_not_lower_its_oom_score(host):
    host.files["/proc/1/status"] = "CapBnd:\t00000000a80425fb\n"
    assert host.facts()["may_lower_oom_score"] is False


def test_a_host_that_says_nothing(host):
    """Neither a file nor a program is there, and nothing makes a traceback: preflight says what is wrong."""
    host.files.clear()
    host.output.clear()
    facts = host.facts()
    assert facts["distribution"] == ""
    assert facts["memory_mib"] == 0
    assert facts["addresses"] == []
    assert facts["units"] == {}
    assert facts["service_manager"] == ""


def test_free_space_of_a_directory_that_is_yet_to_be_made(tmp_path):
    usage = os.statvfs(tmp_path)
    expected = usage.f_bavail * usage.f_frsize // 1024**2
    assert _host_facts._free_mib(str(tmp_path / "a" / "b")) == pytest.approx(expected, abs=200)


@pytest.mark.parametrize(
    ("listing", "text"),
    [
        ("modules.dep", "kernel/net/openvswitch/openvswitch.ko.xz: kernel/net/nsh/nsh.ko.xz\n"),
        ("modules.builtin", "kernel/net/openvswitch/openvswitch.ko\n"),
    ],
)
def test_kernel_with_openvswitch(host, monkeypatch, listing, text):
    monkeypatch.setattr(_host_facts.os.path, "isdir", lambda path: False)
    assert host.facts()["openvswitch"] is False
    host.files[f"/lib/modules/{platform.release()}/{listing}"] = "kernel/net/openvswitch/vport-vxlan.ko:\n"
    assert host.facts()["openvswitch"] is False
    host.files[f"/lib/modules/{platform.release()}/{listing}"] = text
    assert host.facts()["openvswitch"] is True


def test_kernel_that_has_loaded_openvswitch(host, monkeypatch):
    monkeypatch.setattr(_host_facts.os.path, "isdir", lambda path: path == "/sys/module/openvswitch")
    assert host.facts()["openvswitch"] is True
