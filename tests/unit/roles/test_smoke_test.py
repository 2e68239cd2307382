# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role smoke_test against programs that answer as a cluster does: its closing table, and what a failure says."""

from __future__ import annotations

import base64
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import textwrap
import threading
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.hardway.kubernetes.tests.unit.roles.rendering import Role

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "smoke_test"
# The role's own name for the addresses as they stand in URLs.
ADDRESSES = re.findall(r"^(\w+_addresses):", (ROLE / "vars" / "main.yml").read_text(encoding="utf-8"), re.MULTILINE)[0]
HEALTH_NAME = "kubernetes.default.svc.cluster.local"
FORWARDED = 18081
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: hardway.kubernetes.smoke_test
"""

# Whatever a check asks with `timeout SECONDS PROGRAM` is a program beside this one.
TIMEOUT = """\
#!/bin/sh
shift
program=$(basename "$1")
shift
exec "$(dirname "$0")/$program" "$@"
"""
KUBECTL = """\
#!{python}
import http.server, json, sys
asked = " ".join(argument for argument in sys.argv[1:] if not argument.startswith(("--kubeconfig=", "--namespace=")))
print(asked, file=open("{log}", "a"))
if asked.startswith("port-forward"):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Welcome to nginx!</h1>")
        def log_message(self, *_arguments):
            pass
    server = http.server.HTTPServer(("127.0.0.1", int(asked.split()[-1].split(":")[0])), Handler)
    print(f"Forwarding from 127.0.0.1:{{server.server_port}} -> 80", flush=True)
    server.serve_forever()
for begin, (code, out, error) in json.loads(r'''{answers}''').items():
    if asked.startswith(begin):
        print(out, end="")
        print(error, end="", file=sys.stderr)
        sys.exit(code)
"""
WELCOME = (0, "<h1>Welcome to nginx!</h1>\n", "")
NAME = "Name:\tkubernetes.default.svc.cluster.local\nAddress: 10.32.0.1\n"
ANSWERS = {
    "rollout status deployment/nginx": (0, 'Waiting for ...\ndeployment "nginx" successfully rolled out\n', ""),
    "rollout status deployment/busybox": (0, 'deployment "busybox" successfully rolled out\n', ""),
    "get pods": (0, "wrk01 nginx-a 10.200.0.2\nwrk02 nginx-b 10.200.1.2\n", ""),
    "exec nginx-a --container=busybox -- wget -q -O - http://10.200.1.2": WELCOME,
    "exec nginx-b --container=busybox -- wget -q -O - http://10.200.0.2": WELCOME,
    "exec deployment/busybox -- wget -q -O - http://10.32.0.99": WELCOME,
    "exec deployment/busybox -- wget -q -O - http://nginx": WELCOME,
    # Newer busybox asks with every search suffix, and does not find all.
    "exec deployment/busybox -- nslookup kubernetes": (1, f"Server:\t10.32.0.10\n\n{NAME}", "NXDOMAIN"),
    "logs": (0, '10.200.0.1 - - "GET / HTTP/1.1" 200 615\n', ""),
    "exec nginx-a --container=nginx -- nginx -v": (0, "", "nginx version: nginx/1.22.1\n"),
    "exec nginx-b --container=nginx -- nginx -v": (0, "", "nginx version: nginx/1.22.1\n"),
}


@pytest.fixture(scope="module")
def web_handler() -> type[http.server.BaseHTTPRequestHandler]:
    """Answers as the health proxy, and as the Service on each worker."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            health = self.path == "/healthz" and self.headers["Host"] == HEALTH_NAME
            body = b"ok" if health else b"<h1>Welcome to nginx!</h1>"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def web(serving: t.Any, web_handler: type[http.server.BaseHTTPRequestHandler]) -> t.Iterator[int]:
    """The port of a server that stands for the health proxy, and for the Service on each worker."""
    with serving(web_handler) as running:
        yield running.server_port


