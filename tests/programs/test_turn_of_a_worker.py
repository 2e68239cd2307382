# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker's turn in an upgrade, at a real API server: the role's own tasks, with stand-ins for its three components.

Nodes and pods are objects alone: no kubelet runs.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
from api_server import Api, serving
from conftest import CATALOGUE, ROOT, Programs

NODE = "/api/v1/nodes/wrk01"
PODS = "/api/v1/namespaces/test/pods"
BUDGETS = "/apis/policy/v1/namespaces/test/poddisruptionbudgets"
MERGE = "application/merge-patch+json"
CORDON = "hardway.kubernetes/cordoned"
# Writes down what the API has while programs would be replaced.
SEEN = """
- name: Look at the API
  kubernetes.core.k8s_info:
    kubeconfig: "{{{{ cluster.spec.api.kubeconfig }}}}"
    kind: "{{{{ item }}}}"
  loop: [Node, Pod]
  register: seen
- name: Write down what is there
  ansible.builtin.copy:
    dest: {log}
    mode: "0600"
    content: "{{{{ seen.results | map(attribute='resources') | to_json }}}}"
"""


class Turn(t.NamedTuple):
    """A run of the role: its exit code, its output, and node and pods while programs would be replaced."""

    succeeded: bool
    output: str
    node: dict[str, t.Any]
    pods: list[str]


