# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private registry with a password is the only source of images.

The images of the lab's archives are taken from the workers. The tests build on each other, in the order of this file.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import typing as t

import pytest
from playbook import ROOT, command, environment, run, variables
from support import wait_until

if t.TYPE_CHECKING:
    from private import Registry
    from support import Cluster, Node

pytestmark = pytest.mark.disruptive

PLACE = "/etc/containerd/certs.d"
TASK = "hardway.kubernetes.worker : Configure the registries of images"
SYSTEM = "--namespace=kube-system"


def _settings(registry: Registry, **more: t.Any) -> tuple[str, str]:
    return variables(worker_registries=[registry.entry("_default", **more)], worker_image_archives=[])


def _forget_images(worker: Node) -> None:
    """Remove every image; containers that run keep their files."""
    listed = "ctr --namespace k8s.io images list --quiet"
    worker.out("sh", "-c", f"{listed} | xargs --no-run-if-empty ctr --namespace k8s.io images remove --sync")
    wait_until(
        lambda: not worker.out("crictl", "images", "--quiet").strip(), seconds=30, what=f"{worker.name} has no image"
    )


def _waiting(cluster: Cluster, namespace: str, pod: str) -> str:
    """Return the reason and the message with which a pod's container waits."""
    states = cluster.get("pod", pod, f"--namespace={namespace}")["status"].get("containerStatuses", [])
    waiting = [state["state"].get("waiting", {}) for state in states]
    return " ".join(f"{one.get('reason', '')} {one.get('message', '')}" for one in waiting).strip()


def test_a_wrong_password_pulls_nothing(
    cluster: Cluster, inventory: str, registry: Registry, namespace: str, images: list[str]
) -> None:
    assert any("/pause:" in image for image in images)
    done = run(inventory, "--tags=worker", *_settings(registry, password="wrong"))
    assert done.tasks == {TASK}, "containerd is not restarted"
    for worker in cluster.workers:
        _forget_images(worker)
        refused = worker.run("crictl", "pull", images[0])
        assert refused.rc != 0
        assert "no basic auth credentials" in refused.stderr
        cluster.start(namespace, f"refused-{worker.name}", node=worker.name)
    for worker in cluster.workers:
        # containerd pulls the sandbox's image itself, before the pod has a container.
        events = (
            "get",
            "events",
            f"--namespace={namespace}",
            f"--field-selector=involvedObject.name=refused-{worker.name}",
        )
        wait_until(
            lambda events=events: "no basic auth credentials" in cluster.kubectl(*events, "--output=json"),
            seconds=60,
            what=f"{worker.name}: the pod cannot be started",
        )
        assert cluster.get("pod", f"refused-{worker.name}", f"--namespace={namespace}")["status"]["phase"] == "Pending"
    assert registry.pulled() == set()


def test_every_image_comes_from_the_registry(
    cluster: Cluster, inventory: str, registry: Registry, namespace: str, images: list[str]
) -> None:
    edit = _settings(registry)
    done = run(inventory, "--tags=worker", *edit)
    assert done.tasks == {TASK}
    assert run(inventory, "--tags=worker", *edit).changed == []
    for worker in cluster.workers:
        cluster.start(namespace, f"started-{worker.name}", node=worker.name)
    for worker in cluster.workers:
        pod = f"pod/started-{worker.name}"
        cluster.kubectl("wait", pod, f"--namespace={namespace}", "--for=condition=Ready", "--timeout=120s")
        assert not _waiting(cluster, namespace, f"started-{worker.name}")
    for workload in cluster.kubectl("get", "deployments,daemonsets", SYSTEM, "--output=name").split():
        cluster.kubectl("rollout", "restart", workload, SYSTEM)
        cluster.kubectl("rollout", "status", workload, SYSTEM, "--timeout=180s")
    run(inventory, *edit, playbook="playbooks/smoke.yml")
    assert {image.partition("/")[2].rpartition(":")[0] for image in images} <= registry.pulled()


def test_pause_under_a_name_of_the_registry(
    cluster: Cluster, inventory: str, registry: Registry, namespace: str
) -> None:
    """containerd itself pulls it, with the node's credentials. No name of a public registry is left."""
    edit = variables(
        worker_registries=[registry.entry(registry.name)],
        worker_image_archives=[],
        cluster_images={"pause": f"{registry.name}/pause:{{version}}"},
    )
    worker = cluster.workers[0]
    done = run(inventory, "--tags=worker", f"--limit={worker.name}", *edit)
    assert "hardway.kubernetes.worker : Run containerd, one worker at a time" in done.tasks
    assert worker.out("ls", PLACE).split() == [registry.name.replace(":", "_") + "_"]
    cluster.start(namespace, "renamed", node=worker.name)
    cluster.kubectl("wait", "pod/renamed", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=120s")
    assert f"{registry.name}/pause" in worker.out("crictl", "images")


def test_the_password_is_said_nowhere(
    cluster: Cluster, inventory: str, registry: Registry, tmp_path: pathlib.Path
) -> None:
    said = []
    # Other files than before, files that go, and files that come: each has a difference.
    for number, registries in enumerate(([registry.entry("_default")], [], [registry.entry("_default")])):
        # As an inventory has it: not on the command line.
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"worker_registries": registries, "worker_image_archives": []}), encoding="utf-8")
        done = subprocess.run(
            command(inventory, "--tags=worker", "-vvv", "--diff", f"--extra-vars=@{path}"),
            capture_output=True, text=True, cwd=ROOT, env=environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        said.append(done.stdout + done.stderr)
    assert f"{PLACE}/_default/hosts.toml" in said[0]
    seen = {f"output of run {number}": output for number, output in enumerate(said, 1)}
    for worker in cluster.workers:
        seen[f"processes of {worker.name}"] = worker.out("ps", "-A", "-o", "args=")
        seen[f"journal of {worker.name}"] = worker.out(
            "journalctl", "--no-pager", "--unit=containerd", "--unit=kubelet"
        )
        # Files that others than root can read.
        seen[f"open files of {worker.name}"] = worker.out(
            "find", PLACE, "-type", "f", "-perm", "/077", "-exec", "cat", "{}", "+"
        )
        modes = worker.out("find", PLACE, "-name", "hosts.toml", "-printf", "%m %u %g\n")
        assert set(modes.splitlines()) == {"600 root root"}
        assert registry.secrets()[1] in worker.out("cat", f"{PLACE}/_default/hosts.toml")
    shown = [place for place, text in seen.items() if any(secret in text for secret in registry.secrets())]
    assert not shown


def test_without_the_setting_nothing_is_left(cluster: Cluster, inventory: str) -> None:
    run(inventory)
    for worker in cluster.workers:
        assert worker.out("ls", PLACE) == ""
    assert run(inventory).changed == []
    run(inventory, playbook="playbooks/smoke.yml")