def smoke(
    directory: pathlib.Path,
    web: int,
    *,
    stored: bytes = b"k8s:enc:secretbox:v1:key1:\xff\x00",
    health: int | None = None,
    cluster_ips: str = "10.32.0.99",
    more: dict[str, t.Any] | None = None,
    second: tuple[str, ...] = (),
    **answers: tuple[int, str, str],
) -> tuple[int, str, list[str]]:
    """Run the role; return its exit code, its output, and what kubectl was asked.

    :param more: of the specification.
    :param second: addresses of each worker, beside its primary one.
    """
    log = directory / "asked"
    log.touch()
    answer = json.dumps({**ANSWERS, "get service nginx": (0, f"{web} {cluster_ips}", ""), **answers})
    etcd = json.dumps({"kvs": [{"value": base64.b64encode(stored).decode()}]})
    programs = {
        "timeout": TIMEOUT,
        "kubectl": KUBECTL.format(python=sys.executable, log=log, answers=answer),
        "etcdctl": f"#!/bin/sh\necho '{etcd}'\n",
    }
    for name, text in programs.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    (directory / "play.yml").write_text(textwrap.dedent(PLAYBOOK))
    topology = {
        "controllers": ["ctl01"],
        "etcd": ["localhost"],
        "workers": ["wrk01", "wrk02"],
        "addresses": {"ctl01": "127.0.0.1"},
        "all_addresses": {"ctl01": ["127.0.0.1"]},
    }
    spec = {
        "topology": topology,
        "pod_network": "bridge",
        "domain": "cluster.local",
        "api_service_address": "10.32.0.1",
        "ip_families": ["IPv4"],
        **(more or {}),
    }
    workers = {name: ["127.0.0.1", *second] for name in ("wrk01", "wrk02")}
    addresses = {"ctl01": [f"127.0.0.1:{health or web}"], **workers}
    variables = {
        "ansible_python_interpreter": sys.executable,
        "cluster": {"spec": spec},
        "smoke_test_forwarded_port": FORWARDED,
        "smoke_test_timeout": 4,
        # With a port of its own, which the addresses of a cluster do not have.
        ADDRESSES: addresses,
    }
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            json.dumps(variables),
            str(directory / "play.yml"),
        ],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, log.read_text().splitlines()


def test_the_closing_table_has_a_line_for_each_check(tmp_path: pathlib.Path, web: int) -> None:
    code, output, asked = smoke(tmp_path, web)
    assert code == 0, output
    shown = output[output.index("Show the checks and their results") :]
    lines = [line.strip().removeprefix("- ").strip("'") for line in shown.splitlines()]
    begin = next(number for number, line in enumerate(lines) if line.startswith("ctl01: "))
    assert lines[begin : begin + 16] == [
        f"ctl01: http://127.0.0.1:{web}/healthz says ok",
        "/registry/secrets/hardway-smoke-test/kubernetes-the-hard-way is stored as k8s:enc:secretbox:v1:key1:...",
        'deployment "nginx" successfully rolled out',
        'deployment "busybox" successfully rolled out',
        "10.200.0.2 on wrk01 asked 10.200.1.2 on wrk02, which says Welcome to nginx",
        "10.200.1.2 on wrk02 asked 10.200.0.2 on wrk01, which says Welcome to nginx",
        "http://10.32.0.99 says Welcome to nginx",
        "nslookup kubernetes says kubernetes.default.svc.cluster.local Address: 10.32.0.1",
        "http://nginx says Welcome to nginx",
        f"wrk01: http://127.0.0.1:{web} says Welcome to nginx",
        f"wrk02: http://127.0.0.1:{web} says Welcome to nginx",
        'kubectl logs nginx-a on wrk01 shows "GET / HTTP/1.1" 200',
        'kubectl logs nginx-b on wrk02 shows "GET / HTTP/1.1" 200',
        "kubectl exec nginx-a on wrk01: nginx -v says nginx/1.22.1",
        "kubectl exec nginx-b on wrk02: nginx -v says nginx/1.22.1",
        f"kubectl port-forward {FORWARDED}:80, http://127.0.0.1:{FORWARDED} says Welcome to nginx",
    ]
    assert asked[-1].startswith("delete namespace hardway-smoke-test")


@pytest.mark.parametrize(
    ("change", "said", "chapter"),
    [
        ({"health": 9}, "asked: http://127.0.0.1:9/healthz", "healthz_nginx"),
        (
            {"exec nginx-b --container=busybox -- wget -q -O - http://10.200.0.2": (1, "", "wget: no route to host")},
            "last answer: wget: no route to host, exit code 1",
            "pod_network",
        ),
    ],
)
def test_a_failure_shows_the_last_answer_and_the_chapter(
    tmp_path: pathlib.Path, web: int, change: dict[str, t.Any], said: str, chapter: str
) -> None:
    code, output, asked = smoke(tmp_path, web, **change)
    assert code != 0
    message = textwrap.dedent(output[output.index("Report the chapter to look at") :])
    message = re.sub(r"\n\s*", "\n", message)
    assert "last answer: " in message
    assert said in message
    assert f"Look at the chapter {chapter}: roles/{chapter}, run again with --tags {chapter}" in message
    # The objects of the checks are removed then, too.
    assert asked[-1].startswith("delete namespace hardway-smoke-test")