class Worker:
    """A node of the API server, and the role that changes it."""

    def __init__(self, api: Api, directory: pathlib.Path, certificates: pathlib.Path) -> None:
        self.api = api
        self._directory = directory
        self._log = directory / "log"
        tasks = directory / "roles" / "worker" / "tasks"
        shutil.copytree(ROOT / "roles" / "worker", tasks.parent)
        shutil.rmtree(tasks.parent / "meta")
        for name in ("host", "containerd", "kube_proxy"):
            (tasks / f"{name}.yml").write_text("---\n[]\n")
        (tasks / "kubelet.yml").write_text("---" + SEEN.format(log=self._log))
        self.kubeconfig = directory / "admin.kubeconfig"
        server = {"certificate-authority": str(certificates / "ca.pem"), "server": f"https://127.0.0.1:{api.port}"}
        user = {
            f"client-{kind}": str(certificates / f"admin{end}.pem")
            for kind, end in (("certificate", ""), ("key", "-key"))
        }
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "a", "cluster": server}],
                    "users": [{"name": "a", "user": user}],
                    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                    "current-context": "a",
                }
            )
        )

    def cluster(self) -> dict[str, t.Any]:
        """Return what the role looks up."""
        connection = {"client_host": "localhost", "client_python": sys.executable, "kubeconfig": str(self.kubeconfig)}
        return {
            "check_mode": False,
            "spec": {
                "api": {**connection, "server": f"https://127.0.0.1:{self.api.port}"},
                "hosts": {"wrk01": {"programs": {"kubelet": {"version": "1.37.2"}}}},
            },
            "status": {"hosts": {"wrk01": {"read": True}}},
            "plan": {"worker_batches": [["wrk01"]]},
        }

    def play(self, play: dict[str, t.Any], *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a play on the control node alone."""
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        (self._directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"wrk01": here}}}))
        (self._directory / "site.yml").write_text(json.dumps([{"hosts": "wrk01", "gather_facts": False, **play}]))
        extra = json.dumps({"cluster": self.cluster(), **variables})
        command = ["ansible-playbook", "-i", "hosts.json", "site.yml", "--extra-vars", extra, *arguments]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("ANSIBLE_")}
        return subprocess.run(
            [str(pathlib.Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=self._directory,
            env=environment | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def turn(self, *arguments: str, **variables: t.Any) -> Turn:
        """Carry the worker through its turn."""
        self._log.unlink(missing_ok=True)
        done = self.play({"roles": ["worker"], "any_errors_fatal": True}, *arguments, **variables)
        nodes, pods = json.loads(self._log.read_text()) if self._log.exists() else ([{}], [])
        return Turn(
            done.returncode == 0, done.stdout + done.stderr, nodes[0], [pod["metadata"]["name"] for pod in pods]
        )

    def state(self) -> tuple[bool, bool]:
        """Return whether the node is cordoned, and whether the note is on it."""
        node = self.api.ask("GET", NODE)[1]
        return bool(node["spec"].get("unschedulable")), CORDON in node["metadata"].get("annotations", {})

    def pod(self, name: str, *, managed: bool = True, **spec: t.Any) -> None:
        """Make a pod on the node, which goes as soon as it is evicted."""
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "a"}
        containers = [{"name": "a", "image": "example.com/a"}]
        metadata = {"name": name, "labels": {"app": name}, **({"ownerReferences": [owner]} if managed else {})}
        place = {"nodeName": "wrk01", "terminationGracePeriodSeconds": 0, "containers": containers, **spec}
        status, answer, _headers = self.api.ask("POST", PODS, {"metadata": metadata, "spec": place})
        assert status == 201, answer
        # A budget does not count for a pod that does not run.
        runs = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        assert self.api.ask("PATCH", f"{PODS}/{name}/status", runs, Content_Type=MERGE)[0] == 200

    def blocked(self, name: str) -> None:
        """Make a disruption budget that never allows an eviction of a pod, as a controller would have counted it."""
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
        assert self.api.ask("POST", BUDGETS, {"metadata": {"name": name}, "spec": spec})[0] == 201
        counts = {"disruptionsAllowed": 0, "expectedPods": 1, "currentHealthy": 1, "desiredHealthy": 1}
        counted = {"status": {**counts, "observedGeneration": 1}}
        assert self.api.ask("PATCH", f"{BUDGETS}/{name}/status", counted, Content_Type=MERGE)[0] == 200


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[Api, pathlib.Path]]:
    programs = Programs(CATALOGUE["default_release"], tmp_path_factory.mktemp("programs"))
    directory = tmp_path_factory.mktemp("api")
    with serving((programs.path("kube-apiserver"), programs.path("etcd")), directory) as api:
        for path, name in (("/api/v1/namespaces", "test"), ("/api/v1/namespaces/test/serviceaccounts", "default")):
            assert api.ask("POST", path, {"metadata": {"name": name}})[0] == 201
        yield api, directory


@pytest.fixture
def worker(served: tuple[Api, pathlib.Path], tmp_path: pathlib.Path) -> t.Iterator[Worker]:
    """A node that is ready, with the kubelet of the wanted version."""
    api, certificates = served
    assert api.ask("POST", "/api/v1/nodes", {"metadata": {"name": "wrk01"}})[0] == 201
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.37.2"}}
    assert api.ask("PATCH", f"{NODE}/status", {"status": ready}, Content_Type=MERGE)[0] == 200
    yield Worker(api, tmp_path, certificates)
    for path in (NODE, PODS, BUDGETS):
        api.ask("DELETE", path, {})


def test_a_worker_is_drained_changed_and_given_back(worker):
    worker.pod("web")
    turn = worker.turn()
    assert turn.succeeded, turn.output
    assert turn.node["spec"]["unschedulable"] is True
    assert turn.node["metadata"]["annotations"][CORDON] == "site.yml"
    assert turn.pods == []
    assert worker.state() == (False, False)


def test_check_mode_moves_nothing(worker):
    worker.pod("web")
    turn = worker.turn("--check", cluster={**worker.cluster(), "check_mode": True})
    assert turn.succeeded, turn.output
    assert "Look at the API" in turn.output, "the components say what they would change"
    assert worker.state() == (False, False)
    assert worker.api.ask("GET", f"{PODS}/web")[0] == 200


def test_a_node_that_somebody_else_cordoned_stays_cordoned(worker):
    worker.api.ask("PATCH", NODE, {"spec": {"unschedulable": True}}, Content_Type=MERGE)
    worker.pod("web")
    turn = worker.turn()
    assert turn.succeeded, turn.output
    assert (turn.pods, CORDON in turn.node["metadata"].get("annotations", {})) == ([], False)
    assert worker.state() == (True, False)


def test_a_turn_that_was_interrupted_is_finished(worker):
    left = {"metadata": {"annotations": {CORDON: "site.yml"}}, "spec": {"unschedulable": True}}
    worker.api.ask("PATCH", NODE, left, Content_Type=MERGE)
    turn = worker.turn()
    assert turn.succeeded, turn.output
    assert turn.node["spec"]["unschedulable"] is True
    assert worker.state() == (False, False)


@pytest.mark.parametrize("foreign", [False, True])
def test_a_worker_that_cannot_be_drained_is_left_as_it_was(worker, foreign):
    worker.api.ask("PATCH", NODE, {"spec": {"unschedulable": foreign}}, Content_Type=MERGE)
    worker.pod("web")
    worker.blocked("web")
    turn = worker.turn(worker_drain_timeout=5)
    assert not turn.succeeded
    assert "wrk01 was not drained within worker_drain_timeout (5 s), and was left as it was: " in turn.output
    assert "violate the pod's disruption budget" in turn.output
    assert turn.node == {}, "its programs were not touched"
    assert worker.state() == (foreign, False)
    assert worker.api.ask("GET", f"{PODS}/web")[0] == 200


@pytest.mark.parametrize("accepted", [False, True])
def test_pods_without_a_controller(worker, accepted):
    worker.pod("tool", managed=False, volumes=[{"name": "a", "emptyDir": {}}])
    worker.pod("bare", managed=False)
    turn = worker.turn(worker_drain_accepts=["local_data", *["unmanaged_pods"] * accepted])
    assert turn.succeeded is accepted
    assert worker.state() == (False, False)
    assert worker.api.ask("GET", f"{PODS}/bare")[0] == (404 if accepted else 200)


def test_the_plan_names_what_is_hurt(worker):
    worker.pod("web", volumes=[{"name": "a", "emptyDir": {}}])
    worker.pod("bare", managed=False)
    worker.blocked("web")
    asked = {"kubeconfig": str(worker.kubeconfig), "nodes": {"wrk01": ["local_data"]}, "release": "1.37"}
    tasks = [
        {"hardway.kubernetes.workload_info": asked, "register": "found"},
        {"ansible.builtin.debug": {"msg": "FOUND {{ found | to_json }}"}},
    ]
    done = worker.play({"tasks": tasks})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pods test/web on wrk01 lose the content of their emptyDir volumes" in done.stdout
    assert "pods test/bare on wrk01 do not have a controller" in done.stdout
    assert "PodDisruptionBudget test/web: allows no disruption now" in done.stdout
    assert "could not be read" not in done.stdout