def test_a_port_that_is_in_use_is_not_asked(tmp_path: pathlib.Path, web: int) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'unable to listen on port' >&2\nexit 1\n")
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROLE / "files" / "port-forward.sh"), str(web), str(kubectl)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "unable to listen on port\n")


def peer(name: str, *connected: str, broken: t.Sequence[str] = ()) -> dict[str, t.Any]:
    connections = [{"NickName": other, "Established": other not in broken} for other in (*connected, *broken)]
    return {"NickName": name, "Connections": connections or None}


def seen_as_failed(begin: str, result: dict[str, t.Any]) -> bool:
    """Return what the check whose name begins like this makes of a result."""
    loader = DataLoader()
    (task,) = (
        task
        for task in loader.load_from_file(str(ROLE / "tasks" / "checks.yml"), trusted_as_template=True)
        if task["name"].startswith(begin)
    )
    spec = {
        "topology": {"workers": ["wrk01", "wrk02"]},
        "domain": "cluster.local",
        "api_service_address": "10.32.0.1",
    }
    defaults = loader.load_from_file(str(ROLE / "defaults" / "main.yml"), trusted_as_template=True)
    variables = {**defaults, **task["vars"], "cluster": {"spec": spec}, task["register"]: result}
    return bool(Templar(loader=loader, variables=variables).evaluate_conditional(task["failed_when"]))


@pytest.mark.parametrize(
    ("rc", "stored", "failed"),
    [
        (0, b"k8s:enc:secretbox:v1:key1:\xff\x00", False),
        (1, b"k8s:enc:secretbox:v1:key1:\xff\x00", True),
        (0, b"k8s\x00mydata", True),
        (0, b"k8s:enc:secretbox:v1:key1:mydata", True),
        (0, b"k8s:enc:aescbc:v1:key2:\xff", False),
        (0, b"\xff\x00", True),
    ],
)
def test_a_secret_has_to_be_encrypted(rc: int, stored: bytes, failed: bool) -> None:
    answer = json.dumps({"kvs": [{"value": base64.b64encode(stored).decode()}]})
    assert seen_as_failed("Check that the Secret", {"rc": rc, "stdout": answer}) is failed


@pytest.mark.parametrize(
    ("rc", "said", "failed"),
    [
        (0, NAME, False),
        (1, NAME, False),
        (126, NAME, True),
        (0, "Name:\tkubernetes.default.svc.cluster.local\nAddress 1: 10.32.0.1 kubernetes\n", False),
        (0, NAME.replace("10.32.0.1", "10.32.0.10"), True),
        (0, NAME.replace("cluster.local", "example.com"), True),
        (1, "no servers could be reached", True),
    ],
)
def test_the_api_has_its_name(rc: int, said: str, failed: bool) -> None:
    assert seen_as_failed("Look up", {"rc": rc, "stdout": said}) is failed


@pytest.mark.parametrize(
    ("check", "result", "failed"),
    [
        ("Check the health", {"status": 200, "content": "ok"}, False),
        ("Check the health", {"status": 200, "content": "ok, but"}, True),
        ("Check the health", {"status": -1, "content": ""}, True),
        ("Wait until the pods run", {"rc": 0, "stdout": 'deployment "nginx" successfully rolled out'}, False),
        ("Wait until the pods run", {"rc": 1, "stdout": "Waiting for deployment"}, True),
        ("Reach the Service by its port", {"status": 200, "content": "Welcome to nginx"}, False),
        ("Reach the Service by its port", {"status": 502, "content": "Welcome to nginx"}, True),
        ("Read the logs", {"rc": 0, "stdout": '10.0.0.1 - "GET / HTTP/1.1" 200 615'}, False),
        ("Read the logs", {"rc": 0, "stdout": '10.0.0.1 - "GET / HTTP/1.1" 404 615'}, True),
        ("Read the logs", {"rc": 1, "stdout": '"GET / HTTP/1.1" 200'}, True),
        ("Run a command", {"rc": 0, "stdout": "", "stderr": "nginx version: nginx/1.22.1"}, False),
        ("Run a command", {"rc": 0, "stdout": "", "stderr": "Forbidden"}, True),
        ("Forward a port", {"rc": 0, "stdout": "Welcome to nginx"}, False),
        ("Forward a port", {"rc": 1, "stdout": "Welcome to nginx"}, True),
    ],
)
def test_an_answer_counts_when_it_is_right_and_the_question_did_not_fail(
    check: str, result: dict[str, t.Any], failed: bool
) -> None:
    assert seen_as_failed(check, result) is failed


@pytest.mark.parametrize(
    ("peers", "connected"),
    [
        ([peer("wrk01", "wrk02"), peer("wrk02", "wrk01")], True),
        ([peer("wrk01", "wrk02", "outside"), peer("wrk02", "wrk01"), peer("outside", "wrk01")], True),
        ([peer("wrk01", "wrk02"), peer("wrk02", broken=["wrk01"])], False),
        ([peer("wrk01", "outside"), peer("wrk02", "outside"), peer("outside", "wrk01", "wrk02")], False),
        ([peer("wrk01")], False),
    ],
)
def test_weave_net_connects_every_worker_to_all_others(peers: list[dict[str, t.Any]], connected: bool) -> None:
    answer = {"status": 200, "json": {"Router": {"Peers": peers}}}
    assert seen_as_failed("Check that Weave Net", answer) is not connected


def test_an_address_stands_in_brackets_where_a_url_needs_them() -> None:
    loader = DataLoader()
    variables = loader.load_from_file(str(ROLE / "vars" / "main.yml"), trusted_as_template=True)
    addresses = {"ctl01": ["10.0.0.11", "fd00::11"], "wrk01": ["fd00::21"]}
    seen = {"cluster": {"spec": {"topology": {"all_addresses": addresses}}}}
    found = Templar(loader=loader, variables={**variables, **seen}).template(variables[ADDRESSES])
    assert found == {"ctl01": ["10.0.0.11", "[fd00::11]"], "wrk01": ["[fd00::21]"]}


class _BothFamilies(http.server.ThreadingHTTPServer):
    """A server at every address of this machine."""

    address_family = socket.AF_INET6


@pytest.fixture
def web_of_both(web_handler: type[http.server.BaseHTTPRequestHandler]) -> t.Iterator[int]:
    """The port of such a server as `web` is."""
    try:
        running = _BothFamilies(("::", 0), web_handler)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_port
        running.shutdown()


def test_every_way_is_tried_in_each_family(tmp_path: pathlib.Path, web_of_both: int) -> None:
    answers = {
        "get pods": (0, "wrk01 nginx-a 10.200.0.2 fd00::2\nwrk02 nginx-b 10.200.1.2 fd00:1::2\n", ""),
        "exec nginx-a --container=busybox -- wget -q -O - http://[fd00:1::2]": WELCOME,
        "exec nginx-b --container=busybox -- wget -q -O - http://[fd00::2]": WELCOME,
        "exec deployment/busybox -- wget -q -O - http://[fd01::99]": WELCOME,
    }
    code, output, asked = smoke(
        tmp_path,
        web_of_both,
        cluster_ips="10.32.0.99 fd01::99",
        more={"ip_families": ["IPv4", "IPv6"]},
        second=("[::1]",),
        **answers,
    )
    assert code == 0, output
    assert {line.rpartition(" ")[2] for line in asked if "wget" in line} == {
        *("http://10.200.0.2", "http://10.200.1.2", "http://[fd00::2]", "http://[fd00:1::2]"),
        *("http://10.32.0.99", "http://[fd01::99]", "http://nginx"),
    }
    said = output[output.index("Show the checks and their results") :]
    for line in (
        "10.200.0.2 on wrk01 asked 10.200.1.2 on wrk02",
        "fd00:1::2 on wrk02 asked fd00::2 on wrk01",
        "http://[fd01::99] says Welcome to nginx",
        f"wrk02: http://127.0.0.1:{web_of_both} says Welcome to nginx",
        f"wrk02: http://[::1]:{web_of_both} says Welcome to nginx",
    ):
        assert line in said


@pytest.mark.parametrize(
    ("pod_cidr", "listens"),
    [("10.200.0.0/16", False), ("10.200.0.0/16,fd00:200::/56", True), ("fd00:200::/56", True)],
)
def test_the_web_server_listens_in_each_family(pod_cidr: str, listens: bool) -> None:
    found = Role("smoke_test", "client", cluster_pod_cidr=pod_cidr).template("objects.yaml.j2")
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(found)}
    assert (("ConfigMap", "nginx") in objects) is listens
    assert objects["Service", "nginx"]["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    pod = objects["Deployment", "nginx"]["spec"]["template"]["spec"]
    mounts = {one["name"] for one in pod["containers"][0]["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}
    assert ("ipv6" in mounts) is listens
    if listens:
        assert "listen [::]:80;" in objects["ConfigMap", "nginx"]["data"]["ipv6.conf"]
